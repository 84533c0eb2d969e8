/* How far a correct result may be from the exact one, element by element, for operators that sample value bilinearly at
 * points: a bound for the rounding of the arithmetic and of the positions. The gradient of a position jumps where the
 * position crosses from one cell to the next; where rounding may cross, the bound includes the jump. */
#ifndef DCNV4I_POINT_BOUND_H
#define DCNV4I_POINT_BOUND_H

#include "../output/verdict.h"

#include <stdbool.h>
#include <stddef.h>

/* A point: its exact position, how much that may be rounded, and the image that it samples. */
typedef struct dcnv4i_bound_point {
    double x, y, x_rounding, y_rounding;
    int64_t height, width, first; /* `first`: the image's first row of value */
} dcnv4i_bound_point;

/* The bounds of the gradient of a point's position, in places, and Σ|terms| of that gradient. */
typedef struct dcnv4i_bound_gradient {
    double x, y, x_terms, y_terms;
} dcnv4i_bound_gradient;

typedef struct dcnv4i_bound {
    double unit;                    /* unit roundoff of the arithmetic */
    double least;                   /* what a device that flushes subnormals to zero may lose */
    int64_t rows, groups, channels; /* rows of value; groups, and channels of all of them, in a row */
    int64_t points;                 /* of a group */
    bool softmax;
    const double *value;         /* [rows, channels] */
    double *output, *grad_value; /* the bounds; grad_value is NULL for forward alone */
    double *sums, *counts;       /* Σ|terms| of grad_value, and how many: [rows, channels], [rows, groups] */
    dcnv4i_bound_point *at;      /* the points of one group of one output row, which the caller sets: [points] */
    dcnv4i_bound_gradient *by;   /* of these: [points] */
    double *weights, *by_weight, *by_weight_error;
} dcnv4i_bound;

/* Sets unit and least for the arithmetic of a dtype: float64 for float64, else float32; and allocates. After a failure
 * there is nothing to free. */
dcnv4i_exit dcnv4i_bound_open(int32_t dtype, dcnv4i_bound *bound);
void dcnv4i_bound_close(dcnv4i_bound *bound);

/* Adds group number `group` of output row number `row`, whose points are bound->at, with these weights before softmax and
 * this row of grad_output. Sets bound->by, and weight_bounds: [points]. False if a position rounds by too much. */
bool dcnv4i_bound_group(dcnv4i_bound *bound, int64_t row, int64_t group, const double *raw, const double *grad_output,
                        double *weight_bounds);

/* Completes grad_value once all groups were added. */
void dcnv4i_bound_finish(dcnv4i_bound *bound);

/* Whether all steps of a computation are exact in float32, and so in float64. */
bool dcnv4i_all_exact(const double *steps, size_t count);

/* The weights as they are used: after softmax, or unchanged. */
void dcnv4i_weights(bool softmax, const double *raw, int64_t points, double *weights);

/* Refuses an image whose positions round by too much. */
dcnv4i_exit dcnv4i_bound_refuse(int64_t height, int64_t width);

#endif
