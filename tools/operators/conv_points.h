/* Sampling positions of a block of offset_mask; see docs/operator.md. */
#ifndef DCNV4I_CONV_POINTS_H
#define DCNV4I_CONV_POINTS_H

#include <dcnv4/dcnv4.h>

/* One coordinate of a sampling point: base + offset_scale·(grid + offset). */
typedef struct dcnv4i_coordinate {
    double base, grid, offset;
} dcnv4i_coordinate;

/* Both coordinates of point k of the block of offset_mask that begins at `block`, for output pixel (oy, ox). */
void dcnv4i_sampling_point(const dcnv4_problem *problem, int64_t oy, int64_t ox, const double *block, int64_t k,
                           dcnv4i_coordinate *x, dcnv4i_coordinate *y);

#endif
