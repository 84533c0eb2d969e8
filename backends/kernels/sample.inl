/* Sampling an image at a fractional position: where the point lies, and what is there. Knows nothing of kernel grids. */

/* A point. Corners are numbered (top left, top right, bottom left, bottom right); bit c of inside says that corner c is
 * in the image, and 0 that the point does not count. Without its bit a corner must be neither read nor multiplied. */
typedef struct dcn_sample {
    float fx, fy;   /* where in the cell: 0 ≤ fx, fy ≤ 1 */
    float mask;     /* its weight */
    int inside;
    dcn_index at;   /* pixel number of the top left corner in the batch; the others are 1, width and width + 1 further */
} dcn_sample;

#define DCN_INTERIOR 15

/* The sum of a whole number and the whole part of a float. Numbers within reach of an image cannot overflow; others may
 * wrap around, and only ever to large negative ones, which are outside every image. */
DCN_INLINE dcn_uindex dcn_add_floor(dcn_index whole, float floored) {
    return (dcn_uindex)whole + (dcn_uindex)(dcn_index)floored;
}

/* The point at (x + part_x, y + part_y) of an image of width × height whose pixels are numbered from first on. x and y are
 * whole: a position keeps all bits of its fraction however large the image. What is inside is accepted, so that NaN is
 * not, and only then converted. */
DCN_INLINE dcn_sample dcn_locate(dcn_index x, float part_x, dcn_index y, float part_y, dcn_index first, dcn_index width,
                                 dcn_index height) {
    dcn_sample s;
    s.fx = 0.0f, s.fy = 0.0f, s.mask = 0.0f, s.inside = 0, s.at = 0;
    if (part_x > -DCN_REACH && part_x < DCN_REACH && part_y > -DCN_REACH && part_y < DCN_REACH) {
        const float floor_x = DCN_FLOOR(part_x), floor_y = DCN_FLOOR(part_y);
        const dcn_uindex column = dcn_add_floor(x, floor_x), row = dcn_add_floor(y, floor_y);
        s.fx = part_x - floor_x, s.fy = part_y - floor_y;
        const int left = column < (dcn_uindex)width, right = column + 1 < (dcn_uindex)width;
        const int top = row < (dcn_uindex)height, bottom = row + 1 < (dcn_uindex)height;
        /* −1 itself does not count: there the cell's right or bottom edge is inside, with weight 0. */
        const int counts = (left | (right & (s.fx > 0.0f))) & (top | (bottom & (s.fy > 0.0f)));
        if (counts) {
            s.inside = (left & top) | (right & top) << 1 | (left & bottom) << 2 | (right & bottom) << 3;
            s.at = first + (dcn_index)row * width + (dcn_index)column;
        }
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
