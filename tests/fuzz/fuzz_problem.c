/* Any numbers as a problem: the library and legal_problem.h agree on which are legal and on their sizes. */
#include "../../core/deform_conv_problem.h"
#include "../support/legal_problem.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition) ((condition) ? (void)0 : abort())

/* What is left of the input. */
typedef struct input {
    const uint8_t *data;
    size_t size;
} input;

static void take(input *from, void *to, size_t count) {
    const size_t taken = count < from->size ? count : from->size;
    memset(to, 0, count);
    memcpy(to, from->data, taken);
    from->data += taken;
    from->size -= taken;
}

/* Mostly small numbers, sometimes powers of two and their neighbours, sometimes any. */
static int64_t take_number(input *from) {
    uint8_t kind;
    take(from, &kind, 1);
    if (kind < 160)
        return kind % 16;
    if (kind < 224)
        return (int64_t)((uint64_t)1 << kind % 64) + kind % 3 - 1;
    int64_t number;
    take(from, &number, sizeof number);
    return number;
}

static void check_sizes(const dcnv4i_deform_conv *checked, const dcnv4_sizes *expected) {
    REQUIRE(checked->points == expected->points && checked->channels == expected->channels);
    REQUIRE(checked->output_height == expected->output_height && checked->output_width == expected->output_width);
    REQUIRE(checked->params.offset_mask_row == expected->offset_mask_row);
    REQUIRE(checked->base.tensors[DCNV4I_VALUE].bytes == expected->value);
    REQUIRE(checked->base.tensors[DCNV4I_OFFSET_MASK].bytes == expected->offset_mask);
    REQUIRE(checked->base.tensors[DCNV4I_OUTPUT].bytes == expected->output);
    REQUIRE(checked->base.tensors[DCNV4I_GRAD_OUTPUT].bytes == expected->grad_output);
    REQUIRE(checked->base.tensors[DCNV4I_GRAD_VALUE].bytes == expected->grad_value);
    REQUIRE(checked->base.tensors[DCNV4I_GRAD_OFFSET_MASK].bytes == expected->grad_offset_mask);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    input from = {data, size};
    dcnv4_problem problem = DCNV4_PROBLEM_INIT;
    dcnv4_sizes expected = DCNV4_SIZES_INIT;
    dcnv4i_deform_conv checked;
    int32_t *const small[] = {&problem.dtype,         &problem.remove_center, &problem.softmax,
                              &problem.deterministic, &problem.forward_only,  &problem.reserved};
    for (int i = 0; i < 6; ++i) {
        uint8_t number;
        take(&from, &number, 1);
        *small[i] = i == 0 ? number % 6 - 1 : number < 250 ? (i < 5) & number : number;
    }
    for (int64_t *field = &problem.batch; field <= &problem.grad_offset_mask_stride; ++field)
        *field = take_number(&from);
    take(&from, &problem.offset_scale, sizeof problem.offset_scale);
    uint8_t other;
    take(&from, &other, 1);
    problem.offset_mask_dtype = other % 6 - 1; /* 0, what missing input reads as, is DCNV4_SAME_DTYPE */
    const dcnv4_status status = dcnv4i_deform_conv_check(&problem, &checked);
    if (legal_problem(&problem, &expected)) {
        REQUIRE(status == DCNV4_SUCCESS);
        check_sizes(&checked, &expected);
    } else {
        REQUIRE(status == DCNV4_INVALID_PROBLEM && *dcnv4_last_message());
    }
    return 0;
}
