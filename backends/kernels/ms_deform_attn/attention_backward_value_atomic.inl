/* locations, weights, grad_output → sums of grad_value, by atomic additions: the lanes of a block share out its points, stage
 * them in local memory, and each adds its channels to the corners of all of them. */

/* Where a sample is in value. */
typedef struct attn_spot {
    dcn_index place, width;
    int inside;
} attn_spot;

DCN_INLINE void attn_stage(DCN_LOCAL dcn_quad *corners, DCN_LOCAL attn_spot *spot, const DCN_LOCAL attn_level *table,
                           const DCN_GLOBAL attn_location_element *locations,
                           const DCN_GLOBAL attn_weight_element *weights,
                           const DCN_GLOBAL attn_reference_element *references, const DCN_PRIVATE attn_block *b, int number,
                           const DCN_PRIVATE attn_softmax *norm, dcn_long value_length) {
    const int k = DCN_MIN_INDEX(number, DCN_POINTS - 1), l = DCN_LEVEL_OF(k);
    const attn_level level = table[l];
    const dcn_sample s = attn_sample_of(locations, references, b, k, l, &level);
    attn_spot found;
    found.place = attn_place_of(&s, b, &level, value_length), found.width = level.width;
    found.inside = number < DCN_POINTS ? s.inside : 0;
    dcn_quad weight;
    dcn_weights(s.fx, s.fy, attn_weight_of(weights, b, k, norm), weight.part);
    *corners = weight, *spot = found;
}

DCN_KERNEL(attn_backward_value, DCN_WORK_GROUP)
(DCN_PARAMETERS(ATTN_VALUE)) {
    locations += locations_at, weights += weights_at, grad_output += grad_output_at, references += references_at;
    level_shapes += level_shapes_at, level_starts += level_starts_at;
    grad_value += grad_value_at, workspace += workspace_at;
    DCN_LOCAL_ARRAY attn_level table[DCN_LEVELS];
    DCN_LOCAL_ARRAY dcn_quad corners[DCN_BLOCKS * DCN_PITCH];
    DCN_LOCAL_ARRAY attn_spot spots[DCN_BLOCKS * DCN_PITCH];
    DCN_GLOBAL float *const sums = DCN_SUMS(grad_value, workspace);
    const int item = DCN_LOCAL_ID, lane = item % DCN_LANES, own = item / DCN_LANES * DCN_PITCH;
    const attn_tile tile = attn_tile_of(DCN_GROUP_ID, 1);
    const attn_block block = attn_tile_block(&tile, item / DCN_LANES, batch, queries, by_queries);
    const int exists = attn_exists(&tile, item / DCN_LANES, batch, queries);
    attn_stage_levels(table, item, DCN_WORK_GROUP, level_shapes, level_starts, value_length);
    DCN_BARRIER();
#if DCN_SOFTMAX
    DCN_LOCAL_ARRAY float shares[DCN_WORK_GROUP];
    const attn_softmax norm = attn_shared_softmax(shares, weights, &block);
#else
    const attn_softmax norm = attn_softmax_of(weights, &block);
#endif
    for (int first = 0; first < DCN_POINTS; first += DCN_ROUND_POINTS) {
        for (int t = lane; t < DCN_ROUND_POINTS; t += DCN_LANES)
            attn_stage(corners + own + t, spots + own + t, table, locations, weights, references, &block, first + t, &norm,
                       value_length);
        DCN_BARRIER();
        for (dcn_index channel = lane * DCN_VECTOR; exists && channel < DCN_CHANNELS; channel += DCN_LANES * DCN_VECTOR) {
            const dcn_index column = block.head * DCN_CHANNELS + channel;
            const dcn_vector grad = dcn_load(grad_output, block.row * DCN_GRAD_OUTPUT_STRIDE + column);
            for (int t = 0; t < DCN_ROUND_POINTS; ++t) {
                const dcn_quad weight = corners[own + t];
                const attn_spot s = spots[own + t];
                DCN_UNROLL
                for (int c = 0; c < 4; ++c)
                    if (s.inside >> c & 1)
                        dcn_atomic_add(sums, (s.place + (c & 1) + (c & 2 ? s.width : 0)) * DCN_SUMS_STRIDE + column,
                                       dcn_scale(weight.part[c], grad));
            }
        }
#if DCN_POINTS > DCN_ROUND_POINTS
        DCN_BARRIER(); /* before the next round's points are written */
#endif
    }
}
