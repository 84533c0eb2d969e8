/* From rows of offset_mask to cells: where each point looks and with which weights. Points of several pixels are laid one
 * after the other, so that whole vectors of them are worked on whatever K is.
 *
 * A cell is four neighbouring pixels of the image. A point whose cell is partly outside gets the nearest one that is not,
 * with weights of 0 for the pixels that are not its own; a point that does not count gets weights of 0 alone. So all points
 * are worked on alike. But 0 times an infinity is NaN, which the formula has not: where a result is not finite, it is made
 * anew in the careful way. Points that have no cell (it is in rows that the piece of work does not have, or the weight is
 * not finite, or the image is too narrow) have index −1, and their pixels are worked on in the careful way too. */

enum {
    POINTS = 256,              /* in a chunk: its arrays lie in the first-level cache */
    POINTS_ROOM = POINTS + 16, /* vectors may end past the last one; each array begins with a line of the cache */
    VECTORS_ROOM = POINTS_ROOM / LANES
};

typedef struct point_chunk {
    _Alignas(64) real pairs[2 * POINTS_ROOM]; /* (dx, dy), and their gradients when these are known */
    real m[POINTS_ROOM];                      /* weights */
    /* Positions, measured from where the middle of the kernel is without an offset: whole numbers that are known exactly, so
     * that a float32 has all its bits for the fraction, however large the image is. */
    real x[POINTS_ROOM], y[POINTS_ROOM];
    real grid_x[POINTS_ROOM], grid_y[POINTS_ROOM]; /* the point's place in the kernel, measured from its middle */
    real step_x[POINTS_ROOM];                      /* from the middle for the box's first pixel to that for its own */
    real corners[4 * POINTS_ROOM];                 /* quads of m·bilinear weight, of the cell's pixels */
    point_index at[POINTS_ROOM];                   /* the cell's upper left pixel, see vstore_index */
    point_index grad_at[POINTS_ROOM];              /* the same in grad_value */
    int64_t first_middle_x, middle_y;              /* of the box's first pixel; of all */
    int64_t points, pixels;                        /* of the box */
    int64_t laid_from;                             /* the kernel's point that grid begins with; −1 if nothing is laid */
    bool inner[VECTORS_ROOM];                      /* LANES points that have the formula's cells */
    bool complete;                                 /* every point has a cell */
} point_chunk;

#define NEAREST ((real)0x1p-54) /* times a middle: see vsettle */

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

/* The nearest to a of 0 to count − 1; 0 if there are none. */
static inline int64_t clamped(int64_t a, int64_t count) {
    return a < 0 || count <= 0 ? 0 : smaller(a, count - 1);
}

/* Asks for so many reals of the row that is so many strides behind this one. It need not be there. */
static ALWAYS_INLINE void ask_for(const real *row, int64_t rows_ahead, int64_t stride, const int reals) {
    for (int i = 0; i < reals; i += 64 / (int)sizeof(real))
        PREFETCH(row + i, rows_ahead, stride);
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

/* Whether all whole numbers along an axis are exact reals: from its first middle to that of its last output, and in the
 * image. */
static bool axis_is_exact(int64_t first, int64_t outputs, int64_t stride, int64_t size) {
    const int64_t past_first = outputs > 1 ? (outputs - 1) * stride : 0;
    return first > -REAL_WHOLE / 2 && first + past_first < REAL_WHOLE / 2 - stride && size < REAL_WHOLE / 2;
}

/* What the points of a piece of work are held against. */
typedef struct image_frame {
    const dcnv4i_layer *layer;
    const char *offset_mask;
    real scale, width, height; /* sizes of 0 are −1, so that nothing is between −1 and them */
    bool exact;     /* all whole numbers along both axes are exact reals */
    bool has_cells; /* then, if the image is not too narrow; and so have its rows here: */
    bool rows_have_cells;
    real last_column;             /* cells are in columns 0 to this … */
    real first_row, last_row;     /* … and these rows */
    real lowest_row, highest_row; /* what is in other rows of the image has none; counted from 1 at first_row */
    /* Cells' indices count reals; or pixels, if there are too many reals. */
    int64_t unit, grad_unit;       /* reals of value and of grad_value that an index counts */
    int64_t stride, row;           /* what an index grows by for the next pixel of value and for the one below … */
    int64_t grad_stride, grad_row; /* … and of grad_value; 0 if cells have the same indices there */
} image_frame;

/* Cells are among rows first to last − 1 of the image, whose pixels are so many reals from each other in value and, in
 * backward, in grad_value. */
static image_frame make_frame(const dcnv4i_layer *layer, const dcnv4i_tensors *tensors, int64_t first, int64_t last,
                              int64_t stride, int64_t grad_stride) {
    const dcnv4_problem *p = &layer->problem->params;
    const dcnv4i_deform_conv *problem = layer->problem;
    const int64_t first_x = middle_of(0, p->stride_w, p->pad_w, p->kernel_w, p->dilation_w),
                  first_y = middle_of(0, p->stride_h, p->pad_h, p->kernel_h, p->dilation_h);
    const bool exact = axis_is_exact(first_x, problem->output_width, p->stride_w, p->width) &&
                       axis_is_exact(first_y, problem->output_height, p->stride_h, p->height);
    const bool has_cells = exact && p->width >= 2 && p->height >= 2;
    image_frame frame = {
        .layer = layer,
        .offset_mask = tensors->offset_mask,
        .scale = real_of(p->offset_scale),
        .width = (real)(p->width > 0 ? p->width : -1),
        .height = (real)(p->height > 0 ? p->height : -1),
        .exact = exact,
        .has_cells = has_cells,
    };
    if (!has_cells) /* what cells are made of stays 0: it may be past what there are numbers for */
        return frame;
    const int64_t most = sizeof(point_index) < sizeof(int64_t) ? INT32_MAX : INT64_MAX;
    const int64_t longest = stride > grad_stride ? stride : grad_stride;
    const bool by_pixel = longest > 0 && p->height > most / p->width / longest;
    frame.rows_have_cells = last - first >= 2;
    frame.last_column = (real)(p->width - 2);
    frame.first_row = (real)first;
    frame.last_row = (real)(last - 2);
    frame.lowest_row = first == 0 ? -INFINITY : 1;
    frame.highest_row = last == p->height ? INFINITY : (real)(last - 1 - first);
    frame.unit = by_pixel ? stride : 1;
    frame.grad_unit = by_pixel ? grad_stride : 1;
    frame.stride = by_pixel ? 1 : stride;
    frame.row = by_pixel ? p->width : p->width * stride;
    frame.grad_stride = by_pixel || grad_stride == stride ? 0 : grad_stride;
    frame.grad_row = p->width * grad_stride;
    return frame;
}

/* m = exp(raw − largest) / sum over the K weights of a block, of which m has count now. */
static NOINLINE void softmax(const dcnv4i_layer *layer, const char *block, real *m, int64_t count) {
    const int64_t points = layer->problem->points, item = (int64_t)layer->problem->base.tensors[DCNV4I_OFFSET_MASK].item;
    const char *weights = block + 2 * points * item;
    real staged[POINTS], largest = -INFINITY, sum = 0;
    for (int pass = 0; pass < 2; ++pass)
        for (int64_t k = 0; k < points; k += POINTS) {
            const int64_t part = smaller(points - k, POINTS);
            const real *raw = count == points ? m : staged;
            if (raw == staged)
                layer->read_offsets(weights + k * item, 0, staged, 0, 1, part);
            for (int64_t i = 0; i < part; ++i)
                if (pass == 0)
                    largest = raw[i] > largest ? raw[i] : largest;
                else
                    sum += real_exp(raw[i] - largest);
        }
    for (int64_t i = 0; i < count; ++i)
        m[i] = real_exp(m[i] - largest) / sum;
}

/* Lays out what a box's points have in common with those of every other box. A box that is smaller, at the end of a row or
 * of the groups, has the beginning of it. */
static void lay_grid(const dcnv4i_layer *layer, const place *at, const point_box *box, point_chunk *chunk) {
    const int64_t count = box->pixels * box->groups * box->points;
    const real *const grid_x = (const real *)layer->grid_x + at->point, *const grid_y = (const real *)layer->grid_y +
                                                                                        at->point;
    if (chunk->laid_from == at->point)
        return;
    chunk->laid_from = at->point;
    for (int64_t i = 0, block = 0; i < count; ++block)
        for (int64_t k = 0; k < box->points; ++k, ++i) {
            chunk->grid_x[i] = grid_x[k];
            chunk->grid_y[i] = grid_y[k];
            chunk->step_x[i] = (real)(block % box->pixels * layer->problem->params.stride_w);
        }
    for (int64_t i = count; i < POINTS_ROOM; ++i)
        chunk->grid_x[i] = chunk->grid_y[i] = chunk->step_x[i] = 0;
}

/* Reads a box's points into chunk->pairs and m. */
static void read_box(const image_frame *frame, const place *at, const point_box *box, point_chunk *chunk) {
    const dcnv4i_layer *const layer = frame->layer;
    const dcnv4_problem *const p = &layer->problem->params;
    const int64_t points = layer->problem->points, count = box->points;
    const int64_t item = (int64_t)layer->problem->base.tensors[DCNV4I_OFFSET_MASK].item;
    const int64_t row = p->offset_mask_stride;
    const char *block = frame->offset_mask + (at->pixel * row + at->group * 3 * points) * item;
    real *pairs = chunk->pairs, *m = chunk->m;
    lay_grid(layer, at, box, chunk);
    chunk->first_middle_x = middle_of(at->ox, p->stride_w, p->pad_w, p->kernel_w, p->dilation_w);
    chunk->middle_y = middle_of(at->oy, p->stride_h, p->pad_h, p->kernel_h, p->dilation_h);
    chunk->points = count;
    chunk->pixels = box->pixels;
    for (int64_t g = 0; g < box->groups; ++g, block += 3 * points * item) {
        layer->read_offsets(block + 2 * at->point * item, row, pairs, 2 * count, box->pixels, 2 * count);
        layer->read_offsets(block + (2 * points + at->point) * item, row, m, count, box->pixels, count);
        if (p->softmax)
            for (int64_t i = 0; i < box->pixels; ++i)
                softmax(layer, block + i * row * item, m + i * count, count);
        pairs += 2 * count * box->pixels, m += count * box->pixels;
    }
    /* Whole vectors are worked on, so something has to be there: points that need not be settled. */
    for (int64_t i = 0; i < LANES - 1; ++i)
        pairs[2 * i] = pairs[2 * i + 1] = (real)0.5, m[i] = 0;
}

/* Where a cell's index is 0, in an image of this many columns whose rows begin with first_row. */
static inline int64_t index_origin(const image_frame *frame, int64_t first_row, int64_t stride) {
    if (!frame->has_cells)
        return 0;
    return (((int64_t)frame->first_row - first_row - 1) * frame->layer->problem->params.width - 1) * stride;
}

/* A position so near to the middle is there: their sum is the middle then even in float64. Else it could be told from a point
 * at the image's edge, or at the border of two cells, where the formula's arithmetic cannot. */
static inline vec vsettle(vec position, vec middle) {
    const vec near = vmul(vset(NEAREST), middle);
    return vdrop(vless(vmul(position, position), vmul(near, near)), position);
}

static NOINLINE void settle_points(int64_t count, point_chunk *chunk) {
    const vec first_middle_x = vset((real)chunk->first_middle_x), middle_y = vset((real)chunk->middle_y);
    for (int64_t i = 0; i < count; i += LANES) {
        const vec middle_x = vadd(first_middle_x, vload(chunk->step_x + i));
        vstore(chunk->x + i, vsettle(vload(chunk->x + i), middle_x));
        vstore(chunk->y + i, vsettle(vload(chunk->y + i), middle_y));
    }
}

/* Where the points of a chunk are: x = scale·(grid + dx), settled. */
static void place_points(const image_frame *frame, int64_t count, point_chunk *chunk) {
    const vec scale = vset(frame->scale);
    vec nearest = vset(INFINITY); /* squares */
    for (int64_t i = 0; i < count; i += LANES) {
        vec dx, dy;
        vload_pairs(chunk->pairs + 2 * i, &dx, &dy);
        const vec x = vmul(scale, vadd(vload(chunk->grid_x + i), dx));
        const vec y = vmul(scale, vadd(vload(chunk->grid_y + i), dy));
        nearest = vmin(vmin(vmul(x, x), vmul(y, y)), nearest);
        vstore(chunk->x + i, x);
        vstore(chunk->y + i, y);
    }
    /* Asked for once, with the largest middle. */
    const int64_t last_step = (chunk->pixels - 1) * frame->layer->problem->params.stride_w;
    const real first = (real)chunk->first_middle_x, last = first + (real)last_step, y = (real)chunk->middle_y;
    const real largest = first * first + last * last + y * y;
    if (!vmask_full(vmask_not(vless(nearest, vset(NEAREST * NEAREST * largest)))))
        settle_points(count, chunk);
}

/* Cells of LANES points from number i on. column and row count from 1 at the frame's first column and row. */
static inline void store_cells(const image_frame *frame, int64_t i, vec column, vec row, vec m, vec left, vec right,
                               vec upper, vec lower, const bool backward, point_chunk *chunk) {
    vstore_index(chunk->at + i, column, row, frame->stride, frame->row);
    if (backward && frame->grad_stride)
        vstore_index(chunk->grad_at + i, column, row, frame->grad_stride, frame->grad_row);
    upper = vmul(m, upper), lower = vmul(m, lower);
    vstore_quads(chunk->corners + 4 * i, vmul(upper, left), vmul(upper, right), vmul(lower, left), vmul(lower, right));
}

/* Along one axis: the nearest of the cells 1 to `last` to one that may be outside the image, whose near and far pixels have
 * these linear weights. Pixels of it that are not the cell's own get weights of 0. Sets `same` where it is the cell itself. */
static inline vec vnearest(vec at, vec last, vec *near, vec *far, vmask *same) {
    const vec low = vmin(vmax(at, vset(1)), last), past = vsub(at, low), own_near = *near, own_far = *far;
    *same = vequal(past, vset(0));
    *near = vselect(*same, own_near, vkeep(vequal(past, vset(-1)), own_far));
    *far = vselect(*same, own_far, vkeep(vequal(past, vset(1)), own_near));
    return low;
}

/* Takes their cells from points that should have none. */
static NOINLINE void forget_cells(const image_frame *frame, int64_t count, point_chunk *chunk) {
    const vec from_row = vset((real)chunk->middle_y - frame->first_row + 1);
    for (int64_t i = 0; i < count; i += LANES) {
        const vec row = vadd(from_row, vfloor(vload(chunk->y + i)));
        const vmask missed = vmask_or(vless(row, vset(frame->lowest_row)), vless(vset(frame->highest_row), row));
        const vmask found = vmask_and(vfinite(vload(chunk->m + i)), vmask_not(missed));
        vforget_index(chunk->at + i, vmask_and(found, vequal(vset(1), vset(frame->rows_have_cells))));
        if (!frame->rows_have_cells) /* then what begins before the image was taken for the only cell there is */
            chunk->inner[i / LANES] = false;
    }
}

/* Fills in the rest of a chunk of count points that have been placed. A weight that is not finite makes a result that is not,
 * and is found there; but in backward it would reach pixels that are not the point's own. */
static ALWAYS_INLINE void find_cells(const image_frame *frame_, int64_t count, const bool backward,
                                     point_chunk *chunk) {
    /* A copy, since stores to the chunk could be to the frame, for all that the compiler knows. */
    const image_frame frame = *frame_;
    const vec one = vset(1), zero = vset(0), before_middle_x = vset((real)(chunk->first_middle_x + 1));
    const vec from_row = vset((real)chunk->middle_y - frame.first_row + 1);
    const vec end_column = vset(frame.last_column + 1), end_row = vset(frame.last_row - frame.first_row + 1);
    vec lowest = one, highest = one, zero_or_nan = zero;
    for (int64_t i = 0; i < count; i += LANES) {
        const vec x = vload(chunk->x + i), y = vload(chunk->y + i), whole_x = vfloor(x), whole_y = vfloor(y);
        const vec m = vload(chunk->m + i);
        vec right = vsub(x, whole_x), lower = vsub(y, whole_y), left = vsub(one, right), upper = vsub(one, lower);
        vec column = vadd(vadd(before_middle_x, vload(chunk->step_x + i)), whole_x), row = vadd(from_row, whole_y);
        vmask same_column, same_row;
        lowest = vmin(row, lowest), highest = vmax(row, highest);
        column = vnearest(column, end_column, &left, &right, &same_column);
        row = vnearest(row, end_row, &upper, &lower, &same_row);
        store_cells(&frame, i, column, row, m, left, right, upper, lower, backward, chunk);
        if (backward) {
            chunk->inner[i / LANES] = vmask_full(vmask_and(same_column, same_row));
            zero_or_nan = vfma(m, zero, zero_or_nan);
        }
    }
    const vmask missed = vmask_or(vless(lowest, vset(frame.lowest_row)), vless(vset(frame.highest_row), highest));
    chunk->complete = frame.rows_have_cells && vmask_full(vmask_and(vfinite(zero_or_nan), vmask_not(missed)));
    if (!chunk->complete)
        forget_cells(&frame, count, chunk);
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
