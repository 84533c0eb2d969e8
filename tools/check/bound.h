/* How far a correct result may be from the exact one, element by element: a bound for the rounding of the arithmetic,
 * of the positions, and of the results. */
#ifndef DCNV4I_BOUND_H
#define DCNV4I_BOUND_H

#include "../output/verdict.h"

#include <stdbool.h>

/* Bounds in the shapes of the dense results, before the rounding of the result itself; NULL for an empty tensor. */
typedef struct dcnv4i_bound {
    double *output;           /* [N, Ho, Wo, C] */
    double *grad_value;       /* [N, H, W, C] */
    double *grad_offset_mask; /* [N, Ho, Wo, P], 0 in the padding */
} dcnv4i_bound;

/* Computes the bounds of a problem, whose dtype determines the arithmetic: float64 for float64, else float32. The
 * tensors are dense and hold exactly what the device gets. grad_output is NULL for forward alone. The gradient of a
 * position jumps where the position crosses from one cell to the next; where rounding may cross, the bound includes the
 * jump. After a failure there is nothing to free. */
dcnv4i_exit dcnv4i_bound_create(const dcnv4_problem *problem, const double *value, const double *offset_mask,
                                const double *grad_output, dcnv4i_bound *bound);

void dcnv4i_bound_free(dcnv4i_bound *bound);

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
