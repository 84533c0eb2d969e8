/* One element of a tensor, as a float64: exact when read, rounded once, to nearest with ties to even, when written. */
#ifndef DCNV4I_ELEMENT_H
#define DCNV4I_ELEMENT_H

#include "status.h"

#include <string.h>

/* Decodes a binary float of 16 bits: a sign bit, exponent_bits and fraction_bits. */
static inline double dcnv4i_decode16(uint16_t bits, int exponent_bits, int fraction_bits) {
    const int largest = (1 << exponent_bits) - 1;
    const int exponent = bits >> fraction_bits & largest;
    const uint64_t fraction = bits & ((1u << fraction_bits) - 1);
    const uint64_t sign = (uint64_t)(bits >> 15) << 63;
    uint64_t wide;
    if (exponent == 0) {
        /* A subnormal: fraction · 2^(1 − bias − fraction_bits), the power made from its exponent field. */
        const uint64_t unit = (uint64_t)(1023 + 2 - (1 << (exponent_bits - 1)) - fraction_bits) << 52;
        double scale, magnitude;
        memcpy(&scale, &unit, sizeof scale);
        magnitude = (double)fraction * scale;
        return sign ? -magnitude : magnitude;
    }
    if (exponent == largest)
        wide = (uint64_t)0x7ff << 52 | fraction << (52 - fraction_bits);
    else
        wide = (uint64_t)(exponent + 1024 - (1 << (exponent_bits - 1))) << 52 | fraction << (52 - fraction_bits);
    wide |= sign;
    double number;
    memcpy(&number, &wide, sizeof number);
    return number;
}

/* Rounds to a binary float of at most 32 bits, in integer arithmetic: independent of the caller's rounding mode. */
static inline uint32_t dcnv4i_encode(double number, int exponent_bits, int fraction_bits) {
    uint64_t wide;
    memcpy(&wide, &number, sizeof wide);
    const int largest = (1 << exponent_bits) - 1;
    const unsigned sign = (unsigned)(wide >> 63) << (exponent_bits + fraction_bits);
    const unsigned infinite = (unsigned)largest << fraction_bits;
    const int wide_exponent = (int)(wide >> 52 & 0x7ff);
    uint64_t significand = wide & (((uint64_t)1 << 52) - 1);
    if (wide_exponent == 0x7ff) /* an infinity, or a NaN, which is made quiet */
        return sign | infinite | (significand ? 1u << (fraction_bits - 1) : 0);
    int exponent = wide_exponent - 1024 + (1 << (exponent_bits - 1));
    if (exponent >= largest)
        return sign | infinite;
    int shift = 52 - fraction_bits;
    significand |= (uint64_t)1 << 52;
    if (exponent <= 0) { /* a subnormal: more bits are shifted out, and there is no implicit one */
        shift += 1 - exponent;
        exponent = 1;
    }
    if (shift > 53)
        return sign;
    const uint64_t rest = significand & (((uint64_t)1 << shift) - 1), half = (uint64_t)1 << (shift - 1);
    uint64_t kept = significand >> shift;
    kept += rest > half || (rest == half && (kept & 1));
    /* The implicit leading one, if there is one, adds 1 to the exponent; so does a carry. */
    return sign | (((unsigned)(exponent - 1) << fraction_bits) + (unsigned)kept);
}

static inline uint16_t dcnv4i_encode16(double number, int exponent_bits, int fraction_bits) {
    return (uint16_t)dcnv4i_encode(number, exponent_bits, fraction_bits);
}

static inline double dcnv4i_element_read(int32_t dtype, const void *tensor, int64_t index) {
    const char *bytes = tensor;
    uint16_t half;
    float single;
    double number = 0;
    switch (dtype) {
    case DCNV4_FLOAT32: memcpy(&single, bytes + index * 4, 4); return single;
    case DCNV4_FLOAT16: memcpy(&half, bytes + index * 2, 2); return dcnv4i_decode16(half, 5, 10);
    case DCNV4_BFLOAT16: memcpy(&half, bytes + index * 2, 2); return dcnv4i_decode16(half, 8, 7);
    case DCNV4_FLOAT64: memcpy(&number, bytes + index * 8, 8); return number;
    }
    return number;
}

static inline void dcnv4i_element_write(int32_t dtype, void *tensor, int64_t index, double number) {
    char *bytes = tensor;
    uint16_t half;
    float single;
    switch (dtype) {
    case DCNV4_FLOAT32: single = (float)number, memcpy(bytes + index * 4, &single, 4); break;
    case DCNV4_FLOAT16: half = dcnv4i_encode16(number, 5, 10), memcpy(bytes + index * 2, &half, 2); break;
    case DCNV4_BFLOAT16: half = dcnv4i_encode16(number, 8, 7), memcpy(bytes + index * 2, &half, 2); break;
    case DCNV4_FLOAT64: memcpy(bytes + index * 8, &number, 8); break;
    }
}

#endif
