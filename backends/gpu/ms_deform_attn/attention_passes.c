#include "attention_passes.h"
#include "../../../core/checked_math.h"
#include "gpu_ms_deform_attn.h"
#include "attention_signatures.h"

/* The launches of a pass, in their order. */
enum {
    STEP_MAIN,       /* all of forward; of backward, the gradients of points */
    STEP_REFERENCES, /* the gradients of references, from these */
    STEP_BEFORE,     /* before the gradients of value: bounds or clear */
    STEP_VALUE,
    STEP_AFTER, /* after them: convert */
    STEPS
};
_Static_assert(STEPS <= (int)DCNV4I_MAX_STEPS, "too many steps");

/* One part of a program while it is made. */
typedef struct part {
    dcnv4_msda_part id;
    dcnv4i_attn_geometry geometry;
    const dcnv4i_module *module;
} part;

static bool has_part(const dcnv4i_attn_program *made, int id) {
    return made->only == DCNV4I_ATTN_PARTS ? id == DCNV4_MSDA_PART_OUTPUT || !made->problem->params.forward_only
                                           : made->only == id;
}

dcnv4i_attn_geometry dcnv4i_attn_passes_geometry(const dcnv4i_attn_program *program, dcnv4_msda_part id, bool aligned) {
    const dcnv4i_limits *limits = &program->base.gpu->limits;
    if (!program->choices.has[id])
        return dcnv4i_attn_geometry_of(limits, program->problem, id, aligned);
    dcnv4i_attn_geometry chosen = program->choices.geometry[id];
    chosen.aligned = aligned && !limits->cpu;
    return chosen;
}

static dcnv4_status get_part(dcnv4i_attn_program *made, dcnv4_msda_part id, bool aligned, part *got) {
    got->id = id;
    got->geometry = dcnv4i_attn_passes_geometry(made, id, aligned);
    dcnv4i_recipe recipe = dcnv4i_attn_recipe(&made->base.gpu->limits, made->problem, id, &got->geometry);
    const dcnv4_status status = dcnv4i_module_get(&made->base.gpu->modules, &recipe, &got->module);
    for (int k = 0; k < DCNV4I_ATTN_KERNELS && status == DCNV4_SUCCESS; ++k)
        if (got->module->kernels[k])
            made->base.kernels[made->base.kernel_count++] = (dcnv4i_listed){got->module, k, got->geometry.aligned,
                                                                            got->geometry.way == DCNV4I_ATTN_ATOMIC};
    return status;
}

/* Sets a launch, with all numbers that its kernel may be passed. */
static void set_step(const dcnv4i_attn_program *made, const part *p, dcnv4i_steps *to, int id,
                     dcnv4i_attn_kernel kernel, dcnv4i_attn_signature signature, int64_t groups, int64_t work_group) {
    const dcnv4i_ms_deform_attn *const problem = made->problem;
    to->step[id] = (dcnv4i_step){
        .kernel = p->module->kernels[kernel],
        .groups = groups,
        .work_group = work_group,
        .signature = dcnv4i_attn_signature_of(problem, signature),
        .numbers =
            {
                [DCNV4I_NUMBER_BATCH] = problem->params.batch,
                [DCNV4I_NUMBER_QUERIES] = problem->params.queries,
                [DCNV4I_NUMBER_VALUE_LENGTH] = problem->params.value_length,
                [DCNV4I_NUMBER_BY_QUERIES] = dcnv4i_reciprocal(problem->params.queries),
                [DCNV4I_NUMBER_PLACES] = problem->base.tensors[DCNV4I_MSDA_VALUE].pixels,
                [DCNV4I_NUMBER_PACKED] = dcnv4i_attn_geometry_packs(&p->geometry, problem),
                [DCNV4I_NUMBER_SHARES] = groups,
            },
    };
}

/* The launch of a part's main kernel. */
static void set_main(const dcnv4i_attn_program *made, const part *p, dcnv4i_steps *to, int id,
                     dcnv4i_attn_kernel kernel, dcnv4i_attn_signature signature) {
    const dcnv4i_attn_grid grid = dcnv4i_attn_geometry_grid(&made->base.gpu->limits, &p->geometry, made->problem,
                                                            p->id);
    set_step(made, p, to, id, kernel, signature, grid.groups, grid.work_group);
}

/* The launch of a kernel that has work-items without a tile. */
static void set_flat(const dcnv4i_attn_program *made, const part *p, dcnv4i_steps *to, int id,
                     dcnv4i_attn_kernel kernel, dcnv4i_attn_signature signature, int64_t items) {
    const int64_t flat = dcnv4i_attn_flat_group(&made->base.gpu->limits, p->id);
    set_step(made, p, to, id, kernel, signature, dcnv4i_ceil_div64(items, flat), flat);
}

static dcnv4i_scratch scratch_of(int64_t count, size_t item) {
    const size_t bytes = (size_t)count * item, unit = DCNV4I_SCRATCH_ALIGNMENT;
    return (dcnv4i_scratch){(bytes + unit - 1) / unit * unit, item};
}

static dcnv4_status add_forward(dcnv4i_attn_program *made, bool aligned) {
    part p;
    const dcnv4_status status = get_part(made, DCNV4_MSDA_PART_OUTPUT, aligned, &p);
    if (status == DCNV4_SUCCESS)
        set_main(made, &p, &made->base.passes[DCNV4_PASS_FORWARD][aligned], STEP_MAIN, DCNV4I_ATTN_KERNEL_FORWARD,
                 DCNV4I_ATTN_FORWARD);
    return status;
}

static dcnv4_status add_points(dcnv4i_attn_program *made, bool aligned, dcnv4i_steps *to) {
    const dcnv4i_ms_deform_attn *const problem = made->problem;
    const int64_t rows = problem->base.tensors[DCNV4I_MSDA_OUTPUT].pixels;
    part p;
    const dcnv4_status status = get_part(made, DCNV4_MSDA_PART_GRAD_POINTS, aligned, &p);
    if (status != DCNV4_SUCCESS)
        return status;
    set_main(made, &p, to, STEP_MAIN, DCNV4I_ATTN_KERNEL_POINTS, DCNV4I_ATTN_POINTS);
    if (p.module->kernels[DCNV4I_ATTN_KERNEL_REFERENCES]) {
        to->scratch[DCNV4I_ATTN_MOVES] = scratch_of(rows * problem->params.heads * problem->points * 2, sizeof(float));
        set_flat(made, &p, to, STEP_REFERENCES, DCNV4I_ATTN_KERNEL_REFERENCES, DCNV4I_ATTN_REFERENCES,
                 rows * problem->params.reference_levels);
    }
    return status;
}

/* grad_value by runs: work-groups have their sums in the workspace, or in grad_value, which is cleared first. */
static void add_value_runs(const dcnv4i_attn_program *made, const part *p, dcnv4i_steps *to) {
    const dcnv4i_limits *const limits = &made->base.gpu->limits;
    const int64_t places = made->problem->base.tensors[DCNV4I_MSDA_VALUE].pixels;
    const int64_t packed = dcnv4i_attn_geometry_packed(limits, &p->geometry, made->problem);
    to->scratch[DCNV4I_ATTN_SUMS] = scratch_of(packed, sizeof(float));
    if (!dcnv4i_attn_geometry_packs(&p->geometry, made->problem))
        set_step(made, p, to, STEP_BEFORE, DCNV4I_ATTN_KERNEL_CLEAR, DCNV4I_ATTN_CLEAR_BY_RUNS,
                 dcnv4i_min64(places, dcnv4i_attn_shares(limits)), 1);
    set_main(made, p, to, STEP_VALUE, DCNV4I_ATTN_KERNEL_VALUE, DCNV4I_ATTN_VALUE_BY_RUNS);
}

static dcnv4_status add_value(dcnv4i_attn_program *made, bool aligned, dcnv4i_steps *to) {
    const dcnv4i_ms_deform_attn *const problem = made->problem;
    const int64_t elements = problem->base.tensors[DCNV4I_MSDA_VALUE].pixels * problem->channels;
    part p;
    const dcnv4_status status = get_part(made, DCNV4_MSDA_PART_GRAD_VALUE, aligned, &p);
    if (status != DCNV4_SUCCESS)
        return status;
    if (p.geometry.way == DCNV4I_ATTN_TILES) {
        const int64_t bounds = elements > 0 ? dcnv4i_attn_geometry_bounds(&p.geometry, problem) : 0;
        to->scratch[DCNV4I_ATTN_BOUNDS] = scratch_of(2 * bounds, p.geometry.wide ? 8 : 4);
        set_flat(made, &p, to, STEP_BEFORE, DCNV4I_ATTN_KERNEL_BOUNDS, DCNV4I_ATTN_BOUNDS_OF_CHUNKS, bounds);
        set_main(made, &p, to, STEP_VALUE, DCNV4I_ATTN_KERNEL_VALUE, DCNV4I_ATTN_VALUE_TILES);
        return status;
    }
    if (p.geometry.way == DCNV4I_ATTN_RUN) {
        add_value_runs(made, &p, to);
        return status;
    }
    set_flat(made, &p, to, STEP_BEFORE, DCNV4I_ATTN_KERNEL_CLEAR, DCNV4I_ATTN_CLEAR, elements);
    set_main(made, &p, to, STEP_VALUE, DCNV4I_ATTN_KERNEL_VALUE, DCNV4I_ATTN_VALUE);
    if (p.module->kernels[DCNV4I_ATTN_KERNEL_CONVERT]) {
        to->scratch[DCNV4I_ATTN_SUMS] = scratch_of(elements, sizeof(float));
        set_flat(made, &p, to, STEP_AFTER, DCNV4I_ATTN_KERNEL_CONVERT, DCNV4I_ATTN_CONVERT, elements);
    }
    return status;
}

static dcnv4_status make_passes(dcnv4i_attn_program *made, bool aligned) {
    dcnv4i_steps *const backward = &made->base.passes[DCNV4_PASS_BACKWARD][aligned];
    dcnv4_status status = DCNV4_SUCCESS;
    if (has_part(made, DCNV4_MSDA_PART_OUTPUT))
        status = add_forward(made, aligned);
    if (status == DCNV4_SUCCESS && has_part(made, DCNV4_MSDA_PART_GRAD_POINTS))
        status = add_points(made, aligned, backward);
    if (status == DCNV4_SUCCESS && has_part(made, DCNV4_MSDA_PART_GRAD_VALUE))
        status = add_value(made, aligned, backward);
    dcnv4i_program_add_workspace(&made->base, DCNV4_PASS_BACKWARD, backward);
    return status;
}

dcnv4_status dcnv4i_attn_passes_make(dcnv4i_attn_program *made, dcnv4i_gpu *gpu, const dcnv4i_ms_deform_attn *problem,
                                     const dcnv4i_attn_choices *choices, int only) {
    const bool cpu = gpu->limits.cpu;
    *made = (dcnv4i_attn_program){.base = {.gpu = gpu, .op = &dcnv4i_gpu_ms_deform_attn, .problem = &problem->base},
                                  .problem = problem,
                                  .choices = *choices,
                                  .only = only};
    /* A tactic's program is for timing: it saves compiling kernels for unaligned buffers. */
    made->base.has[false] = cpu || only == DCNV4I_ATTN_PARTS;
    made->base.has[true] = !cpu;
    dcnv4_status status = DCNV4_SUCCESS;
    for (int aligned = 0; aligned < 2 && status == DCNV4_SUCCESS; ++aligned)
        if (made->base.has[aligned])
            status = make_passes(made, aligned);
    return status == DCNV4_SUCCESS ? dcnv4i_program_check_launches(&made->base) : status;
}
