/* The gradients of one block's points: how they are written, and how they are computed point by point, which is exact for every
 * input. */

/* Where a block's gradients are. */
typedef struct attn_target {
    DCN_GLOBAL attn_location_element *locations;
    DCN_GLOBAL attn_weight_element *weights;
    DCN_GLOBAL float *moves; /* by each point's position in places, for the references' gradients; without them unused */
} attn_target;

DCN_INLINE attn_target attn_target_of(DCN_GLOBAL attn_location_element *grad_locations,
                                      DCN_GLOBAL attn_weight_element *grad_weights, DCN_GLOBAL float *moves,
                                      const DCN_PRIVATE attn_block *b) {
    attn_target to;
    to.locations = grad_locations + b->row * DCN_GRAD_LOCATION_STRIDE + b->head * DCN_LOCATION_HEAD;
    to.weights = grad_weights + b->row * DCN_GRAD_WEIGHT_STRIDE + b->head * DCN_WEIGHT_HEAD + DCN_WEIGHT_BEGIN;
    to.moves = moves;
#if ATTN_HAS_REFERENCES
    to.moves = moves + (b->row * DCN_HEADS + b->head) * 2 * DCN_POINTS;
#endif
    return to;
}

/* Writes the gradients of point k, whose weight is given. mean is Σ weight·derivative by the weight over the block's points;
 * softmax needs it. */
DCN_INLINE void attn_write_point(const DCN_PRIVATE attn_target *to,
                                 const DCN_GLOBAL attn_reference_element *references, const DCN_PRIVATE attn_block *b, int k,
                                 int l, const DCN_PRIVATE attn_level *level, float weight,
                                 const DCN_PRIVATE dcn_derivatives *d, float mean) {
    const attn_position unit = attn_units(references, b, l, level);
    const float move_x = d->counts ? weight * d->x : 0.0f, move_y = d->counts ? weight * d->y : 0.0f;
    ATTN_WRITE_LOCATION(to->locations, 2 * k, d->counts ? unit.x * move_x : 0.0f);
    ATTN_WRITE_LOCATION(to->locations, 2 * k + 1, d->counts ? unit.y * move_y : 0.0f);
    ATTN_WRITE_WEIGHT(to->weights, k, DCN_SOFTMAX ? weight * (d->mask - mean) : d->mask);
#if ATTN_HAS_REFERENCES
    to->moves[2 * k] = move_x, to->moves[2 * k + 1] = move_y;
#endif
}

/* The derivatives of point k, of all channels; 0 if it does not count. */
DCN_INLINE dcn_derivatives attn_exact_derivatives(const DCN_GLOBAL dcn_element *value,
                                                  const DCN_GLOBAL attn_location_element *locations,
                                                  const DCN_GLOBAL attn_reference_element *references,
                                                  const DCN_GLOBAL dcn_element *grad_output,
                                                  const DCN_PRIVATE attn_block *b, int k, int l,
                                                  const DCN_PRIVATE attn_level *level, dcn_long value_length) {
    const dcn_sample s = attn_sample_of(locations, references, b, k, l, level);
    const dcn_index at = attn_place_of(&s, b, level, value_length) * DCN_VALUE_STRIDE + b->head * DCN_CHANNELS;
    const dcn_index grad_at = b->row * DCN_GRAD_OUTPUT_STRIDE + b->head * DCN_CHANNELS;
    const dcn_index below = level->width * DCN_VALUE_STRIDE;
    dcn_derivatives d = dcn_no_derivatives(s.inside != 0);
    DCN_UNROLL_NOT
    for (dcn_index channel = 0; s.inside && channel < DCN_LANES * DCN_VECTOR && channel < DCN_CHANNELS;
         channel += DCN_VECTOR) {
        const dcn_derivatives part = dcn_lane_derivatives(value, at + channel, below, grad_output, grad_at + channel, &s,
                                                          channel);
        d.mask += part.mask, d.x += part.x, d.y += part.y;
    }
    return d;
}
