/* value, locations, weights, grad_output → grad_locations, grad_weights, for blocks that have one lane: a work-item has a block. */

DCN_KERNEL(attn_backward_points, DCN_FLAT_GROUP)
(DCN_PARAMETERS(ATTN_POINTS)) {
    value += value_at, locations += locations_at, weights += weights_at, grad_output += grad_output_at;
    references += references_at, level_shapes += level_shapes_at, level_starts += level_starts_at;
    grad_locations += grad_locations_at, grad_weights += grad_weights_at, moves += moves_at;
    const dcn_index number = ATTN_ITEM;
    if (number >= batch * queries * DCN_HEADS)
        return;
    const attn_block block = attn_block_of(number / DCN_HEADS, number % DCN_HEADS, queries, by_queries);
    const attn_target to = attn_target_of(grad_locations, grad_weights, moves, &block);
    const attn_softmax norm = attn_softmax_of(weights, &block);
    float mean = 0.0f;
    /* Twice with softmax: first for the mean. */
    for (int round = DCN_SOFTMAX ? 0 : 1; round < 2; ++round) {
        int k = 0;
        for (int l = 0; l < DCN_LEVELS; ++l) {
            const attn_level level = attn_level_of(level_shapes, level_starts, l, value_length);
            for (const int end = k + DCN_LEVEL_POINTS(l); k < end; ++k) {
                const float a = attn_weight_of(weights, &block, k, &norm);
                const dcn_derivatives d = attn_exact_derivatives(value, locations, references, grad_output, &block, k, l,
                                                                 &level, value_length);
                if (round == 0)
                    mean += d.counts ? a * d.mask : 0.0f;
                else
                    attn_write_point(&to, references, &block, k, l, &level, a, &d, mean);
            }
        }
    }
}
