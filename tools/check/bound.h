/* How far a right result may be from the exact one, element by element: a bound for the rounding of the arithmetic, of the
 * positions, and of the results. */
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

/* Works out the bounds of problem, whose dtype says the arithmetic: float64 for float64, else float32. The tensors are
 * dense and hold exactly what the device is given. grad_output is NULL for the forward alone. The gradient by a position
 * jumps where the position crosses from one cell to the next: where rounding may cross, the bound takes in the jump.
 * After a failure there is nothing to free. */
dcnv4i_exit dcnv4i_bound_create(const dcnv4_problem *problem, const double *value, const double *offset_mask,
                                const double *grad_output, dcnv4i_bound *bound);

void dcnv4i_bound_free(dcnv4i_bound *bound);

/* What rounding `number` to dtype may change, at most. */
double dcnv4i_bound_rounding(int32_t dtype, double number);

/* How got compares with expected; several tensors may be counted into one. Starts as {0}. */
typedef struct dcnv4i_comparison {
    double share; /* the worst share of the bound that was used, the rounding of the result itself apart; more than
                              * 1, or NaN, is a failure */
    double error, norm;            /* sums of squares, of differences and of what was expected */
    int64_t judged;                /* elements whose bound is finite: the others are not judged */
    bool wrong;                    /* some element is out of its bound */
    int64_t worst;                 /* that of the first failure, else of share: its index, what is there, */
    double got, expected, allowed; /* what is expected, and by how much they may differ */
} dcnv4i_comparison;

/* Compares one element. */
void dcnv4i_compare(dcnv4i_comparison *comparison, int32_t dtype, int64_t index, double got, double expected,
                    double bound);

/* √(error / norm). */
double dcnv4i_comparison_normwise(const dcnv4i_comparison *comparison);

#endif
