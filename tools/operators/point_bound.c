#include "point_bound.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

/* A coordinate, including its rounding, touches at most this many pixels of its axis. In float32 this suffices for
 * images of 2²⁴ pixels along an axis. */
enum { TOUCHED = 40 };

/* One axis of a point whose coordinate x is known only up to its rounding. A pixel's bilinear weight is the hat
 * function max(0, 1 − |x − pixel|), which changes by at most as much as x; its derivative is −1, 0 or 1, depending on
 * the cell. */
typedef struct axis {
    int64_t first;
    int count;
    double hat[TOUCHED], slack; /* the weights, and how much rounding may change each */
    double slope[TOUCHED];      /* the derivatives, in the cell of the exact coordinate */
    double jump[TOUCHED];       /* how much the derivative differs in cells that rounding may lead to */
} axis;

/* ---- Positions ------------------------------------------------------------------------------------------------------ */

bool dcnv4i_all_exact(const double *steps, size_t count) {
    for (size_t i = 0; i < count; ++i)
        if (!(fabs(steps[i]) < FLT_MAX) || (double)(float)steps[i] != steps[i])
            return false;
    return true;
}

static double slope_in(double cell, int64_t pixel) {
    return cell == (double)pixel ? -1 : cell == (double)pixel - 1 ? 1 : 0;
}

/* A coordinate on an axis of size pixels. False if it touches too many of them. */
static bool look(const dcnv4i_bound *b, double x, double rounding, int64_t size, axis *at) {
    at->count = 0;
    if (!(x + rounding > -1 && x - rounding < (double)size))
        return true;
    const double low = floor(x - rounding), high = floor(x + rounding);
    if (!(high - low < TOUCHED - 1))
        return false;
    const bool counts = x > -1 && x < (double)size;
    at->first = low < 0 ? 0 : (int64_t)low;
    at->slack = rounding + b->unit; /* x − floor(x) rounds too */
    for (int64_t pixel = at->first; pixel <= (int64_t)high + 1 && pixel < size; ++pixel) {
        const int i = at->count++;
        at->hat[i] = fmax(0, 1 - fabs(x - (double)pixel));
        at->slope[i] = counts ? slope_in(floor(x), pixel) : 0;
        at->jump[i] = 0;
        for (double cell = low; cell <= high; ++cell)
            at->jump[i] = fmax(at->jump[i], fabs(slope_in(cell, pixel) - at->slope[i]));
    }
    return true;
}

/* ---- Weights -------------------------------------------------------------------------------------------------------- */

void dcnv4i_weights(bool softmax, const double *raw, int64_t points, double *weights) {
    double largest = -INFINITY, sum = 0;
    for (int64_t k = 0; k < points; ++k)
        largest = fmax(largest, raw[k]);
    for (int64_t k = 0; k < points; ++k)
        sum += exp(raw[k] - largest);
    for (int64_t k = 0; k < points; ++k)
        weights[k] = softmax ? exp(raw[k] - largest) / sum : raw[k];
}

/* The relative rounding of weight k, in units: of raw − largest before exp, of exp, of the sum and of the division. */
static double weight_units(const dcnv4i_bound *b, const double *raw, int64_t k) {
    if (!b->softmax || raw[k] == -INFINITY)
        return 0;
    double largest = -INFINITY;
    for (int64_t i = 0; i < b->points; ++i)
        largest = fmax(largest, raw[i]);
    return 2 * (largest - raw[k]) + (double)b->points + 12;
}

/* ---- One point ------------------------------------------------------------------------------------------------------ */

/* A group of an output row, with the row of grad_output. */
typedef struct place {
    int64_t row, group;
    const double *grad_output;
} place;

/* The weight of a point: its size, and its relative rounding in units. */
typedef struct weight {
    double size, units;
} weight;

/* Σ_d |grad_output·value| at one pixel; adds to the bounds of output and to the sums of grad_value on the way. */
static double visit_pixel(const dcnv4i_bound *b, const place *at, int64_t pixel, weight m, double hat, double slack) {
    const int64_t depth = b->channels / b->groups, first = at->group * depth;
    const double *value = b->value + pixel * b->channels + first;
    double *output = b->output + at->row * b->channels + first;
    /* Roundings of one term: those of the weight, four of the products, and a sum of 4·K terms. */
    const double units = 4 * (double)b->points + 8 + m.units, share = m.size * (units * b->unit * hat + slack);
    for (int64_t d = 0; d < depth; ++d)
        output[d] += share * fabs(value[d]) + b->least * (1 + fabs(value[d]));
    if (!b->grad_value)
        return 0;
    const double *grad = at->grad_output + first;
    double *sums = b->sums + pixel * b->channels + first, *bound = b->grad_value + pixel * b->channels + first, sum = 0;
    for (int64_t d = 0; d < depth; ++d) {
        sum += fabs(grad[d] * value[d]);
        sums[d] += fabs(grad[d]) * m.size * hat;
        bound[d] += fabs(grad[d]) * m.size * (m.units * b->unit * hat + slack) + b->least * (1 + fabs(grad[d]));
    }
    b->counts[pixel * b->groups + at->group] += 1;
    return sum;
}

static void visit_point(const dcnv4i_bound *b, const place *at, const double *raw, int64_t k, const axis *across,
                        const axis *down) {
    const dcnv4i_bound_point *const point = &b->at[k];
    const weight m = {fabs(b->weights[k]), weight_units(b, raw, k)};
    const int64_t depth = b->channels / b->groups;
    const double units = 4 * (double)depth + 8; /* a sum of 4·D terms */
    const double rounding = (units + m.units + 4) * b->unit;
    dcnv4i_bound_gradient *const by = &b->by[k];
    b->by_weight[k] = b->by_weight_error[k] = 0;
    *by = (dcnv4i_bound_gradient){0, 0, 0, 0};
    for (int i = 0; i < down->count * across->count; ++i) {
        const int y = i / across->count, x = i % across->count;
        const double hx = across->hat[x], hy = down->hat[y], sx = across->slack, sy = down->slack;
        const double hat = hx * hy, slack = sx * hy + sy * hx + sx * sy;
        const int64_t pixel = point->first + (down->first + y) * point->width + across->first + x;
        const double sum = visit_pixel(b, at, pixel, m, hat, slack);
        if (!b->grad_value)
            continue;
        b->by_weight[k] += sum * hat;
        b->by_weight_error[k] += sum * (units * b->unit * hat + slack) + b->least * (1 + sum);
        by->x += m.size * sum * (fabs(across->slope[x]) * (rounding * hy + sy) + across->jump[x] * (hy + sy));
        by->y += m.size * sum * (fabs(down->slope[y]) * (rounding * hx + sx) + down->jump[y] * (hx + sx));
        by->x += b->least * (1 + sum), by->y += b->least * (1 + sum);
        by->x_terms += m.size * sum * fabs(across->slope[x]) * hy;
        by->y_terms += m.size * sum * fabs(down->slope[y]) * hx;
    }
}

/* The bounds of the gradients of the weights: with softmax, of m_k·(∂/∂m_k − Σ_i m_i·∂/∂m_i). */
static void bound_weights(const dcnv4i_bound *b, const double *raw, double *bound) {
    const int64_t points = b->points;
    double mean = 0, mean_error = 0;
    for (int64_t k = 0; k < points && b->softmax; ++k) {
        const double m = fabs(b->weights[k]), units = weight_units(b, raw, k) + (double)points + 4;
        mean += m * b->by_weight[k];
        mean_error += m * (b->by_weight_error[k] + units * b->unit * b->by_weight[k]) +
                      b->least * (1 + b->by_weight[k]);
    }
    for (int64_t k = 0; k < points; ++k) {
        const double m = fabs(b->weights[k]), units = weight_units(b, raw, k) + 4;
        bound[k] = !b->softmax ? b->by_weight_error[k]
                               : m * (b->by_weight_error[k] + mean_error + units * b->unit * (b->by_weight[k] + mean)) +
                                     b->least * (1 + b->by_weight[k] + mean);
    }
}

bool dcnv4i_bound_group(dcnv4i_bound *bound, int64_t row, int64_t group, const double *raw, const double *grad_output,
                        double *weight_bounds) {
    const place at = {row, group, grad_output};
    dcnv4i_weights(bound->softmax, raw, bound->points, bound->weights);
    for (int64_t k = 0; k < bound->points; ++k) {
        const dcnv4i_bound_point *const p = &bound->at[k];
        axis across = {0}, down = {0};
        if (!look(bound, p->x, p->x_rounding, p->width, &across) || !look(bound, p->y, p->y_rounding, p->height, &down))
            return false;
        visit_point(bound, &at, raw, k, &across, &down);
    }
    if (bound->grad_value)
        bound_weights(bound, raw, weight_bounds);
    return true;
}

void dcnv4i_bound_finish(dcnv4i_bound *b) {
    for (int64_t i = 0; b->grad_value && i < b->rows * b->channels; ++i) {
        const double count = b->counts[i / b->channels * b->groups + i % b->channels / (b->channels / b->groups)];
        b->grad_value[i] += (count + 8) * b->unit * b->sums[i];
    }
}

/* ---- Memory --------------------------------------------------------------------------------------------------------- */

static void *zeros(int64_t count, size_t size, bool *ok) {
    void *made = calloc(count > 0 ? (size_t)count : 1, size);
    *ok = *ok && made;
    return made;
}

dcnv4i_exit dcnv4i_bound_open(int32_t dtype, dcnv4i_bound *bound) {
    const bool wide = dtype == DCNV4_FLOAT64;
    bool ok = true;
    /* In float64 the reference rounds as much as the device does. */
    bound->unit = wide ? DBL_EPSILON : FLT_EPSILON / 2;
    bound->least = wide ? DBL_MIN : FLT_MIN;
    bound->weights = zeros(bound->points, sizeof(double), &ok);
    bound->by_weight = zeros(bound->points, sizeof(double), &ok);
    bound->by_weight_error = zeros(bound->points, sizeof(double), &ok);
    bound->at = zeros(bound->points, sizeof *bound->at, &ok);
    bound->by = zeros(bound->points, sizeof *bound->by, &ok);
    bound->sums = zeros(bound->grad_value ? bound->rows * bound->channels : 0, sizeof(double), &ok);
    bound->counts = zeros(bound->grad_value ? bound->rows * bound->groups : 0, sizeof(double), &ok);
    if (!ok)
        dcnv4i_bound_close(bound);
    return ok ? DCNV4I_DONE : dcnv4i_verdict(DCNV4I_BROKEN, "no memory for the bounds of the results");
}

void dcnv4i_bound_close(dcnv4i_bound *bound) {
    free(bound->weights), free(bound->by_weight), free(bound->by_weight_error), free(bound->at), free(bound->by);
    free(bound->sums), free(bound->counts);
}

dcnv4i_exit dcnv4i_bound_refuse(int64_t height, int64_t width) {
    return dcnv4i_verdict(DCNV4I_REFUSED,
                          "an image of %" PRId64 " times %" PRId64 " pixels is too large to be checked: "
                          "positions round by more than %d pixels",
                          height, width, TOUCHED / 2);
}
