/* Kernels in float arithmetic for AArch64's NEON. */
#include "simd/vector_neon.h"
#include "deform_conv/kernels.inl"
#include "simd/rows.inl"

void dcnv4i_fill_neon(dcnv4i_kernels *kernels) {
    kernels->forward32 = forward;
    kernels->backward32 = backward;
    kernels->most_pixels = INT32_MAX;
    fill_rows(kernels);
}
