#include "gpu_deform_conv.h"
#include "tactics.h"
#include "passes.h"

#include <inttypes.h>
#include <stdlib.h>

/* Limits of the kernels' 32-bit counters and of the address space. */
static dcnv4_status check(const dcnv4i_deform_conv *problem) {
    if (problem->params.dtype == DCNV4_FLOAT64)
        return dcnv4i_fail(DCNV4_UNSUPPORTED,
                           "float64 is for the reference and the cpu; this device has float32, float16 "
                           "and bfloat16");
    enum { MOST_POINTS = INT32_MAX / 4 }; /* three numbers of a point are counted in 32 bits */
    if (problem->points > MOST_POINTS || problem->params.kernel_h > MOST_POINTS ||
        problem->params.kernel_w > MOST_POINTS)
        return dcnv4i_fail(DCNV4_UNSUPPORTED, "the kernel has %" PRId64 " points, this device can have up to %d",
                           problem->points, MOST_POINTS);
    const int64_t pixels = problem->base.tensors[DCNV4I_VALUE].pixels, most = PTRDIFF_MAX / (int64_t)sizeof(float) / 2;
    if (pixels > most / problem->channels)
        return dcnv4i_fail(DCNV4_UNSUPPORTED,
                           "this device needs %" PRId64 " times %" PRId64 " float32 sums, past what can "
                           "be addressed",
                           pixels, problem->channels);
    return DCNV4_SUCCESS;
}

static dcnv4_status allocate(dcnv4i_deform_conv_program **made) {
    *made = malloc(sizeof **made);
    return *made ? DCNV4_SUCCESS
                 : dcnv4i_fail(DCNV4_OUT_OF_MEMORY, "no memory for a program of %zu bytes", sizeof **made);
}

/* Hands over a program if it was made (status); otherwise frees it. */
static dcnv4_status hand_over(dcnv4i_deform_conv_program *made, dcnv4_status status, dcnv4i_gpu_program **result) {
    if (status == DCNV4_SUCCESS)
        *result = &made->base;
    else
        free(made);
    return status;
}

static dcnv4_status create(dcnv4i_gpu *gpu, const dcnv4i_problem *base, dcnv4i_gpu_program **result) {
    static const dcnv4i_choices defaults = {.any = false};
    const dcnv4i_deform_conv *const problem = (const dcnv4i_deform_conv *)base;
    dcnv4i_deform_conv_program *made;
    dcnv4_status status = check(problem);
    if (status == DCNV4_SUCCESS)
        status = allocate(&made);
    if (status != DCNV4_SUCCESS)
        return status;
    const dcnv4i_choices choices = dcnv4i_choices_read(&gpu->modules, &gpu->limits, problem);
    status = dcnv4i_passes_make(made, gpu, problem, &choices, DCNV4I_DEFORM_CONV_PARTS);
    /* A choice may need kernels that are unavailable: without a compiler, the cache may have only the defaults'. */
    if (status != DCNV4_SUCCESS && choices.any)
        status = dcnv4i_passes_make(made, gpu, problem, &defaults, DCNV4I_DEFORM_CONV_PARTS);
    return hand_over(made, status, result);
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
    dcnv4i_deform_conv_program *tactic;
    list_tactics(base, id, tactics);
    choices.has[id] = true;
    choices.geometry[id] = tactics[index];
    const dcnv4_status status = allocate(&tactic);
    if (status != DCNV4_SUCCESS)
        return status;
    return hand_over(tactic, dcnv4i_passes_make(tactic, base->gpu, (const dcnv4i_deform_conv *)problem, &choices, id),
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
