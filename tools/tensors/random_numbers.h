/* Random numbers that are the same on every machine. */
#ifndef DCNV4I_RANDOM_NUMBERS_H
#define DCNV4I_RANDOM_NUMBERS_H

#include <stddef.h>
#include <stdint.h>

typedef struct dcnv4i_random {
    uint64_t state;
} dcnv4i_random;

/* splitmix64. */
static inline uint64_t dcnv4i_random_next(dcnv4i_random *random) {
    uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* 0 to count − 1. */
static inline int64_t dcnv4i_random_below(dcnv4i_random *random, int64_t count) {
    return (int64_t)(dcnv4i_random_next(random) % (uint64_t)count);
}

/* 0 ≤ number < 1. */
static inline double dcnv4i_random_unit(dcnv4i_random *random) {
    return (double)(dcnv4i_random_next(random) >> 11) * 0x1p-53;
}

/* Mean 0, standard deviation 1. */
double dcnv4i_random_normal(dcnv4i_random *random);

/* Fills count elements with normal numbers of this dtype and standard deviation. */
void dcnv4i_fill_normal(dcnv4i_random *random, double deviation, int32_t dtype, void *memory, size_t count);

#endif
