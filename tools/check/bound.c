#include "bound.h"

#include "../tensors/sampling.h"

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

typedef struct walk {
    const dcnv4_problem *problem;
    dcnv4_sizes sizes;
    const double *value, *offset_mask, *grad_output;
    dcnv4i_bound *bound;
    double *sums;                        /* Σ|terms| of grad_value */
    double *counts;                      /* the number of these terms, by pixel and group: [N, H, W, G] */
    double *weights;                     /* of one block, after softmax: [K] */
    double *by_weight, *by_weight_error; /* Σ|terms| of the gradient of each weight, and its bound: [K] */
    double unit;                         /* unit roundoff of the arithmetic */
    double least;                        /* what a device that flushes subnormals to zero may lose */
} walk;

/* One group of one output pixel. */
typedef struct place {
    int64_t n, oy, ox, pixel, group;
} place;

/* ---- Positions ------------------------------------------------------------------------------------------------------ */

/* Whether base + scale·(grid + offset) is exact in float32 (and so in float64), in any order of operations. */
static bool exact(const dcnv4i_coordinate *c, double scale) {
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
    for (size_t i = 0; i < sizeof steps / sizeof *steps; ++i)
        if (!(fabs(steps[i]) < FLT_MAX) || (double)(float)steps[i] != steps[i])
            return false;
    return true;
}

static double slope_in(double cell, int64_t pixel) {
    return cell == (double)pixel ? -1 : cell == (double)pixel - 1 ? 1 : 0;
}

/* A coordinate on an axis of size pixels. False if it touches too many of them. */
static bool look(const walk *w, const dcnv4i_coordinate *c, int64_t size, axis *at) {
    const double scale = w->problem->offset_scale, x = c->base + scale * (c->grid + c->offset);
    const double sum = fabs(c->base) + fabs(scale) * (fabs(c->grid) + fabs(c->offset));
    const double rounding = exact(c, scale) ? 0 : 4 * w->unit * sum;
    at->count = 0;
    if (!(x + rounding > -1 && x - rounding < (double)size))
        return true;
    const double low = floor(x - rounding), high = floor(x + rounding);
    if (!(high - low < TOUCHED - 1))
        return false;
    const bool counts = x > -1 && x < (double)size;
    at->first = low < 0 ? 0 : (int64_t)low;
    at->slack = rounding + w->unit; /* x − floor(x) rounds too */
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

/* Both coordinates of point k of the block of offset_mask at `block`. */
static bool look_both(const walk *w, const place *at, const double *block, int64_t k, axis *across, axis *down) {
    dcnv4i_coordinate x, y;
    dcnv4i_sampling_point(w->problem, at->oy, at->ox, block, k, &x, &y);
    return look(w, &x, w->problem->width, across) && look(w, &y, w->problem->height, down);
}

/* ---- Weights -------------------------------------------------------------------------------------------------------- */

/* The relative rounding of weight k, in units: of raw − largest before exp, of exp, of the sum and of the division. */
static double weight_units(const walk *w, const double *raw, int64_t k) {
    if (!w->problem->softmax)
        return 0;
    double largest = -INFINITY;
    for (int64_t i = 0; i < w->sizes.points; ++i)
        largest = fmax(largest, raw[i]);
    return 2 * (largest - raw[k]) + (double)w->sizes.points + 12;
}

/* ---- One point ------------------------------------------------------------------------------------------------------ */

/* Σ_d |grad_output·value| at one pixel; adds to the bounds of output and to the sums of grad_value on the way. */
static double visit_pixel(const walk *w, const place *at, int64_t pixel, double m, double m_units, double hat,
                          double slack) {
    const int64_t depth = w->problem->group_channels, channels = w->sizes.channels, first = at->group * depth;
    const double *value = w->value + pixel * channels + first;
    double *output = w->bound->output + at->pixel * channels + first;
    /* Roundings of one term: those of the weight, four of the products, and a sum of 4·K terms. */
    const double units = 4 * (double)w->sizes.points + 8 + m_units, share = m * (units * w->unit * hat + slack);
    for (int64_t d = 0; d < depth; ++d)
        output[d] += share * fabs(value[d]) + w->least * (1 + fabs(value[d]));
    if (!w->grad_output)
        return 0;
    const double *grad = w->grad_output + at->pixel * channels + first;
    double *sums = w->sums + pixel * channels + first, *bound = w->bound->grad_value + pixel * channels + first,
           sum = 0;
    for (int64_t d = 0; d < depth; ++d) {
        sum += fabs(grad[d] * value[d]);
        sums[d] += fabs(grad[d]) * m * hat;
        bound[d] += fabs(grad[d]) * m * (m_units * w->unit * hat + slack) + w->least * (1 + fabs(grad[d]));
    }
    w->counts[pixel * w->problem->groups + at->group] += 1;
    return sum;
}

static void visit_point(const walk *w, const place *at, const double *raw, int64_t k, const axis *across,
                        const axis *down, double *bound) {
    const dcnv4_problem *p = w->problem;
    const double m = fabs(w->weights[k]), m_units = weight_units(w, raw, k), scale = fabs(p->offset_scale) * m;
    const double units = 4 * (double)p->group_channels + 8; /* a sum of 4·D terms */
    w->by_weight[k] = w->by_weight_error[k] = 0;
    for (int i = 0; i < down->count * across->count; ++i) {
        const int y = i / across->count, x = i % across->count;
        const double hx = across->hat[x], hy = down->hat[y], sx = across->slack, sy = down->slack;
        const double hat = hx * hy, slack = sx * hy + sy * hx + sx * sy;
        const int64_t pixel = (at->n * p->height + down->first + y) * p->width + across->first + x;
        const double sum = visit_pixel(w, at, pixel, m, m_units, hat, slack);
        if (!w->grad_output)
            continue;
        w->by_weight[k] += sum * hat;
        w->by_weight_error[k] += sum * (units * w->unit * hat + slack) + w->least * (1 + sum);
        const double rounding = (units + m_units + 4) * w->unit;
        bound[2 * k] += scale * sum * (fabs(across->slope[x]) * (rounding * hy + sy) + across->jump[x] * (hy + sy));
        bound[2 * k + 1] += scale * sum * (fabs(down->slope[y]) * (rounding * hx + sx) + down->jump[y] * (hx + sx));
        bound[2 * k] += w->least * (1 + sum), bound[2 * k + 1] += w->least * (1 + sum);
    }
}

/* The bounds of the gradients of the weights: with softmax, of m_k·(∂/∂m_k − Σ_i m_i·∂/∂m_i). */
static void bound_weights(const walk *w, const double *raw, double *bound) {
    const int64_t points = w->sizes.points;
    double mean = 0, mean_error = 0;
    for (int64_t k = 0; k < points && w->problem->softmax; ++k) {
        const double m = fabs(w->weights[k]), units = weight_units(w, raw, k) + (double)points + 4;
        mean += m * w->by_weight[k];
        mean_error += m * (w->by_weight_error[k] + units * w->unit * w->by_weight[k]) +
                      w->least * (1 + w->by_weight[k]);
    }
    for (int64_t k = 0; k < points; ++k) {
        const double m = fabs(w->weights[k]), units = weight_units(w, raw, k) + 4;
        bound[k] = !w->problem->softmax
                       ? w->by_weight_error[k]
                       : m * (w->by_weight_error[k] + mean_error + units * w->unit * (w->by_weight[k] + mean)) +
                             w->least * (1 + w->by_weight[k] + mean);
    }
}

/* ---- The walk ------------------------------------------------------------------------------------------------------- */

static bool visit_block(const walk *w, const place *at) {
    const int64_t points = w->sizes.points, start = at->pixel * w->sizes.offset_mask_row + at->group * 3 * points;
    const double *block = w->offset_mask + start, *raw = block + 2 * points;
    double *bound = w->grad_output ? w->bound->grad_offset_mask + start : NULL;
    dcnv4i_sampling_weights(w->problem, raw, points, w->weights);
    for (int64_t k = 0; k < points; ++k) {
        axis across = {0}, down = {0};
        if (!look_both(w, at, block, k, &across, &down))
            return false;
        visit_point(w, at, raw, k, &across, &down, bound);
    }
    if (w->grad_output)
        bound_weights(w, raw, bound + 2 * points);
    return true;
}

static bool visit_all(const walk *w) {
    const dcnv4_problem *p = w->problem;
    place at = {0};
    for (at.n = 0; at.n < p->batch; ++at.n)
        for (at.oy = 0; at.oy < w->sizes.output_height; ++at.oy)
            for (at.ox = 0; at.ox < w->sizes.output_width; ++at.ox, ++at.pixel)
                for (at.group = 0; at.group < p->groups; ++at.group)
                    if (!visit_block(w, &at))
                        return false;
    const int64_t pixels = p->batch * p->height * p->width, channels = w->sizes.channels;
    for (int64_t i = 0; w->grad_output && i < pixels * channels; ++i) {
        const double count = w->counts[i / channels * p->groups + i % channels / p->group_channels];
        w->bound->grad_value[i] += (count + 8) * w->unit * w->sums[i];
    }
    return true;
}

static double *zeros(int64_t count, bool *ok) {
    double *made = calloc(count > 0 ? (size_t)count : 1, sizeof *made);
    *ok = *ok && made;
    return made;
}

dcnv4i_exit dcnv4i_bound_create(const dcnv4_problem *problem, const double *value, const double *offset_mask,
                                const double *grad_output, dcnv4i_bound *bound) {
    *bound = (dcnv4i_bound){NULL, NULL, NULL};
    walk w = {problem, DCNV4_SIZES_INIT, value, offset_mask, grad_output, bound, NULL, NULL, NULL, NULL, NULL, 0, 0};
    dcnv4i_exit verdict = dcnv4i_verdict_library(dcnv4_problem_sizes(problem, &w.sizes), "bound");
    if (verdict != DCNV4I_DONE)
        return verdict;
    const bool wide = problem->dtype == DCNV4_FLOAT64;
    /* In float64 the reference rounds as much as the device does. */
    w.unit = wide ? DBL_EPSILON : FLT_EPSILON / 2;
    w.least = wide ? DBL_MIN : FLT_MIN;
    const int64_t inputs = problem->batch * problem->height * problem->width;
    const int64_t outputs = problem->batch * w.sizes.output_height * w.sizes.output_width, points = w.sizes.points;
    bool ok = true;
    bound->output = zeros(outputs * w.sizes.channels, &ok);
    w.weights = zeros(points, &ok), w.by_weight = zeros(points, &ok), w.by_weight_error = zeros(points, &ok);
    if (grad_output) {
        bound->grad_value = zeros(inputs * w.sizes.channels, &ok);
        bound->grad_offset_mask = zeros(outputs * w.sizes.offset_mask_row, &ok);
        w.sums = zeros(inputs * w.sizes.channels, &ok);
        w.counts = zeros(inputs * problem->groups, &ok);
    }
    if (!ok)
        verdict = dcnv4i_verdict(DCNV4I_BROKEN, "no memory for the bounds of the results");
    else if (!visit_all(&w))
        verdict = dcnv4i_verdict(DCNV4I_REFUSED,
                                 "an image of %" PRId64 " times %" PRId64 " pixels is too large to be checked: "
                                 "positions round by more than %d pixels",
                                 problem->height, problem->width, TOUCHED / 2);
    if (verdict != DCNV4I_DONE)
        dcnv4i_bound_free(bound);
    free(w.weights), free(w.by_weight), free(w.by_weight_error), free(w.sums), free(w.counts);
    return verdict;
}

void dcnv4i_bound_free(dcnv4i_bound *bound) {
    free(bound->output), free(bound->grad_value), free(bound->grad_offset_mask);
    *bound = (dcnv4i_bound){NULL, NULL, NULL};
}

/* ---- Comparing ------------------------------------------------------------------------------------------------------ */

static const struct {
    int32_t dtype;
    int bits;  /* of the significand, including the implicit one */
    int least; /* the exponent of the smallest normal number */
    double largest;
} formats[] = {
    {DCNV4_FLOAT32, 24, -126, FLT_MAX},
    {DCNV4_FLOAT16, 11, -14, 65504},
    {DCNV4_BFLOAT16, 8, -126, 0x1.fep127},
    {DCNV4_FLOAT64, 53, -1022, DBL_MAX},
};

enum { FORMATS = sizeof formats / sizeof *formats };

double dcnv4i_bound_rounding(int32_t dtype, double number) {
    for (int i = 0; i < FORMATS; ++i)
        if (formats[i].dtype == dtype) {
            int exponent;
            frexp(number, &exponent); /* |number| < 2^exponent */
            const bool normal = number != 0 && exponent - 1 >= formats[i].least;
            return ldexp(1, (normal ? exponent - 1 : formats[i].least) - formats[i].bits);
        }
    return 0;
}

static double largest_of(int32_t dtype) {
    for (int i = 0; i < FORMATS; ++i)
        if (formats[i].dtype == dtype)
            return formats[i].largest;
    return 0;
}

void dcnv4i_compare(dcnv4i_comparison *comparison, int32_t dtype, int64_t index, double got, double expected,
                    double bound) {
    double error = fabs(got - expected);
    const double rounding = expected == 0 && bound == 0 ? 0 : dcnv4i_bound_rounding(dtype, fabs(expected) + bound);
    const double allowed = bound + rounding;
    const bool overflows = fabs(expected) + allowed >= largest_of(dtype);
    if ((isnan(got) && isnan(expected)) || got == expected || (overflows && isinf(got) && (got < 0) == (expected < 0)))
        error = 0;
    else if (!isfinite(bound) && isfinite(expected))
        return;
    comparison->judged += 1;
    const double share = error <= rounding ? 0 : (error - rounding) / bound;
    const bool wrong = !(error <= allowed) && error != 0;
    if ((wrong && !comparison->wrong) || (!comparison->wrong && share > comparison->share)) {
        comparison->worst = index;
        comparison->got = got, comparison->expected = expected, comparison->allowed = allowed;
    }
    comparison->wrong = comparison->wrong || wrong;
    if (!isnan(comparison->share) && !(share <= comparison->share))
        comparison->share = share;
    if (isfinite(expected) && isfinite(got)) {
        comparison->error += error * error;
        comparison->norm += expected * expected;
    }
}

double dcnv4i_comparison_normwise(const dcnv4i_comparison *comparison) {
    return comparison->error == 0 ? 0 : sqrt(comparison->error / comparison->norm);
}
