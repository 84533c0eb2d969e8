/* Kernels in float arithmetic, in plain C. */
#include "simd/vector_scalar.h"
#include "deform_conv/kernels.inl"
#include "../../core/element.h"

static inline vec vfrom_float16(vec16 a) { return (float)dcnv4i_decode16(a, 5, 10); }
static inline vec vfrom_bfloat16(vec16 a) { return (float)dcnv4i_decode16(a, 8, 7); }
static inline vec16 vto_float16(vec a) { return dcnv4i_encode16(a, 5, 10); }
static inline vec16 vto_bfloat16(vec a) { return dcnv4i_encode16(a, 8, 7); }

#include "simd/rows.inl"

void dcnv4i_fill_portable(dcnv4i_kernels *kernels) {
    kernels->forward32 = forward;
    kernels->backward32 = backward;
    kernels->most_pixels = INT64_MAX;
    fill_rows(kernels);
    dcnv4i_fill_float64(kernels);
}
