/* On int64_t: minimum and maximum, division rounded up, and sums and products that are checked, or saturate at INT64_MAX. */
#ifndef DCNV4I_CHECKED_MATH_H
#define DCNV4I_CHECKED_MATH_H

#include <stdbool.h>
#include <stdint.h>

static inline int64_t dcnv4i_min64(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static inline int64_t dcnv4i_max64(int64_t a, int64_t b) {
    return a > b ? a : b;
}

/* a / b, rounded up; a ≥ 0, b ≥ 1. */
static inline int64_t dcnv4i_ceil_div64(int64_t a, int64_t b) {
    return a == 0 ? 0 : (a - 1) / b + 1;
}

/* a + b and a · b; false if it does not fit; a, b ≥ 0. */
static inline bool dcnv4i_add64(int64_t a, int64_t b, int64_t *sum) {
    if (a > INT64_MAX - b)
        return false;
    *sum = a + b;
    return true;
}

static inline bool dcnv4i_multiply64(int64_t a, int64_t b, int64_t *product) {
    if (b != 0 && a > INT64_MAX / b)
        return false;
    *product = a * b;
    return true;
}

/* a · b, or INT64_MAX if that is less; a, b ≥ 0. */
static inline int64_t dcnv4i_saturating_mul64(int64_t a, int64_t b) {
    return b != 0 && a > INT64_MAX / b ? INT64_MAX : a * b;
}

/* a + b, or INT64_MAX if that is less; a, b ≥ 0. */
static inline int64_t dcnv4i_saturating_add64(int64_t a, int64_t b) {
    return a > INT64_MAX - b ? INT64_MAX : a + b;
}

#endif
