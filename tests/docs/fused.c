/* value and offset_mask as slices of one tensor (docs/embedding.md) give the same results as two separate tensors. */
#include "fused_piece.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIXELS = 5 * 6, CHANNELS = 16, ROW = 56 };

static int fail(const char *what, int dtype) {
    fprintf(stderr, "dtype %d: %s: %s\n", dtype, what, dcnv4_last_message());
    return 1;
}

static int forward(const dcnv4_problem *problem, dcnv4_buffers *buffers) {
    dcnv4_context *context = NULL;
    dcnv4_plan *plan = NULL;
    const int failed = dcnv4_context_create("reference", &context) || dcnv4_plan_create(context, problem, &plan) ||
                       dcnv4_forward(plan, buffers, NULL);
    dcnv4_plan_destroy(plan);
    dcnv4_context_destroy(context);
    return failed;
}

static int compare(int32_t dtype, size_t item) {
    static double numbers[PIXELS * (CHANNELS + ROW)];
    static char value[PIXELS * CHANNELS * 8], offset_mask[PIXELS * ROW * 8], fused[PIXELS * (CHANNELS + ROW) * 8],
        expected[PIXELS * CHANNELS * 8], output[PIXELS * CHANNELS * 8];
    for (int i = 0; i < PIXELS * (CHANNELS + ROW); ++i)
        numbers[i] = (double)(i * 7919 % 1000) / 500 - 1;
    if (dcnv4_convert(DCNV4_FLOAT64, numbers, dtype, fused, PIXELS * (CHANNELS + ROW)))
        return fail("dcnv4_convert", dtype);
    for (size_t pixel = 0; pixel < PIXELS; ++pixel) {
        const char *row = fused + pixel * (CHANNELS + ROW) * item;
        memcpy(value + pixel * CHANNELS * item, row, CHANNELS * item);
        memcpy(offset_mask + pixel * ROW * item, row + CHANNELS * item, ROW * item);
    }
    dcnv4_problem problem = DCNV4_PROBLEM_INIT;
    problem.dtype = dtype;
    problem.batch = 1, problem.height = 5, problem.width = 6, problem.groups = 2, problem.group_channels = CHANNELS / 2;
    dcnv4_buffers buffers = DCNV4_BUFFERS_INIT;
    buffers.value = dcnv4_host_buffer(value, PIXELS * CHANNELS * item);
    buffers.offset_mask = dcnv4_host_buffer(offset_mask, PIXELS * ROW * item);
    buffers.output = dcnv4_host_buffer(expected, PIXELS * CHANNELS * item);
    if (forward(&problem, &buffers))
        return fail("two tensors", dtype);
    dcnv4_sizes sizes = DCNV4_SIZES_INIT;
    describe_fused(&problem, ROW);
    if (dcnv4_problem_sizes(&problem, &sizes))
        return fail("dcnv4_problem_sizes", dtype);
    point_into_fused(&problem, &sizes, fused, &buffers);
    buffers.output.handle = output;
    if (forward(&problem, &buffers))
        return fail("side by side", dtype);
    return memcmp(output, expected, PIXELS * CHANNELS * item) == 0 ? 0 : fail("the results differ", dtype);
}

int main(void) {
    return compare(DCNV4_FLOAT32, 4) | compare(DCNV4_FLOAT16, 2) | compare(DCNV4_BFLOAT16, 2) |
           compare(DCNV4_FLOAT64, 8);
}
