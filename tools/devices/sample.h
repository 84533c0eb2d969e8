/* One sample of a time. */
#ifndef DCNV4I_SAMPLE_H
#define DCNV4I_SAMPLE_H

#include "runner.h"

/* What is run: the pass, or one of its roofline kernels. */
typedef enum dcnv4i_sampled {
    DCNV4I_THE_PASS = -1,
    DCNV4I_ITS_MEMORY = DCNV4_ROOFLINE_MEMORY,
    DCNV4I_ITS_LOADS = DCNV4_ROOFLINE_LOADS
} dcnv4i_sampled;

/* The milliseconds of a run, from `repeats` runs and the wait for their end, by this clock of milliseconds. */
dcnv4i_exit dcnv4i_sample_run(dcnv4i_runner *runner, dcnv4_pass pass, dcnv4i_sampled what, int64_t repeats,
                              double (*clock)(void), double *ms);

/* How many runs a sample of at least `least` milliseconds needs if one takes ms. */
int64_t dcnv4i_sample_repeats(double ms, double least);

#endif
