/* Forward of one block, point by point: exact for every input. Where points are gathered from cells, it recomputes
 * the blocks whose sums are not finite, and all blocks of an image that has no cells. */

DCN_INLINE void dcn_forward_exact(DCN_PRIVATE dcn_vector *sum, const DCN_GLOBAL dcn_element *value,
                                  const DCN_GLOBAL dcn_offset_element *offset_mask, const DCN_PRIVATE dcn_block *b,
                                  dcn_index channel, const DCN_PRIVATE dcn_sizes *sizes) {
    const dcn_softmax norm = dcn_softmax_of(offset_mask, b->offsets);
    const dcn_index below = sizes->width * DCN_VALUE_STRIDE;
    dcn_clear_sums(sum);
    DCN_UNROLL_NOT
    for (int k = 0; k < DCN_POINTS; ++k) {
        const dcn_sample s = dcn_point(offset_mask, b, k, &norm, sizes);
        const dcn_index at = dcn_at(&s, b->n, sizes) * DCN_VALUE_STRIDE + b->group * DCN_CHANNELS + channel;
        if (s.inside)
            dcn_gather(sum, value, at, below, &s, channel);
    }
}
