#include "stopwatch.h"

#include <stdlib.h>
#include <time.h>

static double read_clock(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

double dcnv4i_now_ms(void) {
    return read_clock(CLOCK_MONOTONIC);
}

double dcnv4i_processor_ms(void) {
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

static int compare(const void *one, const void *other) {
    const double a = *(const double *)one, b = *(const double *)other;
    return (a > b) - (a < b);
}

dcnv4i_spread dcnv4i_spread_of(double *times, size_t count) {
    qsort(times, count, sizeof *times, compare);
    return (dcnv4i_spread){times[0], (times[(count - 1) / 2] + times[count / 2]) / 2, times[count - 1]};
}
