/* Which of several tactics is the fastest, by more than the noise of its times. */
#ifndef DCNV4I_TUNE_CHOICE_H
#define DCNV4I_TUNE_CHOICE_H

#include <stdbool.h>
#include <stdint.h>

/* A tactic's times, each divided by that of tactic 0, the default, in the same round. */
typedef struct dcnv4i_tactic_times {
    const double *ratios; /* NULL for a tactic that cannot be chosen */
    int64_t rounds;
} dcnv4i_tactic_times;

/* The tactic with the smallest median, if that is at least 2 % below 1 and it took less time than the default in at
 * least three rounds of four; else 0. Times are compared within a round, since the machine's speed changes between
 * rounds. −1 if out of memory. */
int64_t dcnv4i_fastest(const dcnv4i_tactic_times *ways, int64_t count);

#endif
