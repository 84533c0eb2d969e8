/* value, offset_mask, grad_output → grad_offset_mask, by runs (runs.inl); with DCN_BOTH the same functions add up
 * grad_value as well, for backward_both.inl. */

/* Recomputes the derivatives of point k for those pixels whose dot products are not finite. */
DCN_INLINE void dcn_correct_derivatives(const DCN_GLOBAL dcn_element *value,
                                        const DCN_GLOBAL dcn_offset_element *offset_mask,
                                        const DCN_GLOBAL dcn_element *grad_output, const DCN_PRIVATE dcn_run *run,
                                        int k, dcn_ints finite, DCN_PRIVATE dcn_vector_derivatives *d,
                                        const DCN_PRIVATE dcn_sizes *sizes) {
    float by[3][DCN_RUN];
    int keep[DCN_RUN];
    vstore8(d->mask, 0, by[0]), vstore8(d->x, 0, by[1]), vstore8(d->y, 0, by[2]);
    vstore8(finite, 0, keep);
    for (int p = run->first; p < run->end; ++p)
        if (!keep[p]) {
            const dcn_block b = dcn_run_block(run, p, sizes);
            const dcn_sample s = dcn_locate_point(offset_mask, &b, k, sizes);
            const dcn_derivatives one = dcn_sample_derivatives(value, grad_output, &s, &b, 0, sizes);
            by[0][p] = one.mask, by[1][p] = one.x, by[2][p] = one.y;
        }
    d->mask = vload8(0, by[0]), d->x = vload8(0, by[1]), d->y = vload8(0, by[2]);
}

/* Writes the gradients of point k of each pixel; `to` is where the first pixel's block begins. */
DCN_INLINE void dcn_write_run_point(DCN_GLOBAL dcn_offset_element *to, const DCN_PRIVATE dcn_run *run, int k,
                                    const DCN_PRIVATE dcn_cells *cells, dcn_floats mask,
                                    const DCN_PRIVATE dcn_vector_derivatives *d, dcn_floats mean) {
    const dcn_ints counts = cells->x.counts & cells->y.counts;
    const dcn_floats factor = DCN_SCALE * mask;
    dcn_write_run(to, run, 2 * k, counts ? factor * d->x : 0.0f);
    dcn_write_run(to, run, 2 * k + 1, counts ? factor * d->y : 0.0f);
    dcn_write_run(to, run, 2 * DCN_POINTS + k, DCN_SOFTMAX ? mask * (d->mask - mean) : d->mask);
}

/* dcn_backward (backward_both.inl) works on a packed copy of one group: a pixel has all vectors of its values as float32,
 * one behind the other, and behind them the sums of their gradients. Elements from the values to the sums, and from pixel
 * to pixel: */
#define DCN_PACKED_SUMS (DCN_LANE_VECTORS * DCN_VECTOR)
#define DCN_PACKED (2 * DCN_PACKED_SUMS)

/* What is staged of a round of a run's points. `weights` and `nan_if_infinite` are for grad_value. */
typedef struct dcn_run_points {
    dcn_cells found[DCN_ROUND_POINTS];
    dcn_floats mask[DCN_ROUND_POINTS];
    dcn_quad dots[DCN_ROUND_POINTS * DCN_RUN];
    dcn_index cells[DCN_ROUND_POINTS * DCN_RUN]; /* first pixel of each, within the image */
    dcn_quad weights[DCN_RUN * DCN_ROUND_POINTS];
    float nan_if_infinite[DCN_RUN]; /* 0 if all masks of a pixel are finite, else NaN */
} dcn_run_points;

/* Finds and stages the points of a round that begins with point `first`. */
DCN_INLINE void dcn_find_points(const DCN_PRIVATE dcn_run *run, int first, const DCN_PRIVATE dcn_softmaxes *norm,
                                DCN_PRIVATE dcn_run_points *points, const DCN_PRIVATE dcn_sizes *sizes) {
    dcn_frame frame;
    frame.begin_row = 0, frame.end_row = sizes->height, frame.width = sizes->width;
    dcn_floats nothing = 0.0f;
    for (int t = 0; t < DCN_ROUND_POINTS; ++t) {
        const int k = DCN_POINT(first + t);
        const dcn_cells found = dcn_cells_of(run, k, &frame);
        const dcn_floats mask = dcn_masks_of(run, k, norm);
        points->found[t] = found, points->mask[t] = mask;
        dcn_stage_cells(&found, sizes->width, 1, points->cells + t * DCN_RUN);
#if DCN_BOTH
        const dcn_floats weight = DCN_HAS_POINT(first + t) ? mask : 0.0f;
        nothing += DCN_ZERO_OR_NAN(weight);
        dcn_stage_weights(&found, weight, points->weights + t, DCN_ROUND_POINTS);
#endif
    }
    vstore8(nothing, 0, points->nan_if_infinite);
}

/* The dot products of a block's staged points. */
DCN_INLINE void dcn_dot_cells(const DCN_GLOBAL dcn_element *value, const DCN_GLOBAL dcn_element *grad_output,
                              const DCN_PRIVATE dcn_index *cells, dcn_index width, DCN_PRIVATE dcn_quad *dots) {
    DCN_UNROLL_LOADS
    for (int t = 0; t < DCN_ROUND_POINTS; ++t)
        dots[t * DCN_RUN] = dcn_cell_vector_dots(value + cells[t * DCN_RUN] * DCN_VALUE_STRIDE, grad_output,
                                                 width * DCN_VALUE_STRIDE);
}

#if DCN_BOTH
/* The same on a packed copy; also adds weights·grad to its sums. */
DCN_INLINE void dcn_dot_and_scatter_cells(DCN_GLOBAL float *packed, const DCN_GLOBAL dcn_element *grad_output,
                                          const DCN_PRIVATE dcn_quad *weights, const DCN_PRIVATE dcn_index *cells,
                                          dcn_index width, DCN_PRIVATE dcn_quad *dots) {
    for (int part = 0; part < DCN_CHANNEL_PARTS; ++part) {
        const dcn_index channel = part * DCN_PART_CHANNELS;
        dcn_vector grad[DCN_VECTORS];
        DCN_UNROLL
        for (int v = 0; v < DCN_VECTORS; ++v)
            if (DCN_HAS_CHANNEL(channel + v * DCN_VECTOR))
                grad[v] = dcn_load_once(grad_output, channel, channel, v);
        DCN_UNROLL_LOADS
        for (int t = 0; t < DCN_ROUND_POINTS; ++t) {
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
                        const dcn_index at = v * DCN_VECTOR, sum_at = DCN_PACKED_SUMS + v * DCN_VECTOR;
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

/* The dot products of a run's staged points; if there is a packed copy, also adds to its sums. */
DCN_INLINE void dcn_dot_run(const DCN_GLOBAL dcn_element *value, const DCN_GLOBAL dcn_offset_element *offset_mask,
                            const DCN_GLOBAL dcn_element *grad_output, DCN_GLOBAL float *packed,
                            const DCN_PRIVATE dcn_run *run, int first, DCN_PRIVATE dcn_run_points *points,
                            const DCN_PRIVATE dcn_sizes *sizes) {
    const dcn_index image = run->n * sizes->height * sizes->width, channel = run->group * DCN_CHANNELS;
    const DCN_GLOBAL dcn_element *const from = value + image * DCN_VALUE_STRIDE + channel;
    for (int p = 0; p < DCN_RUN; ++p) {
        const dcn_block b = dcn_run_block(run, p, sizes);
        const DCN_GLOBAL dcn_element *const grad = grad_output + b.pixel * DCN_GRAD_OUTPUT_STRIDE + channel;
        DCN_PRIVATE dcn_quad *const dots = points->dots + DCN_SLOT(p);
        if (p < run->first || p >= run->end) {
            for (int t = 0; t < DCN_ROUND_POINTS; ++t)
                for (int c = 0; c < 4; ++c)
                    dots[t * DCN_RUN].part[c] = 0.0f;
            continue;
        }
#if DCN_BOTH
        if (packed && points->nan_if_infinite[p] == 0.0f && dcn_are_grads_finite(grad)) {
            dcn_dot_and_scatter_cells(packed, grad, points->weights + p * DCN_ROUND_POINTS, points->cells + p,
                                      sizes->width, dots);
            continue;
        }
        if (packed) {
            dcn_owned all;
            all.sums = packed + DCN_PACKED_SUMS, all.stride = DCN_PACKED, all.apart = 1;
            all.begin = image, all.end = image + sizes->height * sizes->width;
            dcn_scatter_block(offset_mask, grad_output, &all, &b, first,
                              DCN_MIN_INDEX(first + DCN_ROUND_POINTS, DCN_POINTS), 0, sizes);
        }
#endif
        dcn_dot_cells(from, grad, points->cells + p, sizes->width, dots);
    }
}

/* Writes the gradients of a run's points, in rounds; if there is a packed copy, also adds to its sums. With softmax
 * there are two passes over the rounds: the first computes the mean of each block. */
DCN_NOINLINE void dcn_points_run(const DCN_GLOBAL dcn_element *value, const DCN_GLOBAL dcn_offset_element *offset_mask,
                                 const DCN_GLOBAL dcn_element *grad_output,
                                 DCN_GLOBAL dcn_offset_element *grad_offset_mask, DCN_GLOBAL float *packed,
                                 const DCN_PRIVATE dcn_run *run, const DCN_PRIVATE dcn_sizes *sizes) {
    const int rounds = (DCN_POINTS + DCN_ROUND_POINTS - 1) / DCN_ROUND_POINTS, first_writing = DCN_SOFTMAX ? rounds : 0;
    const dcn_softmaxes norm = dcn_softmaxes_of(run);
    const dcn_block block = dcn_run_block(run, 0, sizes);
    DCN_GLOBAL dcn_offset_element *const to = grad_offset_mask + block.pixel * DCN_GRAD_OFFSET_MASK_STRIDE +
                                              block.group * 3 * DCN_POINTS;
    dcn_run_points points;
    dcn_floats mean = 0.0f;
    for (int round = 0; round < first_writing + rounds; ++round) {
        const int first = round % rounds * DCN_ROUND_POINTS;
        if (round == 0 || rounds > 1) { /* the points of a single round are still there in the second pass */
            dcn_find_points(run, first, &norm, &points, sizes);
            dcn_dot_run(value, offset_mask, grad_output, rounds == 1 || round >= first_writing ? packed : 0, run, first,
                        &points, sizes);
        }
        for (int t = 0; t < DCN_ROUND_POINTS && first + t < DCN_POINTS; ++t) {
            dcn_floats dot[4];
            dcn_load_quads(points.dots + t * DCN_RUN, dot);
            dcn_vector_derivatives d = dcn_vector_derivatives_of(&points.found[t], dot);
            const dcn_floats total = dot[0] + dot[1] + dot[2] + dot[3], nothing = DCN_ZERO_OR_NAN(total);
            if (!dcn_are_zero8(nothing))
                dcn_correct_derivatives(value, offset_mask, grad_output, run, first + t, nothing == 0.0f, &d, sizes);
            if (round < first_writing)
                mean += points.mask[t] * d.mask;
            else
                dcn_write_run_point(to, run, first + t, &points.found[t], points.mask[t], &d, mean);
        }
    }
}

/* Everything that a run's blocks write to grad_offset_mask. */
DCN_INLINE void dcn_points_of_run(const DCN_GLOBAL dcn_element *value, const DCN_GLOBAL dcn_offset_element *offset_mask,
                                  const DCN_GLOBAL dcn_element *grad_output,
                                  DCN_GLOBAL dcn_offset_element *grad_offset_mask, DCN_GLOBAL float *packed,
                                  const DCN_PRIVATE dcn_run *run, const DCN_PRIVATE dcn_sizes *sizes) {
    const int cellular = DCN_HAS_CELLS(sizes->height, sizes->width);
    if (cellular)
        dcn_points_run(value, offset_mask, grad_output, grad_offset_mask, packed, run, sizes);
    for (int p = run->first; p < run->end; ++p) {
        const dcn_block block = dcn_run_block(run, p, sizes);
        if (!cellular)
            dcn_points_exact(value, offset_mask, grad_output, grad_offset_mask, &block, 0, sizes);
        dcn_write_padding(grad_offset_mask, &block, 0);
    }
}

#if !DCN_BOTH

DCN_KERNEL(dcn_backward_points, DCN_WORK_GROUP)
(DCN_PARAMETERS(POINTS)) {
    value += value_at, offset_mask += offset_mask_at;
    grad_output += grad_output_at, grad_offset_mask += grad_offset_mask_at;
    dcn_sizes sizes;
    sizes.height = height, sizes.width = width;
    sizes.output_height = output_height, sizes.output_width = output_width;
    sizes.by_columns = by_columns, sizes.by_rows = by_rows;
    const dcn_tile tile = dcn_tile_of(DCN_GROUP_ID, 1, &sizes);
    for (int i = 0; i < DCN_TILE_RUNS; ++i) {
        const dcn_run run = dcn_tile_run(&tile, i, offset_mask, &sizes);
        if (dcn_run_exists(&run, &sizes))
            dcn_points_of_run(value, offset_mask, grad_output, grad_offset_mask, 0, &run, &sizes);
    }
}

#endif
