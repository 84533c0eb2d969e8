/* Bilinear sampling at a fractional position: where a point lies, which of its four corners are in the image, and their
 * weights. Where points come from is the operator's business. */

/* One point. Corners are numbered top left, top right, bottom left, bottom right; bit c of `inside` is set if corner
 * c is in the image, and `inside` is 0 if the point does not count. A corner whose bit is not set must be neither
 * read nor multiplied. */
typedef struct dcn_sample {
    float fx, fy; /* position within the cell: 0 ≤ fx, fy ≤ 1 */
    float mask;   /* the point's weight */
    int inside;
    dcn_index row, column; /* of the top left corner; may be −1; 0 if the point does not count */
} dcn_sample;

/* All four corners are in the image. */
#define DCN_INTERIOR 15

/* Positions are given relative to an integer, `middle`, so that the whole float32 mantissa is left for the fraction
 * however large the image is. A distance below middle·2⁻⁵⁴ is set to 0: in float64, middle plus it equals middle,
 * and comparisons with an image's edge or a cell's border must agree with that. */
#define DCN_NEAREST 0x1p-54f

DCN_INLINE float dcn_settle(float position, dcn_index middle) {
    return DCN_ABS(position) < DCN_NEAREST * DCN_ABS((float)middle) ? 0.0f : position;
}

/* The point at (middle_x + x, middle_y + y) in an image of width × height. Positions are converted to integers only
 * when they are in range, which NaN is not; corners are compared with the image's bounds as integers. The mask is
 * left 0. */
DCN_INLINE dcn_sample dcn_locate(float x, float y, dcn_index middle_x, dcn_index middle_y, dcn_index width,
                                 dcn_index height) {
    dcn_sample s;
    s.fx = 0.0f, s.fy = 0.0f, s.mask = 0.0f, s.inside = 0, s.row = 0, s.column = 0;
    x = dcn_settle(x, middle_x), y = dcn_settle(y, middle_y);
    if ((DCN_ABS(x) < DCN_FARTHEST) & (DCN_ABS(y) < DCN_FARTHEST)) {
        const dcn_index whole_x = dcn_floor(x), whole_y = dcn_floor(y);
        s.fx = x - (float)whole_x, s.fy = y - (float)whole_y;
        s.column = DCN_SUM(middle_x, whole_x), s.row = DCN_SUM(middle_y, whole_y);
        /* The open interval (−1, size) counts: at exactly −1 the corner on the right has weight 0 and is left out. */
        const int left = dcn_within(s.column, width), top = dcn_within(s.row, height);
        const int right = dcn_within(DCN_SUM(s.column, 1), width) & (left | (s.fx > 0.0f));
        const int bottom = dcn_within(DCN_SUM(s.row, 1), height) & (top | (s.fy > 0.0f));
        s.inside = (left & top) | (right & top) << 1 | (left & bottom) << 2 | (right & bottom) << 3;
        if (!s.inside) /* addresses are computed even where nothing is read; they must not overflow */
            s.row = 0, s.column = 0;
    }
    return s;
}

/* Index, in the batch, of the pixel of the top left corner; the other corners are at + 1, + width and + width + 1. */
DCN_INLINE dcn_index dcn_pixel_of(const DCN_PRIVATE dcn_sample *s, dcn_index n, dcn_index height, dcn_index width) {
    return (n * height + s->row) * width + s->column;
}

/* Bilinear weights of the four corners, times scale. */
DCN_INLINE void dcn_weights(float fx, float fy, float scale, DCN_PRIVATE float *weight) {
    const float upper = scale * (1.0f - fy), lower = scale * fy;
    weight[0] = upper * (1.0f - fx), weight[1] = upper * fx;
    weight[2] = lower * (1.0f - fx), weight[3] = lower * fx;
}

/* Whether mask·(Σ weight·value) may be computed as Σ (mask·weight)·value: false where that could make 0·Inf, or
 * overflow although the formula does not. */
DCN_INLINE int dcn_foldable(float mask) {
    return mask > -1e30f && mask < 1e30f;
}
