/* Time, and the spread of repeated measurements. */
#ifndef DCNV4I_STOPWATCH_H
#define DCNV4I_STOPWATCH_H

#include <stddef.h>

/* Milliseconds since some moment; never goes back. */
double dcnv4i_now_ms(void);

/* Milliseconds that this process has taken of the processors. */
double dcnv4i_processor_ms(void);

typedef struct dcnv4i_spread {
    double min, median, max;
} dcnv4i_spread;

/* The spread of count ≥ 1 times, which it sorts. */
dcnv4i_spread dcnv4i_spread_of(double *times, size_t count);

#endif
