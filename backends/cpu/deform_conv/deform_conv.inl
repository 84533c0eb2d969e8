/* DCNv4's kernels for the instruction set and the real of the vector_*.h that is included before, with sampling. */
#include "partition.h"

#include "../sampling/derivatives.inl"
#include "points.inl"
#include "forward.inl"
#include "backward.inl"

const dcnv4i_conv_kernels NAME(dcnv4i_conv_kernels) = {
    .forward = NAME(forward),
    .backward = NAME(backward),
    .max_pixels = sizeof(point_index) < sizeof(int64_t) ? INT32_MAX : INT64_MAX,
    .lanes = LANES,
};
