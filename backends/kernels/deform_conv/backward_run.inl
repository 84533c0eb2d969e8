/* A CPU's geometry: the gradients of a run of pixels (runs.inl), of points alone or of value as well. */

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
DCN_INLINE void dcn_mend_slopes(const DCN_GLOBAL dcn_item *value, const DCN_GLOBAL dcn_offset_item *offset_mask,
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
DCN_INLINE void dcn_write_slopes(DCN_GLOBAL dcn_offset_item *to, const DCN_PRIVATE dcn_run *run, int k,
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
DCN_INLINE void dcn_visit_run(const DCN_GLOBAL dcn_item *value, const DCN_GLOBAL dcn_offset_item *offset_mask,
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
                              DCN_MIN_INDEX(first + DCN_TAPS, DCN_POINTS), &all, 0, sizes);
        }
#endif
        dcn_project_cells(from, grad, points->cells + p, sizes->width, dots);
    }
}

/* Writes the gradients of the blocks of a run; adds those of value to the sums of a copy, if there is one. */
DCN_APART void dcn_points_run(const DCN_GLOBAL dcn_item *value, const DCN_GLOBAL dcn_offset_item *offset_mask,
                              const DCN_GLOBAL dcn_item *grad_output, DCN_GLOBAL dcn_offset_item *grad_offset_mask,
                              DCN_GLOBAL float *packed, const DCN_PRIVATE dcn_run *run,
                              const DCN_PRIVATE dcn_sizes *sizes) {
    const int rounds = (DCN_POINTS + DCN_TAPS - 1) / DCN_TAPS, first_writing = DCN_SOFTMAX ? rounds : 0;
    const dcn_softmaxes norm = dcn_softmaxes_of(run);
    const dcn_block block = dcn_run_block(run, 0, sizes);
    DCN_GLOBAL dcn_offset_item *const to = grad_offset_mask + block.pixel * DCN_GRAD_OFFSET_MASK_STRIDE +
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
DCN_INLINE void dcn_points_of_run(const DCN_GLOBAL dcn_item *value, const DCN_GLOBAL dcn_offset_item *offset_mask,
                                  const DCN_GLOBAL dcn_item *grad_output, DCN_GLOBAL dcn_offset_item *grad_offset_mask,
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
