/* value, offset_mask → output. README.md beside this file says who does what. */

#define DCN_CHANNEL_PARTS ((DCN_CHANNELS + DCN_VECTOR * DCN_LANES * DCN_VECTORS - 1) / (DCN_VECTOR * DCN_LANES * DCN_VECTORS))
/* Whether some vectors of the last part stand out of the group. */
#define DCN_CHANNEL_TAIL (DCN_CHANNELS % (DCN_VECTOR * DCN_LANES * DCN_VECTORS) != 0)

/* Channel of a work-item's vector number v, counted in its group. */
#define DCN_CHANNEL(part, lane, v) ((((part) * DCN_VECTORS + (v)) * DCN_LANES + (lane)) * DCN_VECTOR)
#define DCN_HAS_CHANNEL(channel) (!DCN_CHANNEL_TAIL || (channel) < DCN_CHANNELS)

/* Adds a point that has all corners inside and a mask that can be folded. */
DCN_INLINE void dcn_add_interior(DCN_PRIVATE dcn_vector *sum, const DCN_GLOBAL dcn_item *value, dcn_index at,
                                 dcn_index below, const DCN_PRIVATE dcn_sample *s, dcn_index channel) {
    float weight[4];
    dcn_weights(s, s->mask, weight);
    DCN_UNROLL
    for (int v = 0; v < DCN_VECTORS; ++v, at += DCN_LANES * DCN_VECTOR)
        if (DCN_HAS_CHANNEL(channel + v * DCN_LANES * DCN_VECTOR)) {
            sum[v] = dcn_fma(weight[0], dcn_load(value, at), sum[v]);
            sum[v] = dcn_fma(weight[1], dcn_load(value, at + DCN_VALUE_STRIDE), sum[v]);
            sum[v] = dcn_fma(weight[2], dcn_load(value, at + below), sum[v]);
            sum[v] = dcn_fma(weight[3], dcn_load(value, at + below + DCN_VALUE_STRIDE), sum[v]);
        }
}

/* Adds any point: corners outside the image are left out, and the mask multiplies the mix. */
DCN_INLINE void dcn_add_any(DCN_PRIVATE dcn_vector *sum, const DCN_GLOBAL dcn_item *value, dcn_index at, dcn_index below,
                            const DCN_PRIVATE dcn_sample *s, dcn_index channel) {
    float weight[4];
    dcn_weights(s, 1.0f, weight);
    DCN_UNROLL
    for (int v = 0; v < DCN_VECTORS; ++v, at += DCN_LANES * DCN_VECTOR)
        if (DCN_HAS_CHANNEL(channel + v * DCN_LANES * DCN_VECTOR)) {
            dcn_vector mix = dcn_scale(weight[0], dcn_select(value, at, s->inside & 1));
            mix = dcn_fma(weight[1], dcn_select(value, at + DCN_VALUE_STRIDE, s->inside & 2), mix);
            mix = dcn_fma(weight[2], dcn_select(value, at + below, s->inside & 4), mix);
            mix = dcn_fma(weight[3], dcn_select(value, at + below + DCN_VALUE_STRIDE, s->inside & 8), mix);
            sum[v] = dcn_fma(s->mask, mix, sum[v]);
        }
}

DCN_INLINE int dcn_plain(const DCN_PRIVATE dcn_sample *s) {
    return s->inside == DCN_INTERIOR && dcn_foldable(s->mask);
}

DCN_KERNEL(dcn_forward, DCN_WORK_GROUP)
(const DCN_GLOBAL dcn_item *DCN_RESTRICT value, dcn_long value_at,
 const DCN_GLOBAL dcn_item *DCN_RESTRICT offset_mask, dcn_long offset_mask_at,
 DCN_GLOBAL dcn_item *DCN_RESTRICT output, dcn_long output_at, dcn_long height, dcn_long width,
 dcn_long output_height, dcn_long output_width) {
    value += value_at, offset_mask += offset_mask_at, output += output_at;
    dcn_sizes sizes;
    sizes.height = height, sizes.width = width;
    sizes.output_height = output_height, sizes.output_width = output_width;
    const dcn_tile tile = dcn_tile_of(DCN_GROUP_ID, DCN_CHANNEL_PARTS, &sizes);
    const dcn_index below = sizes.width * DCN_VALUE_STRIDE;
    const int item = DCN_LOCAL_ID, lane = item % DCN_LANES;
    const dcn_block block = dcn_tile_block(&tile, item / DCN_LANES, &sizes);
    const dcn_index channel = DCN_CHANNEL(tile.part, lane, 0);
    dcn_vector sum[DCN_VECTORS];
    DCN_UNROLL
    for (int v = 0; v < DCN_VECTORS; ++v)
        sum[v] = dcn_zero();

#if DCN_STAGED
    /* The tile's samples, some points of each block at a time; block b's from b·DCN_TAPS on. */
    DCN_LOCAL_ARRAY dcn_sample samples[DCN_TILE_BLOCKS * DCN_TAPS];
    for (int first = 0; first < DCN_POINTS; first += DCN_TAPS) {
        const int taps = DCN_MIN(DCN_TAPS, DCN_POINTS - first);
        for (int t = item; t < DCN_TILE_BLOCKS * DCN_TAPS; t += DCN_WORK_GROUP) {
            const dcn_block b = dcn_tile_block(&tile, t / DCN_TAPS, &sizes);
            if (t % DCN_TAPS < taps && dcn_exists(&b, &sizes)) {
                const dcn_softmax norm = dcn_softmax_of(offset_mask, b.offsets);
                samples[t] = dcn_point(offset_mask, &b, first + t % DCN_TAPS, &norm, &sizes);
            }
        }
        DCN_BARRIER();
        if (dcn_exists(&block, &sizes)) {
            const DCN_LOCAL dcn_sample *own = samples + item / DCN_LANES * DCN_TAPS;
            int plain = 1;
            for (int k = 0; k < taps; ++k) {
                const dcn_sample s = own[k];
                plain &= dcn_plain(&s);
            }
            /* Without branches between them, the loads of many points are in flight together. */
            if (plain && taps == DCN_TAPS) {
                DCN_UNROLL
                for (int k = 0; k < DCN_TAPS; ++k) {
                    const dcn_sample s = own[k];
                    const dcn_index at = dcn_at(&s, block.n, &sizes) * DCN_VALUE_STRIDE + block.group * DCN_CHANNELS + channel;
                    dcn_add_interior(sum, value, at, below, &s, channel);
                }
            } else {
                for (int k = 0; k < taps; ++k) {
                    const dcn_sample s = own[k];
                    const dcn_index at = dcn_at(&s, block.n, &sizes) * DCN_VALUE_STRIDE + block.group * DCN_CHANNELS + channel;
                    if (s.inside)
                        dcn_add_any(sum, value, at, below, &s, channel);
                }
            }
        }
#if DCN_POINTS > DCN_TAPS
        DCN_BARRIER(); /* before the next round's samples are written */
#endif
    }
#else
    if (dcn_exists(&block, &sizes)) {
        const dcn_softmax norm = dcn_softmax_of(offset_mask, block.offsets);
        DCN_UNROLL_POINTS
        for (int k = 0; k < DCN_POINTS; ++k) {
            const dcn_sample s = dcn_point(offset_mask, &block, k, &norm, &sizes);
            const dcn_index at = dcn_at(&s, block.n, &sizes) * DCN_VALUE_STRIDE + block.group * DCN_CHANNELS + channel;
            if (dcn_plain(&s))
                dcn_add_interior(sum, value, at, below, &s, channel);
            else if (s.inside)
                dcn_add_any(sum, value, at, below, &s, channel);
        }
    }
#endif

    if (dcn_exists(&block, &sizes)) {
        const dcn_index at = block.pixel * DCN_OUTPUT_STRIDE + block.group * DCN_CHANNELS + channel;
        DCN_UNROLL
        for (int v = 0; v < DCN_VECTORS; ++v)
            if (DCN_HAS_CHANNEL(channel + v * DCN_LANES * DCN_VECTOR))
                dcn_store(output, at + v * DCN_LANES * DCN_VECTOR, sum[v]);
    }
}
