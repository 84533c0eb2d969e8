/* value, offset_mask → output, point by point: each lane finds the points of its block for itself, with branches. */

DCN_KERNEL(dcn_forward, DCN_WORK_GROUP)
(DCN_PARAMETERS(FORWARD)) {
    value += value_at, offset_mask += offset_mask_at, output += output_at;
    dcn_sizes sizes;
    sizes.height = height, sizes.width = width;
    sizes.output_height = output_height, sizes.output_width = output_width;
    sizes.by_columns = by_columns, sizes.by_rows = by_rows;
    const dcn_tile tile = dcn_tile_of(DCN_GROUP_ID, DCN_CHANNEL_PARTS, &sizes);
    const dcn_index below = sizes.width * DCN_VALUE_STRIDE;
    const int item = DCN_LOCAL_ID, lane = item % DCN_LANES;
    dcn_block block = dcn_tile_block(&tile, item / DCN_LANES, &sizes);
    DCN_PIN(block.offsets);
    const dcn_index channel = DCN_CHANNEL(tile.part, lane, 0);
    const int exists = dcn_exists(&block, &sizes);
    dcn_index at_output = block.pixel * DCN_OUTPUT_STRIDE + block.group * DCN_CHANNELS + channel;
    DCN_PIN(at_output);
    if (!exists)
        return;
    dcn_vector sum[DCN_VECTORS];
    dcn_clear_sums(sum);
    const dcn_softmax norm = dcn_softmax_of(offset_mask, block.offsets);
    DCN_UNROLL_POINTS
    for (int k = 0; k < DCN_POINTS; ++k) {
        const dcn_sample s = dcn_point(offset_mask, &block, k, &norm, &sizes);
        const dcn_index at = dcn_at(&s, block.n, &sizes) * DCN_VALUE_STRIDE + block.group * DCN_CHANNELS + channel;
        if (dcn_is_plain(&s))
            dcn_gather_interior(sum, value, at, below, &s, channel);
        else if (s.inside)
            dcn_gather(sum, value, at, below, &s, channel);
    }
    dcn_store_sums(output, at_output, sum, channel);
}
