/* value, offset_mask → output, by runs (runs.inl). */

/* Adds the staged points of one pixel of a run. All points are treated alike, so that many loads are in flight. */
DCN_INLINE void dcn_gather_staged(DCN_PRIVATE dcn_vector *upper_sum, DCN_PRIVATE dcn_vector *lower_sum,
                                  const DCN_GLOBAL dcn_element *value, const DCN_PRIVATE dcn_quad *weights,
                                  const DCN_PRIVATE dcn_index *cells, dcn_index below, dcn_index channel) {
    DCN_UNROLL_LOADS
    for (int k = 0; k < DCN_ROUND_POINTS; ++k) {
        const dcn_quad weight = weights[k];
        const DCN_GLOBAL dcn_element *const upper = value + cells[k * DCN_RUN];
        dcn_gather_cell(upper_sum, lower_sum, upper, upper + below, weight, channel);
    }
}

/* Whether the sums of all pixels of a run are finite. */
DCN_INLINE int dcn_is_run_finite(const DCN_PRIVATE dcn_vector *sums) {
    dcn_partials nothing = dcn_no_products();
    DCN_UNROLL
    for (int i = 0; i < DCN_RUN * DCN_VECTORS; ++i)
        nothing = dcn_add_zero_or_nan(sums[i], nothing);
    return dcn_are_zero(nothing);
}

/* The sums of each pixel of a run, in rounds of DCN_ROUND_POINTS points. */
DCN_INLINE void dcn_gather_run(DCN_PRIVATE dcn_vector *sums, const DCN_GLOBAL dcn_element *value,
                               const DCN_PRIVATE dcn_run *run, dcn_index channel, const DCN_PRIVATE dcn_sizes *sizes) {
    dcn_quad weights[DCN_RUN * DCN_ROUND_POINTS];
    dcn_index cells[DCN_RUN * DCN_ROUND_POINTS];
    dcn_frame frame;
    frame.begin_row = 0, frame.end_row = sizes->height, frame.width = sizes->width;
    const dcn_softmaxes norm = dcn_softmaxes_of(run);
    value += run->n * sizes->height * sizes->width * DCN_VALUE_STRIDE + run->group * DCN_CHANNELS + channel;
    for (int first = 0; first < DCN_POINTS; first += DCN_ROUND_POINTS) {
        for (int t = 0; t < DCN_ROUND_POINTS; ++t) {
            const int k = DCN_POINT(first + t);
            const dcn_cells found = dcn_cells_of(run, k, &frame);
            const dcn_floats mask = dcn_masks_of(run, k, &norm);
            dcn_stage_weights(&found, DCN_HAS_POINT(first + t) ? mask : 0.0f, weights + t, DCN_ROUND_POINTS);
            dcn_stage_cells(&found, sizes->width, DCN_VALUE_STRIDE, cells + t * DCN_RUN);
        }
        for (int p = 0; p < DCN_RUN; ++p) {
            dcn_vector sum[DCN_VECTORS], lower[DCN_VECTORS];
            DCN_UNROLL
            for (int v = 0; v < DCN_VECTORS; ++v)
                sum[v] = first == 0 ? dcn_zero() : sums[p * DCN_VECTORS + v], lower[v] = dcn_zero();
            dcn_gather_staged(sum, DCN_VECTORS > 2 ? sum : lower, value, weights + p * DCN_ROUND_POINTS, cells + p,
                              sizes->width * DCN_VALUE_STRIDE, channel);
            DCN_UNROLL
            for (int v = 0; v < DCN_VECTORS; ++v)
                sums[p * DCN_VECTORS + v] = dcn_fma(1.0f, lower[v], sum[v]);
        }
    }
}

/* The outputs of a run: those that are not finite are recomputed point by point. */
DCN_NOINLINE void dcn_forward_run(const DCN_GLOBAL dcn_element *value, const DCN_GLOBAL dcn_offset_element *offset_mask,
                                  DCN_GLOBAL dcn_element *output, const DCN_PRIVATE dcn_run *run, dcn_index channel,
                                  const DCN_PRIVATE dcn_sizes *sizes) {
    const int cellular = DCN_HAS_CELLS(sizes->height, sizes->width);
    dcn_vector sums[DCN_RUN * DCN_VECTORS];
    if (cellular)
        dcn_gather_run(sums, value, run, channel, sizes);
    const int finite = cellular && dcn_is_run_finite(sums);
    for (int p = run->first; p < run->end; ++p) {
        const dcn_block block = dcn_run_block(run, p, sizes);
        if (!finite && !(cellular && dcn_all_finite(sums + p * DCN_VECTORS)))
            dcn_forward_exact(sums + p * DCN_VECTORS, value, offset_mask, &block, channel, sizes);
        dcn_store_sums(output, block.pixel * DCN_OUTPUT_STRIDE + block.group * DCN_CHANNELS + channel,
                       sums + p * DCN_VECTORS, channel);
    }
}

DCN_KERNEL(dcn_forward, DCN_WORK_GROUP)
(DCN_PARAMETERS(FORWARD)) {
    value += value_at, offset_mask += offset_mask_at, output += output_at;
    dcn_sizes sizes;
    sizes.height = height, sizes.width = width;
    sizes.output_height = output_height, sizes.output_width = output_width;
    sizes.by_columns = by_columns, sizes.by_rows = by_rows;
    const dcn_tile tile = dcn_tile_of(DCN_GROUP_ID, DCN_CHANNEL_PARTS, &sizes);
    for (int i = 0; i < DCN_TILE_RUNS; ++i) {
        const dcn_run run = dcn_tile_run(&tile, i, offset_mask, &sizes);
        if (dcn_run_exists(&run, &sizes))
            dcn_forward_run(value, offset_mask, output, &run, DCN_CHANNEL(tile.part, 0, 0), &sizes);
    }
}
