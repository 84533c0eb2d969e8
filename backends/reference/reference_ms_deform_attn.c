/* Multi-scale deformable attention in scalar float64 arithmetic, to be read beside docs/ms-deform-attn.md. */
#include "../../core/element.h"
#include "../../core/ms_deform_attn_problem.h"
#include "reference.h"

#include <inttypes.h>
#include <math.h>

/* A run: the problem, its levels and the tensors, with accumulators in backward: for grad_value, of shape [N, S, M·D], and for
 * grad_references, without gaps between rows. */
typedef struct run_state {
    const dcnv4i_ms_deform_attn *problem;
    const dcnv4_msda_level *levels;
    void *const *tensors;
    double *sums, *reference_sums;
} run_state;

/* One head of one query: its row number among all queries. */
typedef struct head_row {
    int64_t n, row, head;
} head_row;

/* A column or row, in places, from the location X or Y: origin + scale·X, for a level with `size` columns or rows. The reference
 * moves it by size·RX, and with boxes by size·RW·part·X. */
typedef struct axis {
    double size, origin, scale, part;
} axis;

/* Where a point is, in its level. */
typedef struct sample {
    axis x, y;
    double location[2];
    bool counts;
    int64_t
        corner[4];    /* places of (y, x), (y, x+1), (y+1, x), (y+1, x+1) in the batch of value; −1 outside the level */
    double weight[4]; /* bilinear weights of the corners */
    double by_x[4];   /* their derivatives by the column */
    double by_y[4];   /* and the row */
} sample;

static double read(const run_state *run, int tensor, int32_t dtype, int64_t index) {
    return dcnv4i_element_read(dtype, run->tensors[tensor], index);
}

static double read_value(const run_state *run, int64_t place, int64_t channel) {
    const dcnv4_msda_problem *p = &run->problem->params;
    return read(run, DCNV4I_MSDA_VALUE, p->dtype, place * p->value_stride + channel);
}

static double read_grad(const run_state *run, const head_row *at, int64_t channel) {
    const dcnv4_msda_problem *p = &run->problem->params;
    return read(run, DCNV4I_MSDA_GRAD_OUTPUT, p->dtype, at->row * p->grad_output_stride + channel);
}

static double read_weight(const run_state *run, const head_row *at, int64_t point) {
    const dcnv4i_ms_deform_attn *problem = run->problem;
    const dcnv4_msda_problem *p = &problem->params;
    const int tensor = p->packed ? DCNV4I_MSDA_LOCATIONS : DCNV4I_MSDA_WEIGHTS;
    const int64_t stride = p->packed ? p->location_stride : p->weight_stride;
    return read(run, tensor, p->weight_dtype,
                at->row * stride + at->head * problem->weight_head + problem->weight_begin + point);
}

/* Which of a query's references a level has. */
static int64_t reference_of(const run_state *run, const dcnv4_msda_level *level) {
    return run->problem->params.reference_levels == 1 ? 0 : level - run->levels;
}

/* Number 0 or 1: of columns or of rows. */
static axis axis_of(const run_state *run, const head_row *at, const dcnv4_msda_level *level, int number) {
    const dcnv4_msda_problem *p = &run->problem->params;
    const int numbers = run->problem->reference_numbers;
    axis made = {.size = (double)(number == 0 ? level->width : level->height), .scale = 1};
    made.origin = p->location_unit == DCNV4_MSDA_PLACES ? 0 : -0.5;
    if (p->location_unit == DCNV4_MSDA_NORMALIZED)
        made.scale = made.size;
    if (numbers == 0)
        return made;
    const int64_t index = at->row * p->reference_stride + reference_of(run, level) * numbers + number;
    made.origin += made.size * read(run, DCNV4I_MSDA_REFERENCES, p->reference_dtype, index);
    if (p->location_unit == DCNV4_MSDA_BOX_OFFSETS) {
        made.part = p->box_scale / (double)level->points;
        made.scale = made.size * made.part * read(run, DCNV4I_MSDA_REFERENCES, p->reference_dtype, index + 2);
    }
    return made;
}

/* Point number `point` of a head, which is in this level. */
static sample locate(const run_state *run, const head_row *at, const dcnv4_msda_level *level, int64_t point) {
    const dcnv4i_ms_deform_attn *problem = run->problem;
    const dcnv4_msda_problem *p = &problem->params;
    const int64_t width = level->width, height = level->height;
    const int64_t index = at->row * p->location_stride + at->head * problem->location_head + 2 * point;
    sample s = {.x = axis_of(run, at, level, 0), .y = axis_of(run, at, level, 1)};
    for (int c = 0; c < 2; ++c)
        s.location[c] = read(run, DCNV4I_MSDA_LOCATIONS, p->location_dtype, index + c);
    const double x = s.location[0] * s.x.scale + s.x.origin, y = s.location[1] * s.y.scale + s.y.origin;
    s.counts = width > 0 && height > 0 && x > -1 && x < (double)width && y > -1 && y < (double)height;
    if (!s.counts)
        return s;
    const int64_t left = (int64_t)floor(x), top = (int64_t)floor(y), first = at->n * p->value_length + level->start;
    const double fx = x - floor(x), fy = y - floor(y);
    for (int c = 0; c < 4; ++c) {
        const int64_t column = left + (c & 1), row = top + (c >> 1);
        const double wx = c & 1 ? fx : 1 - fx, wy = c >> 1 ? fy : 1 - fy;
        const bool inside = column >= 0 && column < width && row >= 0 && row < height;
        s.corner[c] = inside ? first + row * width + column : -1;
        s.weight[c] = wx * wy;
        s.by_x[c] = c & 1 ? wy : -wy;
        s.by_y[c] = c >> 1 ? wx : -wx;
    }
    return s;
}

/* Σ over the corners inside the level of factor·value, for a channel. A corner outside is not read. */
static double gather(const run_state *run, const sample *s, const double factor[4], int64_t channel) {
    double sum = 0;
    for (int c = 0; c < 4; ++c)
        if (s->corner[c] >= 0)
            sum += factor[c] * read_value(run, s->corner[c], channel);
    return sum;
}

/* Σ over the head's channels of grad_output·gather. */
static double project(const run_state *run, const head_row *at, const sample *s, const double factor[4]) {
    const int64_t depth = run->problem->params.head_channels;
    double sum = 0;
    for (int64_t c = at->head * depth; c < (at->head + 1) * depth; ++c)
        sum += read_grad(run, at, c) * gather(run, s, factor, c);
    return sum;
}

/* With softmax, a = exp(raw − largest) / sum over all P points of a head. */
typedef struct normalizer {
    bool softmax;
    double largest, sum;
} normalizer;

static normalizer normalize(const run_state *run, const head_row *at) {
    const int64_t points = run->problem->points;
    normalizer norm = {run->problem->params.softmax, -INFINITY, 0};
    for (int64_t k = 0; norm.softmax && k < points; ++k)
        norm.largest = fmax(norm.largest, read_weight(run, at, k));
    for (int64_t k = 0; norm.softmax && k < points; ++k)
        norm.sum += exp(read_weight(run, at, k) - norm.largest);
    return norm;
}

static double weight_of(const run_state *run, const head_row *at, const normalizer *norm, int64_t point) {
    const double raw = read_weight(run, at, point);
    return norm->softmax ? exp(raw - norm->largest) / norm->sum : raw;
}

/* Calls visit(run, at, level, point) for all points of a head, in order. */
typedef void visitor(const run_state *run, const head_row *at, const dcnv4_msda_level *level, int64_t point,
                     void *state);

static void for_each_point(const run_state *run, const head_row *at, visitor *visit, void *state) {
    int64_t point = 0;
    for (int l = 0; l < run->problem->params.level_count; ++l)
        for (int64_t k = 0; k < run->levels[l].points; ++k)
            visit(run, at, &run->levels[l], point++, state);
}

/* ---- Forward --------------------------------------------------------------------------------------------------------- */

typedef struct forward_sum {
    normalizer norm;
    int64_t channel;
    double sum;
} forward_sum;

static void add_point(const run_state *run, const head_row *at, const dcnv4_msda_level *level, int64_t point,
                      void *state) {
    forward_sum *const f = state;
    const sample s = locate(run, at, level, point);
    if (s.counts)
        f->sum += weight_of(run, at, &f->norm, point) * gather(run, &s, s.weight, f->channel);
}

static void forward_head(const run_state *run, const head_row *at) {
    const dcnv4_msda_problem *p = &run->problem->params;
    forward_sum f = {.norm = normalize(run, at)};
    for (f.channel = at->head * p->head_channels; f.channel < (at->head + 1) * p->head_channels; ++f.channel) {
        f.sum = 0;
        for_each_point(run, at, add_point, &f);
        dcnv4i_element_write(p->dtype, run->tensors[DCNV4I_MSDA_OUTPUT], at->row * p->output_stride + f.channel, f.sum);
    }
}

/* ---- Backward -------------------------------------------------------------------------------------------------------- */

/* mean: Σ_k a_k·∂/∂a_k, which the gradient through softmax takes away: ∂/∂raw_k = a_k·(∂/∂a_k − mean) */
typedef struct backward_sums {
    normalizer norm;
    double mean;
} backward_sums;

static void add_to_mean(const run_state *run, const head_row *at, const dcnv4_msda_level *level, int64_t point,
                        void *state) {
    backward_sums *const b = state;
    const sample s = locate(run, at, level, point);
    if (s.counts)
        b->mean += weight_of(run, at, &b->norm, point) * project(run, at, &s, s.weight);
}

static void scatter(const run_state *run, const head_row *at, const sample *s, double a) {
    const int64_t depth = run->problem->params.head_channels;
    for (int64_t c = at->head * depth; c < (at->head + 1) * depth; ++c)
        for (int corner = 0; corner < 4; ++corner)
            if (s->corner[corner] >= 0)
                run->sums[s->corner[corner] * run->problem->channels + c] += read_grad(run, at, c) * a *
                                                                             s->weight[corner];
}

/* The references move the point that has these gradients by its column and row. */
static void add_to_references(const run_state *run, const head_row *at, const dcnv4_msda_level *level, const sample *s,
                              double by_x, double by_y) {
    const int numbers = run->problem->reference_numbers;
    const int64_t row = run->problem->base.tensors[DCNV4I_MSDA_REFERENCES].row;
    double *const sums = run->reference_sums + at->row * row + reference_of(run, level) * numbers;
    const double by[] = {s->x.size * by_x, s->y.size * by_y};
    for (int i = 0; i < numbers; ++i)
        sums[i] += i < 2 ? by[i] : by[i - 2] * s->x.part * s->location[i - 2];
}

static void backward_point(const run_state *run, const head_row *at, const dcnv4_msda_level *level, int64_t point,
                           void *state) {
    const backward_sums *const b = state;
    const dcnv4i_ms_deform_attn *problem = run->problem;
    const dcnv4_msda_problem *p = &problem->params;
    const sample s = locate(run, at, level, point);
    const double a = weight_of(run, at, &b->norm, point);
    double by_a = 0, by_x = 0, by_y = 0;
    if (s.counts) {
        by_a = project(run, at, &s, s.weight);
        by_x = a * project(run, at, &s, s.by_x);
        by_y = a * project(run, at, &s, s.by_y);
        scatter(run, at, &s, a);
        add_to_references(run, at, level, &s, by_x, by_y);
    }
    void *const locations = run->tensors[DCNV4I_MSDA_GRAD_LOCATIONS];
    const int64_t location = at->row * p->grad_location_stride + at->head * problem->location_head;
    dcnv4i_element_write(p->location_dtype, locations, location + 2 * point, s.counts ? s.x.scale * by_x : 0);
    dcnv4i_element_write(p->location_dtype, locations, location + 2 * point + 1, s.counts ? s.y.scale * by_y : 0);
    const int64_t weight = at->row * (p->packed ? p->grad_location_stride : p->grad_weight_stride) +
                           at->head * problem->weight_head + problem->weight_begin + point;
    dcnv4i_element_write(p->weight_dtype, p->packed ? locations : run->tensors[DCNV4I_MSDA_GRAD_WEIGHTS], weight,
                         p->softmax ? a * (by_a - b->mean) : by_a);
}

static void backward_head(const run_state *run, const head_row *at) {
    backward_sums b = {.norm = normalize(run, at)};
    if (b.norm.softmax)
        for_each_point(run, at, add_to_mean, &b);
    for_each_point(run, at, backward_point, &b);
}

/* ---- Runs ------------------------------------------------------------------------------------------------------------ */

static void for_each_head(const run_state *run, void (*visit)(const run_state *, const head_row *)) {
    const dcnv4_msda_problem *p = &run->problem->params;
    head_row at = {0};
    for (at.n = 0; at.n < p->batch; ++at.n)
        for (int64_t q = 0; q < p->queries; ++q, ++at.row)
            for (at.head = 0; at.head < p->heads; ++at.head)
                visit(run, &at);
}

/* Writes sums that have no gaps between rows into a tensor. */
static void write_sums(const run_state *run, int id, int32_t dtype, const double *sums) {
    const dcnv4i_tensor *const tensor = &run->problem->base.tensors[id];
    for (int64_t row = 0; row < tensor->pixels; ++row)
        for (int64_t i = 0; i < tensor->row; ++i)
            dcnv4i_element_write(dtype, run->tensors[id], row * tensor->stride + i, sums[row * tensor->row + i]);
}

static int64_t element_count(const dcnv4i_problem *base, int id) {
    return base->tensors[id].pixels * base->tensors[id].row;
}

static void backward(const run_state *run) {
    const dcnv4i_ms_deform_attn *problem = run->problem;
    const int64_t values = element_count(&problem->base, DCNV4I_MSDA_VALUE);
    for (int64_t i = 0; i < values + element_count(&problem->base, DCNV4I_MSDA_REFERENCES); ++i)
        run->sums[i] = 0;
    for_each_head(run, backward_head);
    write_sums(run, DCNV4I_MSDA_GRAD_VALUE, problem->params.dtype, run->sums);
    write_sums(run, DCNV4I_MSDA_GRAD_REFERENCES, problem->params.reference_dtype, run->reference_sums);
}

static dcnv4_status check(const dcnv4i_problem *base) {
    const int64_t channels = ((const dcnv4i_ms_deform_attn *)base)->channels;
    const int64_t places = base->tensors[DCNV4I_MSDA_VALUE].pixels;
    const dcnv4i_tensor *const references = &base->tensors[DCNV4I_MSDA_REFERENCES];
    const int64_t most = PTRDIFF_MAX / (int64_t)sizeof(double) / 2 - 1;
    if (places > most / channels)
        return dcnv4i_fail(DCNV4_UNSUPPORTED,
                           "the reference needs %" PRId64 " times %" PRId64 " float64 sums, past what can be addressed",
                           places, channels);
    if (references->row > 0 && references->pixels > most / references->row)
        return dcnv4i_fail(DCNV4_UNSUPPORTED,
                           "the reference needs %" PRId64 " times %" PRId64 " float64 sums, past what can be addressed",
                           references->pixels, references->row);
    return DCNV4_SUCCESS;
}

/* The sums, and room to align them. */
static size_t workspace_size(const dcnv4i_problem *base, dcnv4_pass pass) {
    const size_t sums = (size_t)(element_count(base, DCNV4I_MSDA_VALUE) + element_count(base, DCNV4I_MSDA_REFERENCES));
    return pass == DCNV4_PASS_FORWARD || sums == 0 ? 0 : (sums + 1) * sizeof(double);
}

static dcnv4_status run(const dcnv4i_problem *base, dcnv4_pass pass, void *const tensors[DCNV4I_MAX_TENSORS],
                        void *workspace) {
    const uintptr_t mask = sizeof(double) - 1;
    dcnv4_msda_level room[DCNV4_MSDA_MAX_LEVELS];
    run_state state = {
        .problem = (const dcnv4i_ms_deform_attn *)base,
        .tensors = tensors,
        .sums = (double *)(((uintptr_t)workspace + mask) & ~mask),
    };
    if (pass == DCNV4_PASS_BACKWARD && workspace) /* there is none without elements */
        state.reference_sums = state.sums + element_count(base, DCNV4I_MSDA_VALUE);
    const dcnv4_status status = dcnv4i_ms_deform_attn_levels(state.problem, tensors[DCNV4I_MSDA_LEVEL_SHAPES],
                                                             tensors[DCNV4I_MSDA_LEVEL_STARTS], room, &state.levels);
    if (status != DCNV4_SUCCESS)
        return status;
    if (pass == DCNV4_PASS_FORWARD)
        for_each_head(&state, forward_head);
    else
        backward(&state);
    return DCNV4_SUCCESS;
}

const dcnv4i_reference_operator dcnv4i_reference_ms_deform_attn = {
    .op = &dcnv4i_operator_ms_deform_attn,
    .check = check,
    .workspace_size = workspace_size,
    .run = run,
};
