/* value, locations, weights → output: a work-item has a lane's channels of a block, or of a part of its channels. */

DCN_KERNEL(attn_forward, DCN_FLAT_GROUP)
(DCN_PARAMETERS(ATTN_FORWARD)) {
    value += value_at, locations += locations_at, weights += weights_at, output += output_at, levels += levels_at;
    const dcn_index item = ATTN_ITEM, lane = item % DCN_LANES, share = item / DCN_LANES;
    const dcn_index number = share / DCN_CHANNEL_PARTS, channel = DCN_CHANNEL(share % DCN_CHANNEL_PARTS, lane, 0);
    if (number >= batch * queries * DCN_HEADS)
        return;
    const attn_block block = attn_block_of(number, queries);
    const attn_softmax norm = attn_softmax_of(weights, &block);
    dcn_vector sum[DCN_VECTORS];
    dcn_clear_sums(sum);
    int k = 0;
    for (int l = 0; l < DCN_LEVELS; ++l) {
        const attn_level level = attn_level_of(levels, l);
        for (const int end = k + DCN_LEVEL_POINTS(l); k < end; ++k) {
            dcn_sample s = attn_sample_of(locations, &block, k, &level);
            if (!s.inside)
                continue;
            s.mask = attn_weight_of(weights, &block, k, &norm);
            const dcn_index at = attn_place_of(&s, &block, &level, value_length) * DCN_VALUE_STRIDE +
                                 block.head * DCN_CHANNELS + channel;
            if (dcn_is_plain(&s))
                dcn_gather_interior(sum, value, at, level.width * DCN_VALUE_STRIDE, &s, channel);
            else
                dcn_gather(sum, value, at, level.width * DCN_VALUE_STRIDE, &s, channel);
        }
    }
    if (!dcn_all_finite(sum)) { /* a folded mask may have overflowed */
        dcn_clear_sums(sum);
        k = 0;
        for (int l = 0; l < DCN_LEVELS; ++l) {
            const attn_level level = attn_level_of(levels, l);
            for (const int end = k + DCN_LEVEL_POINTS(l); k < end; ++k) {
                dcn_sample s = attn_sample_of(locations, &block, k, &level);
                s.mask = attn_weight_of(weights, &block, k, &norm);
                if (s.inside)
                    dcn_gather(sum, value,
                               attn_place_of(&s, &block, &level, value_length) * DCN_VALUE_STRIDE +
                                   block.head * DCN_CHANNELS + channel,
                               level.width * DCN_VALUE_STRIDE, &s, channel);
            }
        }
    }
    dcn_store_sums(output, block.row * DCN_OUTPUT_STRIDE + block.head * DCN_CHANNELS + channel, sum, channel);
}
