/* The exact path: one point after the other, with the formula's four corners, whether they are in the image or not.
 * It is slow and rare: for points without a cell, and for results that are not finite. */

/* Where a point is. */
typedef struct exact_cell {
    bool counts;         /* whether it is in the image or less than a pixel from it */
    int64_t column, row; /* of the upper left corner: ≥ −1 */
    real right, lower;   /* how far the point is from it */
    real weight[4];      /* bilinear; outside the image too */
} exact_cell;

/* Whether −1 ≤ whole + middle < size; the sum itself may overflow. */
static inline bool on_axis(int64_t whole, int64_t middle, int64_t size) {
    return whole >= -1 - middle && whole < size - middle;
}

static inline exact_cell locate_point(const point_chunk *chunk, int64_t point, const dcnv4i_image *image) {
    const int64_t middle_x = chunk->first_middle_x + block_of(&chunk->box, point).pixel * chunk->middle_step;
    const real x = chunk->x[point], y = chunk->y[point];
    const real limit = (real)0x1p63;
    if (!(x >= -limit && x < limit && y >= -limit && y < limit))
        return (exact_cell){.counts = false};
    const real whole_x = real_floor(x), whole_y = real_floor(y), right = x - whole_x, lower = y - whole_y;
    if (!on_axis((int64_t)whole_x, middle_x, image->width) ||
        !on_axis((int64_t)whole_y, chunk->middle_y, image->height))
        return (exact_cell){.counts = false};
    const int64_t column = (int64_t)whole_x + middle_x;
    const int64_t row = (int64_t)whole_y + chunk->middle_y;
    const bool empty = image->width == 0 || image->height == 0;
    const bool counts = !empty && (column > -1 || right > 0) && (row > -1 || lower > 0);
    const real left = 1 - right, upper = 1 - lower;
    return (exact_cell){counts, column, row, right, lower, {upper * left, upper * right, lower * left, lower * right}};
}

/* Whether corner number `corner` of a cell is inside the image. */
static inline bool corner_inside(const exact_cell *cell, int corner, const dcnv4i_image *image) {
    const int64_t column = cell->column + (corner & 1), row = cell->row + (corner >> 1);
    return column >= 0 && column < image->width && row >= 0 && row < image->height;
}

/* weight times a corner's bilinear weight, rounded in the same order as by find_cells: results must not show which
 * points took the exact path. */
static inline real corner_weight(const exact_cell *cell, int corner, real weight) {
    return weight * (corner >> 1 ? cell->lower : 1 - cell->lower) * (corner & 1 ? cell->right : 1 - cell->right);
}

/* Rows of an image as reals, from some channel on: the tensor itself, or a converted copy of some of its channels. */
typedef struct view {
    const real *pixels; /* of first_row */
    int64_t stride;     /* reals from one pixel to the next */
    int64_t first_row, last_row;
    int64_t first_channel;
    const char *storage; /* the whole image, from first_channel on */
} view;

/* Makes a view of rows first to last − 1: of the tensor itself, or of `channels` channels that are copied to
 * scratch, if that is not NULL. `storage` is the whole image. */
static view view_rows(const dcnv4i_image *image, const char *storage, int64_t first, int64_t last, int64_t channel,
                      int64_t channels, real *scratch) {
    storage += channel * image->item;
    const char *const pixel = storage + first * image->width * image->stride * image->item;
    if (!scratch)
        return (view){(const real *)pixel, image->stride, first, last, channel, storage};
    image->read(pixel, image->stride, scratch, channels, (last - first) * image->width, channels);
    return (view){scratch, channels, first, last, channel, storage};
}

static const real zeros[BLOCK * LANES];

/* Where `count` channels of a cell's corner are, from channel c of the view on: in the view; in `room`, converted,
 * if the row is not in the view; zeros if the corner is outside the image. */
static inline const real *corner_channels(const dcnv4i_image *image, const view *from, const exact_cell *cell,
                                          int corner, int64_t c, int count, real *room) {
    const int64_t column = cell->column + (corner & 1), row = cell->row + (corner >> 1);
    if (!corner_inside(cell, corner, image))
        return zeros;
    if (row >= from->first_row && row < from->last_row)
        return from->pixels + ((row - from->first_row) * image->width + column) * from->stride + c;
    image->read(from->storage + ((row * image->width + column) * image->stride + c) * image->item, 0, room, 0, 1,
                count);
    return room;
}

/* corner_channels of all four, whose conversions may take this room. */
static inline void find_corners(const dcnv4i_image *image, const view *from, const exact_cell *cell, int64_t c,
                                int count, real room[4][LANES], const real *corner[4]) {
    const int64_t row = cell->row - from->first_row;
    const bool inside = cell->column >= 0 && cell->column < image->width - 1 && row >= 0 &&
                        row < from->last_row - from->first_row - 1;
    if (inside) { /* most are */
        const real *const first = from->pixels + (row * image->width + cell->column) * from->stride + c;
        for (int i = 0; i < 4; ++i)
            corner[i] = first + ((i >> 1) * image->width + (i & 1)) * from->stride;
        return;
    }
    for (int i = 0; i < 4; ++i)
        corner[i] = corner_channels(image, from, cell, i, c, count, room[i]);
}

/* Whether all of a cell that is inside the image is in the view. */
static inline bool cell_in_view(const view *from, const exact_cell *cell, const dcnv4i_image *image) {
    for (int i = 0; i < 4; ++i) {
        const int64_t row = cell->row + (i >> 1);
        if (corner_inside(cell, i, image) && (row < from->first_row || row >= from->last_row))
            return false;
    }
    return true;
}
