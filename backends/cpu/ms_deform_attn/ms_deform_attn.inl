/* The kernels of multi-scale deformable attention for the instruction set and the real of the vector_*.h that is included
 * before, with sampling. */
#include "../sampling/derivatives.inl"
#include "../simd/elements.inl"
#include "ms_deform_attn_kernels.h"

#include "points.inl"
#include "forward.inl"
#include "all_levels.inl"
#include "backward.inl"

const dcnv4i_attn_kernels NAME(dcnv4i_attn_kernels) = {
    .forward = NAME(forward),
    .backward = NAME(backward),
    .sum_references = NAME(sum_references),
    .max_places = sizeof(point_index) < sizeof(int64_t) ? INT32_MAX : INT64_MAX,
    .lanes = LANES,
};
