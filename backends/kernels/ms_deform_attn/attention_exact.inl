/* Point by point: exact for every input. */

/* Adds a block's points to its sums: all of them, or only those of levels that have no cells. */
DCN_INLINE void attn_add_exact(DCN_PRIVATE dcn_vector *sum, int all, const DCN_GLOBAL dcn_element *value,
                               const DCN_GLOBAL attn_location_element *locations,
                               const DCN_GLOBAL attn_weight_element *weights,
                               const DCN_GLOBAL attn_reference_element *references, const DCN_GLOBAL dcn_long *shapes,
                               const DCN_GLOBAL dcn_long *starts, const DCN_PRIVATE attn_block *b, dcn_index channel,
                               dcn_long value_length) {
    const attn_softmax norm = attn_softmax_of(weights, b);
    int k = 0;
    DCN_UNROLL_NOT
    for (int l = 0; l < DCN_LEVELS; ++l) {
        const attn_level level = attn_level_of(shapes, starts, l, value_length);
        const int end = k + DCN_LEVEL_POINTS(l), skip = !all && level.cells;
        DCN_UNROLL_NOT
        for (; k < end; ++k) {
            dcn_sample s = attn_sample_of(locations, references, b, k, l, &level);
            if (skip || !s.inside)
                continue;
            s.mask = attn_weight_of(weights, b, k, &norm);
            dcn_gather(sum, value,
                       attn_place_of(&s, b, &level, value_length) * DCN_VALUE_STRIDE + b->head * DCN_CHANNELS + channel,
                       level.width * DCN_VALUE_STRIDE, &s, channel);
        }
    }
}
