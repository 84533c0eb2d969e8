/* Kernels in double arithmetic, in plain C. */
#define REAL_IS_DOUBLE
#include "simd/vector_scalar.h"
#include "deform_conv/kernels.inl"
#include "simd/rows.inl"

void dcnv4i_fill_float64(dcnv4i_kernels *kernels) {
    kernels->forward64 = forward;
    kernels->backward64 = backward;
    fill_rows(kernels);
}
