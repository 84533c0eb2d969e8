/* Sampling an image at a fractional position: where the point lies, and what is there. Knows nothing of kernel grids. */

/* A point. Corners are numbered (top left, top right, bottom left, bottom right); bit c of inside says that corner c is
 * in the image, and 0 that the point does not count. Without its bit a corner must be neither read nor multiplied. */
typedef struct dcn_sample {
    float fx, fy;   /* where in the cell: 0 ≤ fx, fy < 1 */
    float mask;     /* its weight */
    int inside;
    dcn_index at;   /* pixel number of the top left corner in the batch; the others are 1, width and width + 1 further */
} dcn_sample;

#define DCN_INTERIOR 15

/* The point at (x, y) of an image of width × height whose pixels are numbered from first on. What is inside is accepted, so
 * that NaN is not, and only then converted to a whole number. */
DCN_INLINE dcn_sample dcn_locate(float x, float y, dcn_index first, dcn_index width, dcn_index height) {
    dcn_sample s;
    s.fx = 0.0f, s.fy = 0.0f, s.mask = 0.0f, s.inside = 0, s.at = 0;
    if ((x > -1.0f) & (x < (float)width) & (y > -1.0f) & (y < (float)height)) {
        /* Rounding towards 0 is floor, but for what lies between −1 and 0. */
        const dcn_index column = (dcn_index)x - (x < 0.0f), row = (dcn_index)y - (y < 0.0f);
        /* Past 2²⁴ pixels a float is rounded, and even the left or upper corner may be outside. */
        const int left = (column >= 0) & (column < width), right = column + 1 < width;
        const int top = (row >= 0) & (row < height), bottom = row + 1 < height;
        s.fx = x - (float)column, s.fy = y - (float)row;
        s.inside = (left & top) | (right & top) << 1 | (left & bottom) << 2 | (right & bottom) << 3;
        s.at = first + row * width + column;
    }
    return s;
}

/* The bilinear weights of the four corners, each times scale. */
DCN_INLINE void dcn_weights(const DCN_PRIVATE dcn_sample *s, float scale, DCN_PRIVATE float *weight) {
    const float upper = scale * (1.0f - s->fy), lower = scale * s->fy;
    weight[0] = upper * (1.0f - s->fx), weight[1] = upper * s->fx;
    weight[2] = lower * (1.0f - s->fx), weight[3] = lower * s->fx;
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
