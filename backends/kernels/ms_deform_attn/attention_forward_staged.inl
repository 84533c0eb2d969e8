/* value, locations, weights → output, through local memory: the lanes of a block share out its points, and each leaves the cells
 * and weights of its own for all of them. */

/* Where the two rows of a cell begin, in units of DCN_ELEMENT_UNITS an element. */
typedef struct DCN_ALIGN(2 * sizeof(dcn_unsigned)) attn_rows {
    dcn_unsigned upper, lower;
} attn_rows;

/* Stages point `number` of a block. What has no cell, and the points that the last round lacks, have weights of 0 at place 0. */
DCN_INLINE void attn_stage(DCN_LOCAL dcn_quad *weight, DCN_LOCAL attn_rows *rows, const DCN_LOCAL attn_level *table,
                           const DCN_GLOBAL attn_location_element *locations,
                           const DCN_GLOBAL attn_weight_element *weights,
                           const DCN_GLOBAL attn_reference_element *references, const DCN_PRIVATE attn_block *b, int number,
                           const DCN_PRIVATE attn_softmax *norm, dcn_long value_length) {
    const int k = DCN_MIN_INDEX(number, DCN_POINTS - 1), l = DCN_LEVEL_OF(k);
    const attn_level level = table[l];
    const attn_position p = attn_position_of(locations, references, b, k, l, &level);
    const dcn_side x = dcn_side_of(p.x, 0.0f, DCN_LAST_CELL(0, level.width));
    const dcn_side y = dcn_side_of(p.y, 0.0f, DCN_LAST_CELL(0, level.height));
    dcn_quad corners = dcn_cell_weights(&x, &y, attn_weight_of(weights, b, k, norm));
    attn_rows found;
    found.upper = found.lower = (dcn_unsigned)b->head * (DCN_CHANNELS * DCN_ELEMENT_UNITS);
    if (level.cells && number < DCN_POINTS) {
        const dcn_index first = b->n * (dcn_index)value_length + level.start + (dcn_index)y.first * level.width;
        found.upper += (dcn_unsigned)(first + (dcn_index)x.first) * (DCN_VALUE_STRIDE * DCN_ELEMENT_UNITS);
        found.lower = found.upper + (dcn_unsigned)level.width * (DCN_VALUE_STRIDE * DCN_ELEMENT_UNITS);
    } else
        corners.part[0] = corners.part[1] = corners.part[2] = corners.part[3] = 0.0f;
    *weight = corners, *rows = found;
}

/* Adds the staged points of a block. All points are treated alike, so that many loads are in flight. */
DCN_INLINE void attn_gather_staged(DCN_PRIVATE dcn_vector *sum, const DCN_GLOBAL dcn_element *value,
                                   const DCN_LOCAL dcn_quad *weights, const DCN_LOCAL attn_rows *rows, dcn_index channel) {
    const DCN_GLOBAL dcn_element *upper_row = value, *lower_row = value;
    dcn_unsigned own = DCN_ELEMENT_UNITS * (dcn_unsigned)channel;
    DCN_FOLD_INTO_ROWS(upper_row, lower_row, own);
    DCN_UNROLL_LOADS
    for (int k = 0; k < DCN_ROUND_POINTS; ++k) {
        const dcn_quad weight = weights[k];
        const attn_rows at = rows[k];
        dcn_gather_cell(sum, sum, DCN_AT_UNIT(upper_row, at.upper + own), DCN_AT_UNIT(lower_row, at.lower + own), weight,
                        channel);
    }
}

/* Computes what cells cannot: all of a block whose sums are not finite, else its points in levels without cells. The block is
 * found again to shorten its live range: kept until here it would take registers from the loads. */
DCN_INLINE void attn_complete(DCN_PRIVATE dcn_vector *sum, int all, const DCN_GLOBAL dcn_element *value,
                              const DCN_GLOBAL attn_location_element *locations,
                              const DCN_GLOBAL attn_weight_element *weights,
                              const DCN_GLOBAL attn_reference_element *references, const DCN_GLOBAL dcn_long *shapes,
                              const DCN_GLOBAL dcn_long *starts, dcn_long queries, dcn_long by_queries,
                              dcn_long value_length) {
    const int item = DCN_LOCAL_ID_RECOMPUTED;
    const attn_tile tile = attn_tile_of(DCN_GROUP_ID_RECOMPUTED, DCN_CHANNEL_PARTS);
    const attn_block block = attn_block_of(tile.row + item / DCN_LANES, tile.head, queries, by_queries);
    if (all)
        dcn_clear_sums(sum);
    attn_add_exact(sum, all, value, locations, weights, references, shapes, starts, &block,
                   DCN_CHANNEL(tile.part, item % DCN_LANES, 0), value_length);
}

#if DCN_VECTORS == 1 && !DCN_WIDE
DCN_KERNEL_WITH_REGISTERS(attn_forward, DCN_WORK_GROUP, DCN_DTYPE == DCN_FLOAT32 ? 48 : DCN_ALIGNED ? 64 : 80)
#else
DCN_KERNEL(attn_forward, DCN_WORK_GROUP)
#endif
(DCN_PARAMETERS(ATTN_FORWARD)) {
    value += value_at, locations += locations_at, weights += weights_at, output += output_at;
    references += references_at, level_shapes += level_shapes_at, level_starts += level_starts_at;
    DCN_LOCAL_ARRAY attn_level table[DCN_LEVELS];
    DCN_LOCAL_ARRAY dcn_quad corners[DCN_BLOCKS * DCN_PITCH];
    DCN_LOCAL_ARRAY attn_rows rows[DCN_BLOCKS * DCN_PITCH];
    const int item = DCN_LOCAL_ID, lane = item % DCN_LANES, own = item / DCN_LANES * DCN_PITCH;
    const attn_tile tile = attn_tile_of(DCN_GROUP_ID, DCN_CHANNEL_PARTS);
    const attn_block block = attn_tile_block(&tile, item / DCN_LANES, batch, queries, by_queries);
    const int exists = attn_exists(&tile, item / DCN_LANES, batch, queries);
    const dcn_index channel = DCN_CHANNEL(tile.part, lane, 0);
    dcn_index at = block.row * DCN_OUTPUT_STRIDE + block.head * DCN_CHANNELS + channel;
    DCN_PIN(at);
    attn_stage_levels(table, item, DCN_WORK_GROUP, level_shapes, level_starts, value_length);
    DCN_BARRIER();
#if DCN_SOFTMAX
    DCN_LOCAL_ARRAY float shares[DCN_WORK_GROUP];
    const attn_softmax norm = attn_shared_softmax(shares, weights, &block);
#else
    const attn_softmax norm = attn_softmax_of(weights, &block);
#endif
    dcn_vector sum[DCN_VECTORS];
    dcn_clear_sums(sum);
    const int cellular = batch * value_length >= 2; /* place 0 and the one beside it exist */
    for (int first = 0; first < DCN_POINTS; first += DCN_ROUND_POINTS) {
        DCN_UNROLL
        for (int t = lane; t < DCN_ROUND_POINTS; t += DCN_LANES)
            attn_stage(corners + own + t, rows + own + t, table, locations, weights, references, &block, first + t, &norm,
                       value_length);
        DCN_BARRIER();
        if (exists && cellular)
            attn_gather_staged(sum, value, corners + own, rows + own, channel);
#if DCN_POINTS > DCN_ROUND_POINTS
        DCN_BARRIER(); /* before the next round's points are written */
#endif
    }
    if (!exists)
        return;
    int bare = 0; /* whether there are levels without cells */
    for (int l = 0; l < DCN_LEVELS; ++l)
        bare |= !table[l].cells;
    const int all = !dcn_all_finite(sum);
    if (all || bare)
        attn_complete(sum, all, value, locations, weights, references, level_shapes, level_starts, queries, by_queries,
                      value_length);
    dcn_store_sums(output, at, sum, channel);
}
