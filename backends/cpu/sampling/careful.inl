/* The careful way: one point after the other, with the four corners of the formula, whether they are in the image or not. */

typedef struct cell {
    bool counts;
    int64_t column, row; /* of the upper left corner: ≥ −1 */
    real right, lower;   /* how far the point is from it */
    real weight[4];      /* bilinear; outside the image too */
} cell;

/* Whether −1 ≤ whole + middle < size; the sum itself may be past what there are numbers for. */
static inline bool reaches_axis(int64_t whole, int64_t middle, int64_t size) {
    return whole >= -1 - middle && whole < size - middle;
}

static inline cell look(const point_chunk *chunk, int64_t point, const dcnv4_problem *p) {
    const int64_t pixel = point / chunk->points % chunk->pixels;
    const int64_t middle_x = chunk->first_middle_x + pixel * p->stride_w;
    const real x = chunk->x[point], y = chunk->y[point];
    const real far_off = (real)0x1p63;
    if (!(x >= -far_off && x < far_off && y >= -far_off && y < far_off))
        return (cell){.counts = false};
    const real whole_x = real_floor(x), whole_y = real_floor(y), right = x - whole_x, lower = y - whole_y;
    if (!reaches_axis((int64_t)whole_x, middle_x, p->width) || !reaches_axis((int64_t)whole_y, chunk->middle_y, p->height))
        return (cell){.counts = false};
    const int64_t column = (int64_t)whole_x + middle_x;
    const int64_t row = (int64_t)whole_y + chunk->middle_y;
    const bool empty = p->width == 0 || p->height == 0;
    const bool counts = !empty && (column > -1 || right > 0) && (row > -1 || lower > 0);
    const real left = 1 - right, upper = 1 - lower;
    return (cell){counts, column, row, right, lower, {upper * left, upper * right, lower * left, lower * right}};
}

/* Whether corner number `corner` of a cell is inside the image. */
static inline bool inside(const cell *at, int corner, const dcnv4_problem *p) {
    const int64_t column = at->column + (corner & 1), row = at->row + (corner >> 1);
    return column >= 0 && column < p->width && row >= 0 && row < p->height;
}

/* m times a corner's bilinear weight, rounded as that of a cell is: whether a point is worked on with care must not show. */
static inline real weight_of(const cell *at, int corner, real m) {
    return m * (corner >> 1 ? at->lower : 1 - at->lower) * (corner & 1 ? at->right : 1 - at->right);
}

/* Rows of value as reals, from a channel on: the tensor itself, or a copy of some of it. */
typedef struct view {
    const real *pixels; /* of first_row */
    int64_t stride;     /* reals from one pixel to the next */
    int64_t first_row, last_row;
    int64_t first_channel;
    const char *storage; /* the whole image, from the first channel on */
} view;

/* Makes a view of rows first to last − 1 of an image, with so many channels copied where there is scratch for them. */
static view see(const dcnv4i_layer *layer, const char *image, int64_t first, int64_t last, int64_t channel,
                int64_t channels, real *scratch) {
    const dcnv4_problem *p = &layer->problem->params;
    const int64_t item = (int64_t)layer->problem->item;
    const char *const storage = image + channel * item;
    const char *const pixel = storage + first * p->width * p->value_stride * item;
    if (!scratch)
        return (view){(const real *)pixel, p->value_stride, first, last, channel, storage};
    layer->read(pixel, p->value_stride, scratch, channels, (last - first) * p->width, channels);
    return (view){scratch, channels, first, last, channel, storage};
}

static const real zeros[BLOCK * LANES];

/* Where a corner of a cell has count channels from c on: in the view, in room if they had to be converted, and zeros outside
 * the image. */
static inline const real *see_corner(const dcnv4i_layer *layer, const view *value, const cell *at, int corner,
                                     int64_t c, int count, real *room) {
    const dcnv4_problem *p = &layer->problem->params;
    const int64_t column = at->column + (corner & 1), row = at->row + (corner >> 1);
    if (!inside(at, corner, p))
        return zeros;
    if (row >= value->first_row && row < value->last_row)
        return value->pixels + ((row - value->first_row) * p->width + column) * value->stride + c;
    layer->read(value->storage + ((row * p->width + column) * p->value_stride + c) * (int64_t)layer->problem->item, 0,
                room, 0, 1, count);
    return room;
}

/* Whether a cell is all in the view, but for what is outside the image. */
static inline bool in_view(const view *value, const cell *at, const dcnv4_problem *p) {
    for (int i = 0; i < 4; ++i) {
        const int64_t row = at->row + (i >> 1);
        if (inside(at, i, p) && (row < value->first_row || row >= value->last_row))
            return false;
    }
    return true;
}
