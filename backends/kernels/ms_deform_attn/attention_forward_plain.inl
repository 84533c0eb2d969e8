/* value, locations, weights → output, for blocks that have one lane: a work-item has a block, or a part of its channels. */

DCN_KERNEL(attn_forward, DCN_FLAT_GROUP)
(DCN_PARAMETERS(ATTN_FORWARD)) {
    value += value_at, locations += locations_at, weights += weights_at, output += output_at;
    references += references_at, level_shapes += level_shapes_at, level_starts += level_starts_at;
    const dcn_index item = ATTN_ITEM, number = item / DCN_CHANNEL_PARTS;
    const dcn_index channel = DCN_CHANNEL(item % DCN_CHANNEL_PARTS, 0, 0);
    if (number >= batch * queries * DCN_HEADS)
        return;
    const attn_block block = attn_block_of(number / DCN_HEADS, number % DCN_HEADS, queries, by_queries);
    const attn_softmax norm = attn_softmax_of(weights, &block);
    dcn_vector sum[DCN_VECTORS];
    dcn_clear_sums(sum);
    int k = 0;
    for (int l = 0; l < DCN_LEVELS; ++l) {
        const attn_level level = attn_level_of(level_shapes, level_starts, l, value_length);
        for (const int end = k + DCN_LEVEL_POINTS(l); k < end; ++k) {
            dcn_sample s = attn_sample_of(locations, references, &block, k, l, &level);
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
        attn_add_exact(sum, 1, value, locations, weights, references, level_shapes, level_starts, &block, channel,
                       value_length);
    }
    dcn_store_sums(output, block.row * DCN_OUTPUT_STRIDE + block.head * DCN_CHANNELS + channel, sum, channel);
}
