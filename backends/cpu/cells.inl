/* From rows of offset_mask to cells: where each point looks and with which weights. Points of several groups and pixels
 * are laid one after the other, so that whole vectors of them are worked on whatever K is. */

enum {
    POINTS = 256,                      /* in a chunk: its arrays lie in the first-level cache */
    POINTS_ROOM = POINTS + LANES - 1   /* vectors may end past the last one */
};

typedef struct point_chunk {
    _Alignas(64) real x[POINTS_ROOM], y[POINTS_ROOM]; /* positions */
    real m[POINTS_ROOM];                              /* weights */
    point_index at[POINTS_ROOM];                      /* the cell, see vstore_index */
    real corners[4 * POINTS_ROOM];                    /* quads of m·bilinear weight */
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
#define FOR_CHANNEL_BLOCKS(channels, body)                                                                             \
    do {                                                                                                               \
        int64_t c_ = 0;                                                                                                \
        for (; c_ + BLOCK * LANES <= (channels); c_ += BLOCK * LANES)                                                  \
            body(c_, BLOCK, 0);                                                                                        \
        for (; c_ + HALF_BLOCK * LANES <= (channels); c_ += HALF_BLOCK * LANES)                                        \
            body(c_, HALF_BLOCK, 0);                                                                                   \
        for (; c_ + LANES <= (channels); c_ += LANES)                                                                  \
            body(c_, 1, 0);                                                                                            \
        if (c_ < (channels))                                                                                           \
            body(c_, 1, (int)((channels) - c_));                                                                       \
    } while (0)

/* The function for such a block among those whose names begin alike. */
#define CHOOSE(begin, vectors_, part_)                                                                                 \
    ((part_)                    ? begin##part                                                                          \
     : (vectors_) == BLOCK      ? begin##block                                                                         \
     : (vectors_) == HALF_BLOCK ? begin##half                                                                          \
                                : begin##vector)

static inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

static point_box largest_box(int64_t pixels, int64_t groups, int64_t points) {
    point_box b = {1, 1, smaller(points, POINTS)};
    const int64_t blocks = points <= POINTS ? POINTS / (points ? points : 1) : 1;
    b.pixels = smaller(pixels, smaller(blocks, DCNV4I_BOX_PIXELS));
    if (b.pixels == pixels && pixels > 0)
        b.groups = smaller(groups, blocks / pixels);
    return b;
}

/* The least real that is not below an integer: real x < n if and only if x < real_above(n). */
static real real_above(int64_t n) {
    const real near = (real)n;
    return near < (real)9e18 && (int64_t)near < n ? real_next(near) : near;
}

/* What the points of a piece of work are held against. */
typedef struct image_frame {
    const dcnv4i_layer *layer;
    const char *offset_mask;
    real scale;
    real width, height; /* of value, as real_above */
    inner_cells inner;
} image_frame;

/* The inner cells are among rows first to last − 1, and numbered from row `zero` on. */
static image_frame make_frame(const dcnv4i_layer *layer, const dcnv4i_tensors *tensors, int64_t first, int64_t last, int64_t zero) {
    const dcnv4_problem *p = &layer->problem->asked;
    return (image_frame){
        .layer = layer,
        .offset_mask = tensors->offset_mask,
        .scale = (real)p->offset_scale,
        .width = real_above(p->width),
        .height = real_above(p->height),
        .inner = {real_above(p->width - 1), real_above(first), real_above(last - 1), zero, p->width},
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

/* Places count points of a block: x = base + scale·(grid + dx), where base and grid are whole numbers. */
static inline void place_points(real scale, const real *grid_x, const real *grid_y, const real *pairs, const real *weights,
                                int64_t count, real base_x, real base_y, real *x, real *y, real *m) {
    int64_t k = 0;
    for (; k + LANES <= count; k += LANES) {
        vec dx, dy;
        vload_pairs(pairs + 2 * k, &dx, &dy);
        vstore(x + k, vfma(vset(scale), vadd(vload(grid_x + k), dx), vset(base_x)));
        vstore(y + k, vfma(vset(scale), vadd(vload(grid_y + k), dy), vset(base_y)));
        vstore(m + k, vload(weights + k));
    }
    for (; k < count; ++k) {
        x[k] = real_fma(scale, grid_x[k] + pairs[2 * k], base_x);
        y[k] = real_fma(scale, grid_y[k] + pairs[2 * k + 1], base_y);
        m[k] = weights[k];
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
    const real base_y = (real)(at->oy * p->stride_h - p->pad_h + dcnv4i_half_span(p->kernel_h, p->dilation_h));
    const int64_t base = at->ox * p->stride_w - p->pad_w + dcnv4i_half_span(p->kernel_w, p->dilation_w);
    real *x = chunk->x, *y = chunk->y, *m = chunk->m, staged[3 * POINTS];
    for (int64_t g = 0; g < box->groups; ++g) {
        const char *block = frame->offset_mask + at->pixel * row_size + (at->group + g) * block_size;
        for (int64_t i = 0; i < box->pixels; ++i, block += row_size, x += count, y += count, m += count) {
            const real *pairs = (const real *)(block + pairs_at), *weights = (const real *)(block + weights_at);
            if (layer->read) {
                pairs = staged, weights = staged + 2 * count;
                layer->read(block + pairs_at, staged, count == points ? 3 * count : 2 * count);
                if (count < points)
                    layer->read(block + weights_at, staged + 2 * count, count);
            }
            place_points(scale, grid_x, grid_y, pairs, weights, count, (real)(base + i * p->stride_w), base_y, x, y, m);
            if (p->softmax)
                softmax(layer, block, m, count);
        }
    }
}

/* Fills in the rest of a chunk of count points. */
static void find_cells(point_chunk *chunk, int64_t count, const inner_cells *inner) {
    const vec one = vset(1);
    /* Whole vectors are worked on, so something has to be behind the last point. */
    for (int64_t i = count; i < count + LANES - 1; ++i)
        chunk->x[i] = chunk->y[i] = chunk->m[i] = 0;
    for (int64_t i = 0; i < count; i += LANES) {
        const vec x = vload(chunk->x + i), y = vload(chunk->y + i), m = vload(chunk->m + i);
        const vec column = vfloor(x), row = vfloor(y);
        const vec right = vsub(x, column), lower = vsub(y, row);
        const vec left = vsub(one, right), below = vmul(m, lower), above = vmul(m, vsub(one, lower));
        vstore_index(chunk->at + i, x, y, column, row, m, inner);
        vstore_quads(chunk->corners + 4 * i, vmul(above, left), vmul(above, right), vmul(below, left), vmul(below, right));
    }
}

/* How many of `blocks` blocks of points, one after the other in a chunk, have inner cells alone before one that has not. */
static inline int64_t inner_blocks(const point_chunk *chunk, int64_t first, int64_t points, int64_t blocks) {
    const point_index *index = chunk->at + first;
    for (int64_t block = 0; block < blocks; ++block, index += points) {
        point_index any = 0;
        for (int64_t k = 0; k < points; ++k)
            any |= index[k];
        if (any < 0)
            return block;
    }
    return blocks;
}

/* ---- Points whose four corners are not all plain to be had: one by one ------------------------------------------- */

typedef struct cell {
    bool counts;
    int64_t column, row; /* of the upper left corner: ≥ −1 */
} cell;

static inline cell look(const point_chunk *chunk, int64_t point, const image_frame *frame) {
    const real x = chunk->x[point], y = chunk->y[point];
    if (!(x > -1 && x < frame->width && y > -1 && y < frame->height))
        return (cell){false, 0, 0};
    return (cell){true, (int64_t)real_floor(x), (int64_t)real_floor(y)};
}

/* Whether corner number `corner` of a cell is inside the image. */
static inline bool inside(const cell *at, int corner, const dcnv4_problem *p) {
    const int64_t column = at->column + (corner & 1), row = at->row + (corner >> 1);
    return column >= 0 && column < p->width && row >= 0 && row < p->height;
}

/* Rows of value as reals: the tensor itself, or what was converted of it. */
typedef struct view {
    const real *pixels; /* of first_row */
    int64_t stride;     /* reals from one pixel to the next */
    int64_t first_row, last_row;
    const char *storage; /* the whole image, from the view's first channel on */
} view;

/* Makes a view of rows first to last − 1 of an image's channels, converting them into scratch where they are not reals. */
static view see(const dcnv4i_layer *layer, const char *image, int64_t first, int64_t last, int64_t channel, int64_t channels,
                real *scratch) {
    const dcnv4_problem *p = &layer->problem->asked;
    const int64_t item = (int64_t)layer->problem->item, stride = p->value_stride * item;
    const char *const storage = image + channel * item, *const pixel = storage + first * p->width * stride;
    if (!layer->read)
        return (view){(const real *)pixel, p->value_stride, first, last, storage};
    const int64_t at_once = p->value_stride == channels ? p->width : 1;
    for (int64_t i = 0; i < (last - first) * p->width; i += at_once)
        layer->read(pixel + i * stride, scratch + i * channels, at_once * channels);
    return (view){scratch, channels, first, last, storage};
}

static const real zeros[BLOCK * LANES];

/* Where the corners of inner cell number `index` are, from channel c of the view on. */
static inline void find_inner_corners(const view *value, int64_t index, int64_t c, const dcnv4_problem *p,
                                      const real *corner[4]) {
    corner[0] = value->pixels + index * value->stride + c;
    corner[1] = corner[0] + value->stride;
    corner[2] = corner[0] + p->width * value->stride;
    corner[3] = corner[2] + value->stride;
}

/* Whether a cell is all in the view, but for what is outside the image; then corner[] are where its corners are, from
 * channel c of the view on, those outside the image being zeros. */
static inline bool find_corners(const view *value, const cell *at, int64_t c, const dcnv4_problem *p, const real *corner[4]) {
    for (int i = 0; i < 4; ++i) {
        const int64_t column = at->column + (i & 1), row = at->row + (i >> 1);
        if (!inside(at, i, p))
            corner[i] = zeros;
        else if (row >= value->first_row && row < value->last_row)
            corner[i] = value->pixels + ((row - value->first_row) * p->width + column) * value->stride + c;
        else
            return false;
    }
    return true;
}
