#include "work.h"

#include <math.h>

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}
static int64_t most(int64_t a, int64_t b) {
    return a > b ? a : b;
}
static int64_t pieces_of(int64_t whole, int64_t part) {
    return whole == 0 ? 0 : (whole - 1) / part + 1;
}

/* a·b and a + b, or INT64_MAX; a, b ≥ 0. */
static int64_t product(int64_t a, int64_t b) {
    return b != 0 && a > INT64_MAX / b ? INT64_MAX : a * b;
}
static int64_t sum(int64_t a, int64_t b) {
    return a > INT64_MAX - b ? INT64_MAX : a + b;
}

/* Multiply-adds of a row of output: what a piece's length is measured by. */
static int64_t row_cost(const dcnv4i_deform_conv *problem) {
    return product(problem->output_width, product(problem->channels, most(4 * least(problem->points, 1 << 30), 1)));
}

enum {
    /* Multiply-adds that are worth waking a thread for: some 30 µs of one core. */
    WAKING_COST = 3 << 18,
    /* A piece, so small that threads end together though one began late. */
    PIECE_COST = 1 << 18,
    /* Where value is converted, rows on both sides of a band are too: bands are longer, so that they weigh less. */
    CONVERTED_PIECE_COST = 1 << 22,
    /* Rows of value that are converted beyond those that the kernel grid touches, for the offsets; points that look
     * further are converted one at a time. */
    MARGIN = 4,
    /* A small copy of some channels of an image, 64 KiB of floats: it stays in the second-level cache beside all else that
     * a piece looks at, and is small enough whatever value's size is. */
    COPY_REALS = 1 << 14,
    /* One that stays in the first-level cache while its pixels are looked at. */
    CACHED_COPY_REALS = 1 << 12
};

int64_t dcnv4i_work_reach(const dcnv4i_deform_conv *problem) {
    const dcnv4_problem *p = &problem->params;
    const int64_t half = dcnv4i_half_span(p->kernel_h, p->dilation_h), rest = p->dilation_h * (p->kernel_h - 1) - half;
    const double reach = ceil(fabs(p->offset_scale) * (double)most(half, rest));
    return reach < 0x1p60 ? (int64_t)reach : isnan(reach) ? 0 : INT64_C(1) << 60;
}

/* Rows of value above and below the middles of output rows that a band of these looks at, but for offsets larger than
 * MARGIN. */
static int64_t rows_around(const dcnv4i_layer *layer) {
    return layer->reach + MARGIN;
}

/* The rows of value that output rows first to last − 1 look at. A middle is from −2⁶² to the padded height. */
static void input_rows(const dcnv4i_layer *layer, int64_t first, int64_t last, int64_t *first_input,
                       int64_t *last_input) {
    const dcnv4_problem *p = &layer->problem->params;
    const int64_t half = dcnv4i_half_span(p->kernel_h, p->dilation_h), around = rows_around(layer);
    const int64_t first_middle = first * p->stride_h - p->pad_h + half;
    const int64_t last_middle = (last - 1) * p->stride_h - p->pad_h + half;
    *first_input = least(most(first_middle - around, 0), p->height);
    *last_input = last_middle > p->height - around - 2 ? p->height : last_middle + around + 2;
    *last_input = most(*last_input, *first_input);
}

/* The most of them that a band has. */
static int64_t most_input_rows(const dcnv4i_layer *layer, const dcnv4i_work *work) {
    const dcnv4_problem *p = &layer->problem->params;
    const int64_t rows = sum(product(work->band_rows - 1, p->stride_h), 2 * rows_around(layer) + 2);
    return work->whole ? p->height : least(rows, p->height);
}

static dcnv4_status set_scratch(const dcnv4i_deform_conv *problem, int64_t reals, dcnv4i_work *work) {
    const size_t size = problem->params.dtype == DCNV4_FLOAT64 ? sizeof(double) : sizeof(float);
    const int64_t limit = (int64_t)(PTRDIFF_MAX / (1024 * sizeof(double))) - 64;
    if (reals > limit)
        return dcnv4i_fail(DCNV4_UNSUPPORTED,
                           "the cpu needs more than %lld numbers of workspace, past what can be addressed",
                           (long long)limit);
    work->scratch = ((size_t)reals * size + 63) / 64 * 64;
    return DCNV4_SUCCESS;
}

/* Whether forward works on copies of value that it need not convert. Pixels of many groups that are a large power of two
 * apart all want the same few sets of the first-level cache. It does not pay where a copy does not stay there, where there
 * are few points for a pixel of value, or too few groups for the threads. */
static bool forward_packs(const dcnv4i_deform_conv *problem, int64_t copy, int workers) {
    const dcnv4_problem *p = &problem->params;
    const int64_t points = product(problem->base.tensors[DCNV4I_OUTPUT].pixels, problem->points);
    return p->groups > 1 && product(p->value_stride, (int64_t)problem->item) % 1024 == 0 && copy <= CACHED_COPY_REALS &&
           points / 4 >= problem->base.tensors[DCNV4I_VALUE].pixels && product(p->batch, p->groups) >= workers;
}

/* How many threads are worth waking, the caller's counted in. */
static int workers_for(int64_t cost, int threads) {
    return (int)most(1, least(threads, cost / WAKING_COST));
}

static dcnv4_status cut_forward(const dcnv4i_layer *layer, int threads, dcnv4i_work *work) {
    const dcnv4i_deform_conv *problem = layer->problem;
    const dcnv4_problem *p = &problem->params;
    const bool converts = layer->converts;
    const int64_t cost = most(row_cost(problem), 1), rows = problem->output_height;
    work->workers = workers_for(product(cost, product(p->batch, rows)), threads);
    const int64_t copy = product(product(p->height, p->width), p->group_channels); /* of one group */
    const bool packs = converts ? copy <= COPY_REALS : forward_packs(problem, copy, work->workers);
    work->chunk_groups = work->packed_groups = p->groups;
    work->band_rows = most(1, least(rows, (converts ? CONVERTED_PIECE_COST : PIECE_COST) / cost));
    if (packs || converts)
        work->packed_groups = most(1, least(p->groups, DCNV4I_BOX_PIXELS / most(problem->output_width, 1)));
    if (packs) {
        /* Images, then groups are shared out; then rows, for which every piece has copies of its own. */
        const int64_t part = most(product(cost / p->groups, product(work->packed_groups, rows)), 1);
        work->chunk_groups = least(p->groups, work->packed_groups * most(1, PIECE_COST / part));
        const int64_t missing = pieces_of(work->workers,
                                          most(product(p->batch, pieces_of(p->groups, work->chunk_groups)), 1));
        work->band_rows = most(1, pieces_of(rows, most(1, least(missing, part / PIECE_COST))));
    }
    work->chunks = pieces_of(p->groups, work->chunk_groups);
    work->bands = pieces_of(rows, work->band_rows);
    work->pieces = p->batch * work->chunks * work->bands;
    work->whole = packs;
    if (!(packs || converts) || work->pieces == 0)
        return DCNV4_SUCCESS;
    const int64_t pixels = product(product(most_input_rows(layer, work), p->width), work->packed_groups);
    return set_scratch(problem, product(sum(pixels, DCNV4I_BOX_PIXELS), p->group_channels), work);
}

/* Whether backward works on copies of value and grad_value, a group at a time. Where there is one group they lie well as they
 * are. */
static bool packs(const dcnv4i_deform_conv *problem, bool converts) {
    return converts || problem->params.groups > 1;
}

/* A copy of one group and its gradients is no larger than value. That takes bands where storage is of 16 bits and there are
 * fewer than four groups: then it has some rows of value on each side of the band's own, and points that look further have
 * them converted one at a time. Where value is small, copies may be larger; and they have one row at least. */
static void limit_copy(const dcnv4i_deform_conv *problem, dcnv4i_work *work) {
    const dcnv4_problem *p = &problem->params;
    const int64_t real = p->dtype == DCNV4_FLOAT64 ? sizeof(double) : sizeof(float);
    const int64_t value = product(problem->base.tensors[DCNV4I_VALUE].pixels, problem->channels);
    const int64_t allowed = most(product(value, (int64_t)problem->item) / real, COPY_REALS);
    const int64_t rows = most(1, allowed / most(1, product(product(2, p->width), p->group_channels)));
    if (rows >= p->height)
        return;
    work->spare_rows = least(MARGIN, rows / 4);
    work->bands = most(work->bands, pieces_of(p->height, rows - 2 * work->spare_rows));
}

static dcnv4_status cut_backward(const dcnv4i_layer *layer, int threads, dcnv4i_work *work) {
    const dcnv4i_deform_conv *problem = layer->problem;
    const dcnv4_problem *p = &problem->params;
    const bool converts = layer->converts;
    const int64_t cost = product(product(most(problem->output_height, 1), most(row_cost(problem), 1)),
                                 most(p->batch, 1));
    /* A few pieces for every thread, so that they end together, but none too small. Those of one image share out its groups,
     * which costs nothing; two at a time, since neighbouring groups' gradients lie in the same lines of the cache. Where
     * there are fewer groups than threads they share out its rows too, which all of them have to look through. */
    work->workers = workers_for(cost, threads);
    const int64_t wanted = work->workers == 1 ? 1 : 4 * (int64_t)work->workers;
    const int64_t wanted_chunks = least(p->groups, pieces_of(wanted, most(p->batch, 1)));
    const int64_t alone = pieces_of(p->groups, most(wanted_chunks, 1)), enough = work->workers;
    work->chunk_groups = alone == 1 && product(p->batch, p->groups / 2) >= enough ? 2 : alone;
    work->chunks = pieces_of(p->groups, work->chunk_groups);
    const int64_t missing = pieces_of(enough, most(product(p->batch, work->chunks), 1));
    work->bands = most(1, least(missing, p->height / 8));
    work->spare_rows = p->height;
    if (packs(problem, converts))
        limit_copy(problem, work);
    work->pieces = p->batch * work->chunks * work->bands;
    if (!packs(problem, converts) || work->pieces == 0)
        return DCNV4_SUCCESS;
    const int64_t rows = least(p->height, sum(pieces_of(p->height, work->bands), product(2, work->spare_rows)));
    const int64_t pixels = sum(product(product(2, rows), p->width), converts ? DCNV4I_BOX_PIXELS : 0);
    return set_scratch(problem, product(pixels, p->group_channels), work);
}

dcnv4_status dcnv4i_work_cut(const dcnv4i_layer *layer, dcnv4_pass pass, int threads, dcnv4i_work *work) {
    *work = (dcnv4i_work){0};
    return (pass == DCNV4_PASS_FORWARD ? cut_forward : cut_backward)(layer, threads, work);
}

size_t dcnv4i_work_space(const dcnv4i_work *work) {
    return work->scratch ? (size_t)least(work->pieces, work->workers) * work->scratch + 63 : 0;
}

dcnv4i_piece dcnv4i_work_piece(const dcnv4i_layer *layer, dcnv4_pass pass, const dcnv4i_work *work, int64_t number) {
    const dcnv4i_deform_conv *problem = layer->problem;
    const dcnv4_problem *p = &problem->params;
    const int64_t band = number % work->bands, chunk = number / work->bands % work->chunks;
    dcnv4i_piece piece = {
        .image = number / work->bands / work->chunks,
        .first_group = chunk * work->chunk_groups,
        .last_group = least((chunk + 1) * work->chunk_groups, p->groups),
        .last_input = p->height,
        .packed_groups = work->packed_groups,
    };
    if (pass == DCNV4_PASS_FORWARD) {
        piece.first_output = band * work->band_rows;
        piece.last_output = least(piece.first_output + work->band_rows, problem->output_height);
        if (layer->converts && !work->whole)
            input_rows(layer, piece.first_output, piece.last_output, &piece.first_input, &piece.last_input);
    } else {
        const int64_t output_rows = pieces_of(problem->output_height, work->bands),
                      rows = pieces_of(p->height, work->bands);
        piece.first_output = least(band * output_rows, problem->output_height);
        piece.last_output = least(piece.first_output + output_rows, problem->output_height);
        piece.first_own = least(band * rows, p->height);
        piece.last_own = least(piece.first_own + rows, p->height);
        piece.first_input = most(piece.first_own - work->spare_rows, 0);
        piece.last_input = least(sum(piece.last_own, work->spare_rows), p->height);
    }
    return piece;
}
