/* The derivatives of a point's contribution to the loss by its weight and its position. They are combinations of
 * four dot products: grad_output with the value of each corner, over the D channels of a group. `at`, `below` and
 * `channel` are as in gather.inl; here a lane has all of its vectors. grad_output's are at `grad_at`. */

/* Derivatives by the point's weight (mask) and position (x, y), before the position's factor, the mask; 0 if it does
 * not count. */
typedef struct dcn_derivatives {
    float mask, x, y;
    int counts;
} dcn_derivatives;

DCN_INLINE dcn_derivatives dcn_no_derivatives(int counts) {
    dcn_derivatives d;
    d.mask = 0.0f, d.x = 0.0f, d.y = 0.0f, d.counts = counts;
    return d;
}

DCN_INLINE int dcn_are_finite(const DCN_PRIVATE float *dot) {
    return DCN_ZERO_OR_NAN(dot[0]) + DCN_ZERO_OR_NAN(dot[1]) + DCN_ZERO_OR_NAN(dot[2]) + DCN_ZERO_OR_NAN(dot[3]) == 0.0f;
}

/* ---- From samples: exact ----------------------------------------------------------------------------------------- */

/* dot[c] = Σ grad_output·corner c over a lane's channels; 0 for a corner outside the image, which is not read. */
DCN_INLINE void dcn_corner_dots(const DCN_GLOBAL dcn_element *value, dcn_index at, dcn_index below,
                                const DCN_GLOBAL dcn_element *grad_output, dcn_index grad_at, int inside,
                                dcn_index channel, DCN_PRIVATE float *dot) {
    dcn_partials sum[4];
    DCN_UNROLL
    for (int c = 0; c < 4; ++c)
        sum[c] = dcn_no_products();
    if (inside == DCN_INTERIOR) {
        DCN_UNROLL_VECTORS
        for (int v = 0; v < DCN_LANE_VECTORS; ++v)
            if (DCN_HAS_VECTOR(channel, v)) {
                const dcn_index step = DCN_STEP(channel, v);
                const dcn_vector grad = dcn_load_once(grad_output, grad_at, channel, v);
                sum[0] = dcn_add_products(grad, dcn_load(value, at + step), sum[0]);
                sum[1] = dcn_add_products(grad, dcn_load(value, at + step + DCN_VALUE_STRIDE), sum[1]);
                sum[2] = dcn_add_products(grad, dcn_load(value, at + step + below), sum[2]);
                sum[3] = dcn_add_products(grad, dcn_load(value, at + step + below + DCN_VALUE_STRIDE), sum[3]);
            }
    } else {
        for (int v = 0; v < DCN_LANE_VECTORS; ++v)
            if (DCN_HAS_VECTOR(channel, v))
                for (int c = 0; c < 4; ++c)
                    if (inside >> c & 1) {
                        const dcn_index corner = at + (c & 1 ? DCN_VALUE_STRIDE : 0) + (c & 2 ? below : 0);
                        sum[c] = dcn_add_products(dcn_load_once(grad_output, grad_at, channel, v),
                                                  dcn_load(value, corner + DCN_STEP(channel, v)), sum[c]);
                    }
    }
    dcn_sum4(sum, dot);
}

DCN_INLINE dcn_derivatives dcn_derivatives_of(const DCN_PRIVATE dcn_sample *s, const DCN_PRIVATE float *dot) {
    const float right = s->fx, left = 1.0f - right, lower = s->fy, upper = 1.0f - lower;
    dcn_derivatives d;
    d.mask = upper * left * dot[0] + upper * right * dot[1] + lower * left * dot[2] + lower * right * dot[3];
    d.x = upper * (dot[1] - dot[0]) + lower * (dot[3] - dot[2]);
    d.y = left * (dot[2] - dot[0]) + right * (dot[3] - dot[1]);
    d.counts = 1;
    return d;
}

/* The same if a dot product is not finite: here the corners of each channel are combined first and grad_output
 * multiplies last, so that Inf − Inf arises only where the formula has it. Rare, so it goes element by element. */
DCN_INLINE dcn_derivatives dcn_derivatives_by_channel(const DCN_GLOBAL dcn_element *value, dcn_index at,
                                                      dcn_index below, const DCN_GLOBAL dcn_element *grad_output,
                                                      dcn_index grad_at, const DCN_PRIVATE dcn_sample *s,
                                                      dcn_index channel) {
    dcn_derivatives d = dcn_no_derivatives(1);
    DCN_UNROLL_NOT
    for (dcn_index v = channel; v < DCN_CHANNELS; v += DCN_LANES * DCN_VECTOR)
        DCN_UNROLL_NOT
    for (int i = 0; i < DCN_VECTOR && (DCN_OVERLAP == 0 || v + i < DCN_CHANNELS); ++i) {
        const float grad = dcn_read(grad_output, grad_at + v - channel + i);
        float mask = 0.0f, x = 0.0f, y = 0.0f;
        for (int c = 0; c < 4; ++c)
            if (s->inside >> c & 1) {
                const float wx = c & 1 ? s->fx : 1.0f - s->fx, wy = c & 2 ? s->fy : 1.0f - s->fy;
                const dcn_index corner = at + v - channel + i + (c & 1 ? DCN_VALUE_STRIDE : 0) + (c & 2 ? below : 0);
                const float number = dcn_read(value, corner);
                mask += wx * wy * number;
                x += (c & 1 ? wy : -wy) * number;
                y += (c & 2 ? wx : -wx) * number;
            }
        d.mask += grad * mask, d.x += grad * x, d.y += grad * y;
    }
    return d;
}

/* What a lane's channels contribute to the derivatives of a point, by either way; the point must count. */
DCN_INLINE dcn_derivatives dcn_lane_derivatives(const DCN_GLOBAL dcn_element *value, dcn_index at, dcn_index below,
                                                const DCN_GLOBAL dcn_element *grad_output, dcn_index grad_at,
                                                const DCN_PRIVATE dcn_sample *s, dcn_index channel) {
    float dot[4];
    dcn_corner_dots(value, at, below, grad_output, grad_at, s->inside, channel, dot);
    return dcn_are_finite(dot) ? dcn_derivatives_of(s, dot)
                               : dcn_derivatives_by_channel(value, at, below, grad_output, grad_at, s, channel);
}

/* ---- From cells: without branches; wrong if a dot product is not finite ------------------------------------------ */

/* Σ grad_output·value over a lane's channels, for each pixel of a cell; value points to the first one and
 * grad_output to the gradients, both at the lane's first channel. */
DCN_INLINE dcn_quad dcn_cell_dots(const DCN_GLOBAL dcn_element *value, const DCN_GLOBAL dcn_element *grad_output,
                                  dcn_index below, dcn_index channel) {
    dcn_quad dot;
    DCN_UNROLL
    for (int c = 0; c < 4; ++c)
        dot.part[c] = 0.0f;
    DCN_UNROLL_VECTORS
    for (int v = 0; v < DCN_LANE_VECTORS; ++v)
        if (DCN_HAS_VECTOR(channel, v)) {
            const dcn_index step = v * DCN_LANES * DCN_VECTOR;
            const dcn_factors grad = dcn_load_factors(grad_output, step);
            const DCN_GLOBAL dcn_element *const lower = value + below;
            dot.part[0] = dcn_dot_factors(grad, dcn_load_factors(value, step), dot.part[0]);
            dot.part[1] = dcn_dot_factors(grad, dcn_load_factors(value, step + DCN_VALUE_STRIDE), dot.part[1]);
            dot.part[2] = dcn_dot_factors(grad, dcn_load_factors(lower, step), dot.part[2]);
            dot.part[3] = dcn_dot_factors(grad, dcn_load_factors(lower, step + DCN_VALUE_STRIDE), dot.part[3]);
        }
    return dot;
}

/* The part of two dcn_spots, one an axis, that derivatives need. */
typedef struct dcn_kept {
    float after_x, cell_shift_x, after_y, cell_shift_y;
} dcn_kept;

/* The derivatives of a point from the dot products of its cell. */
DCN_INLINE dcn_derivatives dcn_cell_derivatives(const DCN_PRIVATE dcn_kept *kept, const DCN_PRIVATE float *dot) {
    const dcn_change x = dcn_change_of(kept->after_x, kept->cell_shift_x);
    const dcn_change y = dcn_change_of(kept->after_y, kept->cell_shift_y);
    const float upper = x.near * dot[0] + x.far * dot[1], lower = x.near * dot[2] + x.far * dot[3];
    const float upper_derivative = x.near_derivative * dot[0] + x.far_derivative * dot[1];
    const float lower_derivative = x.near_derivative * dot[2] + x.far_derivative * dot[3];
    dcn_derivatives d;
    d.mask = y.near * upper + y.far * lower;
    d.x = y.near * upper_derivative + y.far * lower_derivative;
    d.y = y.near_derivative * upper + y.far_derivative * lower;
    d.counts = x.counts & y.counts;
    return d;
}
