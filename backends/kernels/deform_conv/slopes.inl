/* The gradients by a point's weight and position, and a block's, written to grad_offset_mask. Knows no tiles of blocks. */

/* The gradients by a point's weight and position, before the factors offset_scale and mask; 0 if it does not count. */
typedef struct dcn_slopes {
    float mask, x, y;
    int counts;
} dcn_slopes;

DCN_INLINE dcn_slopes dcn_no_slopes(int counts) {
    dcn_slopes slopes;
    slopes.mask = 0.0f, slopes.x = 0.0f, slopes.y = 0.0f, slopes.counts = counts;
    return slopes;
}

DCN_INLINE dcn_slopes dcn_slopes_of(const DCN_PRIVATE dcn_sample *s, const DCN_PRIVATE float *dot) {
    const float right = s->fx, left = 1.0f - right, lower = s->fy, upper = 1.0f - lower;
    dcn_slopes slopes;
    slopes.mask = upper * left * dot[0] + upper * right * dot[1] + lower * left * dot[2] + lower * right * dot[3];
    slopes.x = upper * (dot[1] - dot[0]) + lower * (dot[3] - dot[2]);
    slopes.y = left * (dot[2] - dot[0]) + right * (dot[3] - dot[1]);
    slopes.counts = 1;
    return slopes;
}

/* The same where a corner's sum is not finite: factors times corners are added up in each channel before grad_output
 * multiplies, so that Inf − Inf arises only where the formula has it. Rare, hence an element at a time. */
DCN_INLINE dcn_slopes dcn_slopes_by_channel(const DCN_GLOBAL dcn_item *value, dcn_index at, dcn_index below,
                                            const DCN_GLOBAL dcn_item *grad_output, dcn_index grad_at,
                                            const DCN_PRIVATE dcn_sample *s, dcn_index channel) {
    dcn_slopes slopes = dcn_no_slopes(1);
    DCN_UNROLL_NOT
    for (dcn_index v = channel; v < DCN_CHANNELS; v += DCN_LANES * DCN_VECTOR)
        DCN_UNROLL_NOT
        for (int i = 0; i < DCN_VECTOR; ++i) {
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
            slopes.mask += grad * mask, slopes.x += grad * x, slopes.y += grad * y;
        }
    return slopes;
}

/* 0·x is 0 for every finite x alone. */
DCN_INLINE int dcn_are_finite(const DCN_PRIVATE float *dot) {
    return 0.0f * dot[0] + 0.0f * dot[1] + 0.0f * dot[2] + 0.0f * dot[3] == 0.0f;
}

/* Writes the three gradients of point k, whose weight is given; mean is Σ mask·slope over the block with softmax. */
DCN_INLINE void dcn_write_point(DCN_GLOBAL dcn_offset_item *grad_offset_mask, const DCN_PRIVATE dcn_block *b, int k,
                                float weight, const DCN_PRIVATE dcn_slopes *slopes, float mean) {
    const dcn_index at = b->pixel * DCN_GRAD_OFFSET_MASK_STRIDE + b->group * 3 * DCN_POINTS;
    const float factor = DCN_SCALE * weight;
    dcn_write_offset(grad_offset_mask, at + 2 * k, slopes->counts ? factor * slopes->x : 0.0f);
    dcn_write_offset(grad_offset_mask, at + 2 * k + 1, slopes->counts ? factor * slopes->y : 0.0f);
    dcn_write_offset(grad_offset_mask, at + 2 * DCN_POINTS + k, DCN_SOFTMAX ? weight * (slopes->mask - mean) : slopes->mask);
}

/* The work-items of the last block of a row write its padding. */
DCN_INLINE void dcn_write_padding(DCN_GLOBAL dcn_offset_item *grad_offset_mask, const DCN_PRIVATE dcn_block *b, int lane) {
    if (b->group == DCN_GROUPS - 1)
        for (dcn_index c = 3 * DCN_POINTS * (dcn_index)DCN_GROUPS + lane; c < DCN_OFFSET_MASK_ROW; c += DCN_LANES)
            dcn_write_offset(grad_offset_mask, b->pixel * DCN_GRAD_OFFSET_MASK_STRIDE + c, 0.0f);
}

#if DCN_STAGED

/* Points of a block that one of its lanes stages and writes. */
#define DCN_SHARE ((DCN_TAPS + DCN_LANES - 1) / DCN_LANES)
#define DCN_ROUNDS ((DCN_POINTS + DCN_TAPS - 1) / DCN_TAPS)
/* From one lane's dots to the next one's, so that neighbouring lanes and blocks write to different banks. */
#define DCN_PLANE ((DCN_TILE_BLOCKS * DCN_PITCH + 7) / 8 * 8 + (DCN_LANES < 8 ? 8 / DCN_LANES : 1))

/* Σ over this work-item's channels of grad_output times the value of each of a cell's pixels. */
DCN_INLINE dcn_quad dcn_cell_dots(const DCN_GLOBAL dcn_item *value, const DCN_GLOBAL dcn_item *grad_output,
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
            const DCN_GLOBAL dcn_item *const lower = value + below;
            dot.part[0] = dcn_dot_factors(grad, dcn_load_factors(value, step), dot.part[0]);
            dot.part[1] = dcn_dot_factors(grad, dcn_load_factors(value, step + DCN_VALUE_STRIDE), dot.part[1]);
            dot.part[2] = dcn_dot_factors(grad, dcn_load_factors(lower, step), dot.part[2]);
            dot.part[3] = dcn_dot_factors(grad, dcn_load_factors(lower, step + DCN_VALUE_STRIDE), dot.part[3]);
        }
    return dot;
}

/* What a lane keeps of a point while the dots of its cell are found. */
typedef struct dcn_kept {
    float after_x, aside_x, after_y, aside_y;
} dcn_kept;

/* Finds point k. Returns the number of its cell's first pixel. */
DCN_INLINE dcn_index dcn_keep_point(DCN_PRIVATE dcn_kept *kept, const DCN_GLOBAL dcn_offset_item *offset_mask,
                                    const DCN_PRIVATE dcn_block *b, int k, const DCN_PRIVATE dcn_sizes *sizes) {
    float x, y;
    dcn_shift(offset_mask, b->offsets, k, &x, &y);
    x = dcn_settle(x, DCN_MIDDLE_X(b)), y = dcn_settle(y, DCN_MIDDLE_Y(b));
    const dcn_spot across = dcn_spot_of(x, -(float)DCN_MIDDLE_X(b), DCN_HIGH_X(b, sizes));
    const dcn_spot down = dcn_spot_of(y, -(float)DCN_MIDDLE_Y(b), DCN_HIGH_Y(b, sizes));
    kept->after_x = across.after, kept->aside_x = across.aside;
    kept->after_y = down.after, kept->aside_y = down.aside;
    return dcn_cell_at(b, across.first, down.first, sizes);
}

/* The slopes of a point from its cell's dots. */
DCN_INLINE dcn_slopes dcn_cell_slopes(const DCN_PRIVATE dcn_kept *kept, const DCN_PRIVATE float *dot) {
    const dcn_change x = dcn_change_of(kept->after_x, kept->aside_x), y = dcn_change_of(kept->after_y, kept->aside_y);
    const float upper = x.near * dot[0] + x.far * dot[1], lower = x.near * dot[2] + x.far * dot[3];
    const float upper_slope = x.near_slope * dot[0] + x.far_slope * dot[1];
    const float lower_slope = x.near_slope * dot[2] + x.far_slope * dot[3];
    dcn_slopes slopes;
    slopes.mask = y.near * upper + y.far * lower;
    slopes.x = y.near * upper_slope + y.far * lower_slope;
    slopes.y = y.near_slope * upper + y.far_slope * lower;
    slopes.counts = x.counts & y.counts;
    return slopes;
}

/* The slopes of a point from all lanes' dots. Returns whether these are of any use. */
DCN_INLINE int dcn_gather_slopes(DCN_PRIVATE dcn_slopes *slopes, const DCN_LOCAL dcn_quad *dots,
                                 const DCN_PRIVATE dcn_kept *kept) {
    dcn_quad sum = dots[0];
    DCN_UNROLL
    for (int l = 1; l < DCN_LANES; ++l) {
        const dcn_quad part = dots[l * DCN_PLANE];
        DCN_UNROLL
        for (int c = 0; c < 4; ++c)
            sum.part[c] += part.part[c];
    }
    *slopes = dcn_cell_slopes(kept, sum.part);
    return dcn_are_finite(sum.part);
}

/* The slopes of point k from the tensors. */
DCN_INLINE dcn_slopes dcn_careful_slopes(const DCN_GLOBAL dcn_item *value, const DCN_GLOBAL dcn_offset_item *offset_mask,
                                         const DCN_GLOBAL dcn_item *grad_output, const DCN_PRIVATE dcn_block *b, int k,
                                         const DCN_PRIVATE dcn_sizes *sizes) {
    const dcn_sample s = dcn_place(offset_mask, b, k, sizes);
    const dcn_index below = sizes->width * DCN_VALUE_STRIDE;
    const dcn_index at = dcn_at(&s, b->n, sizes) * DCN_VALUE_STRIDE + b->group * DCN_CHANNELS;
    const dcn_index grad_at = b->pixel * DCN_GRAD_OUTPUT_STRIDE + b->group * DCN_CHANNELS;
    dcn_slopes slopes = dcn_no_slopes(s.inside != 0);
    DCN_UNROLL_NOT
    for (dcn_index channel = 0; s.inside && channel < DCN_LANES * DCN_VECTOR && channel < DCN_CHANNELS;
         channel += DCN_VECTOR) {
        const dcn_slopes part =
            dcn_slopes_by_channel(value, at + channel, below, grad_output, grad_at + channel, &s, channel);
        slopes.mask += part.mask, slopes.x += part.x, slopes.y += part.y;
    }
    return slopes;
}

#else

/* Σ over this work-item's channels of grad_output times each corner's value. */
DCN_INLINE void dcn_dots(const DCN_GLOBAL dcn_item *value, dcn_index at, dcn_index below,
                         const DCN_GLOBAL dcn_item *grad_output, dcn_index grad_at, int inside, dcn_index channel,
                         DCN_PRIVATE float *dot) {
    dcn_partials sum[4];
    DCN_UNROLL
    for (int c = 0; c < 4; ++c)
        sum[c] = dcn_no_products();
    if (inside == DCN_INTERIOR) {
        DCN_UNROLL_VECTORS
        for (int v = 0; v < DCN_LANE_VECTORS; ++v)
            if (DCN_HAS_VECTOR(channel, v)) {
                const dcn_index step = v * DCN_LANES * DCN_VECTOR;
                const dcn_vector grad = dcn_load(grad_output, grad_at + step);
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
                        const dcn_index step = v * DCN_LANES * DCN_VECTOR;
                        const dcn_index corner = at + step + (c & 1 ? DCN_VALUE_STRIDE : 0) + (c & 2 ? below : 0);
                        sum[c] = dcn_add_products(dcn_load(grad_output, grad_at + step), dcn_load(value, corner), sum[c]);
                    }
    }
    dcn_sum4(sum, dot);
}

/* What this work-item's channels give of the slopes of point k. */
DCN_INLINE dcn_slopes dcn_project(const DCN_GLOBAL dcn_item *value, const DCN_GLOBAL dcn_item *grad_output,
                                  const DCN_PRIVATE dcn_sample *s, const DCN_PRIVATE dcn_block *b, dcn_index channel,
                                  const DCN_PRIVATE dcn_sizes *sizes) {
    dcn_slopes slopes = dcn_no_slopes(s->inside != 0);
    if (s->inside) {
        const dcn_index first = b->group * DCN_CHANNELS + channel;
        const dcn_index at = dcn_at(s, b->n, sizes) * DCN_VALUE_STRIDE + first, below = sizes->width * DCN_VALUE_STRIDE;
        const dcn_index grad_at = b->pixel * DCN_GRAD_OUTPUT_STRIDE + first;
        float dot[4];
        dcn_dots(value, at, below, grad_output, grad_at, s->inside, channel, dot);
        if (dcn_are_finite(dot))
            slopes = dcn_slopes_of(s, dot);
        else
            slopes = dcn_slopes_by_channel(value, at, below, grad_output, grad_at, s, channel);
    }
    return slopes;
}

/* Writes the gradients of a block, point by point. */
DCN_INLINE void dcn_points_block(const DCN_GLOBAL dcn_item *value, const DCN_GLOBAL dcn_offset_item *offset_mask,
                                 const DCN_GLOBAL dcn_item *grad_output, DCN_GLOBAL dcn_offset_item *grad_offset_mask,
                                 const DCN_PRIVATE dcn_block *b, dcn_index channel, const DCN_PRIVATE dcn_sizes *sizes) {
    const dcn_softmax norm = dcn_softmax_of(offset_mask, b->offsets);
    float mean = 0.0f;
    for (int k = 0; DCN_SOFTMAX && k < DCN_POINTS; ++k) {
        const dcn_sample s = dcn_point(offset_mask, b, k, &norm, sizes);
        const dcn_slopes slopes = dcn_project(value, grad_output, &s, b, channel, sizes);
        mean += s.inside ? s.mask * slopes.mask : 0.0f;
    }
    for (int k = 0; k < DCN_POINTS; ++k) {
        const dcn_sample s = dcn_point(offset_mask, b, k, &norm, sizes);
        const dcn_slopes slopes = dcn_project(value, grad_output, &s, b, channel, sizes);
        dcn_write_point(grad_offset_mask, b, k, s.mask, &slopes, mean);
    }
}

#endif
