/* What core needs to know of the operator. */
#include "resize.h"

#include <inttypes.h>

static dcnv4_status check(const void *given, dcnv4i_problem *base) {
    const resize_params *p = given;
    const int64_t sizes[] = {p->batch, p->height, p->width, p->channels, p->output_height, p->output_width};
    for (int i = 0; i < 6; ++i)
        if (sizes[i] < 1 || sizes[i] > 1024)
            return dcnv4i_fail(DCNV4_INVALID_PROBLEM, "size number %d is %" PRId64 ", 1 to 1024 are possible", i,
                               sizes[i]);
    *base = (dcnv4i_problem){.op = &dcnv4i_operator_resize};
    ((resize_problem *)base)->params = *p;
    const int64_t input = p->batch * p->height * p->width, output = p->batch * p->output_height * p->output_width;
    for (int i = 0; i < RESIZE_TENSORS; ++i) {
        const int64_t pixels = i == RESIZE_VALUE || i == RESIZE_GRAD_VALUE ? input : output;
        base->tensors[i] = (dcnv4i_tensor){pixels, p->channels, p->channels, 4, (size_t)(pixels * p->channels) * 4};
    }
    return DCNV4_SUCCESS;
}

static void drop_empty_sizes(dcnv4i_problem *problem) {
    (void)problem;
}

const dcnv4i_operator dcnv4i_operator_resize = {
    .name = "resize",
    .problem_size = sizeof(resize_problem),
    .tensor_count = RESIZE_TENSORS,
    .tensor_names = {"value", "output", "grad_output", "grad_value"},
    .reads = {1u << RESIZE_VALUE, 1u << RESIZE_GRAD_OUTPUT},
    .writes = {1u << RESIZE_OUTPUT, 1u << RESIZE_GRAD_VALUE},
    .check = check,
    .drop_empty_sizes = drop_empty_sizes,
};
