#include "bench_inputs.h"

#include "../tensors/npy.h"
#include "../tensors/random_numbers.h"

#include <stdlib.h>
#include <string.h>

static dcnv4i_exit allocate(dcnv4i_view *view, size_t bytes, int64_t stride) {
    *view = (dcnv4i_view){malloc(bytes + 1), stride};
    return view->memory ? DCNV4I_DONE : dcnv4i_verdict(DCNV4I_BROKEN, "no memory for a tensor of %zu bytes", bytes);
}

/* Normal numbers everywhere; offsets have a standard deviation of their own. */
static void fill_offset_mask(const dcnv4i_inputs *in, double spread, dcnv4i_random *random) {
    const int32_t dtype = dcnv4i_tensor_dtype(in->problem, DCNV4I_OFFSET_MASK_TENSOR);
    const size_t item = dcnv4i_dtype_bytes(dtype), points = (size_t)in->sizes.points;
    const int64_t rows = in->problem->batch * in->sizes.output_height * in->sizes.output_width;
    for (int64_t row = 0; row < rows; ++row) {
        char *at = (char *)in->tensors[1].memory + (size_t)(row * in->sizes.offset_mask_row) * item;
        memset(at, 0, (size_t)in->sizes.offset_mask_row * item);
        for (int64_t group = 0; group < in->problem->groups; ++group, at += 3 * points * item) {
            dcnv4i_fill_normal(random, spread, dtype, at, 2 * points);
            dcnv4i_fill_normal(random, 1, dtype, at + 2 * points * item, points);
        }
    }
}

static dcnv4i_exit draw(dcnv4i_inputs *in, uint64_t seed, double spread) {
    dcnv4i_random random = {seed};
    const size_t item = dcnv4i_dtype_bytes(in->problem->dtype);
    const bool backward = !in->problem->forward_only;
    dcnv4i_exit verdict = allocate(&in->tensors[0], in->sizes.value, in->sizes.channels);
    if (verdict == DCNV4I_DONE)
        verdict = allocate(&in->tensors[1], in->sizes.offset_mask, in->sizes.offset_mask_row);
    if (verdict == DCNV4I_DONE && backward)
        verdict = allocate(&in->tensors[2], in->sizes.grad_output, in->sizes.channels);
    if (verdict != DCNV4I_DONE)
        return verdict;
    dcnv4i_fill_normal(&random, 1, in->problem->dtype, in->tensors[0].memory, in->sizes.value / item);
    fill_offset_mask(in, spread, &random);
    if (backward)
        dcnv4i_fill_normal(&random, 1, in->problem->dtype, in->tensors[2].memory, in->sizes.grad_output / item);
    in->image = dcnv4i_random_below(&random, in->problem->batch);
    in->group = dcnv4i_random_below(&random, in->problem->groups);
    return DCNV4I_DONE;
}

/* The part of a tensor that belongs to the group and image to compare, as a tensor with a pixel stride. */
static dcnv4i_view part(const dcnv4i_inputs *in, dcnv4i_tensor_number tensor, dcnv4i_view whole) {
    int64_t shape[4];
    if (!whole.memory)
        return whole;
    dcnv4i_tensor_shape(in->problem, &in->sizes, tensor, shape);
    const bool positions = tensor == DCNV4I_OFFSET_MASK_TENSOR || tensor == DCNV4I_GRAD_OFFSET_MASK_TENSOR;
    const int64_t block = positions ? 3 * in->sizes.points : in->problem->group_channels;
    const int64_t first = in->image * shape[1] * shape[2] * shape[3] + in->group * block;
    return (dcnv4i_view){
        (char *)whole.memory + (size_t)first * dcnv4i_dtype_bytes(dcnv4i_tensor_dtype(in->problem, tensor)), shape[3]};
}

static dcnv4i_exit ask_reference(dcnv4i_inputs *in) {
    dcnv4_problem one = *in->problem;
    one.batch = one.groups = 1;
    one.offset_mask_row = 3 * in->sizes.points;
    return dcnv4i_oracle_create(&one, part(in, DCNV4I_VALUE_TENSOR, in->tensors[0]),
                                part(in, DCNV4I_OFFSET_MASK_TENSOR, in->tensors[1]),
                                part(in, DCNV4I_GRAD_OUTPUT_TENSOR, in->tensors[2]), &in->oracle);
}

dcnv4i_exit dcnv4i_inputs_draw(const dcnv4_problem *problem, uint64_t seed, double spread, dcnv4i_inputs *inputs) {
    *inputs = (dcnv4i_inputs){.problem = problem, .sizes = DCNV4_SIZES_INIT};
    dcnv4i_exit verdict = dcnv4i_verdict_library(dcnv4_problem_sizes(problem, &inputs->sizes), "the inputs");
    if (verdict == DCNV4I_DONE)
        verdict = draw(inputs, seed, spread);
    return verdict == DCNV4I_DONE ? ask_reference(inputs) : verdict;
}

dcnv4i_exit dcnv4i_inputs_upload(const dcnv4i_inputs *in, dcnv4i_runner *runner) {
    return dcnv4i_runner_upload(runner, in->tensors[0].memory, in->tensors[1].memory, in->tensors[2].memory);
}

dcnv4_buffer *dcnv4i_inputs_result(const dcnv4i_inputs *in, dcnv4i_runner *runner, dcnv4i_tensor_number tensor,
                                   size_t *bytes) {
    const bool output = tensor == DCNV4I_OUTPUT_TENSOR, value = tensor == DCNV4I_GRAD_VALUE_TENSOR;
    *bytes = output ? in->sizes.output : value ? in->sizes.grad_value : in->sizes.grad_offset_mask;
    return output ? &runner->buffers.output : value ? &runner->buffers.grad_value : &runner->buffers.grad_offset_mask;
}

dcnv4i_exit dcnv4i_inputs_judge(const dcnv4i_inputs *in, dcnv4i_runner *runner, dcnv4i_tensor_number tensor,
                                dcnv4i_comparison *comparison) {
    size_t bytes;
    dcnv4i_view got;
    const dcnv4_buffer *buffer = dcnv4i_inputs_result(in, runner, tensor, &bytes);
    dcnv4i_exit verdict = allocate(&got, bytes, 0);
    if (verdict == DCNV4I_DONE)
        verdict = dcnv4i_runner_download(runner, buffer, got.memory, bytes);
    if (verdict == DCNV4I_DONE)
        verdict = dcnv4i_oracle_compare(&in->oracle, tensor, part(in, tensor, got), comparison);
    free(got.memory);
    return verdict;
}

void dcnv4i_inputs_free(dcnv4i_inputs *inputs) {
    for (int i = 0; i < 3; ++i)
        free(inputs->tensors[i].memory);
    dcnv4i_oracle_free(&inputs->oracle);
    *inputs = (dcnv4i_inputs){.sizes = DCNV4_SIZES_INIT};
}
