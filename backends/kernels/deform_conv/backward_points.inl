/* value, offset_mask, grad_output → grad_offset_mask. README.md beside this file says who does what. */

#if DCN_STAGED
/* The slopes of point k of this work-item's block where dots are of no use. The block is found out again: kept until here it
 * would take registers from the loads. */
DCN_INLINE dcn_slopes dcn_slopes_anew(const DCN_GLOBAL dcn_item *value, const DCN_GLOBAL dcn_offset_item *offset_mask,
                                      const DCN_GLOBAL dcn_item *grad_output, int k, const DCN_PRIVATE dcn_sizes *sizes) {
    const dcn_tile tile = dcn_tile_of(DCN_GROUP_ID_AGAIN, 1, sizes);
    const dcn_block block = dcn_tile_block(&tile, DCN_LOCAL_ID_AGAIN / DCN_LANES, sizes);
    return dcn_careful_slopes(value, offset_mask, grad_output, &block, k, sizes);
}
#endif

#if DCN_STAGED && !DCN_WIDE
DCN_KERNEL_OF(dcn_backward_points, DCN_WORK_GROUP, DCN_ALIGNED && DCN_SHARE <= 3 ? 96 : 128)
#else
DCN_KERNEL(dcn_backward_points, DCN_WORK_GROUP)
#endif
(DCN_PARAMETERS(POINTS)) {
    value += value_at, offset_mask += offset_mask_at;
    grad_output += grad_output_at, grad_offset_mask += grad_offset_mask_at;
    dcn_sizes sizes;
    sizes.height = height, sizes.width = width;
    sizes.output_height = output_height, sizes.output_width = output_width;
    sizes.by_columns = by_columns, sizes.by_rows = by_rows;
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
    if (exists)
        dcn_write_padding(grad_offset_mask, &block, lane);

#if DCN_STAGED
    /* A lane finds out where some points of its block lie, for all lanes; these leave their dots for it, and it writes. */
    DCN_LOCAL_ARRAY dcn_index cells[DCN_TILE_BLOCKS * DCN_PITCH];
    DCN_LOCAL_ARRAY dcn_quad dots[DCN_LANES * DCN_PLANE];
    dcn_kept mine[DCN_SHARE];
    const int own = item / DCN_LANES * DCN_PITCH, cellular = exists && dcn_has_cells(&sizes);
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
            DCN_UNROLL
            for (int j = 0; j < DCN_SHARE; ++j) {
                const int t = lane + j * DCN_LANES;
                if (t < DCN_TAPS) {
                    const int k = DCN_MIN_INDEX(first + t, DCN_POINTS - 1);
                    cells[own + t] = dcn_keep_point(&mine[j], offset_mask, &block, k, &sizes) * DCN_VALUE_STRIDE +
                                     origin;
                }
            }
        }
        DCN_BARRIER();
        if (cellular) {
            /* A cell is read before the dots of the one in front are written: not all compilers know that these are not where
             * cells are, and then two points' loads can be in flight. */
            dcn_index next = cells[own];
            DCN_UNROLL_TAPS
            for (int k = 0; k < DCN_TAPS; ++k) {
                const dcn_index cell = next;
                next = cells[own + DCN_MIN_INDEX(k + 1, DCN_TAPS - 1)];
                dots[lane * DCN_PLANE + own + k] =
                    dcn_cell_dots(value + cell + channel, grad_output + grad_at, below, channel);
            }
        }
        DCN_BARRIER();
        if (exists) {
#if DCN_SOFTMAX
            if (round == DCN_ROUNDS)
                for (int l = 0; l < DCN_LANES; ++l)
                    mean = (l == 0 ? 0.0f : mean) + means[item / DCN_LANES * DCN_LANES + l];
#endif
            const dcn_softmax norm = dcn_softmax_of(offset_mask, block.offsets);
            DCN_UNROLL
            for (int j = 0; j < DCN_SHARE; ++j) {
                const int t = lane + j * DCN_LANES;
                if (t < DCN_TAPS && first + t < DCN_POINTS) {
                    const float mask = dcn_mask_of(offset_mask, &block, first + t, &norm);
                    dcn_slopes slopes;
                    if (!cellular || !dcn_gather_slopes(&slopes, dots + own + t, &mine[j]))
                        slopes = dcn_slopes_anew(value, offset_mask, grad_output, first + t, &sizes);
                    if (round >= first_writing)
                        dcn_write_point(grad_offset_mask, &block, first + t, mask, &slopes, mean);
                    else
                        mean += slopes.counts ? mask * slopes.mask : 0.0f;
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
#endif
}
