/* value, locations, weights, grad_output → grad_locations, grad_weights, through local memory. The lanes of a block share out its
 * points: each stages the cells of its own. Then every lane computes the dot products of all points over its channels, and the
 * lane that staged a point adds up the point's dot products and writes its gradients. */

/* Points of a round that one lane stages and writes, at most. */
#define ATTN_SHARE ((DCN_ROUND_POINTS + DCN_LANES - 1) / DCN_LANES)
/* Distance between the dot products of one lane and those of the next, in quads: neighbouring lanes and blocks write to
 * different banks. */
#define ATTN_PLANE ((DCN_BLOCKS * DCN_PITCH + 7) / 8 * 8 + (DCN_LANES < 8 ? 8 / DCN_LANES : 1))

/* The first element of a cell in the block's head, and the elements from there to the one below. */
typedef struct DCN_ALIGN(2 * sizeof(dcn_index)) attn_cell {
    dcn_index at, below;
} attn_cell;

/* The cell of point k; what derivatives need of the point is stored in `kept`. What has no cell is at place 0. */
DCN_INLINE attn_cell attn_find_cell(DCN_PRIVATE dcn_kept *kept, const DCN_LOCAL attn_level *table,
                                    const DCN_GLOBAL attn_location_element *locations,
                                    const DCN_GLOBAL attn_reference_element *references, const DCN_PRIVATE attn_block *b,
                                    int k, dcn_long value_length) {
    const int l = DCN_LEVEL_OF(k);
    const attn_level level = table[l];
    const attn_position p = attn_position_of(locations, references, b, k, l, &level);
    const dcn_spot x = dcn_spot_of(p.x, 0.0f, DCN_LAST_CELL(0, level.width));
    const dcn_spot y = dcn_spot_of(p.y, 0.0f, DCN_LAST_CELL(0, level.height));
    kept->after_x = x.after, kept->cell_shift_x = x.cell_shift;
    kept->after_y = y.after, kept->cell_shift_y = y.cell_shift;
    attn_cell cell;
    cell.at = b->head * DCN_CHANNELS, cell.below = 0;
    if (level.cells) {
        const dcn_index first = b->n * (dcn_index)value_length + level.start + (dcn_index)y.first * level.width;
        cell.at += (first + (dcn_index)x.first) * DCN_VALUE_STRIDE, cell.below = level.width * DCN_VALUE_STRIDE;
    }
    return cell;
}

/* The derivatives of a point from the dot products of all lanes. Returns whether these are finite; else the derivatives are
 * wrong. */
DCN_INLINE int attn_reduce_derivatives(DCN_PRIVATE dcn_derivatives *d, const DCN_LOCAL dcn_quad *dots,
                                       const DCN_PRIVATE dcn_kept *kept) {
    dcn_quad sum = dots[0];
    DCN_UNROLL
    for (int l = 1; l < DCN_LANES; ++l) {
        const dcn_quad part = dots[l * ATTN_PLANE];
        DCN_UNROLL
        for (int c = 0; c < 4; ++c)
            sum.part[c] += part.part[c];
    }
    *d = dcn_cell_derivatives(kept, sum.part);
    return dcn_are_finite(sum.part);
}

/* The dot products of the staged points over a lane's channels. The next cell is read before this one's dot products are written:
 * not all compilers see that they do not overlap, and the loads of two points should be in flight together. */
DCN_INLINE void attn_dots_staged(DCN_LOCAL dcn_quad *dots, const DCN_LOCAL attn_cell *cells,
                                 const DCN_GLOBAL dcn_element *value, const DCN_GLOBAL dcn_element *grad_output,
                                 dcn_index channel) {
    attn_cell next = cells[0];
    DCN_UNROLL_LOADS
    for (int k = 0; k < DCN_ROUND_POINTS; ++k) {
        const attn_cell cell = next;
        next = cells[DCN_MIN_INDEX(k + 1, DCN_ROUND_POINTS - 1)];
        dots[k] = dcn_cell_dots(value + cell.at + channel, grad_output, cell.below, channel);
    }
}

#if !DCN_WIDE
DCN_KERNEL_WITH_REGISTERS(attn_backward_points, DCN_WORK_GROUP, ATTN_SHARE <= 3 && DCN_ALIGNED ? 96 : 128)
#else
DCN_KERNEL(attn_backward_points, DCN_WORK_GROUP)
#endif
(DCN_PARAMETERS(ATTN_POINTS)) {
    value += value_at, locations += locations_at, weights += weights_at, grad_output += grad_output_at;
    references += references_at, level_shapes += level_shapes_at, level_starts += level_starts_at;
    grad_locations += grad_locations_at, grad_weights += grad_weights_at, moves += moves_at;
    DCN_LOCAL_ARRAY attn_level table[DCN_LEVELS];
    DCN_LOCAL_ARRAY attn_cell cells[DCN_BLOCKS * DCN_PITCH];
    DCN_LOCAL_ARRAY dcn_quad dots[DCN_LANES * ATTN_PLANE];
    dcn_kept mine[ATTN_SHARE];
    const int item = DCN_LOCAL_ID, lane = item % DCN_LANES, number = item / DCN_LANES, own = number * DCN_PITCH;
    const attn_tile tile = attn_tile_of(DCN_GROUP_ID, 1);
    const attn_block block = attn_tile_block(&tile, number, batch, queries, by_queries);
    const int exists = attn_exists(&tile, number, batch, queries);
    const int cellular = exists && batch * value_length >= 2; /* place 0 and the one beside it exist */
    const dcn_index channel = lane * DCN_VECTOR;
    const dcn_index grad_at = block.row * DCN_GRAD_OUTPUT_STRIDE + block.head * DCN_CHANNELS + channel;
    attn_stage_levels(table, item, DCN_WORK_GROUP, level_shapes, level_starts, value_length);
    DCN_BARRIER();
    float mean = 0.0f;
#if DCN_SOFTMAX
    /* Two passes over the rounds: the first computes each lane's share of the block's mean, the second writes. */
    DCN_LOCAL_ARRAY float shares[DCN_WORK_GROUP];
    const attn_softmax norm = attn_shared_softmax(shares, weights, &block);
    const int first_writing = ATTN_ROUNDS;
#else
    const attn_softmax norm = attn_softmax_of(weights, &block);
    const int first_writing = 0;
#endif
    for (int round = 0; round < first_writing + ATTN_ROUNDS; ++round) {
        const int first = round % ATTN_ROUNDS * DCN_ROUND_POINTS;
        DCN_UNROLL
        for (int j = 0; j < ATTN_SHARE; ++j) {
            const int t = lane + j * DCN_LANES;
            if (t < DCN_ROUND_POINTS)
                cells[own + t] = attn_find_cell(&mine[j], table, locations, references, &block,
                                                DCN_MIN_INDEX(first + t, DCN_POINTS - 1), value_length);
        }
        DCN_BARRIER();
        if (cellular)
            attn_dots_staged(dots + lane * ATTN_PLANE + own, cells + own, value, grad_output + grad_at, channel);
        DCN_BARRIER();
#if DCN_SOFTMAX
        for (int l = 0; round == ATTN_ROUNDS && l < DCN_LANES; ++l)
            mean = (l == 0 ? 0.0f : mean) + shares[item - lane + l];
#endif
        DCN_UNROLL
        for (int j = 0; j < ATTN_SHARE; ++j) {
            const int t = lane + j * DCN_LANES, k = first + t;
            if (exists && t < DCN_ROUND_POINTS && k < DCN_POINTS) {
                const int l = DCN_LEVEL_OF(k);
                const attn_level level = table[l];
                const float weight = attn_weight_of(weights, &block, k, &norm);
                dcn_derivatives d;
                if (!cellular || !level.cells || !attn_reduce_derivatives(&d, dots + own + t, &mine[j]))
                    d = attn_exact_derivatives(value, locations, references, grad_output, &block, k, l, &level,
                                               value_length);
                const attn_target to = attn_target_of(grad_locations, grad_weights, moves, &block);
                if (round >= first_writing)
                    attn_write_point(&to, references, &block, k, l, &level, weight, &d, mean);
                else
                    mean += d.counts ? weight * d.mask : 0.0f;
            }
        }
#if DCN_SOFTMAX
        if (round < ATTN_ROUNDS)
            shares[item] = mean;
#endif
    }
}
