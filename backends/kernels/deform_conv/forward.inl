/* value, offset_mask → output. README.md beside this file says who does what. */

/* Adds a point that has all corners inside and a mask that can be folded. */
DCN_INLINE void dcn_add_interior(DCN_PRIVATE dcn_vector *sum, const DCN_GLOBAL dcn_item *value, dcn_index at,
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

/* Adds any point: corners outside the image are left out, and the mask multiplies the mix. */
DCN_INLINE void dcn_add_any(DCN_PRIVATE dcn_vector *sum, const DCN_GLOBAL dcn_item *value, dcn_index at, dcn_index below,
                            const DCN_PRIVATE dcn_sample *s, dcn_index channel) {
    float weight[4];
    dcn_weights(s->fx, s->fy, 1.0f, weight);
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

/* Adds all points of a block, whatever they are like, but those that do not count. Where points are staged that is rare. */
DCN_INLINE void dcn_add_block(DCN_PRIVATE dcn_vector *sum, const DCN_GLOBAL dcn_item *value,
                              const DCN_GLOBAL dcn_offset_item *offset_mask, const DCN_PRIVATE dcn_block *b, dcn_index channel,
                              const DCN_PRIVATE dcn_sizes *sizes) {
    const dcn_softmax norm = dcn_softmax_of(offset_mask, b->offsets);
    const dcn_index below = sizes->width * DCN_VALUE_STRIDE;
    DCN_UNROLL
    for (int v = 0; v < DCN_VECTORS; ++v)
        sum[v] = dcn_zero();
#if DCN_STAGED
    DCN_UNROLL_NOT
#else
    DCN_UNROLL_POINTS
#endif
    for (int k = 0; k < DCN_POINTS; ++k) {
        const dcn_sample s = dcn_point(offset_mask, b, k, &norm, sizes);
        const dcn_index at = dcn_at(&s, b->n, sizes) * DCN_VALUE_STRIDE + b->group * DCN_CHANNELS + channel;
        if (!DCN_STAGED && DCN_RUN == 1 && dcn_plain(&s))
            dcn_add_interior(sum, value, at, below, &s, channel);
        else if (s.inside)
            dcn_add_any(sum, value, at, below, &s, channel);
    }
}

#if DCN_RUN > 1
/* Adds the points of a run's block: `weights` of the pixels of `cells`. No point is told from another, so that the loads of
 * many are in flight together. */
DCN_INLINE void dcn_add_cells(DCN_PRIVATE dcn_vector *sum, DCN_PRIVATE dcn_vector *lower_sum,
                              const DCN_GLOBAL dcn_item *value, const DCN_PRIVATE dcn_quad *weights,
                              const DCN_PRIVATE dcn_index *cells, dcn_index below, dcn_index channel) {
    DCN_UNROLL_TAPS
    for (int k = 0; k < DCN_TAPS; ++k) {
        const dcn_quad weight = weights[k];
        const dcn_index at = cells[k * DCN_RUN];
        DCN_UNROLL
        for (int v = 0; v < DCN_VECTORS; ++v) {
            const dcn_index step = v * DCN_LANES * DCN_VECTOR;
            if (DCN_HAS_CHANNEL(channel + step)) {
                const DCN_GLOBAL dcn_item *const upper = value + at + step, *const lower = upper + below;
                sum[v] = dcn_fma(weight.part[0], dcn_load(upper, 0), sum[v]);
                sum[v] = dcn_fma(weight.part[1], dcn_load(upper, DCN_VALUE_STRIDE), sum[v]);
                lower_sum[v] = dcn_fma(weight.part[2], dcn_load(lower, 0), lower_sum[v]);
                lower_sum[v] = dcn_fma(weight.part[3], dcn_load(lower, DCN_VALUE_STRIDE), lower_sum[v]);
            }
        }
    }
}
#endif

#if DCN_STAGED
/* The cells of a block, at an odd distance from the next one's, so that these are in different banks. They are read 16 bytes at
 * a time, but with so few lanes that a tile has many blocks: how much local memory these take is then how many tiles there
 * are at once. */
#if DCN_LANES < 4
typedef struct dcn_cells {
    dcn_unsigned place[DCN_TAPS | 1];
} dcn_cells;
#else
typedef struct DCN_ALIGN(16) dcn_cells {
    dcn_unsigned place[4 * ((DCN_TAPS + 3) / 4 | 1)];
} dcn_cells;
#endif

/* Points of a block that are staged at a time, and not by its own lanes. */
#define DCN_SPARE_TAPS (DCN_TAPS % DCN_LANES)

/* The same of this work-item's block, which is found out again: kept until here it would take registers from the loads. */
DCN_INLINE void dcn_add_anew(DCN_PRIVATE dcn_vector *sum, const DCN_GLOBAL dcn_item *value,
                             const DCN_GLOBAL dcn_offset_item *offset_mask, const DCN_PRIVATE dcn_sizes *sizes) {
    const int item = DCN_LOCAL_ID_AGAIN;
    const dcn_tile tile = dcn_tile_of(DCN_GROUP_ID_AGAIN, DCN_CHANNEL_PARTS, sizes);
    const dcn_block block = dcn_tile_block(&tile, item / DCN_LANES, sizes);
    dcn_add_block(sum, value, offset_mask, &block, DCN_CHANNEL(tile.part, item % DCN_LANES, 0), sizes);
}

/* Leaves what the lanes of a block need of its point `number`: its cell's weights, and its place. In the last round there may
 * be fewer points; the rest are points that do not count. */
DCN_INLINE void dcn_stage(DCN_LOCAL dcn_quad *weight, DCN_LOCAL dcn_unsigned *cell,
                          const DCN_GLOBAL dcn_offset_item *offset_mask, const DCN_PRIVATE dcn_block *b, int number,
                          const DCN_PRIVATE dcn_softmax *norm, const DCN_PRIVATE dcn_sizes *sizes) {
    const int is_one = DCN_POINTS % DCN_TAPS == 0 || number < DCN_POINTS, k = is_one ? number : DCN_POINTS - 1;
    float shift_x, shift_y;
    dcn_shift(offset_mask, b->offsets, k, &shift_x, &shift_y);
    shift_x = dcn_settle(shift_x, DCN_MIDDLE_X(b)), shift_y = dcn_settle(shift_y, DCN_MIDDLE_Y(b));
    const dcn_side x = dcn_side_of(shift_x, -(float)DCN_MIDDLE_X(b), DCN_HIGH_X(b, sizes));
    const dcn_side y = dcn_side_of(shift_y, -(float)DCN_MIDDLE_Y(b), DCN_HIGH_Y(b, sizes));
    const dcn_index pixel = dcn_cell_at(b, x.first, y.first, sizes);
    *weight = dcn_cell_weights(&x, &y, is_one ? dcn_mask_of(offset_mask, b, k, norm) : 0.0f);
    *cell = (dcn_unsigned)pixel * (DCN_VALUE_STRIDE * DCN_PLACES) + (dcn_unsigned)b->group * (DCN_CHANNELS * DCN_PLACES);
}

/* Adds the staged points of a block: `weights` of the pixels of `cells`. No point is told from another, so that the loads of
 * many are in flight together. */
DCN_INLINE void dcn_add_staged(DCN_PRIVATE dcn_vector *sum, const DCN_GLOBAL dcn_item *value, const DCN_LOCAL dcn_quad *weights,
                              const DCN_LOCAL dcn_unsigned *cells, dcn_index below, dcn_index channel) {
    const DCN_GLOBAL dcn_item *upper_row = value, *lower_row = value + below;
    dcn_unsigned own = DCN_PLACES * (dcn_unsigned)channel;
    DCN_BEGIN_ROWS(upper_row, lower_row, own);
    DCN_UNROLL_TAPS
    for (int k = 0; k < DCN_TAPS; ++k) {
        const dcn_quad weight = weights[k];
        const dcn_unsigned at = cells[k] + own;
        DCN_UNROLL
        for (int v = 0; v < DCN_VECTORS; ++v) {
            const dcn_index step = v * DCN_LANES * DCN_VECTOR;
            if (DCN_HAS_CHANNEL(channel + step)) {
                const DCN_GLOBAL dcn_item *const upper = DCN_AT_PLACE(upper_row, at);
                const DCN_GLOBAL dcn_item *const lower = DCN_AT_PLACE(lower_row, at);
                sum[v] = dcn_fma(weight.part[0], dcn_load(upper, step), sum[v]);
                sum[v] = dcn_fma(weight.part[1], dcn_load(upper, step + DCN_VALUE_STRIDE), sum[v]);
                sum[v] = dcn_fma(weight.part[2], dcn_load(lower, step), sum[v]);
                sum[v] = dcn_fma(weight.part[3], dcn_load(lower, step + DCN_VALUE_STRIDE), sum[v]);
                sum[v] = dcn_unpaired(sum[v]);
            }
        }
    }
}
#endif

#if DCN_STAGED || DCN_RUN > 1
/* A weight of 0 times an infinity is NaN, which the formula has not for a pixel that is no corner; nor has it an overflow of
 * weight times mask. So where this says no, the block is added up anew, point by point. */
DCN_INLINE int dcn_all_finite(const DCN_PRIVATE dcn_vector *sum) {
    int finite = 1;
    DCN_UNROLL
    for (int v = 0; v < DCN_VECTORS; ++v)
        finite &= dcn_finite(sum[v]);
    return finite;
}
#endif

#if DCN_RUN > 1
DCN_INLINE void dcn_store_sums(DCN_GLOBAL dcn_item *output, const DCN_PRIVATE dcn_vector *sum,
                               const DCN_PRIVATE dcn_block *b, dcn_index channel) {
    const dcn_index at = b->pixel * DCN_OUTPUT_STRIDE + b->group * DCN_CHANNELS + channel;
    DCN_UNROLL
    for (int v = 0; v < DCN_VECTORS; ++v)
        if (DCN_HAS_CHANNEL(channel + v * DCN_VECTOR))
            dcn_store(output, at + v * DCN_VECTOR, sum[v]);
}

/* Whether the sums of a run's blocks are all finite: 0·x is 0 for every finite x alone. */
DCN_INLINE int dcn_run_finite(const DCN_PRIVATE dcn_vector *sums) {
    dcn_partials nothing = dcn_no_products();
    DCN_UNROLL
    for (int i = 0; i < DCN_RUN * DCN_VECTORS; ++i)
        nothing = dcn_add_products(dcn_zero(), sums[i], nothing);
    return dcn_are_zero(nothing);
}

/* Sums up the blocks of a run, some points of each at a time. */
DCN_INLINE void dcn_add_run(DCN_PRIVATE dcn_vector *sums, const DCN_GLOBAL dcn_item *value,
                            const DCN_PRIVATE dcn_run *run, dcn_index channel,
                            const DCN_PRIVATE dcn_sizes *sizes) {
    dcn_quad weights[DCN_RUN * DCN_TAPS];
    dcn_index cells[DCN_RUN * DCN_TAPS];
    dcn_frame frame;
    frame.begin_row = 0, frame.end_row = sizes->height, frame.width = sizes->width;
    const dcn_softmaxes norm = dcn_softmaxes_of(run);
    value += run->n * sizes->height * sizes->width * DCN_VALUE_STRIDE + run->group * DCN_CHANNELS + channel;
    for (int first = 0; first < DCN_POINTS; first += DCN_TAPS) {
        for (int t = 0; t < DCN_TAPS; ++t) {
            const int k = DCN_POINT(first + t);
            const dcn_cells found = dcn_cells_of(run, k, &frame);
            const dcn_floats mask = dcn_masks_of(run, k, &norm);
            dcn_stage_weights(&found, DCN_HAS_POINT(first + t) ? mask : 0.0f, weights + t);
            dcn_stage_cells(&found, sizes->width, DCN_VALUE_STRIDE, cells + t * DCN_RUN);
        }
        for (int p = 0; p < DCN_RUN; ++p) {
            dcn_vector sum[DCN_VECTORS], lower[DCN_VECTORS]; /* two chains of additions, where registers hold them */
            DCN_UNROLL
            for (int v = 0; v < DCN_VECTORS; ++v)
                sum[v] = first == 0 ? dcn_zero() : sums[p * DCN_VECTORS + v], lower[v] = dcn_zero();
            dcn_add_cells(sum, DCN_VECTORS > 2 ? sum : lower, value, weights + p * DCN_TAPS, cells + p,
                          sizes->width * DCN_VALUE_STRIDE, channel);
            DCN_UNROLL
            for (int v = 0; v < DCN_VECTORS; ++v)
                sums[p * DCN_VECTORS + v] = dcn_fma(1.0f, lower[v], sum[v]);
        }
    }
}

DCN_APART void dcn_forward_run(const DCN_GLOBAL dcn_item *value, const DCN_GLOBAL dcn_offset_item *offset_mask,
                                DCN_GLOBAL dcn_item *output, const DCN_PRIVATE dcn_run *run, dcn_index channel,
                                const DCN_PRIVATE dcn_sizes *sizes) {
    const int cellular = sizes->width > 1 && sizes->height > 1;
    dcn_vector sums[DCN_RUN * DCN_VECTORS];
    if (cellular)
        dcn_add_run(sums, value, run, channel, sizes);
    const int finite = cellular && dcn_run_finite(sums);
    for (int p = run->first; p < run->end; ++p) {
        const dcn_block block = dcn_run_block(run, p, sizes);
        if (!finite && !(cellular && dcn_all_finite(sums + p * DCN_VECTORS)))
            dcn_add_block(sums + p * DCN_VECTORS, value, offset_mask, &block, channel, sizes);
        dcn_store_sums(output, sums + p * DCN_VECTORS, &block, channel);
    }
}
#endif

#if DCN_STAGED && DCN_VECTORS == 1 && !DCN_WIDE
DCN_KERNEL_OF(dcn_forward, DCN_WORK_GROUP, DCN_DTYPE == DCN_FLOAT32 ? 48 : DCN_ALIGNED ? 64 : 80)
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
#if DCN_RUN > 1
    for (int i = 0; i < DCN_TILE_RUNS; ++i) {
        const dcn_run run = dcn_tile_run(&tile, i, offset_mask, &sizes);
        if (dcn_run_exists(&run, &sizes))
            dcn_forward_run(value, offset_mask, output, &run, DCN_CHANNEL(tile.part, 0, 0), &sizes);
    }
#else
    const dcn_index below = sizes.width * DCN_VALUE_STRIDE;
    const int item = DCN_LOCAL_ID, lane = item % DCN_LANES;
    dcn_block block = dcn_tile_block(&tile, item / DCN_LANES, &sizes);
    DCN_KEEP(block.offsets);
    const dcn_index channel = DCN_CHANNEL(tile.part, lane, 0);
    const int exists = dcn_exists(&block, &sizes);
    dcn_index at = block.pixel * DCN_OUTPUT_STRIDE + block.group * DCN_CHANNELS + channel;
    DCN_KEEP(at);
    dcn_vector sum[DCN_VECTORS];

#if DCN_STAGED
    /* Some points of each block at a time: its lanes find out where they lie, each for all of them. */
    DCN_LOCAL_ARRAY dcn_quad weights[DCN_TILE_BLOCKS * DCN_PITCH];
    DCN_LOCAL_ARRAY dcn_cells cells[DCN_TILE_BLOCKS];
    const int number = item / DCN_LANES, own = number * DCN_PITCH;
    const int has_cells = dcn_has_cells(&sizes), cellular = exists && has_cells;
    for (int first = 0; first < DCN_POINTS; first += DCN_TAPS) {
        if (cellular) {
            const dcn_softmax norm = dcn_softmax_of(offset_mask, block.offsets);
            DCN_UNROLL
            for (int t = lane; t < DCN_TAPS - DCN_SPARE_TAPS; t += DCN_LANES)
                dcn_stage(weights + own + t, cells[number].place + t, offset_mask, &block, first + t, &norm, &sizes);
        }
#if DCN_SPARE_TAPS
        /* Those that are left when each lane has had as many: without gaps between the work-items that have one. */
        if (item < DCN_SPARE_TAPS * DCN_TILE_BLOCKS) {
            const int another = item % DCN_TILE_BLOCKS, t = DCN_TAPS - DCN_SPARE_TAPS + item / DCN_TILE_BLOCKS;
            const dcn_block other = dcn_tile_block(&tile, another, &sizes);
            if (dcn_exists(&other, &sizes) && has_cells) {
                const dcn_softmax norm = dcn_softmax_of(offset_mask, other.offsets);
                dcn_stage(weights + another * DCN_PITCH + t, cells[another].place + t, offset_mask, &other, first + t,
                          &norm, &sizes);
            }
        }
#endif
        DCN_BARRIER();
        if (cellular) {
            DCN_UNROLL
            for (int v = 0; v < DCN_VECTORS; ++v)
                sum[v] = first == 0 ? dcn_zero() : sum[v];
            dcn_add_staged(sum, value, weights + own, cells[number].place, below, channel);
        }
#if DCN_POINTS > DCN_TAPS
        DCN_BARRIER(); /* before the next round's points are written */
#endif
    }
    if (exists && !(cellular && dcn_all_finite(sum)))
        dcn_add_anew(sum, value, offset_mask, &sizes);
#else
    DCN_UNROLL
    for (int v = 0; v < DCN_VECTORS; ++v)
        sum[v] = dcn_zero();
    if (exists) {
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

    if (exists) {
        DCN_UNROLL
        for (int v = 0; v < DCN_VECTORS; ++v)
            if (DCN_HAS_CHANNEL(channel + v * DCN_LANES * DCN_VECTOR))
                dcn_store(output, at + v * DCN_LANES * DCN_VECTOR, sum[v]);
    }
#endif
}
