/* Sampling an image at a fractional position: where the point lies, and what is there. Knows nothing of kernel grids. */

/* A point. Corners are numbered (top left, top right, bottom left, bottom right); bit c of inside says that corner c is
 * in the image, and 0 that the point does not count. Without its bit a corner must be neither read nor multiplied. */
typedef struct dcn_sample {
    float fx, fy; /* where in the cell: 0 ≤ fx, fy ≤ 1 */
    float mask;   /* its weight */
    int inside;
    dcn_index row, column; /* of the top left corner, which may be −1; anything if the point does not count */
} dcn_sample;

#define DCN_INTERIOR 15

/* Whole numbers below this, and sums of two of them, are known exactly as float32. */
#define DCN_EXACT 0x800000

/* Positions are measured from where the middle of the kernel is without an offset: a whole number, which is known exactly, so
 * that a float32 has all its bits for the fraction, however large the image is. What is nearer to the middle than this part
 * of it is at the middle: their sum is, even in float64. Else it could be told from a point at the image's edge, or at the
 * border of two cells, where the formula's arithmetic cannot. */
#define DCN_NEAREST 0x1p-54f

DCN_INLINE float dcn_settle(float position, dcn_index middle) {
    return DCN_ABS(position) < DCN_NEAREST * DCN_ABS((float)middle) ? 0.0f : position;
}

/* Rounding towards 0, and one less where that is more. */
DCN_INLINE dcn_index dcn_floor(float position) {
    const dcn_index whole = (dcn_index)position;
    return whole - (position < (float)whole);
}

/* Whether a number is from 0 to size − 1. */
DCN_INLINE int dcn_within(dcn_index number, dcn_index size) {
    return (dcn_unsigned)number < (dcn_unsigned)size;
}

/* a + b and a·b. Where numbers have 64 bits, they may be past them: a position's sum comes out as a negative number, which no
 * image reaches, and the product is of a block that does not exist. */
#if DCN_WIDE
#define DCN_SUM(a, b) ((dcn_index)((dcn_unsigned)(a) + (dcn_unsigned)(b)))
#define DCN_PRODUCT(a, b) ((dcn_index)((dcn_unsigned)(a) * (dcn_unsigned)(b)))
#else
#define DCN_SUM(a, b) ((a) + (b))
#define DCN_PRODUCT(a, b) ((a) * (b))
#endif

/* The point at (middle_x + x, middle_y + y) of an image of width × height. What can be a whole number is accepted, so that
 * NaN is not, and only then converted; what is inside is decided on whole numbers. */
DCN_INLINE dcn_sample dcn_locate(float x, float y, dcn_index middle_x, dcn_index middle_y, dcn_index width,
                                 dcn_index height) {
    dcn_sample s;
    s.fx = 0.0f, s.fy = 0.0f, s.mask = 0.0f, s.inside = 0, s.row = 0, s.column = 0;
    x = dcn_settle(x, middle_x), y = dcn_settle(y, middle_y);
    if ((DCN_ABS(x) < DCN_FARTHEST) & (DCN_ABS(y) < DCN_FARTHEST)) {
        const dcn_index whole_x = dcn_floor(x), whole_y = dcn_floor(y);
        s.fx = x - (float)whole_x, s.fy = y - (float)whole_y;
        s.column = DCN_SUM(middle_x, whole_x), s.row = DCN_SUM(middle_y, whole_y);
        /* Left of the image's first column a point counts unless it is exactly at −1; then it has no corner inside. */
        const int left = dcn_within(s.column, width), top = dcn_within(s.row, height);
        const int right = dcn_within(DCN_SUM(s.column, 1), width) & (left | (s.fx > 0.0f));
        const int bottom = dcn_within(DCN_SUM(s.row, 1), height) & (top | (s.fy > 0.0f));
        s.inside = (left & top) | (right & top) << 1 | (left & bottom) << 2 | (right & bottom) << 3;
#if DCN_WIDE /* addresses are made of them also where nothing is read */
        if (!s.inside)
            s.row = 0, s.column = 0;
#endif
    }
    return s;
}

/* The bilinear weights of the four corners, each times scale. */
DCN_INLINE void dcn_weights(float fx, float fy, float scale, DCN_PRIVATE float *weight) {
    const float upper = scale * (1.0f - fy), lower = scale * fy;
    weight[0] = upper * (1.0f - fx), weight[1] = upper * fx;
    weight[2] = lower * (1.0f - fx), weight[3] = lower * fx;
}

/* Four numbers, as one access of 16 bytes. */
typedef struct DCN_ALIGN(16) dcn_quad {
    float part[4];
} dcn_quad;

/* A point's *cell* is four neighbouring pixels that are all in the image, if that has two rows and columns: those around the
 * point, or the nearest ones. On each axis it begins from `low` to `high`, counted from where positions are, and these have to
 * be known exactly (DCN_EXACT). NaN begins at low. */
DCN_INLINE float dcn_cell_begin(float whole, float low, float high) {
    return DCN_MIN(DCN_MAX(whole, low), high);
}

/* One axis of a cell, and the shares of its two pixels in a point. */
typedef struct dcn_side {
    float first, near, far;
} dcn_side;

/* What dcn_locate finds along one axis, without a branch, from a position that is settled: a pixel's share is 1 less its
 * distance from the point, or none. NaN has no shares. */
DCN_INLINE dcn_side dcn_side_of(float position, float low, float high) {
    dcn_side side;
    side.first = dcn_cell_begin(DCN_FLOOR(position), low, high);
    const float after = position - side.first;
    side.near = DCN_SATURATE(1.0f - DCN_ABS(after));
    side.far = DCN_MAX(DCN_MIN(after, 2.0f - after), 0.0f); /* as exact as `after` where the point is in the cell */
    return side;
}

/* One axis of a cell, and the point, which is `after` the beginning of its own pixels. Those are the cell's if aside is 0, and
 * one to the left or right of them if it is −1 or 1; if it is anything else, or NaN, the point does not count. */
typedef struct dcn_spot {
    float first, after, aside;
} dcn_spot;

/* From a position that is settled. */
DCN_INLINE dcn_spot dcn_spot_of(float position, float low, float high) {
    const float whole = DCN_FLOOR(position);
    dcn_spot spot;
    spot.first = dcn_cell_begin(whole, low, high);
    spot.after = position - whole, spot.aside = whole - spot.first;
    return spot;
}

/* The shares of a cell's two pixels in a point, and how these change with its position; 0 of what is no corner of it. */
typedef struct dcn_change {
    float near, far, near_slope, far_slope;
    int counts;
} dcn_change;

DCN_INLINE dcn_change dcn_change_of(float after, float aside) {
    const int own = aside == 0.0f, left = (aside == -1.0f) & (after > 0.0f), right = aside == 1.0f;
    const float before = 1.0f - after;
    dcn_change change;
    change.near = own ? before : left ? after : 0.0f, change.far = own ? after : right ? before : 0.0f;
    change.near_slope = own ? -1.0f : left ? 1.0f : 0.0f, change.far_slope = own ? 1.0f : right ? -1.0f : 0.0f;
    change.counts = own | left | right;
    return change;
}

/* Bilinear weights of a cell's pixels, times the mask; NaN if that is infinite and any of them 0. */
DCN_INLINE dcn_quad dcn_cell_weights(const DCN_PRIVATE dcn_side *x, const DCN_PRIVATE dcn_side *y, float mask) {
    const float upper = mask * y->near, lower = mask * y->far;
    dcn_quad weights;
    weights.part[0] = upper * x->near, weights.part[1] = upper * x->far;
    weights.part[2] = lower * x->near, weights.part[3] = lower * x->far;
    return weights;
}

/* Whether the mask can be multiplied into the weights beforehand: 0·Inf and an overflow, which mask·Σ would not have had,
 * must not arise. */
DCN_INLINE int dcn_foldable(float mask) {
    return mask > -1e30f && mask < 1e30f;
}

/* The vector at an element, or zeros where the corner is outside the image. */
DCN_INLINE dcn_vector dcn_select(const DCN_GLOBAL dcn_item *tensor, dcn_index at, int inside) {
    return inside ? dcn_load(tensor, at) : dcn_zero();
}
