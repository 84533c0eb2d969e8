/* The problems that bench runs: presets, or one of the caller's. */
#ifndef DCNV4I_BENCH_PROBLEMS_H
#define DCNV4I_BENCH_PROBLEMS_H

#include "../cli/options.h"

typedef struct dcnv4i_problems {
    dcnv4_problem *items;
    int64_t count;
} dcnv4i_problems;

/* After a failure there is nothing to free. */
dcnv4i_exit dcnv4i_problems_open(const dcnv4i_settings *settings, dcnv4i_problems *problems);

void dcnv4i_problems_free(dcnv4i_problems *problems);

#endif
