/* Cells: branch-free sampling. A *cell* is 2 × 2 neighbouring pixels that are all in the image. Every point has one:
 * the four pixels around it, or, near or beyond the border, the nearest four. Pixels of the cell that are not
 * corners of the point have weight 0, so all loads can be issued without a branch. 0·Inf is NaN, however: a result
 * that is not finite has to be recomputed from samples (sample.inl), which read corners alone. */

/* Four floats in one 16-byte access: one for each pixel of a cell, in the order of corners. */
typedef struct DCN_ALIGN(16) dcn_quad {
    float part[4];
} dcn_quad;

/* Integers below this, and sums of two of them, are exact in float32. Cells are clamped to the image in float32, so
 * image sizes and middles have to be smaller. */
#define DCN_EXACT 0x800000

/* Whether an image has a cell at all. */
#define DCN_HAS_CELLS(height, width) ((width) > 1 && (height) > 1)

/* The range of cells along an axis, relative to middle: the first column (or row) of a cell is from DCN_FIRST_CELL to
 * DCN_LAST_CELL. */
#define DCN_FIRST_CELL(middle) (-(float)(middle))
#define DCN_LAST_CELL(middle, size) ((float)((size) - 2) - (float)(middle))

/* A cell's first column, for the integer part of a position; NaN goes to the first cell. */
DCN_INLINE float dcn_cell_begin(float whole, float first_cell, float last_cell) {
    return DCN_MIN(DCN_MAX(whole, first_cell), last_cell);
}

/* Index, in the batch, of the top left pixel of the cell that begins at (first_x, first_y) from the middle. */
DCN_INLINE dcn_index dcn_cell_pixel(float first_x, float first_y, dcn_index middle_x, dcn_index middle_y, dcn_index n,
                                    dcn_index height, dcn_index width) {
    const dcn_index row = n * height + middle_y + (dcn_index)first_y;
    return row * width + middle_x + (dcn_index)first_x;
}

/* ---- For a weighted sum: a point's bilinear weights in its cell -------------------------------------------------- */

/* A cell along one axis: where it begins, and the bilinear weights of its two pixels. */
typedef struct dcn_side {
    float first, near, far;
} dcn_side;

/* From a settled position (dcn_settle): a pixel's weight is 1 − its distance from the point, or 0. NaN has weights
 * of 0. */
DCN_INLINE dcn_side dcn_side_of(float position, float first_cell, float last_cell) {
    dcn_side side;
    side.first = dcn_cell_begin(DCN_FLOOR(position), first_cell, last_cell);
    const float after = position - side.first;
    side.near = DCN_SATURATE(1.0f - DCN_ABS(after));
    side.far = DCN_MAX(DCN_MIN(after, 2.0f - after), 0.0f); /* exactly `after` if the point is in the cell */
    return side;
}

/* Weights of a cell's pixels, times mask; NaN if mask is infinite and one of them 0. */
DCN_INLINE dcn_quad dcn_cell_weights(const DCN_PRIVATE dcn_side *x, const DCN_PRIVATE dcn_side *y, float mask) {
    const float upper = mask * y->near, lower = mask * y->far;
    dcn_quad weights;
    weights.part[0] = upper * x->near, weights.part[1] = upper * x->far;
    weights.part[2] = lower * x->near, weights.part[3] = lower * x->far;
    return weights;
}

/* ---- For derivatives: how these weights change with the position ------------------------------------------------- */

/* A cell along one axis, and the point: its own two corners begin at first + cell_shift, and it lies `after` behind
 * the first of them. With a cell_shift of 0 both are the cell's pixels, with −1 or 1 one of them is; else, or if it
 * is NaN, the point does not count. */
typedef struct dcn_spot {
    float first, after, cell_shift;
} dcn_spot;

/* From a settled position. */
DCN_INLINE dcn_spot dcn_spot_of(float position, float first_cell, float last_cell) {
    const float whole = DCN_FLOOR(position);
    dcn_spot spot;
    spot.first = dcn_cell_begin(whole, first_cell, last_cell);
    spot.after = position - whole, spot.cell_shift = whole - spot.first;
    return spot;
}

/* Weights of a cell's two pixels, and their derivatives by the position; 0 for a pixel that is no corner of the
 * point. */
typedef struct dcn_change {
    float near, far, near_derivative, far_derivative;
    int counts;
} dcn_change;

DCN_INLINE dcn_change dcn_change_of(float after, float cell_shift) {
    const int own = cell_shift == 0.0f, left = (cell_shift == -1.0f) & (after > 0.0f), right = cell_shift == 1.0f;
    const float before = 1.0f - after;
    dcn_change change;
    change.near = own ? before : left ? after : 0.0f, change.far = own ? after : right ? before : 0.0f;
    change.near_derivative = own ? -1.0f : left ? 1.0f : 0.0f;
    change.far_derivative = own ? 1.0f : right ? -1.0f : 0.0f;
    change.counts = own | left | right;
    return change;
}
