/* From rows of offset_mask to cells: where each point looks and with which weights. Points of several pixels are laid one
 * after the other, so that whole vectors of them are worked on whatever K is.
 *
 * A cell is four neighbouring pixels of the image. A point whose cell is partly outside gets the nearest one that is not,
 * with weights of 0 for the pixels that are not its own; a point that does not count gets weights of 0 alone. So all points
 * are worked on alike. But 0 times an infinity is NaN, which the formula has not: where a result is not finite, it is made
 * anew in the careful way. Points that have no cell (it is in rows that the piece of work does not have, or the weight is
 * not finite, or the image is too narrow) have index −1, and their pixels are worked on in the careful way too. */

enum {
    POINTS = 256,                    /* in a chunk: its arrays lie in the first-level cache */
    POINTS_ROOM = POINTS + LANES - 1 /* vectors may end past the last one */
};

typedef struct point_chunk {
    /* Positions, measured from where the middle of the kernel is without an offset: whole numbers that are known exactly, so
     * that a float32 has all its bits for the fraction, however large the image is. */
    _Alignas(64) real x[POINTS_ROOM], y[POINTS_ROOM];
    real middle_x[POINTS_ROOM], nearest_x[POINTS_ROOM]; /* see nearest */
    int64_t first_middle_x, middle_y;                   /* of the box's first pixel; of all */
    real m[POINTS_ROOM];                                /* weights */
    point_index at[POINTS_ROOM];                        /* the cell's upper left pixel, see vstore_index */
    real corners[4 * POINTS_ROOM];                      /* quads of m·bilinear weight, of the cell's pixels */
    bool complete;                                      /* every point has a cell */
    int64_t points, pixels;                             /* of the box */
    int64_t middles;                                    /* how many of middle_x and nearest_x are right */
} point_chunk;

/* How a piece of work is cut into chunks: boxes of pixels × groups × points. Neighbouring pixels of one group come first,
 * since they look at the same few rows of value. Point k of pixel i of group g of a box is number
 * (g·pixels + i)·points + k of its chunk. A kernel that does not fit a chunk has boxes that are a part of one block. */
typedef struct point_box {
    int64_t pixels, groups, points;
} point_box;

/* Where a box begins. */
typedef struct place {
    int64_t pixel; /* row number of offset_mask and output */
    int64_t oy, ox;
    int64_t group, point;
} place;

/* Channels are worked on in blocks of vectors: body(c, vectors, part) for channels c, c + 1, …, with vectors a constant and
 * part 0, or the number of channels that are left at the end. */
#define FOR_CHANNEL_BLOCKS(channels, body)                                      \
    do {                                                                        \
        int64_t c_ = 0;                                                         \
        for (; c_ + BLOCK * LANES <= (channels); c_ += BLOCK * LANES)           \
            body(c_, BLOCK, 0);                                                 \
        for (; c_ + HALF_BLOCK * LANES <= (channels); c_ += HALF_BLOCK * LANES) \
            body(c_, HALF_BLOCK, 0);                                            \
        for (; c_ + LANES <= (channels); c_ += LANES)                           \
            body(c_, 1, 0);                                                     \
        if (c_ < (channels))                                                    \
            body(c_, 1, (int)((channels) - c_));                                \
    } while (0)

/* The function for such a block among those whose names begin alike. */
#define CHOOSE(begin, vectors_, part_)         \
    ((part_)                    ? begin##part  \
     : (vectors_) == BLOCK      ? begin##block \
     : (vectors_) == HALF_BLOCK ? begin##half  \
                                : begin##vector)

static inline int64_t smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static point_box largest_box(int64_t pixels, int64_t groups, int64_t points) {
    point_box b = {1, 1, smaller(points, POINTS)};
    const int64_t blocks = points <= POINTS ? POINTS / (points ? points : 1) : 1;
    b.pixels = smaller(pixels, smaller(blocks, DCNV4I_BOX_PIXELS));
    if (b.pixels == pixels && pixels > 0)
        b.groups = smaller(groups, blocks / pixels);
    return b;
}

/* Where the middle of the kernel is along one axis, for output place o. */
static inline int64_t middle_of(int64_t o, int64_t stride, int64_t pad, int64_t kernel, int64_t dilation) {
    return o * stride - pad + dcnv4i_half_span(kernel, dilation);
}

/* Whether all whole numbers along an axis are exact reals: from its first middle to its last, and in the image. */
static bool axis_is_exact(int64_t first, int64_t last, int64_t size) {
    return first > -REAL_WHOLE / 2 && last < REAL_WHOLE / 2 && size < REAL_WHOLE / 2;
}

/* What the points of a piece of work are held against. */
typedef struct image_frame {
    const dcnv4i_layer *layer;
    const char *offset_mask;
    real scale, width, height;
    bool exact;     /* all whole numbers along both axes are exact reals */
    bool has_cells; /* then, if the image is not too narrow; and so have its rows here: */
    bool rows_have_cells;
    real last_column;             /* cells are in columns 0 to this … */
    real first_row, last_row;     /* … and these rows */
    real lowest_row, highest_row; /* floors of y from lowest to highest have cells */
    int64_t zero_row;             /* where the numbering of pixels begins */
} image_frame;

/* Cells are among rows first to last − 1 of value, and their pixels are numbered from row `zero` on. */
static image_frame make_frame(const dcnv4i_layer *layer, const dcnv4i_tensors *tensors, int64_t first, int64_t last,
                              int64_t zero) {
    const dcnv4_problem *p = &layer->problem->asked;
    const dcnv4i_problem *problem = layer->problem;
    const bool exact = axis_is_exact(
                           middle_of(0, p->stride_w, p->pad_w, p->kernel_w, p->dilation_w),
                           middle_of(problem->output_width, p->stride_w, p->pad_w, p->kernel_w, p->dilation_w),
                           p->width) &&
                       axis_is_exact(
                           middle_of(0, p->stride_h, p->pad_h, p->kernel_h, p->dilation_h),
                           middle_of(problem->output_height, p->stride_h, p->pad_h, p->kernel_h, p->dilation_h),
                           p->height);
    const bool has_cells = exact && p->width >= 2 && p->height >= 2;
    return (image_frame){
        .layer = layer,
        .offset_mask = tensors->offset_mask,
        .scale = (real)p->offset_scale,
        .width = (real)p->width,
        .height = (real)p->height,
        .exact = exact,
        .has_cells = has_cells,
        .rows_have_cells = has_cells && last - first >= 2,
        .last_column = (real)(p->width - 2),
        .first_row = (real)first,
        .last_row = (real)(last - 2),
        .lowest_row = (real)(first == 0 ? -1 : first),
        .highest_row = (real)(last == p->height ? last - 1 : last - 2),
        .zero_row = zero,
    };
}

/* m = exp(raw − largest) / sum over the K weights of a block, of which m has count now. */
static NOINLINE void softmax(const dcnv4i_layer *layer, const char *block, real *m, int64_t count) {
    const int64_t points = layer->problem->points, item = (int64_t)layer->problem->item;
    const char *weights = block + 2 * points * item;
    real staged[POINTS], largest = -INFINITY, sum = 0;
    for (int pass = 0; pass < 2; ++pass)
        for (int64_t k = 0; k < points; k += POINTS) {
            const int64_t part = smaller(points - k, POINTS);
            const real *raw = count == points ? m : staged;
            if (raw == staged && layer->read)
                layer->read(weights + k * item, staged, part);
            else if (raw == staged)
                memcpy(staged, weights + k * item, (size_t)part * sizeof(real));
            for (int64_t i = 0; i < part; ++i)
                if (pass == 0)
                    largest = raw[i] > largest ? raw[i] : largest;
                else
                    sum += real_exp(raw[i] - largest);
        }
    for (int64_t i = 0; i < count; ++i)
        m[i] = real_exp(m[i] - largest) / sum;
}

/* Places count points of a block: x = scale·(grid + dx), from the middle of the kernel. */
static inline void place_points(real scale, const real *grid_x, const real *grid_y, const real *pairs,
                                const real *weights, int64_t count, real *x, real *y, real *m) {
    int64_t k = 0;
    for (; k + LANES <= count; k += LANES) {
        vec dx, dy;
        vload_pairs(pairs + 2 * k, &dx, &dy);
        vstore(x + k, vmul(vset(scale), vadd(vload(grid_x + k), dx)));
        vstore(y + k, vmul(vset(scale), vadd(vload(grid_y + k), dy)));
        vstore(m + k, vload(weights + k));
    }
    for (; k < count; ++k) {
        x[k] = scale * (grid_x[k] + pairs[2 * k]);
        y[k] = scale * (grid_y[k] + pairs[2 * k + 1]);
        m[k] = weights[k];
    }
}

/* The square of the distance from a middle within which a position is at the middle: their sum is the middle then even in
 * float64. Else it could be told from a point at the image's edge, or at the border of two cells, where the formula's
 * arithmetic cannot. */
static real nearest(int64_t middle) {
    const real distance = (real)0x1p-54 * (real)middle;
    return distance * distance;
}

/* Fills in where the middles of a box are; they stay for the other groups and rows. */
static void place_middles(const dcnv4_problem *p, const place *at, const point_box *box, point_chunk *chunk) {
    const int64_t count = box->pixels * box->groups * box->points;
    const int64_t first = middle_of(at->ox, p->stride_w, p->pad_w, p->kernel_w, p->dilation_w);
    chunk->middle_y = middle_of(at->oy, p->stride_h, p->pad_h, p->kernel_h, p->dilation_h);
    if (chunk->middles >= count && chunk->first_middle_x == first && chunk->points == box->points &&
        chunk->pixels == box->pixels)
        return;
    chunk->first_middle_x = first;
    chunk->points = box->points;
    chunk->pixels = box->pixels;
    chunk->middles = count;
    for (int64_t i = 0, block = 0; i < count; ++block)
        for (int64_t k = 0; k < box->points; ++k, ++i) {
            const int64_t middle = first + block % box->pixels * p->stride_w;
            chunk->middle_x[i] = (real)middle;
            chunk->nearest_x[i] = nearest(middle);
        }
    for (int64_t i = count; i < count + LANES - 1; ++i)
        chunk->middle_x[i] = chunk->nearest_x[i] = 0;
}

static inline vec vsettle(vec position, vec near) {
    return vdrop(vless(vmul(position, position), near), position);
}

static void settle_positions(point_chunk *chunk, int64_t count) {
    const vec nearest_y = vset(nearest(chunk->middle_y));
    for (int64_t i = 0; i < count; i += LANES) {
        vstore(chunk->x + i, vsettle(vload(chunk->x + i), vload(chunk->nearest_x + i)));
        vstore(chunk->y + i, vsettle(vload(chunk->y + i), nearest_y));
    }
}

/* Reads a box's points into chunk->x, y and m. */
static void read_box(const image_frame *frame, const place *at, const point_box *box, point_chunk *chunk) {
    const dcnv4i_layer *const layer = frame->layer;
    const dcnv4_problem *const p = &layer->problem->asked;
    const int64_t points = layer->problem->points, item = (int64_t)layer->problem->item, count = box->points;
    const int64_t block_size = 3 * points * item, row_size = p->offset_mask_stride * item;
    const int64_t pairs_at = 2 * at->point * item, weights_at = (2 * points + at->point) * item;
    const real scale = frame->scale, *const grid_x = (const real *)layer->grid_x + at->point;
    const real *const grid_y = (const real *)layer->grid_y + at->point;
    dcnv4i_read_row *const convert = layer->read;
    const bool normalized = p->softmax;
    real *x = chunk->x, *y = chunk->y, *m = chunk->m, staged[3 * POINTS];
    place_middles(p, at, box, chunk);
    for (int64_t g = 0; g < box->groups; ++g) {
        const char *block = frame->offset_mask + at->pixel * row_size + (at->group + g) * block_size;
        for (int64_t i = 0; i < box->pixels; ++i, block += row_size, x += count, y += count, m += count) {
            const real *pairs = (const real *)(block + pairs_at), *weights = (const real *)(block + weights_at);
            PREFETCH(block, 6 * row_size);
            PREFETCH(block, 6 * row_size + 64);
            if (convert) {
                pairs = staged, weights = staged + 2 * count;
                convert(block + pairs_at, staged, count == points ? 3 * count : 2 * count);
                if (count < points)
                    convert(block + weights_at, staged + 2 * count, count);
            }
            place_points(scale, grid_x, grid_y, pairs, weights, count, x, y, m);
            if (normalized)
                softmax(layer, block, m, count);
        }
    }
}

/* Which positions along one axis of an image count: −1 < middle + position < size. */
static inline vmask vcounts(vec position, vec middle, vec size) {
    return vmask_and(vless(vsub(vset(-1), middle), position), vless(position, vsub(size, middle)));
}

/* Along one axis: the place of a cell, and the linear weights of its two pixels for a position whose floor is `whole` and
 * which is `rest` past that. A position before the first place has the first pixel as its own second one, behind the last
 * place the other way round. */
typedef struct axis {
    vec low, near, far;
    vmask before, behind;
} axis;

static inline axis vlocate(vec whole, vec rest, vec first, vec last) {
    const vec low = vmin(vmax(whole, first), last), other = vsub(vset(1), rest);
    const vmask before = vless(whole, low), behind = vless(low, whole);
    return (axis){low, vdrop(behind, vselect(before, rest, other)), vdrop(before, vselect(behind, other, rest)), before,
                  behind};
}

/* Fills in the rest of a chunk of count points. */
static void find_cells(point_chunk *chunk, int64_t count, const image_frame *frame) {
    /* Whole vectors are worked on, so something has to be behind the last point. */
    for (int64_t i = count; i < count + LANES - 1; ++i)
        chunk->x[i] = chunk->y[i] = chunk->m[i] = 0;
    settle_positions(chunk, count);
    chunk->complete = frame->rows_have_cells;
    for (int64_t i = 0; !frame->rows_have_cells && i < count; ++i)
        chunk->at[i] = -1;
    if (!frame->rows_have_cells)
        return;
    /* Read once: stores to the chunk could be to the frame, for all that the compiler knows. */
    const vec width = vset(frame->width), height = vset(frame->height), last_column = vset(frame->last_column);
    const vec first_row = vset(frame->first_row), last_row = vset(frame->last_row), zero = vset(0);
    const vec lowest_row = vset(frame->lowest_row), highest_row = vset(frame->highest_row);
    const vec middle_y = vset((real)chunk->middle_y);
    const int64_t zero_row = frame->zero_row, pixels_across = frame->layer->problem->asked.width;
    vmask complete = vfinite(zero);
    for (int64_t i = 0; i < count; i += LANES) {
        const vec raw_x = vload(chunk->x + i), raw_y = vload(chunk->y + i), middle_x = vload(chunk->middle_x + i);
        const vmask counts = vmask_and(vcounts(raw_x, middle_x, width), vcounts(raw_y, middle_y, height));
        const vec x = vkeep(counts, raw_x), y = vkeep(counts, raw_y), m = vkeep(counts, vload(chunk->m + i));
        const vec whole_x = vfloor(x), whole_y = vfloor(y), row = vadd(middle_y, whole_y);
        const axis h = vlocate(vadd(middle_x, whole_x), vsub(x, whole_x), zero, last_column);
        const axis v = vlocate(row, vsub(y, whole_y), first_row, last_row);
        const vec upper = vmul(m, v.near), lower = vmul(m, v.far);
        const vmask missed = vmask_or(vless(row, lowest_row), vless(highest_row, row));
        const vmask found = vmask_and(vfinite(m), vmask_not(vmask_and(missed, counts)));
        complete = vmask_and(complete, found);
        vstore_index(chunk->at + i, h.low, v.low, found, zero_row, pixels_across);
        vstore_quads(chunk->corners + 4 * i, vmul(upper, h.near), vmul(upper, h.far), vmul(lower, h.near),
                     vmul(lower, h.far));
    }
    chunk->complete = vmask_full(complete);
}

/* How many of `blocks` blocks of points, one after the other in a chunk, have cells for all points before one that has not. */
static inline int64_t complete_blocks(const point_chunk *chunk, int64_t first, int64_t points, int64_t blocks) {
    const point_index *index = chunk->at + first;
    for (int64_t block = 0; !chunk->complete && block < blocks; ++block, index += points) {
        point_index any = 0;
        for (int64_t k = 0; k < points; ++k)
            any |= index[k];
        if (any < 0)
            return block;
    }
    return blocks;
}
