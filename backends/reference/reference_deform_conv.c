/* The operator in scalar float64 arithmetic, which the other backends are compared with; docs/operator.md has the
 * formulas. Whatever the storage, every element is read exactly and every result is rounded once. */
#include "../../core/deform_conv_problem.h"
#include "../../core/element.h"
#include "reference.h"

#include <inttypes.h>
#include <math.h>

/* A run: the problem and the tensors, with accumulators for grad_value of shape [N, H, W, C] in backward. */
typedef struct run_state {
    const dcnv4i_deform_conv *problem;
    const void *value, *offset_mask, *grad_output;
    void *output, *grad_value, *grad_offset_mask;
    double *sums;
} run_state;

/* One point of one block: its place in its cell, the cell's corners, and their weights. */
typedef struct sample {
    bool counts;
    double fx, fy;     /* position in the cell: 0 ≤ fx, fy < 1 */
    int64_t corner[4]; /* pixel numbers of (y, x), (y, x+1), (y+1, x), (y+1, x+1); −1 outside the image */
    double weight[4];  /* bilinear weights of the corners */
    double along_x[4]; /* their derivatives by x, and by y */
    double along_y[4];
} sample;

static double read(const run_state *run, const void *tensor, int64_t index) {
    return dcnv4i_element_read(run->problem->params.dtype, tensor, index);
}

static void write(const run_state *run, void *tensor, int64_t index, double number) {
    dcnv4i_element_write(run->problem->params.dtype, tensor, index, number);
}

/* The same for offset_mask and its gradient, which have a dtype of their own. */
static double read_offset(const run_state *run, int64_t index) {
    return dcnv4i_element_read(run->problem->params.offset_mask_dtype, run->offset_mask, index);
}

static void write_offset(const run_state *run, int64_t index, double number) {
    dcnv4i_element_write(run->problem->params.offset_mask_dtype, run->grad_offset_mask, index, number);
}

/* The k-th point of a block at output pixel (n, oy, ox), whose part of offset_mask starts at element `block`. Points
 * are numbered with the kernel's width as the outer loop; remove_center leaves no gap in the numbers. */
static sample look(const run_state *run, int64_t n, int64_t oy, int64_t ox, int64_t block, int64_t k) {
    const dcnv4_problem *p = &run->problem->params;
    const int64_t center = p->kernel_w / 2 * p->kernel_h + p->kernel_h / 2;
    const int64_t number = p->remove_center && k >= center ? k + 1 : k;
    const int64_t i = number / p->kernel_h, j = number % p->kernel_h;
    const int64_t half_w = p->dilation_w * (p->kernel_w - 1) >> 1, half_h = p->dilation_h * (p->kernel_h - 1) >> 1;
    const double dx = read_offset(run, block + 2 * k), dy = read_offset(run, block + 2 * k + 1);
    const double x = (double)(ox * p->stride_w - p->pad_w + half_w) +
                     p->offset_scale * ((double)(i * p->dilation_w - half_w) + dx);
    const double y = (double)(oy * p->stride_h - p->pad_h + half_h) +
                     p->offset_scale * ((double)(j * p->dilation_h - half_h) + dy);
    sample s = {0};
    const bool empty = p->width == 0 || p->height == 0;
    s.counts = !empty && x > -1 && x < (double)p->width && y > -1 && y < (double)p->height;
    if (!s.counts)
        return s;
    const int64_t left = (int64_t)floor(x), top = (int64_t)floor(y);
    s.fx = x - floor(x), s.fy = y - floor(y);
    for (int c = 0; c < 4; ++c) {
        const int64_t column = left + (c & 1), row = top + (c >> 1);
        const double wx = c & 1 ? s.fx : 1 - s.fx, wy = c >> 1 ? s.fy : 1 - s.fy;
        const bool inside = column >= 0 && column < p->width && row >= 0 && row < p->height;
        s.corner[c] = inside ? (n * p->height + row) * p->width + column : -1;
        s.weight[c] = wx * wy;
        s.along_x[c] = c & 1 ? wy : -wy;
        s.along_y[c] = c >> 1 ? wx : -wx;
    }
    return s;
}

/* Σ over the corners inside the image of factor·value, for channel c. A corner outside is not read. */
static double mix(const run_state *run, const sample *s, const double factor[4], int64_t c) {
    double sum = 0;
    for (int corner = 0; corner < 4; ++corner)
        if (s->corner[corner] >= 0)
            sum += factor[corner] * read(run, run->value, s->corner[corner] * run->problem->params.value_stride + c);
    return sum;
}

/* Turns the raw weights of a block into the weights that are used: with softmax, m = exp(raw − largest) / sum. */
typedef struct normalizer {
    bool softmax;
    double largest, sum;
} normalizer;

static normalizer normalize(const run_state *run, int64_t weights) {
    const int64_t points = run->problem->points;
    normalizer norm = {run->problem->params.softmax, -INFINITY, 0};
    for (int64_t k = 0; norm.softmax && k < points; ++k)
        norm.largest = fmax(norm.largest, read_offset(run, weights + k));
    for (int64_t k = 0; norm.softmax && k < points; ++k)
        norm.sum += exp(read_offset(run, weights + k) - norm.largest);
    return norm;
}

static double weight_of(const run_state *run, const normalizer *norm, int64_t weights, int64_t k) {
    const double raw = read_offset(run, weights + k);
    return norm->softmax ? exp(raw - norm->largest) / norm->sum : raw;
}

/* One group of one output pixel, row number `pixel` of output and offset_mask. */
typedef struct block {
    int64_t n, oy, ox, pixel, group;
} block;

static void forward_block(const run_state *run, const block *at) {
    const dcnv4_problem *p = &run->problem->params;
    const int64_t points = run->problem->points, depth = p->group_channels;
    const int64_t offsets = at->pixel * p->offset_mask_stride + at->group * 3 * points, weights = offsets + 2 * points;
    const normalizer norm = normalize(run, weights);
    for (int64_t c = at->group * depth; c < (at->group + 1) * depth; ++c) {
        double sum = 0;
        for (int64_t k = 0; k < points; ++k) {
            const sample s = look(run, at->n, at->oy, at->ox, offsets, k);
            if (s.counts)
                sum += weight_of(run, &norm, weights, k) * mix(run, &s, s.weight, c);
        }
        write(run, run->output, at->pixel * p->output_stride + c, sum);
    }
}

/* Σ over the channels of grad_output·mix: the derivative by m for factor = weight, and those by x and y, without the
 * factor m, for along_x and along_y. */
static double project(const run_state *run, const block *at, const sample *s, const double factor[4]) {
    const dcnv4_problem *p = &run->problem->params;
    double sum = 0;
    for (int64_t c = at->group * p->group_channels; c < (at->group + 1) * p->group_channels; ++c)
        sum += read(run, run->grad_output, at->pixel * p->grad_output_stride + c) * mix(run, s, factor, c);
    return sum;
}

static void scatter(const run_state *run, const block *at, const sample *s, double m) {
    const dcnv4_problem *p = &run->problem->params;
    for (int64_t c = at->group * p->group_channels; c < (at->group + 1) * p->group_channels; ++c) {
        const double g = read(run, run->grad_output, at->pixel * p->grad_output_stride + c);
        for (int corner = 0; corner < 4; ++corner)
            if (s->corner[corner] >= 0)
                run->sums[s->corner[corner] * run->problem->channels + c] += g * m * s->weight[corner];
    }
}

static void backward_block(const run_state *run, const block *at) {
    const dcnv4_problem *p = &run->problem->params;
    const int64_t points = run->problem->points;
    const int64_t offsets = at->pixel * p->offset_mask_stride + at->group * 3 * points, weights = offsets + 2 * points;
    const int64_t target = at->pixel * p->grad_offset_mask_stride + at->group * 3 * points;
    const normalizer norm = normalize(run, weights);
    double mean = 0; /* Σ_k m_k·∂/∂m_k, which softmax's gradient subtracts: ∂/∂raw_k = m_k·(∂/∂m_k − mean) */
    for (int64_t k = 0; norm.softmax && k < points; ++k) {
        const sample s = look(run, at->n, at->oy, at->ox, offsets, k);
        if (s.counts)
            mean += weight_of(run, &norm, weights, k) * project(run, at, &s, s.weight);
    }
    for (int64_t k = 0; k < points; ++k) {
        const sample s = look(run, at->n, at->oy, at->ox, offsets, k);
        const double m = weight_of(run, &norm, weights, k);
        double by_m = 0, by_x = 0, by_y = 0;
        if (s.counts) {
            by_m = project(run, at, &s, s.weight);
            by_x = p->offset_scale * m * project(run, at, &s, s.along_x);
            by_y = p->offset_scale * m * project(run, at, &s, s.along_y);
            scatter(run, at, &s, m);
        }
        write_offset(run, target + 2 * k, by_x);
        write_offset(run, target + 2 * k + 1, by_y);
        write_offset(run, target + 2 * points + k, norm.softmax ? m * (by_m - mean) : by_m);
    }
}

static void for_each_block(const run_state *run, void (*visit)(const run_state *, const block *)) {
    const dcnv4i_deform_conv *problem = run->problem;
    block at = {0};
    for (at.n = 0; at.n < problem->params.batch; ++at.n)
        for (at.oy = 0; at.oy < problem->output_height; ++at.oy)
            for (at.ox = 0; at.ox < problem->output_width; ++at.ox, ++at.pixel)
                for (at.group = 0; at.group < problem->params.groups; ++at.group)
                    visit(run, &at);
}

static void backward(run_state *run) {
    const dcnv4i_deform_conv *problem = run->problem;
    const dcnv4_problem *p = &problem->params;
    const int64_t pixels = problem->base.tensors[DCNV4I_VALUE].pixels, channels = problem->channels;
    for (int64_t i = 0; i < pixels * channels; ++i)
        run->sums[i] = 0;
    for_each_block(run, backward_block);
    for (int64_t pixel = 0; pixel < pixels; ++pixel)
        for (int64_t c = 0; c < channels; ++c)
            write(run, run->grad_value, pixel * p->grad_value_stride + c, run->sums[pixel * channels + c]);
    for (int64_t pixel = 0; pixel < problem->base.tensors[DCNV4I_OUTPUT].pixels; ++pixel)
        for (int64_t c = 3 * problem->points * p->groups; c < p->offset_mask_row; ++c)
            write_offset(run, pixel * p->grad_offset_mask_stride + c, 0);
}

static dcnv4_status check(const dcnv4i_problem *base) {
    const dcnv4i_deform_conv *problem = (const dcnv4i_deform_conv *)base;
    const int64_t pixels = base->tensors[DCNV4I_VALUE].pixels, most = PTRDIFF_MAX / (int64_t)sizeof(double) - 1;
    if (problem->channels > 0 && pixels > most / problem->channels)
        return dcnv4i_fail(DCNV4_UNSUPPORTED,
                           "the reference needs %" PRId64 " times %" PRId64 " float64 sums, past what can be addressed",
                           pixels, problem->channels);
    return DCNV4_SUCCESS;
}

/* The sums, and room to align them. */
static size_t workspace_size(const dcnv4i_problem *base, dcnv4_pass pass) {
    const dcnv4i_deform_conv *problem = (const dcnv4i_deform_conv *)base;
    const size_t sums = (size_t)(base->tensors[DCNV4I_VALUE].pixels * problem->channels);
    return pass == DCNV4_PASS_FORWARD || sums == 0 ? 0 : (sums + 1) * sizeof(double);
}

static dcnv4_status run(const dcnv4i_problem *base, dcnv4_pass pass, void *const tensors[DCNV4I_MAX_TENSORS],
                        void *workspace) {
    const uintptr_t mask = sizeof(double) - 1;
    run_state state = {
        .problem = (const dcnv4i_deform_conv *)base,
        .value = tensors[DCNV4I_VALUE],
        .offset_mask = tensors[DCNV4I_OFFSET_MASK],
        .output = tensors[DCNV4I_OUTPUT],
        .grad_output = tensors[DCNV4I_GRAD_OUTPUT],
        .grad_value = tensors[DCNV4I_GRAD_VALUE],
        .grad_offset_mask = tensors[DCNV4I_GRAD_OFFSET_MASK],
        .sums = (double *)(((uintptr_t)workspace + mask) & ~mask),
    };
    if (pass == DCNV4_PASS_FORWARD)
        for_each_block(&state, forward_block);
    else
        backward(&state);
    return DCNV4_SUCCESS;
}

const dcnv4i_reference_operator dcnv4i_reference_deform_conv = {
    .op = &dcnv4i_operator_deform_conv,
    .check = check,
    .workspace_size = workspace_size,
    .run = run,
};
