/* value, offset_mask → output, through local memory: the lanes of a block share out its points, and each leaves the
 * cells and weights of its own for all of them. */

/* The staged cells of a block: the address of each, in units of DCN_ELEMENT_UNITS an element. Blocks are an odd
 * distance apart so that neighbours are in different banks: an odd number of 16-byte reads, or, where few lanes make
 * for many blocks and local memory limits how many work-groups run at once, an odd number of words. */
#if DCN_LANES < 4
typedef struct dcn_block_cells {
    dcn_unsigned at[DCN_ROUND_POINTS | 1];
} dcn_block_cells;
#else
typedef struct DCN_ALIGN(16) dcn_block_cells {
    dcn_unsigned at[4 * ((DCN_ROUND_POINTS + 3) / 4 | 1)];
} dcn_block_cells;
#endif

/* Points that are left over in a round after each lane of a block has staged as many as the others. */
#define DCN_SPARE_POINTS (DCN_ROUND_POINTS % DCN_LANES)

/* dcn_forward_exact for this work-item's block. The block is recomputed to shorten its live range: kept until here
 * it would take registers from the loads. */
DCN_INLINE void dcn_forward_recomputed(DCN_PRIVATE dcn_vector *sum, const DCN_GLOBAL dcn_element *value,
                                       const DCN_GLOBAL dcn_offset_element *offset_mask,
                                       const DCN_PRIVATE dcn_sizes *sizes) {
    const int item = DCN_LOCAL_ID_RECOMPUTED;
    const dcn_tile tile = dcn_tile_of(DCN_GROUP_ID_RECOMPUTED, DCN_CHANNEL_PARTS, sizes);
    const dcn_block block = dcn_tile_block(&tile, item / DCN_LANES, sizes);
    dcn_forward_exact(sum, value, offset_mask, &block, DCN_CHANNEL(tile.part, item % DCN_LANES, 0), sizes);
}

/* Stages point `number` of a block: the weights of its cell, and the cell's address. If the last round is not full,
 * the rest are points with weights of 0. */
DCN_INLINE void dcn_stage(DCN_LOCAL dcn_quad *weight, DCN_LOCAL dcn_unsigned *cell,
                          const DCN_GLOBAL dcn_offset_element *offset_mask, const DCN_PRIVATE dcn_block *b, int number,
                          const DCN_PRIVATE dcn_softmax *norm, const DCN_PRIVATE dcn_sizes *sizes) {
    const int exists = DCN_POINTS % DCN_ROUND_POINTS == 0 || number < DCN_POINTS, k = exists ? number : DCN_POINTS - 1;
    float shift_x, shift_y;
    dcn_settled_shift(offset_mask, b, k, &shift_x, &shift_y);
    const dcn_side x = dcn_side_of(shift_x, DCN_FIRST_X(b), DCN_LAST_X(b, sizes));
    const dcn_side y = dcn_side_of(shift_y, DCN_FIRST_Y(b), DCN_LAST_Y(b, sizes));
    const dcn_index pixel = dcn_cell_at(b, x.first, y.first, sizes);
    *weight = dcn_cell_weights(&x, &y, exists ? dcn_mask_of(offset_mask, b, k, norm) : 0.0f);
    *cell = (dcn_unsigned)pixel * (DCN_VALUE_STRIDE * DCN_ELEMENT_UNITS) +
            (dcn_unsigned)b->group * (DCN_CHANNELS * DCN_ELEMENT_UNITS);
}

/* Adds the staged points of a block. All points are treated alike, so that many loads are in flight. */
DCN_INLINE void dcn_gather_staged(DCN_PRIVATE dcn_vector *sum, const DCN_GLOBAL dcn_element *value,
                                  const DCN_LOCAL dcn_quad *weights, const DCN_LOCAL dcn_unsigned *cells,
                                  dcn_index below, dcn_index channel) {
    const DCN_GLOBAL dcn_element *upper_row = value, *lower_row = value + below;
    dcn_unsigned own = DCN_ELEMENT_UNITS * (dcn_unsigned)channel;
    DCN_FOLD_INTO_ROWS(upper_row, lower_row, own);
    DCN_UNROLL_LOADS
    for (int k = 0; k < DCN_ROUND_POINTS; ++k) {
        const dcn_quad weight = weights[k];
        const dcn_unsigned at = cells[k] + own;
        dcn_gather_cell(sum, sum, DCN_AT_UNIT(upper_row, at), DCN_AT_UNIT(lower_row, at), weight, channel);
    }
}

#if DCN_VECTORS == 1 && !DCN_WIDE
DCN_KERNEL_WITH_REGISTERS(dcn_forward, DCN_WORK_GROUP, DCN_DTYPE == DCN_FLOAT32 ? 48 : DCN_ALIGNED ? 64 : 80)
#else
DCN_KERNEL(dcn_forward, DCN_WORK_GROUP)
#endif
(DCN_PARAMETERS(FORWARD)) {
    value += value_at, offset_mask += offset_mask_at, output += output_at;
    dcn_sizes sizes;
    sizes.height = height, sizes.width = width;
    sizes.output_height = output_height, sizes.output_width = output_width;
    sizes.by_columns = by_columns, sizes.by_rows = by_rows;
    const dcn_tile tile = dcn_tile_of(DCN_GROUP_ID, DCN_CHANNEL_PARTS, &sizes);
    const dcn_index below = sizes.width * DCN_VALUE_STRIDE;
    const int item = DCN_LOCAL_ID, lane = item % DCN_LANES;
    dcn_block block = dcn_tile_block(&tile, item / DCN_LANES, &sizes);
    DCN_PIN(block.offsets);
    const dcn_index channel = DCN_CHANNEL(tile.part, lane, 0);
    const int exists = dcn_exists(&block, &sizes);
    dcn_index at = block.pixel * DCN_OUTPUT_STRIDE + block.group * DCN_CHANNELS + channel;
    DCN_PIN(at);
    dcn_vector sum[DCN_VECTORS];

    /* In rounds of DCN_ROUND_POINTS points: the lanes of a block stage them, and then each gathers all of them. */
    DCN_LOCAL_ARRAY dcn_quad weights[DCN_TILE_BLOCKS * DCN_PITCH];
    DCN_LOCAL_ARRAY dcn_block_cells cells[DCN_TILE_BLOCKS];
    const int number = item / DCN_LANES, own = number * DCN_PITCH;
    const int has_cells = dcn_points_have_cells(&sizes), cellular = exists && has_cells;
    for (int first = 0; first < DCN_POINTS; first += DCN_ROUND_POINTS) {
        if (cellular) {
            const dcn_softmax norm = dcn_softmax_of(offset_mask, block.offsets);
            DCN_UNROLL
            for (int t = lane; t < DCN_ROUND_POINTS - DCN_SPARE_POINTS; t += DCN_LANES)
                dcn_stage(weights + own + t, cells[number].at + t, offset_mask, &block, first + t, &norm, &sizes);
        }
#if DCN_SPARE_POINTS
        /* Spare points go to consecutive work-items, so that whole waves skip this. */
        if (item < DCN_SPARE_POINTS * DCN_TILE_BLOCKS) {
            const int another = item % DCN_TILE_BLOCKS,
                      t = DCN_ROUND_POINTS - DCN_SPARE_POINTS + item / DCN_TILE_BLOCKS;
            const dcn_block other = dcn_tile_block(&tile, another, &sizes);
            if (dcn_exists(&other, &sizes) && has_cells) {
                const dcn_softmax norm = dcn_softmax_of(offset_mask, other.offsets);
                dcn_stage(weights + another * DCN_PITCH + t, cells[another].at + t, offset_mask, &other, first + t,
                          &norm, &sizes);
            }
        }
#endif
        DCN_BARRIER();
        if (cellular) {
            DCN_UNROLL
            for (int v = 0; v < DCN_VECTORS; ++v)
                sum[v] = first == 0 ? dcn_zero() : sum[v];
            dcn_gather_staged(sum, value, weights + own, cells[number].at, below, channel);
        }
#if DCN_POINTS > DCN_ROUND_POINTS
        DCN_BARRIER(); /* before the next round's points are written */
#endif
    }
    if (exists && !(cellular && dcn_all_finite(sum)))
        dcn_forward_recomputed(sum, value, offset_mask, &sizes);
    if (exists)
        dcn_store_sums(output, at, sum, channel);
}
