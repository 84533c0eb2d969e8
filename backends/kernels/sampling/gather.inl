/* The weighted sum of a point's corners, for the channels of a work-item: DCN_VECTORS vectors (channels.inl), whose
 * sums are in registers. value has DCN_VALUE_STRIDE elements from pixel to pixel; `at` is the element of the top
 * left corner at the work-item's first channel, `channel`, and `below` the elements from a pixel to the one below. */

/* The vector at an element, or zeros. */
DCN_INLINE dcn_vector dcn_load_if(int condition, const DCN_GLOBAL dcn_element *tensor, dcn_index at) {
    return condition ? dcn_load(tensor, at) : dcn_zero();
}

/* Adds mask·(Σ weight·corner). Exact for any point that counts: corners outside the image are not read, and the mask
 * multiplies last. */
DCN_INLINE void dcn_gather(DCN_PRIVATE dcn_vector *sum, const DCN_GLOBAL dcn_element *value, dcn_index at,
                           dcn_index below, const DCN_PRIVATE dcn_sample *s, dcn_index channel) {
    float weight[4];
    dcn_weights(s->fx, s->fy, 1.0f, weight);
    DCN_UNROLL
    for (int v = 0; v < DCN_VECTORS; ++v)
        if (DCN_HAS_CHANNEL(channel + v * DCN_LANES * DCN_VECTOR)) {
            const dcn_index upper = at + DCN_STEP(channel, v), lower = upper + below;
            dcn_vector gathered = dcn_scale(weight[0], dcn_load_if(s->inside & 1, value, upper));
            gathered = dcn_fma(weight[1], dcn_load_if(s->inside & 2, value, upper + DCN_VALUE_STRIDE), gathered);
            gathered = dcn_fma(weight[2], dcn_load_if(s->inside & 4, value, lower), gathered);
            gathered = dcn_fma(weight[3], dcn_load_if(s->inside & 8, value, lower + DCN_VALUE_STRIDE), gathered);
            sum[v] = dcn_fma(s->mask, gathered, sum[v]);
        }
}

/* Whether dcn_gather_interior may be used. */
DCN_INLINE int dcn_is_plain(const DCN_PRIVATE dcn_sample *s) {
    return s->inside == DCN_INTERIOR && dcn_foldable(s->mask);
}

/* The same for a point that has all corners inside and a mask that can be folded into their weights: four
 * multiply-adds a vector, not five. */
DCN_INLINE void dcn_gather_interior(DCN_PRIVATE dcn_vector *sum, const DCN_GLOBAL dcn_element *value, dcn_index at,
                                    dcn_index below, const DCN_PRIVATE dcn_sample *s, dcn_index channel) {
    float weight[4];
    dcn_weights(s->fx, s->fy, s->mask, weight);
    DCN_UNROLL
    for (int v = 0; v < DCN_VECTORS; ++v, at += DCN_LANES * DCN_VECTOR)
        if (DCN_HAS_CHANNEL(channel + v * DCN_LANES * DCN_VECTOR)) {
            sum[v] = dcn_fma(weight[0], dcn_load(value, at), sum[v]);
            sum[v] = dcn_fma(weight[1], dcn_load(value, at + DCN_VALUE_STRIDE), sum[v]);
            sum[v] = dcn_fma(weight[2], dcn_load(value, at + below), sum[v]);
            sum[v] = dcn_fma(weight[3], dcn_load(value, at + below + DCN_VALUE_STRIDE), sum[v]);
        }
}

/* Adds the pixels of a cell, times `weights`. `upper` and `lower` point to its first pixel and the one below. The
 * rows' sums may be the same or apart: two chains of additions are faster where registers hold them. */
DCN_INLINE void dcn_gather_cell(DCN_PRIVATE dcn_vector *upper_sum, DCN_PRIVATE dcn_vector *lower_sum,
                                const DCN_GLOBAL dcn_element *upper, const DCN_GLOBAL dcn_element *lower,
                                dcn_quad weights, dcn_index channel) {
    DCN_UNROLL
    for (int v = 0; v < DCN_VECTORS; ++v) {
        const dcn_index step = DCN_STEP(channel, v);
        if (DCN_HAS_CHANNEL(channel + v * DCN_LANES * DCN_VECTOR)) {
            upper_sum[v] = dcn_fma(weights.part[0], dcn_load(upper, step), upper_sum[v]);
            upper_sum[v] = dcn_fma(weights.part[1], dcn_load(upper, step + DCN_VALUE_STRIDE), upper_sum[v]);
            lower_sum[v] = dcn_fma(weights.part[2], dcn_load(lower, step), lower_sum[v]);
            lower_sum[v] = dcn_fma(weights.part[3], dcn_load(lower, step + DCN_VALUE_STRIDE), lower_sum[v]);
            lower_sum[v] = dcn_unpaired(lower_sum[v]);
        }
    }
}

/* Sets the sums to 0. */
DCN_INLINE void dcn_clear_sums(DCN_PRIVATE dcn_vector *sum) {
    DCN_UNROLL
    for (int v = 0; v < DCN_VECTORS; ++v)
        sum[v] = dcn_zero();
}

/* Whether all sums are finite. Those that were gathered from cells are wrong if not: a pixel that is no corner,
 * times a weight of 0, gives NaN if it is infinite, and a folded mask may overflow. */
DCN_INLINE int dcn_all_finite(const DCN_PRIVATE dcn_vector *sum) {
    int finite = 1;
    DCN_UNROLL
    for (int v = 0; v < DCN_VECTORS; ++v)
        finite &= dcn_finite(sum[v]);
    return finite;
}

/* Writes the sums to `at` and on. */
DCN_INLINE void dcn_store_sums(DCN_GLOBAL dcn_element *output, dcn_index at, const DCN_PRIVATE dcn_vector *sum,
                               dcn_index channel) {
    DCN_UNROLL
    for (int v = 0; v < DCN_VECTORS; ++v)
        if (DCN_HAS_CHANNEL(channel + v * DCN_LANES * DCN_VECTOR))
            dcn_store(output, at + DCN_STEP(channel, v), sum[v]);
}
