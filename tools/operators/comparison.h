/* Results compared with expected ones, each element by a bound of its own. */
#ifndef DCNV4I_COMPARISON_H
#define DCNV4I_COMPARISON_H

#include <dcnv4/dcnv4.h>

#include <stdbool.h>

/* The largest error of rounding `number` to dtype. */
double dcnv4i_bound_rounding(int32_t dtype, double number);

/* Results compared with expected ones; several tensors may be accumulated in one comparison. Starts as {0}. */
typedef struct dcnv4i_comparison {
    double share; /* the largest error, as a share of its element's bound, the rounding of the result itself apart; more
                              * than 1, or NaN, is a failure */
    double error, norm;            /* sums of squares, of differences and of expected values */
    int64_t judged;                /* elements whose bound is finite: the others are not judged */
    bool wrong;                    /* some element exceeds its bound */
    int64_t worst;                 /* index of the first failure, else of share's element; its value, */
    double got, expected, allowed; /* the expected value, and how much they may differ */
} dcnv4i_comparison;

/* Compares one element. */
void dcnv4i_compare(dcnv4i_comparison *comparison, int32_t dtype, int64_t index, double got, double expected,
                    double bound);

/* √(error / norm). */
double dcnv4i_comparison_normwise(const dcnv4i_comparison *comparison);

#endif
