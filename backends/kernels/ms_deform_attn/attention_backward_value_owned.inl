/* locations, weights, grad_output → sums of grad_value: a work-group has one head of one image, and each of its lanes adds up all
 * queries in their order, in its channels. For CPUs, and where local memory is too small for tiles and the bits must be the same in every run. */

DCN_KERNEL(attn_backward_value, DCN_LANES)
(DCN_PARAMETERS(ATTN_VALUE)) {
    locations += locations_at, weights += weights_at, grad_output += grad_output_at, references += references_at;
    level_shapes += level_shapes_at, level_starts += level_starts_at;
    grad_value += grad_value_at, workspace += workspace_at;
    const dcn_index head = DCN_GROUP_ID % DCN_HEADS, n = DCN_GROUP_ID / DCN_HEADS;
    const dcn_index channel = DCN_LOCAL_ID * DCN_VECTOR, first = head * DCN_CHANNELS + channel;
    dcn_owned own;
    own.stride = DCN_SUMS_STRIDE, own.begin = n * (dcn_index)value_length, own.end = own.begin + (dcn_index)value_length;
    own.apart = 0;
    own.sums = DCN_SUMS(grad_value, workspace) + own.begin * DCN_SUMS_STRIDE + first;
    for (dcn_index q = 0; q < queries; ++q) {
        const attn_block block = attn_block_of(n * (dcn_index)queries + q, head, queries, by_queries);
        const attn_softmax norm = attn_softmax_of(weights, &block);
        int k = 0;
        for (int l = 0; l < DCN_LEVELS; ++l) {
            const attn_level level = attn_level_of(level_shapes, level_starts, l, value_length);
            for (const int end = k + DCN_LEVEL_POINTS(l); k < end; ++k) {
                dcn_sample s = attn_sample_of(locations, references, &block, k, l, &level);
                s.mask = attn_weight_of(weights, &block, k, &norm);
                dcn_scatter_owned(&own, attn_place_of(&s, &block, &level, value_length), level.width, &s,
                                  grad_output + block.row * DCN_GRAD_OUTPUT_STRIDE + first, channel);
            }
        }
    }
}
