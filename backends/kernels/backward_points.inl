/* value, offset_mask, grad_output → grad_offset_mask. README.md beside this file says who does what. */

/* The gradients by a point's weight and position, before the factors offset_scale and mask. */
typedef struct dcn_slopes {
    float mask, x, y;
} dcn_slopes;

DCN_INLINE dcn_slopes dcn_slopes_of(const DCN_PRIVATE dcn_sample *s, const DCN_PRIVATE float *dot) {
    const float right = s->fx, left = 1.0f - right, lower = s->fy, upper = 1.0f - lower;
    dcn_slopes slopes;
    slopes.mask = upper * left * dot[0] + upper * right * dot[1] + lower * left * dot[2] + lower * right * dot[3];
    slopes.x = upper * (dot[1] - dot[0]) + lower * (dot[3] - dot[2]);
    slopes.y = left * (dot[2] - dot[0]) + right * (dot[3] - dot[1]);
    return slopes;
}

/* The same where a corner's sum is not finite: factors times corners are added up in each channel before grad_output
 * multiplies, so that Inf − Inf arises only where the formula has it. Rare, hence an element at a time. */
DCN_INLINE dcn_slopes dcn_slopes_by_channel(const DCN_GLOBAL dcn_item *value, dcn_index at, dcn_index below,
                                            const DCN_GLOBAL dcn_item *grad_output, dcn_index grad_at,
                                            const DCN_PRIVATE dcn_sample *s, dcn_index channel) {
    dcn_slopes slopes;
    slopes.mask = 0.0f, slopes.x = 0.0f, slopes.y = 0.0f;
    for (dcn_index v = channel; v < DCN_CHANNELS; v += DCN_LANES * DCN_VECTOR)
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

/* Writes point k's three gradients; mean is Σ mask·slope over the block with softmax. */
DCN_INLINE void dcn_write_point(DCN_GLOBAL dcn_item *grad_offset_mask, const DCN_PRIVATE dcn_block *b, int k,
                                const DCN_PRIVATE dcn_sample *s, const DCN_PRIVATE dcn_slopes *slopes, float mean) {
    const dcn_index at = b->pixel * DCN_GRAD_OFFSET_MASK_STRIDE + b->group * 3 * DCN_POINTS;
    const float factor = DCN_SCALE * s->mask;
    dcn_write(grad_offset_mask, at + 2 * k, s->inside ? factor * slopes->x : 0.0f);
    dcn_write(grad_offset_mask, at + 2 * k + 1, s->inside ? factor * slopes->y : 0.0f);
    dcn_write(grad_offset_mask, at + 2 * DCN_POINTS + k, DCN_SOFTMAX ? s->mask * (slopes->mask - mean) : slopes->mask);
}

/* The work-items of the last block of a row write its padding. */
DCN_INLINE void dcn_write_padding(DCN_GLOBAL dcn_item *grad_offset_mask, const DCN_PRIVATE dcn_block *b, int lane) {
    if (b->group == DCN_GROUPS - 1)
        for (dcn_index c = 3 * DCN_POINTS * (dcn_index)DCN_GROUPS + lane; c < DCN_OFFSET_MASK_ROW; c += DCN_LANES)
            dcn_write(grad_offset_mask, b->pixel * DCN_GRAD_OFFSET_MASK_STRIDE + c, 0.0f);
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
            const dcn_vector grad = dcn_load(grad_output, step);
            dot.part[0] = dcn_dot(grad, dcn_load(value, step), dot.part[0]);
            dot.part[1] = dcn_dot(grad, dcn_load(value, step + DCN_VALUE_STRIDE), dot.part[1]);
            dot.part[2] = dcn_dot(grad, dcn_load(value + below, step), dot.part[2]);
            dot.part[3] = dcn_dot(grad, dcn_load(value + below, step + DCN_VALUE_STRIDE), dot.part[3]);
        }
    return dot;
}

/* Those that belong to the point's own corners: where its cell is shifted, pixels and corners have changed sides. */
DCN_INLINE void dcn_corner_dots(const DCN_PRIVATE dcn_quad *cell, int inside, DCN_PRIVATE float *dot) {
    const int across = dcn_cell_right(inside) != 0, along = dcn_cell_down(inside) != 0;
    const float a = across ? cell->part[1] : cell->part[0], b = across ? cell->part[0] : cell->part[1];
    const float c = across ? cell->part[3] : cell->part[2], d = across ? cell->part[2] : cell->part[3];
    dot[0] = inside & 1 ? (along ? c : a) : 0.0f;
    dot[1] = inside & 2 ? (along ? d : b) : 0.0f;
    dot[2] = inside & 4 ? (along ? a : c) : 0.0f;
    dot[3] = inside & 8 ? (along ? b : d) : 0.0f;
}

/* The slopes of a point from all lanes' dots, or, where these are of no use, from the tensors. */
DCN_INLINE dcn_slopes dcn_gather_slopes(const DCN_LOCAL dcn_quad *dots, int cellular,
                                        const DCN_GLOBAL dcn_item *value, const DCN_GLOBAL dcn_item *grad_output,
                                        const DCN_PRIVATE dcn_sample *s, const DCN_PRIVATE dcn_block *b,
                                        const DCN_PRIVATE dcn_sizes *sizes) {
    dcn_slopes slopes;
    slopes.mask = 0.0f, slopes.x = 0.0f, slopes.y = 0.0f;
    if (!s->inside)
        return slopes;
    dcn_quad sum = dots[0];
    DCN_UNROLL
    for (int l = 1; l < DCN_LANES; ++l) {
        const dcn_quad part = dots[l * DCN_PLANE];
        DCN_UNROLL
        for (int c = 0; c < 4; ++c)
            sum.part[c] += part.part[c];
    }
    float dot[4];
    dcn_corner_dots(&sum, s->inside, dot);
    if (cellular && dcn_are_finite(dot))
        return dcn_slopes_of(s, dot);
    const dcn_index at = dcn_at(s, b->n, sizes) * DCN_VALUE_STRIDE + b->group * DCN_CHANNELS;
    const dcn_index grad_at = b->pixel * DCN_GRAD_OUTPUT_STRIDE + b->group * DCN_CHANNELS;
    for (dcn_index channel = 0; channel < DCN_LANES * DCN_VECTOR && channel < DCN_CHANNELS; channel += DCN_VECTOR) {
        const dcn_slopes part = dcn_slopes_by_channel(value, at + channel, sizes->width * DCN_VALUE_STRIDE, grad_output,
                                                      grad_at + channel, s, channel);
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
    dcn_slopes slopes;
    slopes.mask = 0.0f, slopes.x = 0.0f, slopes.y = 0.0f;
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
DCN_INLINE void dcn_points_block(const DCN_GLOBAL dcn_item *value, const DCN_GLOBAL dcn_item *offset_mask,
                                 const DCN_GLOBAL dcn_item *grad_output, DCN_GLOBAL dcn_item *grad_offset_mask,
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
        dcn_write_point(grad_offset_mask, b, k, &s, &slopes, mean);
    }
}

#if DCN_RUN > 1

/* Σ over a block's channels of grad_output times the value of each of a cell's pixels. */
DCN_INLINE dcn_quad dcn_cell_dots(const DCN_GLOBAL dcn_item *value, const DCN_GLOBAL dcn_item *grad_output,
                                  dcn_index below) {
    dcn_partials sum[4];
    DCN_UNROLL
    for (int c = 0; c < 4; ++c)
        sum[c] = dcn_no_products();
    DCN_UNROLL_VECTORS
    for (int v = 0; v < DCN_LANE_VECTORS; ++v) {
        const dcn_vector grad = dcn_load(grad_output, v * DCN_VECTOR);
        sum[0] = dcn_add_products(grad, dcn_load(value, v * DCN_VECTOR), sum[0]);
        sum[1] = dcn_add_products(grad, dcn_load(value, v * DCN_VECTOR + DCN_VALUE_STRIDE), sum[1]);
        sum[2] = dcn_add_products(grad, dcn_load(value + below, v * DCN_VECTOR), sum[2]);
        sum[3] = dcn_add_products(grad, dcn_load(value + below, v * DCN_VECTOR + DCN_VALUE_STRIDE), sum[3]);
    }
    dcn_quad dot;
    dcn_sum4(sum, dot.part);
    return dot;
}

/* The slopes of point k of each pixel. */
typedef struct dcn_run_slopes {
    dcn_floats mask, x, y;
} dcn_run_slopes;

/* Replaces those for which the dots are of no use. */
DCN_INLINE void dcn_mend_slopes(const DCN_GLOBAL dcn_item *value, const DCN_GLOBAL dcn_item *offset_mask,
                                const DCN_GLOBAL dcn_item *grad_output, const DCN_PRIVATE dcn_run *run, int k,
                                dcn_ints useful, DCN_PRIVATE dcn_run_slopes *slopes, const DCN_PRIVATE dcn_sizes *sizes) {
    float by[3][DCN_RUN];
    int keep[DCN_RUN];
    vstore8(slopes->mask, 0, by[0]), vstore8(slopes->x, 0, by[1]), vstore8(slopes->y, 0, by[2]);
    vstore8(useful, 0, keep);
    for (int p = run->first; p < run->end; ++p)
        if (!keep[p]) {
            const dcn_block b = dcn_run_block(run, p, sizes);
            const dcn_sample s = dcn_place(offset_mask, &b, k, sizes);
            const dcn_slopes one = dcn_project(value, grad_output, &s, &b, 0, sizes);
            by[0][p] = one.mask, by[1][p] = one.x, by[2][p] = one.y;
        }
    slopes->mask = vload8(0, by[0]), slopes->x = vload8(0, by[1]), slopes->y = vload8(0, by[2]);
}

/* From the points' places and their dots with the cells' pixels. */
DCN_INLINE dcn_run_slopes dcn_run_slopes_of(const DCN_PRIVATE dcn_cells *cells, const DCN_PRIVATE dcn_floats *dot) {
    const dcn_axis x = cells->x, y = cells->y;
    const dcn_floats upper = x.near * dot[0] + x.far * dot[1], lower = x.near * dot[2] + x.far * dot[3];
    dcn_run_slopes slopes;
    slopes.mask = y.near * upper + y.far * lower;
    slopes.x = y.near * (x.near_slope * dot[0] + x.far_slope * dot[1]) +
               y.far * (x.near_slope * dot[2] + x.far_slope * dot[3]);
    slopes.y = y.near_slope * upper + y.far_slope * lower;
    return slopes;
}

/* Writes the gradients of point k of each pixel; `to` is where the first pixel's block begins. */
DCN_INLINE void dcn_write_slopes(DCN_GLOBAL dcn_item *to, const DCN_PRIVATE dcn_run *run, int k,
                                 const DCN_PRIVATE dcn_cells *cells, dcn_floats mask,
                                 const DCN_PRIVATE dcn_run_slopes *slopes, dcn_floats mean) {
    const dcn_ints counts = cells->x.counts & cells->y.counts;
    const dcn_floats factor = DCN_SCALE * mask;
    dcn_write_run(to, run, 2 * k, counts ? factor * slopes->x : 0.0f);
    dcn_write_run(to, run, 2 * k + 1, counts ? factor * slopes->y : 0.0f);
    dcn_write_run(to, run, 2 * DCN_POINTS + k, DCN_SOFTMAX ? mask * (slopes->mask - mean) : slopes->mask);
}

/* From one pixel of a copy of a group's channels to the next one's: value's, and sums of their gradients. */
#define DCN_PACKED (2 * DCN_CHANNELS)

/* What is staged of a run's points while their gradients are made. */
typedef struct dcn_run_points {
    dcn_cells found[DCN_TAPS];
    dcn_floats mask[DCN_TAPS];
    dcn_quad dots[DCN_TAPS * DCN_RUN];
    dcn_index cells[DCN_TAPS * DCN_RUN]; /* pixels' numbers */
    dcn_quad weights[DCN_RUN * DCN_TAPS]; /* if grad_value is made as well; so is the next */
    float doubt[DCN_RUN];                 /* of pixels: 0 if all masks are finite */
} dcn_run_points;

DCN_INLINE void dcn_find_points(const DCN_PRIVATE dcn_run *run, int first, const DCN_PRIVATE dcn_softmaxes *norm,
                                DCN_PRIVATE dcn_run_points *points, const DCN_PRIVATE dcn_sizes *sizes) {
    dcn_frame frame;
    frame.begin_row = 0, frame.end_row = sizes->height, frame.width = sizes->width;
    dcn_floats nothing = 0.0f;
    for (int t = 0; t < DCN_TAPS; ++t) {
        const int k = DCN_POINT(first + t);
        const dcn_cells found = dcn_cells_of(run, k, &frame);
        const dcn_floats mask = dcn_masks_of(run, k, norm);
        points->found[t] = found, points->mask[t] = mask;
        dcn_stage_cells(&found, sizes->width, 1, points->cells + t * DCN_RUN);
#if DCN_BOTH
        const dcn_floats weight = DCN_HAS_POINT(first + t) ? mask : 0.0f;
        nothing += 0.0f * weight;
        dcn_stage_weights(&found, weight, points->weights + t);
#endif
    }
    vstore8(nothing, 0, points->doubt);
}

/* The dots of a block's points with the pixels of their cells. */
DCN_INLINE void dcn_project_cells(const DCN_GLOBAL dcn_item *value, const DCN_GLOBAL dcn_item *grad_output,
                                  const DCN_PRIVATE dcn_index *cells, dcn_index width, DCN_PRIVATE dcn_quad *dots) {
    DCN_UNROLL_TAPS
    for (int t = 0; t < DCN_TAPS; ++t)
        dots[t * DCN_RUN] =
            dcn_cell_dots(value + cells[t * DCN_RUN] * DCN_VALUE_STRIDE, grad_output, width * DCN_VALUE_STRIDE);
}

#if DCN_BOTH
/* The same on a copy of the group's channels, and adds weights·grad to the sums that lie between them. */
DCN_INLINE void dcn_visit_cells(DCN_GLOBAL float *packed, const DCN_GLOBAL dcn_item *grad_output,
                                const DCN_PRIVATE dcn_quad *weights, const DCN_PRIVATE dcn_index *cells,
                                dcn_index width, DCN_PRIVATE dcn_quad *dots) {
    for (int part = 0; part < DCN_CHANNEL_PARTS; ++part) {
        const dcn_index channel = part * DCN_PART_CHANNELS;
        dcn_vector grad[DCN_VECTORS];
        DCN_UNROLL
        for (int v = 0; v < DCN_VECTORS; ++v)
            if (DCN_HAS_CHANNEL(channel + v * DCN_VECTOR))
                grad[v] = dcn_load(grad_output, channel + v * DCN_VECTOR);
        DCN_UNROLL_TAPS
        for (int t = 0; t < DCN_TAPS; ++t) {
            DCN_GLOBAL float *const first = packed + cells[t * DCN_RUN] * (dcn_long)DCN_PACKED + channel;
            const dcn_quad weight = weights[t];
            dcn_partials dot[4];
            float sum[4];
            DCN_UNROLL
            for (int c = 0; c < 4; ++c) {
                DCN_GLOBAL float *const pixel = first + ((c & 1) + (c & 2 ? width : 0)) * (dcn_long)DCN_PACKED;
                dot[c] = dcn_no_products();
                DCN_UNROLL
                for (int v = 0; v < DCN_VECTORS; ++v)
                    if (DCN_HAS_CHANNEL(channel + v * DCN_VECTOR)) {
                        const dcn_index at = v * DCN_VECTOR, sum_at = DCN_CHANNELS + v * DCN_VECTOR;
                        dot[c] = dcn_add_products(grad[v], dcn_load_sum(pixel, at), dot[c]);
                        dcn_store_sum(pixel, sum_at, dcn_fma(weight.part[c], grad[v], dcn_load_sum(pixel, sum_at)));
                    }
            }
            dcn_sum4(dot, sum);
            DCN_UNROLL
            for (int c = 0; c < 4; ++c)
                dots[t * DCN_RUN].part[c] = part == 0 ? sum[c] : dots[t * DCN_RUN].part[c] + sum[c];
        }
    }
}
#endif

/* Makes the dots of a run's points, and, if there is a copy to work on, adds to the sums in it. */
DCN_INLINE void dcn_visit_run(const DCN_GLOBAL dcn_item *value, const DCN_GLOBAL dcn_item *offset_mask,
                              const DCN_GLOBAL dcn_item *grad_output, DCN_GLOBAL float *packed,
                              const DCN_PRIVATE dcn_run *run, int first, DCN_PRIVATE dcn_run_points *points,
                              const DCN_PRIVATE dcn_sizes *sizes) {
    const dcn_index image = run->n * sizes->height * sizes->width, channel = run->group * DCN_CHANNELS;
    const DCN_GLOBAL dcn_item *const from = value + image * DCN_VALUE_STRIDE + channel;
    for (int p = 0; p < DCN_RUN; ++p) {
        const dcn_block b = dcn_run_block(run, p, sizes);
        const DCN_GLOBAL dcn_item *const grad = grad_output + b.pixel * DCN_GRAD_OUTPUT_STRIDE + channel;
        DCN_PRIVATE dcn_quad *const dots = points->dots + DCN_SLOT(p);
        if (p < run->first || p >= run->end) {
            for (int t = 0; t < DCN_TAPS; ++t)
                for (int c = 0; c < 4; ++c)
                    dots[t * DCN_RUN].part[c] = 0.0f;
            continue;
        }
#if DCN_BOTH
        if (packed && points->doubt[p] == 0.0f && dcn_harmless(grad)) {
            dcn_visit_cells(packed, grad, points->weights + p * DCN_TAPS, points->cells + p, sizes->width, dots);
            continue;
        }
        if (packed) {
            dcn_share all;
            all.n = run->n, all.begin = image, all.end = image + sizes->height * sizes->width;
            dcn_scatter_block(offset_mask, grad_output, packed + DCN_CHANNELS, DCN_PACKED, &b, first,
                              DCN_MIN(first + DCN_TAPS, DCN_POINTS), &all, 0, sizes);
        }
#endif
        dcn_project_cells(from, grad, points->cells + p, sizes->width, dots);
    }
}

/* Writes the gradients of the blocks of a run; adds those of value to the sums of a copy, if there is one. */
DCN_APART void dcn_points_run(const DCN_GLOBAL dcn_item *value, const DCN_GLOBAL dcn_item *offset_mask,
                              const DCN_GLOBAL dcn_item *grad_output, DCN_GLOBAL dcn_item *grad_offset_mask,
                              DCN_GLOBAL float *packed, const DCN_PRIVATE dcn_run *run,
                              const DCN_PRIVATE dcn_sizes *sizes) {
    const int rounds = (DCN_POINTS + DCN_TAPS - 1) / DCN_TAPS, first_writing = DCN_SOFTMAX ? rounds : 0;
    const dcn_softmaxes norm = dcn_softmaxes_of(run);
    const dcn_block block = dcn_run_block(run, 0, sizes);
    DCN_GLOBAL dcn_item *const to = grad_offset_mask + block.pixel * DCN_GRAD_OFFSET_MASK_STRIDE +
                                    block.group * 3 * DCN_POINTS;
    dcn_run_points points;
    dcn_floats mean = 0.0f;
    for (int round = 0; round < first_writing + rounds; ++round) {
        const int first = round % rounds * DCN_TAPS;
        if (round == 0 || rounds > 1) { /* one round's points stay for the second half */
            dcn_find_points(run, first, &norm, &points, sizes);
            dcn_visit_run(value, offset_mask, grad_output, rounds == 1 || round >= first_writing ? packed : 0, run, first,
                          &points, sizes);
        }
        for (int t = 0; t < DCN_TAPS && first + t < DCN_POINTS; ++t) {
            dcn_floats dot[4];
            dcn_load_quads(points.dots + t * DCN_RUN, dot);
            dcn_run_slopes slopes = dcn_run_slopes_of(&points.found[t], dot);
            const dcn_floats nothing = 0.0f * (dot[0] + dot[1] + dot[2] + dot[3]);
            if (!dcn_are_zero8(nothing))
                dcn_mend_slopes(value, offset_mask, grad_output, run, first + t, nothing == 0.0f, &slopes, sizes);
            if (round < first_writing)
                mean += points.mask[t] * slopes.mask;
            else
                dcn_write_slopes(to, run, first + t, &points.found[t], points.mask[t], &slopes, mean);
        }
    }
}

/* All that a run's blocks have in grad_offset_mask. */
DCN_INLINE void dcn_points_of_run(const DCN_GLOBAL dcn_item *value, const DCN_GLOBAL dcn_item *offset_mask,
                                  const DCN_GLOBAL dcn_item *grad_output, DCN_GLOBAL dcn_item *grad_offset_mask,
                                  DCN_GLOBAL float *packed, const DCN_PRIVATE dcn_run *run,
                                  const DCN_PRIVATE dcn_sizes *sizes) {
    const int cellular = sizes->width > 1 && sizes->height > 1;
    if (cellular)
        dcn_points_run(value, offset_mask, grad_output, grad_offset_mask, packed, run, sizes);
    for (int p = run->first; p < run->end; ++p) {
        const dcn_block block = dcn_run_block(run, p, sizes);
        if (!cellular)
            dcn_points_block(value, offset_mask, grad_output, grad_offset_mask, &block, 0, sizes);
        dcn_write_padding(grad_offset_mask, &block, 0);
    }
}

#endif
#endif

#if !DCN_BOTH

#if DCN_STAGED && !DCN_WIDE
DCN_KERNEL_OF(dcn_backward_points, DCN_WORK_GROUP, 128)
#else
DCN_KERNEL(dcn_backward_points, DCN_WORK_GROUP)
#endif
(const DCN_GLOBAL dcn_item *DCN_RESTRICT value, dcn_long value_at,
 const DCN_GLOBAL dcn_item *DCN_RESTRICT offset_mask, dcn_long offset_mask_at,
 const DCN_GLOBAL dcn_item *DCN_RESTRICT grad_output, dcn_long grad_output_at,
 DCN_GLOBAL dcn_item *DCN_RESTRICT grad_offset_mask, dcn_long grad_offset_mask_at, dcn_long height, dcn_long width,
 dcn_long output_height, dcn_long output_width) {
    value += value_at, offset_mask += offset_mask_at;
    grad_output += grad_output_at, grad_offset_mask += grad_offset_mask_at;
    dcn_sizes sizes;
    sizes.height = height, sizes.width = width;
    sizes.output_height = output_height, sizes.output_width = output_width;
    const dcn_tile tile = dcn_tile_of(DCN_GROUP_ID, 1, &sizes);
#if DCN_RUN > 1
    for (int i = 0; i < DCN_TILE_RUNS; ++i) {
        const dcn_run run = dcn_tile_run(&tile, i, offset_mask, &sizes);
        if (dcn_run_exists(&run, &sizes))
            dcn_points_of_run(value, offset_mask, grad_output, grad_offset_mask, 0, &run, &sizes);
    }
#else
    const int item = DCN_LOCAL_ID, lane = item % DCN_LANES;
    const dcn_block block = dcn_tile_block(&tile, item / DCN_LANES, &sizes);
    const dcn_index channel = lane * DCN_VECTOR;
    const int exists = dcn_exists(&block, &sizes);

#if DCN_STAGED
    /* A lane finds out where some points of its block lie, for all lanes; these leave their dots for it, and it writes. */
    DCN_LOCAL_ARRAY dcn_index cells[DCN_TILE_BLOCKS * DCN_PITCH];
    DCN_LOCAL_ARRAY dcn_quad dots[DCN_LANES * DCN_PLANE];
    dcn_sample mine[DCN_SHARE];
    const int own = item / DCN_LANES * DCN_PITCH, cellular = exists && sizes.width > 1 && sizes.height > 1;
    const dcn_index origin = block.group * DCN_CHANNELS, below = sizes.width * DCN_VALUE_STRIDE;
    const dcn_index grad_at = block.pixel * DCN_GRAD_OUTPUT_STRIDE + origin + channel;
    float mean = 0.0f;
#if DCN_SOFTMAX
    /* What the lanes have of a block's mean is there after the first half of the rounds; the second half writes. */
    DCN_LOCAL_ARRAY float means[DCN_WORK_GROUP];
    const int first_writing = DCN_ROUNDS;
#else
    const int first_writing = 0;
#endif
    for (int round = 0; round < first_writing + DCN_ROUNDS; ++round) {
        const int first = round % DCN_ROUNDS * DCN_TAPS;
        if (exists) {
            const dcn_softmax norm = dcn_softmax_of(offset_mask, block.offsets);
            DCN_UNROLL
            for (int j = 0; j < DCN_SHARE; ++j) {
                const int t = lane + j * DCN_LANES;
                if (t < DCN_TAPS) {
                    mine[j] = dcn_point(offset_mask, &block, DCN_MIN(first + t, DCN_POINTS - 1), &norm, &sizes);
                    cells[own + t] = dcn_cell_at(&mine[j], block.n, &sizes) * DCN_VALUE_STRIDE + origin;
                }
            }
        }
        DCN_BARRIER();
        if (cellular) {
            DCN_UNROLL_TAPS
            for (int k = 0; k < DCN_TAPS; ++k)
                dots[lane * DCN_PLANE + own + k] =
                    dcn_cell_dots(value + cells[own + k] + channel, grad_output + grad_at, below, channel);
        }
        DCN_BARRIER();
        if (exists) {
#if DCN_SOFTMAX
            if (round == DCN_ROUNDS)
                for (int l = 0; l < DCN_LANES; ++l)
                    mean = (l == 0 ? 0.0f : mean) + means[item / DCN_LANES * DCN_LANES + l];
#endif
            DCN_UNROLL
            for (int j = 0; j < DCN_SHARE; ++j) {
                const int t = lane + j * DCN_LANES;
                if (t < DCN_TAPS && first + t < DCN_POINTS) {
                    const dcn_slopes slopes =
                        dcn_gather_slopes(dots + own + t, cellular, value, grad_output, &mine[j], &block, &sizes);
                    if (round >= first_writing)
                        dcn_write_point(grad_offset_mask, &block, first + t, &mine[j], &slopes, mean);
                    else
                        mean += mine[j].inside ? mine[j].mask * slopes.mask : 0.0f;
                }
            }
#if DCN_SOFTMAX
            if (round < DCN_ROUNDS)
                means[item] = mean;
#endif
        }
#if DCN_ROUNDS > 1 || DCN_SOFTMAX
        DCN_BARRIER(); /* before the next round's points are written */
#endif
    }
#else
    if (exists)
        dcn_points_block(value, offset_mask, grad_output, grad_offset_mask, &block, channel, &sizes);
#endif
    if (exists)
        dcn_write_padding(grad_offset_mask, &block, lane);
#endif
}

#endif
