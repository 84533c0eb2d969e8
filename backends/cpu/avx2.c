/* Kernels in float arithmetic for AVX2 with FMA and F16C. */
#include "simd/vector_avx2.h"
#include "deform_conv/kernels.inl"
#include "simd/rows.inl"

void dcnv4i_fill_avx2(dcnv4i_kernels *kernels) {
    kernels->forward32 = forward;
    kernels->backward32 = backward;
    kernels->most_pixels = INT32_MAX;
    fill_rows(kernels);
}
