/* Which of several ways is the fastest, by more than the noise of its times. */
#ifndef DCNV4I_TUNE_CHOICE_H
#define DCNV4I_TUNE_CHOICE_H

#include <stdbool.h>
#include <stdint.h>

/* A way's times, each divided by that of way 0, the default, in the same round. */
typedef struct dcnv4i_way_times {
    const double *ratios; /* NULL for a way that cannot be taken */
    int64_t rounds;
} dcnv4i_way_times;

/* The way with the smallest median, if that is 2 % below 1 or more, and if it took less time than the default in at least
 * three rounds of four; else 0. Rounds are compared one by one, since the machine's speed changes between them. −1 if there
 * is no memory. */
int64_t dcnv4i_fastest(const dcnv4i_way_times *ways, int64_t count);

#endif
