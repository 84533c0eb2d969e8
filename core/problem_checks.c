#include "problem_checks.h"
#include "checked_math.h"

#include <inttypes.h>

dcnv4_status dcnv4i_check_ranges(const dcnv4i_range *fields, size_t count) {
    for (size_t i = 0; i < count; ++i)
        if (fields[i].number < fields[i].least)
            return dcnv4i_fail(DCNV4_INVALID_PROBLEM, "%s is %" PRId64 ", at least %" PRId64 " is needed",
                               fields[i].name, fields[i].number, fields[i].least);
    return DCNV4_SUCCESS;
}

dcnv4_status dcnv4i_check_flags(const dcnv4i_flag *flags, size_t count) {
    for (size_t i = 0; i < count; ++i)
        if (flags[i].number != 0 && flags[i].number != 1)
            return dcnv4i_fail(DCNV4_INVALID_PROBLEM, "%s is %" PRId32 ", it must be 0 or 1", flags[i].name,
                               flags[i].number);
    return DCNV4_SUCCESS;
}

dcnv4_status dcnv4i_check_dtype(int32_t dtype) {
    return dcnv4i_dtype_size(dtype) == 0
               ? dcnv4i_fail(DCNV4_INVALID_PROBLEM, "dtype is %" PRId32 ", known are 0 to %d", dtype, DCNV4_FLOAT64)
               : DCNV4_SUCCESS;
}

dcnv4_status dcnv4i_check_other_dtype(const char *name, int32_t dtype, int32_t *other) {
    if (*other == DCNV4_SAME_DTYPE)
        *other = dtype;
    if (dcnv4i_dtype_size(*other) == 0)
        return dcnv4i_fail(DCNV4_INVALID_PROBLEM, "%s is %" PRId32 ", known are %d and 0 to %d", name, *other,
                           DCNV4_SAME_DTYPE, DCNV4_FLOAT64);
    if (*other != dtype && (*other != DCNV4_FLOAT32 || dtype == DCNV4_FLOAT64))
        return dcnv4i_fail(DCNV4_INVALID_PROBLEM,
                           "%s is %" PRId32 " beside dtype %" PRId32
                           ", it can be the same, or %d (float32) beside %d or "
                           "%d (16 bits)",
                           name, *other, dtype, DCNV4_FLOAT32, DCNV4_FLOAT16, DCNV4_BFLOAT16);
    return DCNV4_SUCCESS;
}

dcnv4_status dcnv4i_too_large(const char *what, int64_t a, int64_t b) {
    return dcnv4i_fail(DCNV4_INVALID_PROBLEM,
                       "%s overflows: %" PRId64 " times %" PRId64 " is past what can be addressed", what, a, b);
}

dcnv4_status dcnv4i_check_products(const char *name, int64_t rows, int64_t batch, dcnv4i_tensor *tensor) {
    const int64_t item = (int64_t)tensor->item, stride = tensor->stride;
    int64_t elements, bytes;
    if (!dcnv4i_multiply64(rows, batch, &tensor->pixels))
        return dcnv4i_too_large("the batch", rows, batch);
    if (!dcnv4i_multiply64(rows, stride, &elements) || !dcnv4i_multiply64(tensor->pixels, stride, &elements))
        return dcnv4i_too_large(name, tensor->pixels, stride);
    if (!dcnv4i_multiply64(elements, item, &bytes) || (uint64_t)bytes > PTRDIFF_MAX)
        return dcnv4i_too_large(name, elements, item);
    tensor->bytes = tensor->pixels == 0 ? 0 : (size_t)(bytes - (stride - tensor->row) * item);
    return DCNV4_SUCCESS;
}
