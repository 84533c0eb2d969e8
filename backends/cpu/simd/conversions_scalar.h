/* The conversions of 16-bit storage that vector_scalar.h documents, for float. */
#ifndef DCNV4I_CPU_CONVERSIONS_SCALAR_H
#define DCNV4I_CPU_CONVERSIONS_SCALAR_H

#include "vector_scalar.h"
#include "../../../core/element.h"

static inline vec vfrom_float16(vec16 a) {
    return (float)dcnv4i_decode16(a, 5, 10);
}
static inline vec vfrom_bfloat16(vec16 a) {
    return (float)dcnv4i_decode16(a, 8, 7);
}
static inline vec16 vto_float16(vec a) {
    return dcnv4i_encode16(a, 5, 10);
}
static inline vec16 vto_bfloat16(vec a) {
    return dcnv4i_encode16(a, 8, 7);
}

#endif
