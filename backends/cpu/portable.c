/* Kernels in float arithmetic, in plain C. */
#include "vector_scalar.h"
#include "kernels.inl"
#include "../../core/element.h"

static inline vec vload_float16(const uint16_t *from) { return (float)dcnv4i_decode16(*from, 5, 10); }
static inline vec vload_bfloat16(const uint16_t *from) { return (float)dcnv4i_decode16(*from, 8, 7); }
static inline void vstore_float16(uint16_t *to, vec a) { *to = dcnv4i_encode16(a, 5, 10); }
static inline void vstore_bfloat16(uint16_t *to, vec a) { *to = dcnv4i_encode16(a, 8, 7); }

#include "rows.inl"

void dcnv4i_fill_portable(dcnv4i_kernels *kernels) {
    kernels->forward32 = forward;
    kernels->backward32 = backward;
    kernels->most_pixels = INT64_MAX;
    fill_rows(kernels);
    dcnv4i_fill_float64(kernels);
}
