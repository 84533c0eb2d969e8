/* Multi-scale deformable attention on devices that compile. What a layer fixes (L, K of each level, M, D, dtypes, strides, flags)
 * is constant in its kernels; N, Q, S and the levels' sizes and starts are arguments, the last two as a table in the device's
 * memory. */
#include "gpu_ms_deform_attn.h"
#include "attention_passes.h"
#include "attention_tactics.h"

#include <inttypes.h>

/* Limits of the kernels' 32-bit counters and of the address space. */
static dcnv4_status check(const dcnv4i_limits *limits, const dcnv4i_ms_deform_attn *problem) {
    /* With softmax, each round of points needs the weights of all; 400 points were right on llvmpipe, 600 were not. */
    const int64_t turns = problem->params.softmax ? problem->points / 2 : DCNV4I_TURNS_OF_A_POINT;
    dcnv4_status status = dcnv4i_program_check_dtype(problem->params.dtype);
    if (status == DCNV4_SUCCESS)
        status = dcnv4i_program_check_turns(limits, problem->points, turns);
    if (status != DCNV4_SUCCESS)
        return status;
    if (problem->points > INT32_MAX / 4)
        return dcnv4i_fail(DCNV4_UNSUPPORTED, "a head has %" PRId64 " points, this device can have up to %d",
                           problem->points, INT32_MAX / 4);
    return dcnv4i_program_check_sums(problem->base.tensors[DCNV4I_MSDA_VALUE].pixels, problem->channels, 4);
}

/* Puts the levels' shapes and then their starts into the device's memory, where there is a device, and they are not there. */
static dcnv4_status make_table(dcnv4i_gpu_program *made, const dcnv4i_ms_deform_attn *problem) {
    const dcnv4i_gpu *const gpu = made->gpu;
    const int64_t count = problem->params.level_count;
    int64_t table[3 * DCNV4_MSDA_MAX_LEVELS];
    const size_t bytes = 3 * (size_t)count * sizeof *table;
    for (int l = 0; l < count; ++l) {
        table[2 * l] = problem->levels[l].height, table[2 * l + 1] = problem->levels[l].width;
        table[2 * count + l] = problem->levels[l].start;
    }
    if (problem->params.levels_in_buffers || !gpu->modules.identity->machine)
        return DCNV4_SUCCESS;
    const dcnv4_status status = gpu->driver->buffer_create(gpu->device, bytes, &made->table);
    return status == DCNV4_SUCCESS ? gpu->driver->upload(gpu->device, made->table, 0, table, bytes) : status;
}

/* Adds the table, and hands over a program if it was made (status). */
static dcnv4_status hand_over(dcnv4i_attn_program *made, dcnv4_status status, dcnv4i_gpu_program **result) {
    if (status == DCNV4_SUCCESS)
        status = make_table(&made->base, made->problem);
    return dcnv4i_program_hand_over(&made->base, status, result);
}

static dcnv4_status create(dcnv4i_gpu *gpu, const dcnv4i_problem *base, dcnv4i_gpu_program **result) {
    static const dcnv4i_attn_choices defaults = {.any = false};
    const dcnv4i_ms_deform_attn *const problem = (const dcnv4i_ms_deform_attn *)base;
    void *memory = NULL;
    dcnv4_status status = check(&gpu->limits, problem);
    if (status == DCNV4_SUCCESS)
        status = dcnv4i_program_allocate(sizeof(dcnv4i_attn_program), &memory);
    if (status != DCNV4_SUCCESS)
        return status;
    dcnv4i_attn_program *const made = memory;
    const dcnv4i_attn_choices choices = dcnv4i_attn_choices_read(&gpu->modules, &gpu->limits, problem);
    status = dcnv4i_attn_passes_make(made, gpu, problem, &choices, DCNV4I_ATTN_PARTS);
    /* A choice may need kernels that are unavailable: without a compiler, the cache may have only the defaults'. */
    if (status != DCNV4_SUCCESS && choices.any)
        status = dcnv4i_attn_passes_make(made, gpu, problem, &defaults, DCNV4I_ATTN_PARTS);
    return hand_over(made, status, result);
}

static dcnv4i_loads loads(const dcnv4i_problem *base, dcnv4_pass pass) {
    const dcnv4i_ms_deform_attn *const problem = (const dcnv4i_ms_deform_attn *)base;
    return (dcnv4i_loads){
        .from = DCNV4I_MSDA_VALUE,
        .to = pass == DCNV4_PASS_FORWARD ? DCNV4I_MSDA_OUTPUT : DCNV4I_MSDA_GRAD_VALUE,
        .cells = problem->points,
        .channels = base->tensors[DCNV4I_MSDA_OUTPUT].pixels * problem->channels,
    };
}

static int32_t dtype(const dcnv4i_problem *base) {
    return ((const dcnv4i_ms_deform_attn *)base)->params.dtype;
}

/* ---- Tactics ----------------------------------------------------------------------------------------------------- */

static int list_tactics(const dcnv4i_gpu_program *base, int id, dcnv4i_attn_geometry tactics[DCNV4I_ATTN_MAX_TACTICS]) {
    const dcnv4i_attn_program *const p = (const dcnv4i_attn_program *)base;
    return dcnv4i_attn_tactics_of(&base->gpu->limits, p->problem, (dcnv4_msda_part)id, false, tactics);
}

static int64_t tactic_count(const dcnv4i_gpu_program *base, int id) {
    dcnv4i_attn_geometry tactics[DCNV4I_ATTN_MAX_TACTICS];
    return list_tactics(base, id, tactics);
}

static void tactic_info(const dcnv4i_gpu_program *base, int id, int64_t index, dcnv4_tactic_info *info) {
    dcnv4i_attn_geometry tactics[DCNV4I_ATTN_MAX_TACTICS];
    list_tactics(base, id, tactics);
    const dcnv4i_attn_geometry used = dcnv4i_attn_passes_geometry((const dcnv4i_attn_program *)base,
                                                                  (dcnv4_msda_part)id, false);
    dcnv4i_attn_geometry_describe(&tactics[index], (dcnv4_msda_part)id, info->description);
    info->in_use = dcnv4i_attn_geometry_equal(&tactics[index], &used);
}

static dcnv4_status tactic_create(const dcnv4i_gpu_program *base, const dcnv4i_problem *problem, int id, int64_t index,
                                  dcnv4i_gpu_program **result) {
    dcnv4i_attn_geometry tactics[DCNV4I_ATTN_MAX_TACTICS];
    dcnv4i_attn_choices choices = {.any = true};
    void *memory = NULL;
    list_tactics(base, id, tactics);
    choices.has[id] = true;
    choices.geometry[id] = tactics[index];
    const dcnv4_status status = dcnv4i_program_allocate(sizeof(dcnv4i_attn_program), &memory);
    if (status != DCNV4_SUCCESS)
        return status;
    dcnv4i_attn_program *const tactic = memory;
    return hand_over(tactic,
                     dcnv4i_attn_passes_make(tactic, base->gpu, (const dcnv4i_ms_deform_attn *)problem, &choices, id),
                     result);
}

static dcnv4_status tactic_save(const dcnv4i_gpu_program *base, int id, int64_t index) {
    dcnv4i_attn_geometry tactics[DCNV4I_ATTN_MAX_TACTICS];
    list_tactics(base, id, tactics);
    return dcnv4i_attn_choices_keep(&base->gpu->modules, &base->gpu->limits,
                                    ((const dcnv4i_attn_program *)base)->problem, (dcnv4_msda_part)id,
                                    index > 0 ? &tactics[index] : NULL);
}

#define BIT(id) (1u << DCNV4I_MSDA_##id)

const dcnv4i_gpu_operator dcnv4i_gpu_ms_deform_attn = {
    .op = &dcnv4i_operator_ms_deform_attn,
    .vectors = {BIT(VALUE) | BIT(OUTPUT), BIT(VALUE) | BIT(GRAD_OUTPUT) | BIT(GRAD_VALUE)},
    .create = create,
    .loads = loads,
    .dtype = dtype,
    .tactic_count = tactic_count,
    .tactic_info = tactic_info,
    .tactic_create = tactic_create,
    .tactic_save = tactic_save,
};
