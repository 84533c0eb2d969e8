#include "program.h"
#include "../../core/checked_math.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>

int64_t dcnv4i_flat_group(const dcnv4i_limits *limits) {
    const int64_t most = limits->work_group < 64 ? limits->work_group : 64;
    int64_t power = 1;
    while (power <= most / 2)
        power *= 2;
    return power;
}

int64_t dcnv4i_reciprocal(int64_t divisor) {
    if (divisor < 1 || divisor > INT32_MAX)
        return 0;
    int64_t shift = 0;
    while (INT64_C(1) << shift < divisor)
        ++shift;
    return shift << 32 | dcnv4i_ceil_div64(INT64_C(1) << (31 + shift), divisor);
}

/* The fewest registers of eight floats: a vector of 16 takes two, and one of 4 or less a whole one. Of equals the widest, whose
 * loop is shortest. */
int32_t dcnv4i_vector_of_run(int64_t depth) {
    enum { MOST = 16, REGISTER = 8 };
    int64_t best = 1, least = INT64_MAX;
    for (int64_t vector = 1; vector <= MOST && vector <= depth; vector *= 2) {
        const int64_t cost = dcnv4i_ceil_div64(depth, vector) * dcnv4i_max64(1, vector / REGISTER);
        if (cost <= least)
            best = vector, least = cost;
    }
    return (int32_t)best;
}

void dcnv4i_program_add_workspace(dcnv4i_gpu_program *program, dcnv4_pass pass, const dcnv4i_steps *steps) {
    size_t bytes = 0;
    for (int i = 0; i < DCNV4I_MAX_SCRATCH; ++i)
        bytes += steps->scratch[i].bytes;
    if (bytes > 0 && program->workspace[pass] < bytes + DCNV4I_SCRATCH_ALIGNMENT - 1)
        program->workspace[pass] = bytes + DCNV4I_SCRATCH_ALIGNMENT - 1;
}

/* Launches have a maximum size; a pass that exceeds it is refused here, not when it is launched. */
static dcnv4_status check_steps(const dcnv4i_limits *limits, const dcnv4i_steps *all) {
    for (const dcnv4i_step *s = all->step; s < all->step + DCNV4I_MAX_STEPS; ++s)
        if ((limits->groups > 0 && s->groups > limits->groups) ||
            (limits->items > 0 && s->groups > 0 && s->groups > limits->items / s->work_group))
            return dcnv4i_fail(DCNV4_UNSUPPORTED,
                               "a pass needs %" PRId64 " work-groups of %" PRId64 " work-items, more than a launch on "
                               "this device can have; split the batch",
                               s->groups, s->work_group);
    return DCNV4_SUCCESS;
}

dcnv4_status dcnv4i_program_check_launches(const dcnv4i_gpu_program *program) {
    dcnv4_status status = DCNV4_SUCCESS;
    for (int i = 0; i < 2 * DCNV4I_PASSES && status == DCNV4_SUCCESS; ++i)
        status = check_steps(&program->gpu->limits, &program->passes[i / 2][i % 2]);
    return status;
}

void dcnv4i_program_free(dcnv4i_gpu_program *program) {
    if (program && program->table)
        program->gpu->driver->buffer_destroy(program->gpu->device, program->table);
    free(program);
}

dcnv4_status dcnv4i_program_allocate(size_t bytes, void **made) {
    *made = malloc(bytes);
    return *made ? DCNV4_SUCCESS : dcnv4i_fail(DCNV4_OUT_OF_MEMORY, "no memory for a program of %zu bytes", bytes);
}

dcnv4_status dcnv4i_program_hand_over(dcnv4i_gpu_program *made, dcnv4_status status, dcnv4i_gpu_program **result) {
    if (status == DCNV4_SUCCESS)
        *result = made;
    else
        dcnv4i_program_free(made);
    return status;
}

dcnv4_status dcnv4i_program_check_dtype(int32_t dtype) {
    return dtype == DCNV4_FLOAT64
               ? dcnv4i_fail(DCNV4_UNSUPPORTED,
                             "float64 is for the reference and the cpu; this device has float32, float16 "
                             "and bfloat16")
               : DCNV4_SUCCESS;
}

dcnv4_status dcnv4i_program_check_turns(const dcnv4i_limits *limits, int64_t points, int64_t turns_of_point) {
    const int64_t turns = dcnv4i_saturating_mul64(points, turns_of_point);
    return limits->turns > 0 && turns > limits->turns ? dcnv4i_fail(DCNV4_UNSUPPORTED,
                                                                    "%" PRId64 " points may take a work-item %" PRId64
                                                                    " turns of loops, and this device leaves them "
                                                                    "after %" PRId64,
                                                                    points, turns, limits->turns)
                                                      : DCNV4_SUCCESS;
}

dcnv4_status dcnv4i_program_check_sums(int64_t pixels, int64_t channels, int buffers) {
    return pixels > PTRDIFF_MAX / (int64_t)sizeof(float) / buffers / channels
               ? dcnv4i_fail(DCNV4_UNSUPPORTED,
                             "this device needs %" PRId64 " times %" PRId64 " float32 sums, past what can be addressed",
                             pixels, channels)
               : DCNV4_SUCCESS;
}
