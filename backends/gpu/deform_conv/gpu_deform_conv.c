#include "gpu_deform_conv.h"
#include "tactics.h"
#include "passes.h"

#include <inttypes.h>

/* Limits of the kernels' 32-bit counters and of the address space. */
static dcnv4_status check(const dcnv4i_limits *limits, const dcnv4i_deform_conv *problem) {
    /* With softmax, each round of points needs the weights of all. */
    const int64_t turns = problem->params.softmax ? problem->points : DCNV4I_TURNS_OF_A_POINT;
    dcnv4_status status = dcnv4i_program_check_dtype(problem->params.dtype);
    if (status == DCNV4_SUCCESS)
        status = dcnv4i_program_check_turns(limits, problem->points, turns);
    if (status != DCNV4_SUCCESS)
        return status;
    enum { MOST_POINTS = INT32_MAX / 4 }; /* three numbers of a point are counted in 32 bits */
    if (problem->points > MOST_POINTS || problem->params.kernel_h > MOST_POINTS ||
        problem->params.kernel_w > MOST_POINTS)
        return dcnv4i_fail(DCNV4_UNSUPPORTED, "the kernel has %" PRId64 " points, this device can have up to %d",
                           problem->points, MOST_POINTS);
    return dcnv4i_program_check_sums(problem->base.tensors[DCNV4I_VALUE].pixels, problem->channels, 2);
}

static dcnv4_status create(dcnv4i_gpu *gpu, const dcnv4i_problem *base, dcnv4i_gpu_program **result) {
    static const dcnv4i_choices defaults = {.any = false};
    const dcnv4i_deform_conv *const problem = (const dcnv4i_deform_conv *)base;
    void *memory = NULL;
    dcnv4_status status = check(&gpu->limits, problem);
    if (status == DCNV4_SUCCESS)
        status = dcnv4i_program_allocate(sizeof(dcnv4i_deform_conv_program), &memory);
    if (status != DCNV4_SUCCESS)
        return status;
    dcnv4i_deform_conv_program *const made = memory;
    const dcnv4i_choices choices = dcnv4i_choices_read(&gpu->modules, &gpu->limits, problem);
    status = dcnv4i_passes_make(made, gpu, problem, &choices, DCNV4I_DEFORM_CONV_PARTS);
    /* A choice may need kernels that are unavailable: without a compiler, the cache may have only the defaults'. */
    if (status != DCNV4_SUCCESS && choices.any)
        status = dcnv4i_passes_make(made, gpu, problem, &defaults, DCNV4I_DEFORM_CONV_PARTS);
    return dcnv4i_program_hand_over(&made->base, status, result);
}

static dcnv4i_loads loads(const dcnv4i_problem *base, dcnv4_pass pass) {
    const dcnv4i_deform_conv *const problem = (const dcnv4i_deform_conv *)base;
    return (dcnv4i_loads){
        .from = DCNV4I_VALUE,
        .to = pass == DCNV4_PASS_FORWARD ? DCNV4I_OUTPUT : DCNV4I_GRAD_VALUE,
        .cells = problem->points,
        .channels = base->tensors[DCNV4I_OUTPUT].pixels * problem->channels,
    };
}

static int32_t dtype(const dcnv4i_problem *base) {
    return ((const dcnv4i_deform_conv *)base)->params.dtype;
}

/* ---- Tactics ----------------------------------------------------------------------------------------------------- */

static int list_tactics(const dcnv4i_gpu_program *base, int id, dcnv4i_geometry tactics[DCNV4I_MAX_TACTICS]) {
    const dcnv4i_deform_conv_program *const p = (const dcnv4i_deform_conv_program *)base;
    return dcnv4i_tactics_of(&base->gpu->limits, p->problem, (dcnv4_part)id, false, tactics);
}

static int64_t tactic_count(const dcnv4i_gpu_program *base, int id) {
    dcnv4i_geometry tactics[DCNV4I_MAX_TACTICS];
    return list_tactics(base, id, tactics);
}

static void tactic_info(const dcnv4i_gpu_program *base, int id, int64_t index, dcnv4_tactic_info *info) {
    dcnv4i_geometry tactics[DCNV4I_MAX_TACTICS];
    list_tactics(base, id, tactics);
    const dcnv4i_geometry used = dcnv4i_passes_geometry((const dcnv4i_deform_conv_program *)base, (dcnv4_part)id,
                                                        false);
    dcnv4i_geometry_describe(&tactics[index], (dcnv4_part)id, info->description);
    info->in_use = dcnv4i_geometry_equal(&tactics[index], &used);
}

static dcnv4_status tactic_create(const dcnv4i_gpu_program *base, const dcnv4i_problem *problem, int id, int64_t index,
                                  dcnv4i_gpu_program **result) {
    dcnv4i_geometry tactics[DCNV4I_MAX_TACTICS];
    dcnv4i_choices choices = {.any = true};
    void *memory = NULL;
    list_tactics(base, id, tactics);
    choices.has[id] = true;
    choices.geometry[id] = tactics[index];
    const dcnv4_status status = dcnv4i_program_allocate(sizeof(dcnv4i_deform_conv_program), &memory);
    if (status != DCNV4_SUCCESS)
        return status;
    dcnv4i_deform_conv_program *const tactic = memory;
    return dcnv4i_program_hand_over(
        &tactic->base, dcnv4i_passes_make(tactic, base->gpu, (const dcnv4i_deform_conv *)problem, &choices, id),
        result);
}

static dcnv4_status tactic_save(const dcnv4i_gpu_program *base, int id, int64_t index) {
    dcnv4i_geometry tactics[DCNV4I_MAX_TACTICS];
    list_tactics(base, id, tactics);
    return dcnv4i_choices_keep(&base->gpu->modules, &base->gpu->limits,
                               ((const dcnv4i_deform_conv_program *)base)->problem, (dcnv4_part)id,
                               index > 0 ? &tactics[index] : NULL);
}

#define BIT(id) (1u << DCNV4I_##id)

const dcnv4i_gpu_operator dcnv4i_gpu_deform_conv = {
    .op = &dcnv4i_operator_deform_conv,
    .vectors = {BIT(VALUE) | BIT(OUTPUT), BIT(VALUE) | BIT(GRAD_OUTPUT) | BIT(GRAD_VALUE)},
    .create = create,
    .loads = loads,
    .dtype = dtype,
    .tactic_count = tactic_count,
    .tactic_info = tactic_info,
    .tactic_create = tactic_create,
    .tactic_save = tactic_save,
};
