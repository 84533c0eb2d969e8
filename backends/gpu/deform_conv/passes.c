#include "passes.h"
#include "../../../core/checked_math.h"
#include "gpu_deform_conv.h"

#include <string.h>

/* The launches of a pass, in their order. */
enum {
    STEP_MAIN,    /* all of forward; of backward, the gradients of points */
    STEP_BEFORE,  /* before the scatter: bounds or clear */
    STEP_SCATTER, /* the gradients of value, or both */
    STEP_AFTER,   /* after it: convert */
    STEPS
};
_Static_assert(STEPS <= (int)DCNV4I_MAX_STEPS, "too many steps");

/* The scratch buffers of the workspace. */
enum { SCRATCH_SUMS, SCRATCH_BOUNDS };

static const dcnv4i_cuts no_cuts = {1, 1};

/* One part of a program while it is made. */
typedef struct part {
    dcnv4_part id;
    dcnv4i_geometry geometry;
    const dcnv4i_module *module;
} part;

static void list_kernels(dcnv4i_deform_conv_program *made, const part *p) {
    static const int first[DCNV4I_DEFORM_CONV_PARTS + 1] = {DCNV4I_KERNEL_FORWARD, DCNV4I_KERNEL_POINTS,
                                                            DCNV4I_KERNEL_SCATTER, DCNV4I_KERNELS};
    for (int k = first[p->id]; k < first[p->id + 1]; ++k)
        if (p->module->kernels[k])
            made->base.kernels[made->base.kernel_count++] = (dcnv4i_listed){
                p->module, k, p->geometry.aligned, p->geometry.scatter == DCNV4I_SCATTER_ATOMIC};
}

static bool has_part(const dcnv4i_deform_conv_program *made, int id) {
    return made->only == DCNV4I_DEFORM_CONV_PARTS ? id == DCNV4_PART_OUTPUT || !made->problem->params.forward_only
                                                  : made->only == id;
}

dcnv4i_geometry dcnv4i_passes_geometry(const dcnv4i_deform_conv_program *program, dcnv4_part id, bool aligned) {
    const dcnv4i_limits *limits = &program->base.gpu->limits;
    if (!program->choices.has[id])
        return dcnv4i_geometry_of(limits, program->problem, id, aligned);
    dcnv4i_geometry chosen = program->choices.geometry[id];
    chosen.aligned = aligned && !limits->cpu;
    return chosen;
}

/* On a CPU, one kernel computes grad_offset_mask and grad_value if their geometries are the same. */
static bool does_both(const dcnv4i_deform_conv_program *made) {
    const dcnv4i_geometry points = dcnv4i_passes_geometry(made, DCNV4_PART_GRAD_OFFSET_MASK, false);
    const dcnv4i_geometry scatter = dcnv4i_passes_geometry(made, DCNV4_PART_GRAD_VALUE, false);
    return has_part(made, DCNV4_PART_GRAD_OFFSET_MASK) && has_part(made, DCNV4_PART_GRAD_VALUE) && points.run > 1 &&
           dcnv4i_geometry_equal(&points, &scatter);
}

/* Gets a part's module, which also has the plan's other parts with the same geometry. */
static dcnv4_status get_part(dcnv4i_deform_conv_program *made, dcnv4_part id, bool aligned, part *got) {
    const dcnv4i_limits *limits = &made->base.gpu->limits;
    dcnv4i_part_set parts = 0;
    got->id = id;
    got->geometry = dcnv4i_passes_geometry(made, id, aligned);
    for (int other = 0; other < DCNV4I_DEFORM_CONV_PARTS; ++other) {
        const dcnv4i_geometry geometry = dcnv4i_passes_geometry(made, (dcnv4_part)other, aligned);
        if (has_part(made, other) && dcnv4i_geometry_equal(&geometry, &got->geometry))
            parts |= 1u << other;
    }
    dcnv4i_recipe recipe = dcnv4i_deform_conv_recipe(limits, made->problem, parts, &got->geometry);
    const dcnv4_status status = dcnv4i_module_get(&made->base.gpu->modules, &recipe, &got->module);
    if (status == DCNV4_SUCCESS)
        list_kernels(made, got);
    return status;
}

static int64_t tile_work_group(const dcnv4i_geometry *geometry) {
    return geometry->run > 1 ? 1
                             : (int64_t)geometry->tile_h * geometry->tile_w * geometry->tile_groups * geometry->lanes;
}

/* Sets a launch, with all numbers that its kernel may be passed. */
static void set_step(const dcnv4i_deform_conv_program *made, const part *p, dcnv4i_steps *to, int id,
                     dcnv4i_kernel kernel, dcnv4i_signature_id signature, int64_t groups, int64_t work_group) {
    const dcnv4i_deform_conv *problem = made->problem;
    const dcnv4i_cuts cuts = dcnv4i_cuts_of(&made->base.gpu->limits, problem);
    const bool tiled = p->geometry.scatter == DCNV4I_SCATTER_TILES && p->id == DCNV4_PART_GRAD_VALUE;
    const dcnv4i_grid tiles = dcnv4i_geometry_tiles(&p->geometry, problem, p->id);
    const dcnv4i_grid chunks = tiled ? dcnv4i_geometry_chunks(&p->geometry, problem) : (dcnv4i_grid){0, 0};
    to->step[id] = (dcnv4i_step){
        .kernel = p->module->kernels[kernel],
        .groups = groups,
        .work_group = work_group,
        .signature = &dcnv4i_signatures[signature],
        .numbers =
            {
                [DCNV4I_NUMBER_HEIGHT] = problem->params.height,
                [DCNV4I_NUMBER_WIDTH] = problem->params.width,
                [DCNV4I_NUMBER_OUTPUT_HEIGHT] = problem->output_height,
                [DCNV4I_NUMBER_OUTPUT_WIDTH] = problem->output_width,
                [DCNV4I_NUMBER_BY_COLUMNS] = dcnv4i_reciprocal(tiles.columns),
                [DCNV4I_NUMBER_BY_ROWS] = dcnv4i_reciprocal(tiles.rows),
                [DCNV4I_NUMBER_BANDS] = cuts.bands,
                [DCNV4I_NUMBER_SHARES] = cuts.shares,
                [DCNV4I_NUMBER_BY_CHUNKS] = dcnv4i_reciprocal(chunks.rows * chunks.columns),
                [DCNV4I_NUMBER_BY_CHUNK_COLUMNS] = dcnv4i_reciprocal(chunks.columns),
                [DCNV4I_NUMBER_PIXELS] = problem->base.tensors[DCNV4I_VALUE].pixels,
            },
    };
}

/* The launch of a part that has one kernel over all blocks. */
static dcnv4_status add_main(dcnv4i_deform_conv_program *made, dcnv4_part id, dcnv4i_kernel kernel,
                             dcnv4i_signature_id signature, bool aligned, dcnv4i_steps *to) {
    part p;
    const dcnv4_status status = get_part(made, id, aligned, &p);
    if (status == DCNV4_SUCCESS)
        set_step(made, &p, to, STEP_MAIN, kernel, signature,
                 dcnv4i_geometry_groups(&p.geometry, made->problem, id, no_cuts), tile_work_group(&p.geometry));
    return status;
}

static dcnv4i_scratch bounds_of(const part *p, size_t numbers) {
    const size_t item = p->geometry.wide ? 8 : 4;
    return (dcnv4i_scratch){numbers * item, item};
}

static void add_owned_scatter(dcnv4i_deform_conv_program *made, const part *p, dcnv4i_steps *to) {
    const dcnv4i_deform_conv *problem = made->problem;
    const dcnv4i_cuts cuts = dcnv4i_cuts_of(&made->base.gpu->limits, problem);
    const int64_t rows = cuts.bands > 1 ? problem->params.batch * problem->output_height : 0;
    set_step(made, p, to, STEP_BEFORE, DCNV4I_KERNEL_BOUNDS, DCNV4I_SIGNATURE_BOUNDS_BANDS, rows, 1);
    /* If value is empty, the gradients of points are still written: zeros. */
    if (p->module->kernels[DCNV4I_KERNEL_BOTH])
        set_step(made, p, to, STEP_SCATTER, DCNV4I_KERNEL_BOTH, DCNV4I_SIGNATURE_BOTH,
                 problem->params.batch * cuts.bands * cuts.shares, 1);
    else
        set_step(made, p, to, STEP_SCATTER, DCNV4I_KERNEL_SCATTER, DCNV4I_SIGNATURE_SCATTER_BANDS,
                 dcnv4i_geometry_groups(&p->geometry, problem, p->id, cuts), p->geometry.lanes);
    to->scratch[SCRATCH_BOUNDS] = bounds_of(p, 2 * (size_t)rows);
}

static void add_tiled_scatter(dcnv4i_deform_conv_program *made, const part *p, dcnv4i_steps *to) {
    const dcnv4i_deform_conv *problem = made->problem;
    const dcnv4i_grid grid = dcnv4i_geometry_chunks(&p->geometry, problem);
    const int64_t chunks = problem->params.batch * problem->params.groups * (grid.rows * grid.columns);
    set_step(made, p, to, STEP_BEFORE, DCNV4I_KERNEL_BOUNDS, DCNV4I_SIGNATURE_BOUNDS_TILES, chunks,
             dcnv4i_flat_group(&made->base.gpu->limits));
    set_step(made, p, to, STEP_SCATTER, DCNV4I_KERNEL_SCATTER, DCNV4I_SIGNATURE_SCATTER_TILES,
             dcnv4i_geometry_groups(&p->geometry, problem, p->id, no_cuts), tile_work_group(&p->geometry));
    to->scratch[SCRATCH_BOUNDS] = bounds_of(p, 4 * (size_t)chunks);
}

static void add_atomic_scatter(dcnv4i_deform_conv_program *made, const part *p, dcnv4i_steps *to) {
    const dcnv4i_deform_conv *problem = made->problem;
    const int64_t pixels = problem->base.tensors[DCNV4I_VALUE].pixels, items = pixels * problem->channels;
    const int64_t flat = dcnv4i_flat_group(&made->base.gpu->limits), flat_groups = items / flat + (items % flat != 0);
    set_step(made, p, to, STEP_BEFORE, DCNV4I_KERNEL_CLEAR, DCNV4I_SIGNATURE_CLEAR, flat_groups, flat);
    set_step(made, p, to, STEP_SCATTER, DCNV4I_KERNEL_SCATTER, DCNV4I_SIGNATURE_SCATTER_ATOMIC,
             pixels > 0 ? dcnv4i_geometry_groups(&p->geometry, problem, p->id, no_cuts) : 0,
             tile_work_group(&p->geometry));
    if (p->module->kernels[DCNV4I_KERNEL_CONVERT])
        set_step(made, p, to, STEP_AFTER, DCNV4I_KERNEL_CONVERT, DCNV4I_SIGNATURE_CONVERT, flat_groups, flat);
}

/* Count of float32 numbers in SCRATCH_SUMS: sums of grad_value; where one kernel does both parts on a CPU, interleaved
 * with copies of value. */
static size_t sums_of(const dcnv4i_deform_conv_program *made, const part *p) {
    const dcnv4_problem *asked = &made->problem->params;
    const int64_t pixels = made->problem->base.tensors[DCNV4I_VALUE].pixels;
    const dcnv4i_cuts cuts = dcnv4i_cuts_of(&made->base.gpu->limits, made->problem);
    const int64_t vector = p->geometry.vector, depth = dcnv4i_ceil_div64(asked->group_channels, vector) * vector;
    if (p->module->kernels[DCNV4I_KERNEL_BOTH] && cuts.bands == 1 && asked->height > 1 && asked->width > 1)
        return (size_t)(pixels * cuts.shares * depth * 2);
    const bool apart = asked->dtype != DCNV4_FLOAT32 && p->geometry.scatter != DCNV4I_SCATTER_TILES;
    return apart ? (size_t)(pixels * made->problem->channels) : 0;
}

static dcnv4_status add_scatter(dcnv4i_deform_conv_program *made, bool aligned, dcnv4i_steps *to) {
    part p;
    const dcnv4_status status = get_part(made, DCNV4_PART_GRAD_VALUE, aligned, &p);
    if (status != DCNV4_SUCCESS)
        return status;
    const size_t sums = sums_of(made, &p) * sizeof(float), unit = DCNV4I_SCRATCH_ALIGNMENT;
    to->scratch[SCRATCH_SUMS] = (dcnv4i_scratch){(sums + unit - 1) / unit * unit, sizeof(float)};
    if (p.geometry.scatter == DCNV4I_SCATTER_BANDS)
        add_owned_scatter(made, &p, to);
    else if (p.geometry.scatter == DCNV4I_SCATTER_TILES)
        add_tiled_scatter(made, &p, to);
    else
        add_atomic_scatter(made, &p, to);
    dcnv4i_program_add_workspace(&made->base, DCNV4_PASS_BACKWARD, to);
    return DCNV4_SUCCESS;
}

static dcnv4_status make_passes(dcnv4i_deform_conv_program *made, bool aligned) {
    dcnv4i_steps *const backward = &made->base.passes[DCNV4_PASS_BACKWARD][aligned];
    dcnv4_status status = DCNV4_SUCCESS;
    if (has_part(made, DCNV4_PART_OUTPUT))
        status = add_main(made, DCNV4_PART_OUTPUT, DCNV4I_KERNEL_FORWARD, DCNV4I_SIGNATURE_FORWARD, aligned,
                          &made->base.passes[DCNV4_PASS_FORWARD][aligned]);
    if (status == DCNV4_SUCCESS && has_part(made, DCNV4_PART_GRAD_OFFSET_MASK) && !does_both(made))
        status = add_main(made, DCNV4_PART_GRAD_OFFSET_MASK, DCNV4I_KERNEL_POINTS, DCNV4I_SIGNATURE_POINTS, aligned,
                          backward);
    if (status == DCNV4_SUCCESS && has_part(made, DCNV4_PART_GRAD_VALUE))
        status = add_scatter(made, aligned, backward);
    return status;
}

dcnv4_status dcnv4i_passes_make(dcnv4i_deform_conv_program *made, dcnv4i_gpu *gpu, const dcnv4i_deform_conv *problem,
                                const dcnv4i_choices *choices, int only) {
    const bool cpu = gpu->limits.cpu;
    memset(made, 0, sizeof *made);
    made->base.gpu = gpu;
    made->base.op = &dcnv4i_gpu_deform_conv;
    made->base.problem = &problem->base;
    made->problem = problem;
    made->choices = *choices;
    made->only = only;
    /* A tactic's program is for timing: it saves compiling kernels for unaligned buffers. */
    made->base.has[false] = cpu || only == DCNV4I_DEFORM_CONV_PARTS;
    made->base.has[true] = !cpu;
    dcnv4_status status = DCNV4_SUCCESS;
    for (int aligned = 0; aligned < 2 && status == DCNV4_SUCCESS; ++aligned)
        if (made->base.has[aligned])
            status = make_passes(made, aligned);
    return status == DCNV4_SUCCESS ? dcnv4i_program_check_launches(&made->base) : status;
}
