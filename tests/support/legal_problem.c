#include "legal_problem.h"

#include <stddef.h>

__extension__ typedef __int128 wide;

/* Products of numbers ≥ 0 saturate here, far above any legal size. */
static const wide ENOUGH = (wide)1 << 100;

static wide times(wide a, wide b) {
    return a != 0 && b > ENOUGH / a ? ENOUGH : a * b;
}

static bool fits(wide number) {
    return number <= INT64_MAX;
}

/* The output size of one axis; −1 if there is none. */
static wide output_size(wide input, wide pad, wide kernel, wide dilation, wide stride) {
    const wide span = times(dilation, kernel - 1) + 1, padded = input + 2 * pad;
    if (!fits(span) || !fits(padded))
        return -1;
    if (span <= padded)
        return (padded - span) / stride + 1;
    return input == 0 ? 0 : -1;
}

/* The bytes from the first to the last element of a tensor; −1 if they cannot be addressed. One image must be
 * addressable even if the batch is 0. */
static wide tensor_bytes(wide batch, wide height, wide width, wide row, wide stride, wide item) {
    stride = stride ? stride : row;
    const wide image = times(height, width), elements = times(times(image, batch), stride);
    if (stride < row || !fits(times(image, batch)) || !fits(times(image, stride)) ||
        times(elements, item) > PTRDIFF_MAX)
        return -1;
    return elements == 0 && times(image, batch) == 0 ? 0 : (elements - (stride - row)) * item;
}

static bool is_flag(int32_t number) {
    return number == 0 || number == 1;
}

static int bytes_of(int32_t dtype) {
    return dtype == DCNV4_FLOAT64 ? 8 : dtype == DCNV4_FLOAT32 ? 4 : 2;
}

bool legal_problem(const dcnv4_problem *p, dcnv4_sizes *sizes) {
    const int64_t least_0[] = {p->batch,
                               p->height,
                               p->width,
                               p->pad_h,
                               p->pad_w,
                               p->offset_mask_row,
                               p->value_stride,
                               p->offset_mask_stride,
                               p->output_stride,
                               p->grad_output_stride,
                               p->grad_value_stride,
                               p->grad_offset_mask_stride};
    const int64_t least_1[] = {p->groups,   p->group_channels, p->kernel_h,   p->kernel_w,
                               p->stride_h, p->stride_w,       p->dilation_h, p->dilation_w};
    for (size_t i = 0; i < sizeof least_0 / sizeof *least_0; ++i)
        if (least_0[i] < 0)
            return false;
    for (size_t i = 0; i < sizeof least_1 / sizeof *least_1; ++i)
        if (least_1[i] < 1)
            return false;
    if (p->dtype < DCNV4_FLOAT32 || p->dtype > DCNV4_FLOAT64 || p->reserved != 0 || p->reserved_2 != 0 ||
        !is_flag(p->remove_center) || !is_flag(p->softmax) || !is_flag(p->deterministic) || !is_flag(p->forward_only))
        return false;
    if (p->offset_mask_dtype != DCNV4_SAME_DTYPE && p->offset_mask_dtype != p->dtype &&
        (p->offset_mask_dtype != DCNV4_FLOAT32 || (p->dtype != DCNV4_FLOAT16 && p->dtype != DCNV4_BFLOAT16)))
        return false;
    const wide points = times(p->kernel_h, p->kernel_w) - p->remove_center;
    const wide channels = times(p->groups, p->group_channels), needed = times(times(3, p->groups), points);
    const wide row = p->offset_mask_row ? p->offset_mask_row : (needed + 7) / 8 * 8;
    const wide out_h = output_size(p->height, p->pad_h, p->kernel_h, p->dilation_h, p->stride_h);
    const wide out_w = output_size(p->width, p->pad_w, p->kernel_w, p->dilation_w, p->stride_w);
    if (!fits(points) || !fits(channels) || !fits(needed + 7) || row < needed || out_h < 0 || out_w < 0)
        return false;
    const wide n = p->batch, h = p->height, w = p->width, item = bytes_of(p->dtype),
               position = p->offset_mask_dtype == DCNV4_SAME_DTYPE ? item : bytes_of(p->offset_mask_dtype);
    const wide bytes[] = {
        tensor_bytes(n, h, w, channels, p->value_stride, item),
        tensor_bytes(n, out_h, out_w, row, p->offset_mask_stride, position),
        tensor_bytes(n, out_h, out_w, channels, p->output_stride, item),
        tensor_bytes(n, out_h, out_w, channels, p->grad_output_stride, item),
        tensor_bytes(n, h, w, channels, p->grad_value_stride, item),
        tensor_bytes(n, out_h, out_w, row, p->grad_offset_mask_stride, position),
    };
    for (int i = 0; i < 6; ++i)
        if (bytes[i] < 0)
            return false;
    *sizes = (dcnv4_sizes){sizeof *sizes,    (int64_t)points,  (int64_t)channels, (int64_t)out_h,
                           (int64_t)out_w,   (int64_t)row,     (size_t)bytes[0],  (size_t)bytes[1],
                           (size_t)bytes[2], (size_t)bytes[3], (size_t)bytes[4],  (size_t)bytes[5]};
    return true;
}
