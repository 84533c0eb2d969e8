/* The transposed of the gather: adds weight·gradient to the corners of a point, in float32 sums of grad_value,
 * either by atomic additions or in pixels that the work-group owns. */

/* Where these sums are: in grad_value itself if it is float32, else in the workspace; and their elements from pixel
 * to pixel. */
#if DCN_DTYPE == DCN_FLOAT32
#define DCN_SUMS(grad_value, workspace) (grad_value)
#define DCN_SUMS_STRIDE DCN_GRAD_VALUE_STRIDE
#else
#define DCN_SUMS(grad_value, workspace) (workspace)
#define DCN_SUMS_STRIDE ((dcn_index)DCN_GROUPS * DCN_CHANNELS)
#endif

/* Adds weight·grad to each corner of a point by atomic additions. `pixel` is the top left one (dcn_pixel_of), width
 * that of the image, `channel` the first of the vector within a row of sums. A point that does not count adds
 * nothing. */
DCN_INLINE void dcn_scatter_atomic(DCN_GLOBAL float *sums, dcn_index pixel, dcn_index width,
                                   const DCN_PRIVATE dcn_sample *s, dcn_vector grad, dcn_index channel) {
    float weight[4];
    dcn_weights(s->fx, s->fy, s->mask, weight);
    DCN_UNROLL
    for (int c = 0; c < 4; ++c)
        if (s->inside >> c & 1)
            dcn_atomic_add(sums, (pixel + (c & 1) + (c & 2 ? width : 0)) * DCN_SUMS_STRIDE + channel,
                           dcn_scale(weight[c], grad));
}

/* Value pixels begin to end − 1 of a batch, to whose sums no other work-group adds. `sums` point to the first of
 * them, at the work-item's first channel, and have `stride` elements from pixel to pixel. Vectors are where they are in value,
 * or, if `apart`, one behind the other (DCN_OVERLAP). */
typedef struct dcn_owned {
    DCN_GLOBAL float *sums;
    dcn_index stride, begin, end;
    int apart;
} dcn_owned;

/* Adds weight·grad to a pixel's sums, in all of a lane's channels, of which the first is `channel`. */
DCN_INLINE void dcn_scatter_pixel(DCN_GLOBAL float *sums, int apart, float weight, const DCN_GLOBAL dcn_element *grad,
                                  dcn_index channel) {
    DCN_UNROLL_VECTORS
    for (int v = 0; v < DCN_LANE_VECTORS; ++v)
        if (DCN_HAS_VECTOR(channel, v)) {
            const dcn_index step = apart ? v * DCN_LANES * DCN_VECTOR : DCN_STEP(channel, v);
            const dcn_vector sum = dcn_load_sum(sums, step), a = dcn_load(grad, DCN_STEP(channel, v));
            if (DCN_OVERLAPS(channel, v)) /* what is left out must not be multiplied: the weight may be infinite */
                dcn_store_sum(sums, step, dcn_fma(1.0f, dcn_once(dcn_scale(weight, a), channel, v), sum));
            else
                dcn_store_sum(sums, step, dcn_fma(weight, a, sum));
        }
}

/* Adds weight·grad to those corners of a point that are owned; the other arguments are as above. */
DCN_INLINE void dcn_scatter_owned(const DCN_PRIVATE dcn_owned *own, dcn_index pixel, dcn_index width,
                                  const DCN_PRIVATE dcn_sample *s, const DCN_GLOBAL dcn_element *grad,
                                  dcn_index channel) {
    const dcn_index last = pixel + width + 1;
    if (!s->inside || pixel >= own->end || last < own->begin)
        return;
    const int all = s->inside == DCN_INTERIOR && pixel >= own->begin && last < own->end;
    float weight[4];
    dcn_weights(s->fx, s->fy, s->mask, weight);
    DCN_UNROLL
    for (int c = 0; c < 4; ++c) {
        const dcn_index corner = pixel + (c & 1) + (c & 2 ? width : 0);
        if (all || ((s->inside >> c & 1) && corner >= own->begin && corner < own->end))
            dcn_scatter_pixel(own->sums + (corner - own->begin) * own->stride, own->apart, weight[c], grad, channel);
    }
}
