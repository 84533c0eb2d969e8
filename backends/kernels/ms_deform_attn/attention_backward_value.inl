/* locations, weights, grad_output → grad_value, in float32 sums: in grad_value itself if it is float32, else in the workspace. */

/* Sets all sums to 0; one work-item for each channel of each place. */
DCN_KERNEL(attn_backward_clear, DCN_FLAT_GROUP)
(DCN_PARAMETERS(ATTN_CLEAR)) {
    grad_value += grad_value_at, workspace += workspace_at;
    const dcn_index item = ATTN_ITEM, channels = (dcn_index)DCN_GROUPS * DCN_CHANNELS;
    if (item / channels < places)
        DCN_SUMS(grad_value, workspace)[item / channels * DCN_SUMS_STRIDE + item % channels] = 0.0f;
}

#if DCN_ONE_WRITER
/* A work-item has a vector of channels of one head and batch, and adds up all queries in their order. */
DCN_KERNEL(attn_backward_value, DCN_FLAT_GROUP)
(DCN_PARAMETERS(ATTN_SCATTER)) {
    locations += locations_at, weights += weights_at, grad_output += grad_output_at, levels += levels_at;
    grad_value += grad_value_at, workspace += workspace_at;
    DCN_GLOBAL float *const sums = DCN_SUMS(grad_value, workspace);
    const dcn_index item = ATTN_ITEM, vectors = DCN_CHANNELS / DCN_VECTOR, head = item / vectors % DCN_HEADS;
    const dcn_index n = item / vectors / DCN_HEADS, first = head * DCN_CHANNELS + item % vectors * DCN_VECTOR;
    if (n >= batch)
        return;
    for (dcn_index q = 0; q < queries; ++q) {
        const attn_block block = attn_block_of((n * queries + q) * DCN_HEADS + head, queries);
        const attn_softmax norm = attn_softmax_of(weights, &block);
        const dcn_vector grad = dcn_load(grad_output, block.row * DCN_GRAD_OUTPUT_STRIDE + first);
        int k = 0;
        for (int l = 0; l < DCN_LEVELS; ++l) {
            const attn_level level = attn_level_of(levels, l);
            for (const int end = k + DCN_LEVEL_POINTS(l); k < end; ++k) {
                const dcn_sample s = attn_sample_of(locations, &block, k, &level);
                const dcn_index place = attn_place_of(&s, &block, &level, value_length);
                float corner[4];
                dcn_weights(s.fx, s.fy, attn_weight_of(weights, &block, k, &norm), corner);
                for (int c = 0; c < 4; ++c)
                    if (s.inside >> c & 1) {
                        const dcn_index at = (place + (c & 1) + (c & 2 ? level.width : 0)) * DCN_SUMS_STRIDE + first;
                        dcn_store_sum(sums, at, dcn_fma(corner[c], grad, dcn_load_sum(sums, at)));
                    }
            }
        }
    }
}
#else
/* A work-item has a lane's channels of a block, and adds to the corners by atomic additions. */
DCN_KERNEL(attn_backward_value, DCN_FLAT_GROUP)
(DCN_PARAMETERS(ATTN_SCATTER)) {
    locations += locations_at, weights += weights_at, grad_output += grad_output_at, levels += levels_at;
    grad_value += grad_value_at, workspace += workspace_at;
    DCN_GLOBAL float *const sums = DCN_SUMS(grad_value, workspace);
    const dcn_index item = ATTN_ITEM, number = item / DCN_LANES;
    if (number >= batch * queries * DCN_HEADS)
        return;
    const attn_block block = attn_block_of(number, queries);
    const attn_softmax norm = attn_softmax_of(weights, &block);
    for (dcn_index channel = item % DCN_LANES * DCN_VECTOR; channel < DCN_CHANNELS; channel += DCN_LANES * DCN_VECTOR) {
        const dcn_index first = block.head * DCN_CHANNELS + channel;
        const dcn_vector grad = dcn_load(grad_output, block.row * DCN_GRAD_OUTPUT_STRIDE + first);
        int k = 0;
        for (int l = 0; l < DCN_LEVELS; ++l) {
            const attn_level level = attn_level_of(levels, l);
            for (const int end = k + DCN_LEVEL_POINTS(l); k < end; ++k) {
                dcn_sample s = attn_sample_of(locations, &block, k, &level);
                s.mask = attn_weight_of(weights, &block, k, &norm);
                dcn_scatter_atomic(sums, attn_place_of(&s, &block, &level, value_length), level.width, &s, grad, first);
            }
        }
    }
}
#endif

#if DCN_DTYPE != DCN_FLOAT32
/* Rounds all sums into grad_value; one work-item for each channel of each place. */
DCN_KERNEL(attn_backward_convert, DCN_FLAT_GROUP)
(DCN_PARAMETERS(ATTN_CONVERT)) {
    grad_value += grad_value_at, workspace += workspace_at;
    const dcn_index item = ATTN_ITEM, channels = (dcn_index)DCN_GROUPS * DCN_CHANNELS;
    if (item / channels < places)
        dcn_write(grad_value, item / channels * DCN_GRAD_VALUE_STRIDE + item % channels,
                  workspace[item / channels * DCN_SUMS_STRIDE + item % channels]);
}
#endif
