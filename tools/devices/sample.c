#include "sample.h"

#include <math.h>

dcnv4i_exit dcnv4i_sample_run(dcnv4i_runner *runner, dcnv4_pass pass, dcnv4i_sampled what, int64_t repeats,
                              double (*clock)(void), double *ms) {
    const double start = clock();
    dcnv4i_exit verdict = DCNV4I_DONE;
    for (int64_t i = 0; i < repeats && verdict == DCNV4I_DONE; ++i)
        verdict = what == DCNV4I_THE_PASS ? dcnv4i_runner_start(runner, pass)
                                          : dcnv4i_runner_start_floor(runner, pass, (dcnv4_roofline)what);
    if (verdict == DCNV4I_DONE)
        verdict = dcnv4i_runner_wait(runner);
    *ms = (clock() - start) / (double)repeats;
    return verdict;
}

int64_t dcnv4i_sample_repeats(double ms, double least) {
    return ms < least ? (int64_t)(least / fmax(ms, 1e-3)) + 1 : 1;
}
