/* value, locations, weights, grad_output → grad_locations, grad_weights: a work-item has a block; it has one lane. */

/* The derivatives of a point, 0 if it does not count. */
DCN_INLINE dcn_derivatives attn_derivatives_of(const DCN_GLOBAL dcn_element *value, const DCN_GLOBAL dcn_element *grad_output,
                                               const DCN_PRIVATE dcn_sample *s, const DCN_PRIVATE attn_block *b,
                                               const DCN_PRIVATE attn_level *level, dcn_index value_length) {
    const dcn_index at = attn_place_of(s, b, level, value_length) * DCN_VALUE_STRIDE + b->head * DCN_CHANNELS;
    const dcn_index grad_at = b->row * DCN_GRAD_OUTPUT_STRIDE + b->head * DCN_CHANNELS;
    return s->inside ? dcn_lane_derivatives(value, at, level->width * DCN_VALUE_STRIDE, grad_output, grad_at, s, 0)
                     : dcn_no_derivatives(0);
}

DCN_KERNEL(attn_backward_points, DCN_FLAT_GROUP)
(DCN_PARAMETERS(ATTN_POINTS)) {
    value += value_at, locations += locations_at, weights += weights_at, grad_output += grad_output_at;
    grad_locations += grad_locations_at, grad_weights += grad_weights_at, levels += levels_at;
    const dcn_index number = ATTN_ITEM;
    if (number >= batch * queries * DCN_HEADS)
        return;
    const attn_block block = attn_block_of(number, queries);
    const attn_softmax norm = attn_softmax_of(weights, &block);
    const dcn_index location = block.row * DCN_GRAD_LOCATION_STRIDE + block.head * DCN_LOCATION_HEAD;
    const dcn_index weight = block.row * DCN_GRAD_WEIGHT_STRIDE + block.head * DCN_WEIGHT_HEAD + DCN_WEIGHT_BEGIN;
    float mean = 0.0f; /* Σ weight·derivative by the weight, for the softmax */
    /* Twice with softmax: first for the mean. */
    for (int round = DCN_SOFTMAX ? 0 : 1; round < 2; ++round) {
        int k = 0;
        for (int l = 0; l < DCN_LEVELS; ++l) {
            const attn_level level = attn_level_of(levels, l);
            for (const int end = k + DCN_LEVEL_POINTS(l); k < end; ++k) {
                const dcn_sample s = attn_sample_of(locations, &block, k, &level);
                const float a = attn_weight_of(weights, &block, k, &norm);
                const dcn_derivatives d = attn_derivatives_of(value, grad_output, &s, &block, &level, value_length);
                if (round == 0) {
                    mean += d.counts ? a * d.mask : 0.0f;
                    continue;
                }
                const float factor_x = DCN_NORMALIZED ? (float)level.width * a : a;
                const float factor_y = DCN_NORMALIZED ? (float)level.height * a : a;
                ATTN_WRITE_LOCATION(grad_locations, location + 2 * k, d.counts ? factor_x * d.x : 0.0f);
                ATTN_WRITE_LOCATION(grad_locations, location + 2 * k + 1, d.counts ? factor_y * d.y : 0.0f);
                ATTN_WRITE_WEIGHT(grad_weights, weight + k, DCN_SOFTMAX ? a * (d.mask - mean) : d.mask);
            }
        }
    }
}
