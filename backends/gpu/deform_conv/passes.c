#include "passes.h"

#include <inttypes.h>
#include <string.h>

static const dcnv4i_cuts no_cuts = {1, 1};

/* One part of a program while it is made. */
typedef struct part {
    dcnv4i_part id;
    dcnv4i_geometry geometry;
    const dcnv4i_module *module;
} part;

static void list_kernels(dcnv4i_gpu_program *made, const part *p) {
    static const dcnv4i_kernel first[DCNV4I_PARTS + 1] = {DCNV4I_KERNEL_FORWARD, DCNV4I_KERNEL_POINTS,
                                                          DCNV4I_KERNEL_SCATTER, DCNV4I_KERNEL_FLOOR_MEMORY};
    for (dcnv4i_kernel k = first[p->id]; k < first[p->id + 1]; ++k)
        if (p->module->kernels[k])
            made->kernels[made->kernel_count++] = (dcnv4i_listed){p->module, k, p->geometry.aligned,
                                                                  p->geometry.scatter == DCNV4I_SCATTER_ATOMIC};
}

static bool has_part(const dcnv4i_gpu_program *made, int id) {
    return made->only == DCNV4I_PARTS ? id == DCNV4I_PART_FORWARD || !made->problem.asked.forward_only
                                      : made->only == id;
}

dcnv4i_geometry dcnv4i_passes_geometry(const dcnv4i_gpu_program *made, dcnv4i_part id, bool aligned) {
    const dcnv4i_limits *limits = &made->gpu->limits;
    if (!made->choices.has[id])
        return dcnv4i_geometry_of(limits, &made->problem, id, aligned);
    dcnv4i_geometry chosen = made->choices.geometry[id];
    chosen.aligned = aligned && !limits->cpu;
    return chosen;
}

/* On a CPU, parts of one geometry have one kernel for grad_offset_mask and grad_value. */
static bool does_both(const dcnv4i_gpu_program *made) {
    const dcnv4i_geometry points = dcnv4i_passes_geometry(made, DCNV4I_PART_POINTS, false);
    const dcnv4i_geometry scatter = dcnv4i_passes_geometry(made, DCNV4I_PART_SCATTER, false);
    return has_part(made, DCNV4I_PART_POINTS) && has_part(made, DCNV4I_PART_SCATTER) && points.run > 1 &&
           dcnv4i_geometry_equal(&points, &scatter);
}

/* A part comes with the others that this plan has and that share its geometry. */
static dcnv4_status get_part(dcnv4i_gpu_program *made, dcnv4i_part id, bool aligned, part *got) {
    const dcnv4i_limits *limits = &made->gpu->limits;
    dcnv4i_part_set parts = 0;
    got->id = id;
    got->geometry = dcnv4i_passes_geometry(made, id, aligned);
    for (int other = 0; other < DCNV4I_PARTS; ++other) {
        const dcnv4i_geometry geometry = dcnv4i_passes_geometry(made, (dcnv4i_part)other, aligned);
        if (has_part(made, other) && dcnv4i_geometry_equal(&geometry, &got->geometry))
            parts |= 1u << other;
    }
    const dcnv4_status status = dcnv4i_programs_get(&made->gpu->programs, limits, &made->problem, parts, &got->geometry,
                                                    &got->module);
    if (status == DCNV4_SUCCESS)
        list_kernels(made, got);
    return status;
}

static int64_t tile_work_group(const dcnv4i_geometry *geometry) {
    return geometry->run > 1 ? 1
                             : (int64_t)geometry->tile_h * geometry->tile_w * geometry->tile_groups * geometry->lanes;
}

/* A launch, with all numbers that its kernel may be passed. */
static void set_step(const dcnv4i_gpu_program *made, const part *p, dcnv4i_steps *to, dcnv4i_step_id id,
                     dcnv4i_kernel kernel, dcnv4i_signature_id signature, int64_t groups, int64_t work_group) {
    const dcnv4i_problem *problem = &made->problem;
    const dcnv4i_cuts cuts = dcnv4i_cuts_of(&made->gpu->limits, problem);
    const bool tiled = p->geometry.scatter == DCNV4I_SCATTER_TILES && p->id == DCNV4I_PART_SCATTER;
    const dcnv4i_grid tiles = dcnv4i_geometry_tiles(&p->geometry, problem, p->id);
    const dcnv4i_grid chunks = tiled ? dcnv4i_geometry_chunks(&p->geometry, problem) : (dcnv4i_grid){0, 0};
    to->step[id] = (dcnv4i_step){
        .kernel = p->module->kernels[kernel],
        .groups = groups,
        .work_group = work_group,
        .signature = signature,
        .number =
            {
                [DCNV4I_PASS_HEIGHT] = problem->asked.height,
                [DCNV4I_PASS_WIDTH] = problem->asked.width,
                [DCNV4I_PASS_OUTPUT_HEIGHT] = problem->output_height,
                [DCNV4I_PASS_OUTPUT_WIDTH] = problem->output_width,
                [DCNV4I_PASS_BY_COLUMNS] = dcnv4i_reciprocal(tiles.columns),
                [DCNV4I_PASS_BY_ROWS] = dcnv4i_reciprocal(tiles.rows),
                [DCNV4I_PASS_BANDS] = cuts.bands,
                [DCNV4I_PASS_SHARES] = cuts.shares,
                [DCNV4I_PASS_BY_CHUNKS] = dcnv4i_reciprocal(chunks.rows * chunks.columns),
                [DCNV4I_PASS_BY_CHUNK_COLUMNS] = dcnv4i_reciprocal(chunks.columns),
                [DCNV4I_PASS_PIXELS] = problem->tensors[DCNV4I_VALUE].pixels,
            },
    };
}

/* The launch of a part that has one kernel over all blocks. */
static dcnv4_status add_main(dcnv4i_gpu_program *made, dcnv4i_part id, dcnv4i_kernel kernel,
                             dcnv4i_signature_id signature, bool aligned, dcnv4i_steps *to) {
    part p;
    const dcnv4_status status = get_part(made, id, aligned, &p);
    if (status == DCNV4_SUCCESS)
        set_step(made, &p, to, DCNV4I_STEP_MAIN, kernel, signature,
                 dcnv4i_geometry_groups(&p.geometry, &made->problem, id, no_cuts), tile_work_group(&p.geometry));
    return status;
}

static void add_owned_scatter(dcnv4i_gpu_program *made, const part *p, dcnv4i_steps *to) {
    const dcnv4i_problem *problem = &made->problem;
    const dcnv4i_cuts cuts = dcnv4i_cuts_of(&made->gpu->limits, problem);
    const int64_t rows = cuts.bands > 1 ? problem->asked.batch * problem->output_height : 0;
    set_step(made, p, to, DCNV4I_STEP_BEFORE, DCNV4I_KERNEL_REACH, DCNV4I_SIGNATURE_REACH_BANDS, rows, 1);
    /* Without value there are still gradients of points: zeros. */
    if (p->module->kernels[DCNV4I_KERNEL_BOTH])
        set_step(made, p, to, DCNV4I_STEP_SCATTER, DCNV4I_KERNEL_BOTH, DCNV4I_SIGNATURE_BOTH,
                 problem->asked.batch * cuts.bands * cuts.shares, 1);
    else
        set_step(made, p, to, DCNV4I_STEP_SCATTER, DCNV4I_KERNEL_SCATTER, DCNV4I_SIGNATURE_SCATTER_BANDS,
                 dcnv4i_geometry_groups(&p->geometry, problem, p->id, cuts), p->geometry.lanes);
    to->reach_item = p->geometry.wide ? 8 : 4;
    to->reach_bytes = 2 * to->reach_item * (size_t)rows;
}

static void add_tiled_scatter(dcnv4i_gpu_program *made, const part *p, dcnv4i_steps *to) {
    const dcnv4i_problem *problem = &made->problem;
    const dcnv4i_grid grid = dcnv4i_geometry_chunks(&p->geometry, problem);
    const int64_t chunks = problem->asked.batch * problem->asked.groups * (grid.rows * grid.columns);
    set_step(made, p, to, DCNV4I_STEP_BEFORE, DCNV4I_KERNEL_REACH, DCNV4I_SIGNATURE_REACH_TILES, chunks,
             dcnv4i_flat_group(&made->gpu->limits));
    set_step(made, p, to, DCNV4I_STEP_SCATTER, DCNV4I_KERNEL_SCATTER, DCNV4I_SIGNATURE_SCATTER_TILES,
             dcnv4i_geometry_groups(&p->geometry, problem, p->id, no_cuts), tile_work_group(&p->geometry));
    to->reach_item = p->geometry.wide ? 8 : 4;
    to->reach_bytes = 4 * to->reach_item * (size_t)chunks;
}

static void add_atomic_scatter(dcnv4i_gpu_program *made, const part *p, dcnv4i_steps *to) {
    const dcnv4i_problem *problem = &made->problem;
    const int64_t pixels = problem->tensors[DCNV4I_VALUE].pixels, items = pixels * problem->channels;
    const int64_t flat = dcnv4i_flat_group(&made->gpu->limits), flat_groups = items / flat + (items % flat != 0);
    set_step(made, p, to, DCNV4I_STEP_BEFORE, DCNV4I_KERNEL_CLEAR, DCNV4I_SIGNATURE_CLEAR, flat_groups, flat);
    set_step(made, p, to, DCNV4I_STEP_SCATTER, DCNV4I_KERNEL_SCATTER, DCNV4I_SIGNATURE_SCATTER_ATOMIC,
             pixels > 0 ? dcnv4i_geometry_groups(&p->geometry, problem, p->id, no_cuts) : 0,
             tile_work_group(&p->geometry));
    if (p->module->kernels[DCNV4I_KERNEL_CONVERT])
        set_step(made, p, to, DCNV4I_STEP_AFTER, DCNV4I_KERNEL_CONVERT, DCNV4I_SIGNATURE_CONVERT, flat_groups, flat);
}

/* Numbers of the workspace that are float32 sums; on a CPU that does both at once, copies of value lie between them. */
static size_t sums_of(const dcnv4i_gpu_program *made, const part *p) {
    const dcnv4_problem *asked = &made->problem.asked;
    const int64_t pixels = made->problem.tensors[DCNV4I_VALUE].pixels;
    const dcnv4i_cuts cuts = dcnv4i_cuts_of(&made->gpu->limits, &made->problem);
    if (p->module->kernels[DCNV4I_KERNEL_BOTH] && cuts.bands == 1 && asked->height > 1 && asked->width > 1)
        return (size_t)(pixels * cuts.shares * asked->group_channels * 2);
    const bool apart = asked->dtype != DCNV4_FLOAT32 && p->geometry.scatter != DCNV4I_SCATTER_TILES;
    return apart ? (size_t)(pixels * made->problem.channels) : 0;
}

static dcnv4_status add_scatter(dcnv4i_gpu_program *made, bool aligned, dcnv4i_steps *to) {
    part p;
    const dcnv4_status status = get_part(made, DCNV4I_PART_SCATTER, aligned, &p);
    if (status != DCNV4_SUCCESS)
        return status;
    to->sums_bytes = (sums_of(made, &p) * sizeof(float) + DCNV4I_WORKSPACE_ALIGNMENT - 1) / DCNV4I_WORKSPACE_ALIGNMENT *
                     DCNV4I_WORKSPACE_ALIGNMENT;
    if (p.geometry.scatter == DCNV4I_SCATTER_BANDS)
        add_owned_scatter(made, &p, to);
    else if (p.geometry.scatter == DCNV4I_SCATTER_TILES)
        add_tiled_scatter(made, &p, to);
    else
        add_atomic_scatter(made, &p, to);
    const size_t parts = to->sums_bytes + to->reach_bytes;
    size_t *const workspace = &made->workspace[DCNV4_PASS_BACKWARD];
    if (parts > 0 && *workspace < parts + DCNV4I_WORKSPACE_ALIGNMENT - 1)
        *workspace = parts + DCNV4I_WORKSPACE_ALIGNMENT - 1;
    return DCNV4_SUCCESS;
}

static dcnv4_status make_passes(dcnv4i_gpu_program *made, bool aligned) {
    dcnv4i_steps *const backward = &made->passes[DCNV4_PASS_BACKWARD][aligned];
    dcnv4_status status = DCNV4_SUCCESS;
    if (has_part(made, DCNV4I_PART_FORWARD))
        status = add_main(made, DCNV4I_PART_FORWARD, DCNV4I_KERNEL_FORWARD, DCNV4I_SIGNATURE_FORWARD, aligned,
                          &made->passes[DCNV4_PASS_FORWARD][aligned]);
    if (status == DCNV4_SUCCESS && has_part(made, DCNV4I_PART_POINTS) && !does_both(made))
        status = add_main(made, DCNV4I_PART_POINTS, DCNV4I_KERNEL_POINTS, DCNV4I_SIGNATURE_POINTS, aligned, backward);
    if (status == DCNV4_SUCCESS && has_part(made, DCNV4I_PART_SCATTER))
        status = add_scatter(made, aligned, backward);
    return status;
}

/* A grid of work-groups has an end; what would not fit is refused here, not when it is launched. */
static dcnv4_status check_steps(const dcnv4i_limits *limits, const dcnv4i_steps *all) {
    for (const dcnv4i_step *s = all->step; s < all->step + DCNV4I_STEPS; ++s)
        if ((limits->groups > 0 && s->groups > limits->groups) ||
            (limits->items > 0 && s->groups > 0 && s->groups > limits->items / s->work_group))
            return dcnv4i_fail(DCNV4_UNSUPPORTED,
                               "a pass needs %" PRId64 " work-groups of %" PRId64 " work-items, more than a launch on "
                               "this device can have; split the batch",
                               s->groups, s->work_group);
    return DCNV4_SUCCESS;
}

static dcnv4_status check_passes(const dcnv4i_gpu_program *made) {
    dcnv4_status status = DCNV4_SUCCESS;
    for (int i = 0; i < 4 && status == DCNV4_SUCCESS; ++i)
        status = check_steps(&made->gpu->limits, &made->passes[i / 2][i % 2]);
    return status;
}

bool dcnv4i_passes_has(const dcnv4i_gpu_program *made, bool aligned) {
    return made->gpu->limits.cpu ? !aligned : aligned || made->only == DCNV4I_PARTS;
}

dcnv4_status dcnv4i_passes_make(dcnv4i_gpu_program *made, dcnv4i_gpu *gpu, const dcnv4i_problem *problem,
                                const dcnv4i_choices *choices, int only) {
    memset(made, 0, sizeof *made);
    made->gpu = gpu;
    made->problem = *problem;
    made->choices = *choices;
    made->only = only;
    /* A candidate is for comparing times: half of the compiling is spared. */
    dcnv4_status status = dcnv4i_passes_has(made, false) ? make_passes(made, false) : DCNV4_SUCCESS;
    if (status == DCNV4_SUCCESS && dcnv4i_passes_has(made, true))
        status = make_passes(made, true);
    return status == DCNV4_SUCCESS ? check_passes(made) : status;
}
