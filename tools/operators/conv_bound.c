/* The bounds of DCNv4's results. */
#include "conv_points.h"
#include "conv_task.h"
#include "point_bound.h"

#include <math.h>

/* The largest rounding of base + scale·(grid + offset): none where it is exact, in any order of operations. */
static double rounding_of(const dcnv4i_coordinate *c, double scale, double unit) {
    const double base = c->base, grid = c->grid, offset = c->offset;
    const double steps[] = {base,
                            scale,
                            grid,
                            offset,
                            grid + offset,
                            scale * grid,
                            scale * offset,
                            scale * (grid + offset),
                            base + scale * grid,
                            base + scale * (grid + offset)};
    return dcnv4i_all_exact(steps, sizeof steps / sizeof *steps)
               ? 0
               : 4 * unit * (fabs(base) + fabs(scale) * (fabs(grid) + fabs(offset)));
}

static void locate(const dcnv4_problem *p, int64_t oy, int64_t ox, const double *block, int64_t k, double unit,
                   dcnv4i_bound_point *at) {
    const double scale = p->offset_scale;
    dcnv4i_coordinate x, y;
    dcnv4i_sampling_point(p, oy, ox, block, k, &x, &y);
    at->x = x.base + scale * (x.grid + x.offset), at->x_rounding = rounding_of(&x, scale, unit);
    at->y = y.base + scale * (y.grid + y.offset), at->y_rounding = rounding_of(&y, scale, unit);
}

/* One output row; offset_mask, grad_output and the bound of grad_offset_mask are this row's. */
static bool bound_row(dcnv4i_bound *b, const dcnv4_problem *p, const dcnv4_sizes *s, int64_t row,
                      const double *offset_mask, const double *grad_output, double *grad_offset_mask) {
    const int64_t pixels = s->output_height * s->output_width, n = row / pixels, points = s->points;
    const int64_t oy = row % pixels / s->output_width, ox = row % s->output_width;
    for (int64_t group = 0; group < p->groups; ++group) {
        const double *const block = offset_mask + 3 * points * group;
        double *const bound = grad_offset_mask ? grad_offset_mask + 3 * points * group : NULL;
        for (int64_t k = 0; k < points; ++k) {
            b->at[k] = (dcnv4i_bound_point){.height = p->height, .width = p->width, .first = n * p->height * p->width};
            locate(p, oy, ox, block, k, b->unit, &b->at[k]);
        }
        if (!dcnv4i_bound_group(b, row, group, block + 2 * points, grad_output, bound ? bound + 2 * points : NULL))
            return false;
        for (int64_t k = 0; k < points && bound; ++k) {
            bound[2 * k] = b->by[k].x == 0 ? 0 : fabs(p->offset_scale) * b->by[k].x + b->least;
            bound[2 * k + 1] = b->by[k].y == 0 ? 0 : fabs(p->offset_scale) * b->by[k].y + b->least;
        }
    }
    return true;
}

dcnv4i_exit dcnv4i_conv_bound(const dcnv4i_task *task, int32_t dtype, const double *const *tensors,
                              double *const *bounds) {
    const dcnv4_problem p = dcnv4i_conv_of(task);
    dcnv4_sizes s = DCNV4_SIZES_INIT;
    dcnv4i_exit verdict = dcnv4i_verdict_library(dcnv4_problem_sizes(&p, &s), "bound");
    if (verdict != DCNV4I_DONE)
        return verdict;
    dcnv4i_bound b = {.rows = p.batch * p.height * p.width,
                      .groups = p.groups,
                      .channels = s.channels,
                      .points = s.points,
                      .softmax = p.softmax,
                      .value = tensors[DCNV4I_CONV_VALUE],
                      .output = bounds[DCNV4I_CONV_OUTPUT],
                      .grad_value = bounds[DCNV4I_CONV_GRAD_VALUE]};
    const int64_t rows = p.batch * s.output_height * s.output_width;
    const double *const grad = tensors[DCNV4I_CONV_GRAD_OUTPUT];
    double *const bound = bounds[DCNV4I_CONV_GRAD_OFFSET_MASK];
    verdict = dcnv4i_bound_open(dtype, &b);
    if (verdict != DCNV4I_DONE)
        return verdict;
    for (int64_t row = 0; row < rows && verdict == DCNV4I_DONE; ++row)
        if (!bound_row(&b, &p, &s, row, tensors[DCNV4I_CONV_OFFSET_MASK] + row * s.offset_mask_row,
                       grad ? grad + row * s.channels : NULL, bound ? bound + row * s.offset_mask_row : NULL))
            verdict = dcnv4i_bound_refuse(p.height, p.width);
    dcnv4i_bound_finish(&b);
    dcnv4i_bound_close(&b);
    return verdict;
}
