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

/* How a piece of work is cut into chunks: boxes of pixels × groups × points. All points of a pixel are in one box where
 * they fit; otherwise a box is a part of one pixel. */
typedef struct point_box {
    int64_t pixels, groups, points;
} point_box;

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

static inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

static point_box largest_box(int64_t pixels, int64_t groups, int64_t points) {
    point_box b = {1, 1, smaller(points, POINTS)};
    if (points <= POINTS)
        b.groups = points ? smaller(groups, POINTS / points) : groups;
    if (b.groups == groups)
        b.pixels = points ? smaller(pixels, POINTS / (groups * points)) : pixels;
    return b;
}

/* The least real that is not below an integer: real x < n if and only if x < real_above(n). */
static real real_above(int64_t n) {
    const real near = (real)n;
    return near < (real)9e18 && (int64_t)near < n ? real_next(near) : near;
}

/* Cells among rows first to last − 1 of an image, numbered from row zero on. */
static inner_cells inner_cells_of(int64_t first, int64_t last, int64_t zero, int64_t width) {
    return (inner_cells){real_above(width - 1), real_above(first), real_above(last - 1), zero, width};
}

/* A box's part of one output pixel in one row. */
typedef struct place {
    int64_t pixel;                    /* row number of offset_mask and output */
    int64_t oy, ox;
    int64_t group, point;             /* the first of the box */
} place;

/* m = exp(raw − largest) / sum over the K weights of a block, of which only `part` may be in m now. */
static void softmax(const dcnv4i_layer *layer, const char *block, real *m, int64_t part) {
    const dcnv4i_problem *problem = layer->problem;
    const int64_t points = problem->points;
    const char *weights = block + 2 * points * (int64_t)problem->item;
    real staged[POINTS], largest = -INFINITY, sum = 0;
    for (int pass = 0; pass < 2; ++pass)
        for (int64_t k = 0; k < points; k += POINTS) {
            const int64_t count = smaller(points - k, POINTS);
            const real *raw = part == points ? m : staged;
            if (raw == staged && layer->read)
                layer->read(weights + k * (int64_t)problem->item, staged, count);
            else if (raw == staged)
                memcpy(staged, weights + k * (int64_t)problem->item, (size_t)count * sizeof(real));
            for (int64_t i = 0; i < count; ++i)
                if (pass == 0)
                    largest = raw[i] > largest ? raw[i] : largest;
                else
                    sum += real_exp(raw[i] - largest);
        }
    for (int64_t i = 0; i < part; ++i)
        m[i] = real_exp(m[i] - largest) / sum;
}

/* Reads the points of one group and pixel into chunk->x, y and m from number `to` on. */
static void read_points(const dcnv4i_layer *layer, const dcnv4i_tensors *tensors, const place *at, int64_t count, point_chunk *chunk,
                        int64_t to) {
    const dcnv4_problem *p = &layer->problem->asked;
    const int64_t points = layer->problem->points, item = (int64_t)layer->problem->item;
    const char *block = tensors->offset_mask + (at->pixel * p->offset_mask_stride + at->group * 3 * points) * item;
    const char *pairs_at = block + 2 * at->point * item, *weights_at = block + (2 * points + at->point) * item;
    real staged[3 * POINTS];
    const real *pairs = (const real *)pairs_at, *weights = (const real *)weights_at;
    if (layer->read) {
        pairs = staged, weights = staged + 2 * count;
        layer->read(pairs_at, staged, count == points ? 3 * count : 2 * count);
        if (count < points)
            layer->read(weights_at, staged + 2 * count, count);
    }
    const int64_t half_w = dcnv4i_half_span(p->kernel_w, p->dilation_w);
    const int64_t half_h = dcnv4i_half_span(p->kernel_h, p->dilation_h);
    const real base_x = (real)(at->ox * p->stride_w - p->pad_w + half_w);
    const real base_y = (real)(at->oy * p->stride_h - p->pad_h + half_h), scale = (real)p->offset_scale;
    const real *grid_x = (const real *)layer->grid_x + at->point, *grid_y = (const real *)layer->grid_y + at->point;
    int64_t k = 0;
    for (; k + LANES <= count; k += LANES) {
        vec dx, dy;
        vload_pairs(pairs + 2 * k, &dx, &dy);
        vstore(chunk->x + to + k, vfma(vset(scale), vadd(vload(grid_x + k), dx), vset(base_x)));
        vstore(chunk->y + to + k, vfma(vset(scale), vadd(vload(grid_y + k), dy), vset(base_y)));
        vstore(chunk->m + to + k, vload(weights + k));
    }
    for (; k < count; ++k) {
        chunk->x[to + k] = real_fma(scale, grid_x[k] + pairs[2 * k], base_x);
        chunk->y[to + k] = real_fma(scale, grid_y[k] + pairs[2 * k + 1], base_y);
        chunk->m[to + k] = weights[k];
    }
    if (p->softmax)
        softmax(layer, block, chunk->m + to, count);
}

/* Fills in the rest of a chunk of count points. */
static void find_cells(point_chunk *chunk, int64_t count, const inner_cells *inner) {
    const vec one = vset(1);
    for (int64_t i = count; i < POINTS_ROOM && i < count + LANES - 1; ++i)
        chunk->x[i] = chunk->y[i] = -2, chunk->m[i] = 0;
    for (int64_t i = 0; i < count; i += LANES) {
        const vec x = vload(chunk->x + i), y = vload(chunk->y + i), m = vload(chunk->m + i);
        const vec column = vfloor(x), row = vfloor(y);
        const vec right = vsub(x, column), lower = vsub(y, row);
        const vec left = vsub(one, right), below = vmul(m, lower), above = vmul(m, vsub(one, lower));
        vstore_index(chunk->at + i, x, y, column, row, m, inner);
        vstore_quads(chunk->corners + 4 * i, vmul(above, left), vmul(above, right), vmul(below, left), vmul(below, right));
    }
}

/* Reads a box and finds its cells; the place is the box's first. Point k of group g of pixel i of the box is number
 * (i·groups + g)·points + k of the chunk. */
static void find_box(const dcnv4i_layer *layer, const dcnv4i_tensors *tensors, place at, const point_box *box,
                     const inner_cells *inner, point_chunk *chunk) {
    int64_t count = 0;
    for (int64_t i = 0; i < box->pixels; ++i, ++at.pixel, ++at.ox) {
        place group_at = at;
        for (int64_t g = 0; g < box->groups; ++g, ++group_at.group, count += box->points)
            read_points(layer, tensors, &group_at, box->points, chunk, count);
    }
    find_cells(chunk, count, inner);
}

/* Where a point is whose four corners are not all plain to be had: the slow and careful way. */
typedef struct corners {
    bool counts;
    int64_t column, row; /* of the upper left corner: ≥ −1 */
} corners;

static inline corners look(const point_chunk *chunk, int64_t point, const dcnv4_problem *p) {
    const real x = chunk->x[point], y = chunk->y[point];
    if (!(x > -1 && x < real_above(p->width) && y > -1 && y < real_above(p->height)))
        return (corners){false, 0, 0};
    return (corners){true, (int64_t)real_floor(x), (int64_t)real_floor(y)};
}

static inline bool inside(const corners *at, int corner, const dcnv4_problem *p) {
    const int64_t column = at->column + (corner & 1), row = at->row + (corner >> 1);
    return column >= 0 && column < p->width && row >= 0 && row < p->height;
}
