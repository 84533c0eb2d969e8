/* value, offset_mask, grad_output → grad_offset_mask, through local memory. The lanes of a block share out its
 * points: each stages the cells of its own. Then every lane computes the dot products of all points over its
 * channels, and the lane that staged a point adds up the point's dot products and writes its gradients. */

/* Points of a round that one lane stages and writes, at most. */
#define DCN_SHARE ((DCN_ROUND_POINTS + DCN_LANES - 1) / DCN_LANES)
#define DCN_ROUNDS ((DCN_POINTS + DCN_ROUND_POINTS - 1) / DCN_ROUND_POINTS)
/* Distance between the dot products of one lane and those of the next, in quads: neighbouring lanes and blocks write to
 * different banks. */
#define DCN_PLANE ((DCN_TILE_BLOCKS * DCN_PITCH + 7) / 8 * 8 + (DCN_LANES < 8 ? 8 / DCN_LANES : 1))

/* The pixel at which point k's cell begins; what derivatives need of the point is stored in `kept`. */
DCN_INLINE dcn_index dcn_find_cell(DCN_PRIVATE dcn_kept *kept, const DCN_GLOBAL dcn_offset_element *offset_mask,
                                   const DCN_PRIVATE dcn_block *b, int k, const DCN_PRIVATE dcn_sizes *sizes) {
    float x, y;
    dcn_settled_shift(offset_mask, b, k, &x, &y);
    const dcn_spot across = dcn_spot_of(x, DCN_FIRST_X(b), DCN_LAST_X(b, sizes));
    const dcn_spot down = dcn_spot_of(y, DCN_FIRST_Y(b), DCN_LAST_Y(b, sizes));
    kept->after_x = across.after, kept->cell_shift_x = across.cell_shift;
    kept->after_y = down.after, kept->cell_shift_y = down.cell_shift;
    return dcn_cell_at(b, across.first, down.first, sizes);
}

/* The derivatives of a point from the dot products of all lanes. Returns whether these are finite; else the
 * derivatives are wrong. */
DCN_INLINE int dcn_reduce_derivatives(DCN_PRIVATE dcn_derivatives *d, const DCN_LOCAL dcn_quad *dots,
                                      const DCN_PRIVATE dcn_kept *kept) {
    dcn_quad sum = dots[0];
    DCN_UNROLL
    for (int l = 1; l < DCN_LANES; ++l) {
        const dcn_quad part = dots[l * DCN_PLANE];
        DCN_UNROLL
        for (int c = 0; c < 4; ++c)
            sum.part[c] += part.part[c];
    }
    *d = dcn_cell_derivatives(kept, sum.part);
    return dcn_are_finite(sum.part);
}

/* The derivatives of point k over the channels of all lanes, computed by one of them; exact. */
DCN_INLINE dcn_derivatives dcn_exact_derivatives(const DCN_GLOBAL dcn_element *value,
                                                 const DCN_GLOBAL dcn_offset_element *offset_mask,
                                                 const DCN_GLOBAL dcn_element *grad_output,
                                                 const DCN_PRIVATE dcn_block *b, int k,
                                                 const DCN_PRIVATE dcn_sizes *sizes) {
    const dcn_sample s = dcn_locate_point(offset_mask, b, k, sizes);
    const dcn_index below = sizes->width * DCN_VALUE_STRIDE;
    const dcn_index at = dcn_at(&s, b->n, sizes) * DCN_VALUE_STRIDE + b->group * DCN_CHANNELS;
    const dcn_index grad_at = b->pixel * DCN_GRAD_OUTPUT_STRIDE + b->group * DCN_CHANNELS;
    dcn_derivatives d = dcn_no_derivatives(s.inside != 0);
    DCN_UNROLL_NOT
    for (dcn_index channel = 0; s.inside && channel < DCN_LANES * DCN_VECTOR && channel < DCN_CHANNELS;
         channel += DCN_VECTOR) {
        const dcn_derivatives part = dcn_derivatives_by_channel(value, at + channel, below, grad_output,
                                                                grad_at + channel, &s, channel);
        d.mask += part.mask, d.x += part.x, d.y += part.y;
    }
    return d;
}

/* The same for this work-item's block, which is recomputed to shorten its live range: kept until here it would take
 * registers from the loads. */
DCN_INLINE dcn_derivatives dcn_recomputed_derivatives(const DCN_GLOBAL dcn_element *value,
                                                      const DCN_GLOBAL dcn_offset_element *offset_mask,
                                                      const DCN_GLOBAL dcn_element *grad_output, int k,
                                                      const DCN_PRIVATE dcn_sizes *sizes) {
    const dcn_tile tile = dcn_tile_of(DCN_GROUP_ID_RECOMPUTED, 1, sizes);
    const dcn_block block = dcn_tile_block(&tile, DCN_LOCAL_ID_RECOMPUTED / DCN_LANES, sizes);
    return dcn_exact_derivatives(value, offset_mask, grad_output, &block, k, sizes);
}

#if !DCN_WIDE
DCN_KERNEL_WITH_REGISTERS(dcn_backward_points, DCN_WORK_GROUP, DCN_SHARE <= 3 && DCN_ALIGNED ? 96 : 128)
#else
DCN_KERNEL(dcn_backward_points, DCN_WORK_GROUP)
#endif
(DCN_PARAMETERS(POINTS)) {
    value += value_at, offset_mask += offset_mask_at;
    grad_output += grad_output_at, grad_offset_mask += grad_offset_mask_at;
    dcn_sizes sizes;
    sizes.height = height, sizes.width = width;
    sizes.output_height = output_height, sizes.output_width = output_width;
    sizes.by_columns = by_columns, sizes.by_rows = by_rows;
    const dcn_tile tile = dcn_tile_of(DCN_GROUP_ID, 1, &sizes);
    const int item = DCN_LOCAL_ID, lane = item % DCN_LANES;
    const dcn_block block = dcn_tile_block(&tile, item / DCN_LANES, &sizes);
    const dcn_index channel = lane * DCN_VECTOR;
    const int exists = dcn_exists(&block, &sizes);
    if (exists)
        dcn_write_padding(grad_offset_mask, &block, lane);

    DCN_LOCAL_ARRAY dcn_index cells[DCN_TILE_BLOCKS * DCN_PITCH];
    DCN_LOCAL_ARRAY dcn_quad dots[DCN_LANES * DCN_PLANE];
    dcn_kept mine[DCN_SHARE];
    const int own = item / DCN_LANES * DCN_PITCH, cellular = exists && dcn_points_have_cells(&sizes);
    const dcn_index origin = block.group * DCN_CHANNELS, below = sizes.width * DCN_VALUE_STRIDE;
    const dcn_index grad_at = block.pixel * DCN_GRAD_OUTPUT_STRIDE + origin + channel;
    float mean = 0.0f;
#if DCN_SOFTMAX
    /* Two passes over the rounds: the first computes each lane's share of the block's mean, the second writes. */
    DCN_LOCAL_ARRAY float means[DCN_WORK_GROUP];
    const int first_writing = DCN_ROUNDS;
#else
    const int first_writing = 0;
#endif
    for (int round = 0; round < first_writing + DCN_ROUNDS; ++round) {
        const int first = round % DCN_ROUNDS * DCN_ROUND_POINTS;
        if (exists) {
            DCN_UNROLL
            for (int j = 0; j < DCN_SHARE; ++j) {
                const int t = lane + j * DCN_LANES;
                if (t < DCN_ROUND_POINTS) {
                    const int k = DCN_MIN_INDEX(first + t, DCN_POINTS - 1);
                    cells[own + t] = dcn_find_cell(&mine[j], offset_mask, &block, k, &sizes) * DCN_VALUE_STRIDE +
                                     origin;
                }
            }
        }
        DCN_BARRIER();
        if (cellular) {
            /* The next cell is read before this one's dot products are written. Not all compilers see that `dots`
             * and `cells` do not overlap, and the loads of two points should be in flight together. */
            dcn_index next = cells[own];
            DCN_UNROLL_LOADS
            for (int k = 0; k < DCN_ROUND_POINTS; ++k) {
                const dcn_index cell = next;
                next = cells[own + DCN_MIN_INDEX(k + 1, DCN_ROUND_POINTS - 1)];
                dots[lane * DCN_PLANE + own + k] = dcn_cell_dots(value + cell + channel, grad_output + grad_at, below,
                                                                 channel);
            }
        }
        DCN_BARRIER();
        if (exists) {
#if DCN_SOFTMAX
            if (round == DCN_ROUNDS)
                for (int l = 0; l < DCN_LANES; ++l)
                    mean = (l == 0 ? 0.0f : mean) + means[item / DCN_LANES * DCN_LANES + l];
#endif
            const dcn_softmax norm = dcn_softmax_of(offset_mask, block.offsets);
            DCN_UNROLL
            for (int j = 0; j < DCN_SHARE; ++j) {
                const int t = lane + j * DCN_LANES;
                if (t < DCN_ROUND_POINTS && first + t < DCN_POINTS) {
                    const float mask = dcn_mask_of(offset_mask, &block, first + t, &norm);
                    dcn_derivatives d;
                    if (!cellular || !dcn_reduce_derivatives(&d, dots + own + t, &mine[j]))
                        d = dcn_recomputed_derivatives(value, offset_mask, grad_output, first + t, &sizes);
                    if (round >= first_writing)
                        dcn_write_point(grad_offset_mask, &block, first + t, mask, &d, mean);
                    else
                        mean += d.counts ? mask * d.mask : 0.0f;
                }
            }
#if DCN_SOFTMAX
            if (round < DCN_ROUNDS)
                means[item] = mean;
#endif
        }
    }
}
