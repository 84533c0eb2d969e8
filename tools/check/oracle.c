#include "oracle.h"

#include "../devices/runner.h"
#include "../tensors/layer.h"
#include "../tensors/npy.h"

#include <stdlib.h>
#include <string.h>

void dcnv4i_tensor_shape(const dcnv4_problem *problem, const dcnv4_sizes *sizes, dcnv4i_tensor_number tensor,
                         int64_t shape[4]) {
    const bool input_side = tensor == DCNV4I_VALUE_TENSOR || tensor == DCNV4I_GRAD_VALUE_TENSOR;
    const bool positions = tensor == DCNV4I_OFFSET_MASK_TENSOR || tensor == DCNV4I_GRAD_OFFSET_MASK_TENSOR;
    shape[0] = problem->batch;
    shape[1] = input_side ? problem->height : sizes->output_height;
    shape[2] = input_side ? problem->width : sizes->output_width;
    shape[3] = positions ? sizes->offset_mask_row : sizes->channels;
}

int32_t dcnv4i_tensor_dtype(const dcnv4_problem *problem, dcnv4i_tensor_number tensor) {
    const bool positions = tensor == DCNV4I_OFFSET_MASK_TENSOR || tensor == DCNV4I_GRAD_OFFSET_MASK_TENSOR;
    return positions ? dcnv4i_offset_mask_dtype(problem) : problem->dtype;
}

const char *dcnv4i_tensor_word(dcnv4i_tensor_number tensor) {
    static const char *const words[DCNV4I_TENSOR_COUNT] = {
        "value", "offset_mask", "output", "grad_output", "grad_value", "grad_offset_mask",
    };
    return words[tensor];
}

/* The rows of a view as dense float64. NULL without memory. */
static double *widen(const dcnv4i_oracle *oracle, dcnv4i_tensor_number tensor, dcnv4i_view view) {
    int64_t shape[4];
    dcnv4i_tensor_shape(&oracle->problem, &oracle->sizes, tensor, shape);
    const int64_t pixels = shape[0] * shape[1] * shape[2], row = shape[3];
    const int32_t dtype = dcnv4i_tensor_dtype(&oracle->problem, tensor);
    const size_t item = dcnv4i_dtype_bytes(dtype);
    double *wide = malloc((size_t)(pixels * row) * sizeof *wide + 1);
    for (int64_t pixel = 0; wide && pixel < pixels; ++pixel)
        dcnv4_convert(dtype, (const char *)view.memory + (size_t)(pixel * view.stride) * item, DCNV4_FLOAT64,
                      wide + pixel * row, (size_t)row);
    return wide;
}

static dcnv4i_exit fetch(dcnv4i_oracle *oracle, dcnv4i_runner *runner, dcnv4i_tensor_number tensor,
                         const dcnv4_buffer *buffer, size_t bytes) {
    double *expected = malloc(bytes + 1);
    if (!expected)
        return dcnv4i_verdict(DCNV4I_BROKEN, "no memory for %zu bytes of the reference's results", bytes);
    oracle->expected[tensor] = expected;
    return dcnv4i_runner_download(runner, buffer, expected, bytes);
}

static dcnv4i_exit ask_reference(dcnv4i_oracle *oracle, const double *value, const double *offset_mask,
                                 const double *grad_output) {
    dcnv4i_runner runner;
    dcnv4_problem wide = oracle->problem;
    wide.dtype = wide.offset_mask_dtype = DCNV4_FLOAT64;
    wide.forward_only = grad_output == NULL;
    dcnv4i_exit verdict = dcnv4i_runner_open("reference", 0, &wide, &runner);
    if (verdict != DCNV4I_DONE)
        return verdict;
    verdict = dcnv4i_runner_upload(&runner, value, offset_mask, grad_output);
    if (verdict == DCNV4I_DONE)
        verdict = dcnv4i_runner_run(&runner, DCNV4_PASS_FORWARD);
    if (verdict == DCNV4I_DONE)
        verdict = fetch(oracle, &runner, DCNV4I_OUTPUT_TENSOR, &runner.buffers.output, runner.sizes.output);
    if (verdict == DCNV4I_DONE && grad_output)
        verdict = dcnv4i_runner_run(&runner, DCNV4_PASS_BACKWARD);
    if (verdict == DCNV4I_DONE && grad_output)
        verdict = fetch(oracle, &runner, DCNV4I_GRAD_VALUE_TENSOR, &runner.buffers.grad_value, runner.sizes.grad_value);
    if (verdict == DCNV4I_DONE && grad_output)
        verdict = fetch(oracle, &runner, DCNV4I_GRAD_OFFSET_MASK_TENSOR, &runner.buffers.grad_offset_mask,
                        runner.sizes.grad_offset_mask);
    dcnv4i_runner_close(&runner);
    return verdict;
}

dcnv4i_exit dcnv4i_oracle_create(const dcnv4_problem *problem, dcnv4i_view value, dcnv4i_view offset_mask,
                                 dcnv4i_view grad_output, dcnv4i_oracle *oracle) {
    *oracle = (dcnv4i_oracle){.problem = *problem, .sizes = DCNV4_SIZES_INIT};
    dcnv4_problem *p = &oracle->problem;
    p->value_stride = p->offset_mask_stride = p->output_stride = 0;
    p->grad_output_stride = p->grad_value_stride = p->grad_offset_mask_stride = 0;
    dcnv4i_exit verdict = dcnv4i_verdict_library(dcnv4_problem_sizes(p, &oracle->sizes), "the reference");
    if (verdict != DCNV4I_DONE)
        return verdict;
    double *wide[3] = {
        widen(oracle, DCNV4I_VALUE_TENSOR, value),
        widen(oracle, DCNV4I_OFFSET_MASK_TENSOR, offset_mask),
        grad_output.memory ? widen(oracle, DCNV4I_GRAD_OUTPUT_TENSOR, grad_output) : NULL,
    };
    if (!wide[0] || !wide[1] || (grad_output.memory && !wide[2]))
        verdict = dcnv4i_verdict(DCNV4I_BROKEN, "no memory for float64 copies of the tensors");
    if (verdict == DCNV4I_DONE)
        verdict = ask_reference(oracle, wide[0], wide[1], wide[2]);
    if (verdict == DCNV4I_DONE)
        verdict = dcnv4i_bound_create(p, wide[0], wide[1], wide[2], &oracle->bound);
    for (int i = 0; i < 3; ++i)
        free(wide[i]);
    if (verdict != DCNV4I_DONE)
        dcnv4i_oracle_free(oracle);
    return verdict;
}

dcnv4i_exit dcnv4i_oracle_compare(const dcnv4i_oracle *oracle, dcnv4i_tensor_number tensor, dcnv4i_view got,
                                  dcnv4i_comparison *comparison) {
    const double *bounds = tensor == DCNV4I_OUTPUT_TENSOR       ? oracle->bound.output
                           : tensor == DCNV4I_GRAD_VALUE_TENSOR ? oracle->bound.grad_value
                                                                : oracle->bound.grad_offset_mask;
    int64_t shape[4];
    dcnv4i_tensor_shape(&oracle->problem, &oracle->sizes, tensor, shape);
    double *wide = widen(oracle, tensor, got);
    if (!wide)
        return dcnv4i_verdict(DCNV4I_BROKEN, "no memory for a float64 copy of %s", dcnv4i_tensor_word(tensor));
    for (int64_t i = 0; i < shape[0] * shape[1] * shape[2] * shape[3]; ++i)
        dcnv4i_compare(comparison, dcnv4i_tensor_dtype(&oracle->problem, tensor), i, wide[i],
                       oracle->expected[tensor][i], bounds[i]);
    free(wide);
    return DCNV4I_DONE;
}

void dcnv4i_oracle_free(dcnv4i_oracle *oracle) {
    for (int i = 0; i < DCNV4I_TENSOR_COUNT; ++i)
        free(oracle->expected[i]);
    dcnv4i_bound_free(&oracle->bound);
    *oracle = (dcnv4i_oracle){.problem = DCNV4_PROBLEM_INIT, .sizes = DCNV4_SIZES_INIT};
}
