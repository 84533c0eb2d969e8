/* The gradients of one block in grad_offset_mask: how they are written, and how they are computed point by point,
 * which is exact for every input. Where derivatives come from cells, points whose dot products are not finite are
 * recomputed so. */

/* Writes the three gradients of point k, whose weight is given. mean is Σ weight·derivative by the weight over the
 * block's points; softmax needs it. */
DCN_INLINE void dcn_write_point(DCN_GLOBAL dcn_offset_element *grad_offset_mask, const DCN_PRIVATE dcn_block *b, int k,
                                float weight, const DCN_PRIVATE dcn_derivatives *d, float mean) {
    const dcn_index at = b->pixel * DCN_GRAD_OFFSET_MASK_STRIDE + b->group * 3 * DCN_POINTS;
    const float factor = DCN_SCALE * weight;
    dcn_write_offset(grad_offset_mask, at + 2 * k, d->counts ? factor * d->x : 0.0f);
    dcn_write_offset(grad_offset_mask, at + 2 * k + 1, d->counts ? factor * d->y : 0.0f);
    dcn_write_offset(grad_offset_mask, at + 2 * DCN_POINTS + k, DCN_SOFTMAX ? weight * (d->mask - mean) : d->mask);
}

/* A row of grad_offset_mask may have padding behind its last group: the lanes of that group's block write zeros
 * there. */
DCN_INLINE void dcn_write_padding(DCN_GLOBAL dcn_offset_element *grad_offset_mask, const DCN_PRIVATE dcn_block *b,
                                  int lane) {
    if (b->group == DCN_GROUPS - 1)
        for (dcn_index c = 3 * DCN_POINTS * (dcn_index)DCN_GROUPS + lane; c < DCN_OFFSET_MASK_ROW; c += DCN_LANES)
            dcn_write_offset(grad_offset_mask, b->pixel * DCN_GRAD_OFFSET_MASK_STRIDE + c, 0.0f);
}

/* What a lane's channels contribute to the derivatives of a sample. */
DCN_INLINE dcn_derivatives dcn_sample_derivatives(const DCN_GLOBAL dcn_element *value,
                                                  const DCN_GLOBAL dcn_element *grad_output,
                                                  const DCN_PRIVATE dcn_sample *s, const DCN_PRIVATE dcn_block *b,
                                                  dcn_index channel, const DCN_PRIVATE dcn_sizes *sizes) {
    const dcn_index first = b->group * DCN_CHANNELS + channel;
    const dcn_index at = dcn_at(s, b->n, sizes) * DCN_VALUE_STRIDE + first, below = sizes->width * DCN_VALUE_STRIDE;
    const dcn_index grad_at = b->pixel * DCN_GRAD_OUTPUT_STRIDE + first;
    return s->inside ? dcn_lane_derivatives(value, at, below, grad_output, grad_at, s, channel) : dcn_no_derivatives(0);
}

/* Writes the gradients of a block that has a single lane, point by point. */
DCN_INLINE void dcn_points_exact(const DCN_GLOBAL dcn_element *value, const DCN_GLOBAL dcn_offset_element *offset_mask,
                                 const DCN_GLOBAL dcn_element *grad_output,
                                 DCN_GLOBAL dcn_offset_element *grad_offset_mask, const DCN_PRIVATE dcn_block *b,
                                 dcn_index channel, const DCN_PRIVATE dcn_sizes *sizes) {
    const dcn_softmax norm = dcn_softmax_of(offset_mask, b->offsets);
    float mean = 0.0f;
    for (int k = 0; DCN_SOFTMAX && k < DCN_POINTS; ++k) {
        const dcn_sample s = dcn_point(offset_mask, b, k, &norm, sizes);
        const dcn_derivatives d = dcn_sample_derivatives(value, grad_output, &s, b, channel, sizes);
        mean += s.inside ? s.mask * d.mask : 0.0f;
    }
    for (int k = 0; k < DCN_POINTS; ++k) {
        const dcn_sample s = dcn_point(offset_mask, b, k, &norm, sizes);
        const dcn_derivatives d = dcn_sample_derivatives(value, grad_output, &s, b, channel, sizes);
        dcn_write_point(grad_offset_mask, b, k, s.mask, &d, mean);
    }
}
