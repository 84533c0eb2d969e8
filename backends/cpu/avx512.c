/* Kernels in float arithmetic for AVX-512. */
#include "simd/vector_avx512.h"
#include "deform_conv/kernels.inl"
#include "simd/rows.inl"

void dcnv4i_fill_avx512(dcnv4i_kernels *kernels) {
    kernels->forward32 = forward;
    kernels->backward32 = backward;
    kernels->most_pixels = INT32_MAX;
    fill_rows(kernels);
}
