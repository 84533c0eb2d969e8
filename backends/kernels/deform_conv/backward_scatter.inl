/* offset_mask, grad_output → grad_value, by bands of rows that are owned, or by atomic additions. README.md beside this file
 * says who does what. */

/* Where the sums of grad_value are: in grad_value itself where it is float32, else in the workspace. */
#if DCN_DTYPE == DCN_FLOAT32
#define DCN_SUMS(grad_value, sums) (grad_value)
#define DCN_SUMS_STRIDE DCN_GRAD_VALUE_STRIDE
#else
#define DCN_SUMS(grad_value, sums) (sums)
#define DCN_SUMS_STRIDE ((dcn_index)DCN_GROUPS * DCN_CHANNELS)
#endif

#if DCN_SCATTER == DCN_SCATTER_BANDS

/* For each row of output pixels, the smallest and the largest number of a value pixel that its points can reach. */
DCN_KERNEL(dcn_backward_reach, 1)
(DCN_PARAMETERS(REACH_BANDS)) {
    offset_mask += offset_mask_at, reach += reach_at;
    dcn_sizes sizes;
    sizes.height = height, sizes.width = width;
    sizes.output_height = output_height, sizes.output_width = output_width;
    const dcn_index row = DCN_GROUP_ID;
    dcn_softmax norm;
    norm.largest = 0.0f, norm.sum = 1.0f;
    dcn_index least = DCN_INDEX_MAX, most = -1;
    for (dcn_index ox = 0; ox < sizes.output_width; ++ox)
        for (dcn_index group = 0; group < DCN_GROUPS; ++group) {
            const dcn_block b = dcn_block_of(row / sizes.output_height, row % sizes.output_height, ox, group, &sizes);
            for (int k = 0; k < DCN_POINTS; ++k) {
                const dcn_sample s = dcn_point(offset_mask, &b, k, &norm, &sizes);
                if (s.inside) {
                    const dcn_index at = dcn_at(&s, b.n, &sizes);
                    least = DCN_MIN_INDEX(least, at);
                    most = DCN_MAX_INDEX(most, at + sizes.width + 1);
                }
            }
        }
    reach[2 * row] = least, reach[2 * row + 1] = most;
}

/* Adds weight·grad to the sums from `at` on, in a work-item's channels, of which the first is `channel`. */
DCN_INLINE void dcn_add_grad(DCN_GLOBAL float *sums, dcn_index at, float weight, const DCN_GLOBAL dcn_item *grad,
                             dcn_index channel) {
    DCN_UNROLL_VECTORS
    for (int v = 0; v < DCN_LANE_VECTORS; ++v)
        if (DCN_HAS_VECTOR(channel, v)) {
            const dcn_index step = v * DCN_LANES * DCN_VECTOR;
            dcn_store_sum(sums, at + step, dcn_fma(weight, dcn_load(grad, step), dcn_load_sum(sums, at + step)));
        }
}

/* The part of grad_value that a work-group owns: value pixels begin to end of image n, in some groups. */
typedef struct dcn_share {
    dcn_index n, begin, end;
    dcn_index group, end_group;
} dcn_share;

/* Work-groups are numbered: bands of rows fastest, then shares of the groups, then images. */
DCN_INLINE dcn_share dcn_share_of(dcn_index number, dcn_long bands, dcn_long shares, const DCN_PRIVATE dcn_sizes *sizes) {
    const dcn_long band = number % bands, share = number / bands % shares;
    dcn_share own;
    own.n = (dcn_index)(number / bands / shares);
    own.begin = (own.n * sizes->height + (dcn_index)(sizes->height * band / bands)) * sizes->width;
    own.end = (own.n * sizes->height + (dcn_index)(sizes->height * (band + 1) / bands)) * sizes->width;
    own.group = (dcn_index)(DCN_GROUPS * share / shares), own.end_group = (dcn_index)(DCN_GROUPS * (share + 1) / shares);
    return own;
}

/* Adds what a block's points from `from` to `end` give to the pixels that are owned, point by point. sums begin at the first
 * of these, at the work-item's first channel, and have `stride` numbers from pixel to pixel. */
DCN_INLINE void dcn_scatter_block(const DCN_GLOBAL dcn_offset_item *offset_mask, const DCN_GLOBAL dcn_item *grad_output,
                                  DCN_GLOBAL float *sums, dcn_index stride, const DCN_PRIVATE dcn_block *b, int from,
                                  int end, const DCN_PRIVATE dcn_share *own, dcn_index channel,
                                  const DCN_PRIVATE dcn_sizes *sizes) {
    const DCN_GLOBAL dcn_item *const grad =
        grad_output + b->pixel * DCN_GRAD_OUTPUT_STRIDE + b->group * DCN_CHANNELS + channel;
    const dcn_softmax norm = dcn_softmax_of(offset_mask, b->offsets);
    for (int k = from; k < end; ++k) {
        const dcn_sample s = dcn_point(offset_mask, b, k, &norm, sizes);
        const dcn_index at = dcn_at(&s, b->n, sizes), last = at + sizes->width + 1;
        if (!s.inside || at >= own->end || last < own->begin)
            continue;
        const int all = s.inside == DCN_INTERIOR && at >= own->begin && last < own->end;
        float weight[4];
        dcn_weights(s.fx, s.fy, s.mask, weight);
        DCN_UNROLL
        for (int c = 0; c < 4; ++c) {
            const dcn_index pixel = at + (c & 1) + (c & 2 ? sizes->width : 0);
            if (all || ((s.inside >> c & 1) && pixel >= own->begin && pixel < own->end))
                dcn_add_grad(sums + (pixel - own->begin) * stride, 0, weight[c], grad, channel);
        }
    }
}

#if DCN_RUN > 1

/* Whether 0 times each of a block's gradients is 0: pixels in a cell that are no corners must get nothing. */
DCN_INLINE int dcn_harmless(const DCN_GLOBAL dcn_item *grad) {
    dcn_partials nothing = dcn_no_products();
    DCN_UNROLL_VECTORS
    for (int v = 0; v < DCN_LANE_VECTORS; ++v)
        nothing = dcn_add_products(dcn_zero(), dcn_load(grad, v * DCN_VECTOR), nothing);
    return dcn_are_zero(nothing);
}

/* Adds weights·grad to the pixels of a block's staged cells, in a part of its channels, of which the first is `channel`. */
DCN_INLINE void dcn_spread_cells(DCN_GLOBAL float *sums, const DCN_GLOBAL dcn_item *grad_output,
                                 const DCN_PRIVATE dcn_quad *weights, const DCN_PRIVATE dcn_index *cells,
                                 dcn_index width, dcn_index channel) {
    dcn_vector grad[DCN_VECTORS];
    DCN_UNROLL
    for (int v = 0; v < DCN_VECTORS; ++v)
        if (DCN_HAS_CHANNEL(channel + v * DCN_VECTOR))
            grad[v] = dcn_load(grad_output, channel + v * DCN_VECTOR);
    DCN_UNROLL_TAPS
    for (int k = 0; k < DCN_TAPS; ++k) {
        const dcn_quad weight = weights[k];
        DCN_GLOBAL float *const first = sums + cells[k * DCN_RUN] * DCN_SUMS_STRIDE + channel;
        DCN_UNROLL
        for (int c = 0; c < 4; ++c) {
            DCN_GLOBAL float *const pixel = first + ((c & 1) + (c & 2 ? width : 0)) * DCN_SUMS_STRIDE;
            DCN_UNROLL
            for (int v = 0; v < DCN_VECTORS; ++v)
                if (DCN_HAS_CHANNEL(channel + v * DCN_VECTOR))
                    dcn_store_sum(pixel, v * DCN_VECTOR,
                                  dcn_fma(weight.part[c], grad[v], dcn_load_sum(pixel, v * DCN_VECTOR)));
        }
    }
}

/* Adds what the blocks of a run give to the pixels that are owned. */
DCN_APART void dcn_scatter_run(const DCN_GLOBAL dcn_offset_item *offset_mask, const DCN_GLOBAL dcn_item *grad_output,
                                DCN_GLOBAL float *sums, const DCN_PRIVATE dcn_run *run,
                                const DCN_PRIVATE dcn_share *own, const DCN_PRIVATE dcn_sizes *sizes) {
    dcn_quad weights[DCN_RUN * DCN_TAPS];
    dcn_index cells[DCN_RUN * DCN_TAPS];
    float doubt[DCN_RUN];
    const dcn_index image = run->n * sizes->height * sizes->width;
    dcn_frame frame;
    frame.begin_row = (own->begin - image) / sizes->width, frame.end_row = (own->end - image) / sizes->width;
    frame.width = sizes->width;
    const int cellular = frame.width > 1 && frame.end_row - frame.begin_row > 1;
    const dcn_softmaxes norm = dcn_softmaxes_of(run);
    for (int first = 0; first < DCN_POINTS; first += DCN_TAPS) {
        dcn_floats nothing = 0.0f;
        for (int t = 0; t < DCN_TAPS && cellular; ++t) {
            const int k = DCN_POINT(first + t);
            const dcn_cells found = dcn_cells_of(run, k, &frame);
            const dcn_floats mask = DCN_HAS_POINT(first + t) ? dcn_masks_of(run, k, &norm) : 0.0f;
            nothing += 0.0f * mask;
            dcn_stage_weights(&found, mask, weights + t);
            dcn_stage_cells(&found, sizes->width, 1, cells + t * DCN_RUN);
        }
        vstore8(nothing, 0, doubt);
        for (int p = run->first; p < run->end; ++p) {
            const dcn_block b = dcn_run_block(run, p, sizes);
            const dcn_index channel = run->group * DCN_CHANNELS;
            const DCN_GLOBAL dcn_item *const grad = grad_output + b.pixel * DCN_GRAD_OUTPUT_STRIDE + channel;
            if (cellular && doubt[p] == 0.0f && dcn_harmless(grad))
                for (int part = 0; part < DCN_CHANNEL_PARTS; ++part)
                    dcn_spread_cells(sums + image * DCN_SUMS_STRIDE + channel, grad, weights + p * DCN_TAPS, cells + p,
                                     sizes->width, part * DCN_PART_CHANNELS);
            else
                dcn_scatter_block(offset_mask, grad_output, sums + own->begin * DCN_SUMS_STRIDE + channel,
                                  DCN_SUMS_STRIDE, &b, first, DCN_MIN_INDEX(first + DCN_TAPS, DCN_POINTS), own, 0, sizes);
        }
    }
}

#endif

/* Zeroes the sums that a work-group owns. */
DCN_INLINE void dcn_clear_share(DCN_GLOBAL float *sums, const DCN_PRIVATE dcn_share *own, dcn_index channel) {
    for (dcn_index pixel = own->begin; pixel < own->end; ++pixel)
        for (dcn_index group = own->group; group < own->end_group; ++group)
            for (int v = 0; v < DCN_LANE_VECTORS; ++v)
                if (DCN_HAS_VECTOR(channel, v))
                    dcn_store_sum(sums,
                                  pixel * DCN_SUMS_STRIDE + group * DCN_CHANNELS + channel + v * DCN_LANES * DCN_VECTOR,
                                  dcn_zero());
}

/* Rounds them into grad_value, where they are not in it. */
DCN_INLINE void dcn_round_share(const DCN_GLOBAL float *sums, DCN_GLOBAL dcn_item *grad_value,
                                const DCN_PRIVATE dcn_share *own, dcn_index channel) {
#if DCN_DTYPE != DCN_FLOAT32
    for (dcn_index pixel = own->begin; pixel < own->end; ++pixel)
        for (dcn_index group = own->group; group < own->end_group; ++group)
            for (int v = 0; v < DCN_LANE_VECTORS; ++v)
                if (DCN_HAS_VECTOR(channel, v)) {
                    const dcn_index step = group * DCN_CHANNELS + channel + v * DCN_LANES * DCN_VECTOR;
                    dcn_store(grad_value, pixel * DCN_GRAD_VALUE_STRIDE + step,
                              dcn_load_sum(sums, pixel * DCN_SUMS_STRIDE + step));
                }
#endif
}

/* Whether a row of output pixels can reach what is owned. */
DCN_INLINE int dcn_reaches(const DCN_GLOBAL dcn_index *reach, dcn_index row, const DCN_PRIVATE dcn_share *own,
                           dcn_long bands) {
    return bands == 1 || (reach[2 * row] < own->end && reach[2 * row + 1] >= own->begin);
}

#if !DCN_BOTH

/* Each work-group owns a band of rows of one image in some groups, and nobody else writes there: it looks through the output
 * pixels in their order, and adds what falls into its share. */
DCN_KERNEL(dcn_backward_scatter, DCN_LANES)
(DCN_PARAMETERS(SCATTER_BANDS)) {
    offset_mask += offset_mask_at, grad_output += grad_output_at, grad_value += grad_value_at;
    workspace += workspace_at, reach += reach_at;
    dcn_sizes sizes;
    sizes.height = height, sizes.width = width;
    sizes.output_height = output_height, sizes.output_width = output_width;
    DCN_GLOBAL float *const sums = DCN_SUMS(grad_value, workspace);
    const dcn_share own = dcn_share_of(DCN_GROUP_ID, bands, shares, &sizes);
    const dcn_index channel = DCN_LOCAL_ID * DCN_VECTOR;
    dcn_clear_share(sums, &own, channel);
    for (dcn_index oy = 0; oy < sizes.output_height; ++oy) {
        if (!dcn_reaches(reach, own.n * sizes.output_height + oy, &own, bands))
            continue;
        for (dcn_index ox = 0; ox < sizes.output_width; ox += DCN_RUN)
            for (dcn_index group = own.group; group < own.end_group; ++group) {
#if DCN_RUN > 1
                const dcn_run run = dcn_run_of(own.n, oy, ox, group, offset_mask, &sizes);
                dcn_scatter_run(offset_mask, grad_output, sums, &run, &own, &sizes);
#else
                const dcn_block b = dcn_block_of(own.n, oy, ox, group, &sizes);
                dcn_scatter_block(offset_mask, grad_output,
                                  sums + own.begin * DCN_SUMS_STRIDE + group * DCN_CHANNELS + channel, DCN_SUMS_STRIDE, &b,
                                  0, DCN_POINTS, &own, channel, &sizes);
#endif
            }
    }
    dcn_round_share(sums, grad_value, &own, channel);
}

#endif

#else

/* Zeroes the sums of every value pixel; one work-item a channel. */
DCN_KERNEL(dcn_backward_clear, DCN_FLAT_GROUP)
(DCN_PARAMETERS(CLEAR)) {
    grad_value += grad_value_at, workspace += workspace_at;
    const dcn_index item = DCN_GROUP_ID * DCN_FLAT_GROUP + DCN_LOCAL_ID;
    const dcn_index channels = (dcn_index)DCN_GROUPS * DCN_CHANNELS;
    if (item / channels < pixels)
        DCN_SUMS(grad_value, workspace)[item / channels * DCN_SUMS_STRIDE + item % channels] = 0.0f;
}

/* Each work-item has some channels of a block, and adds to every corner of its points by atomic additions. */
DCN_KERNEL(dcn_backward_scatter, DCN_WORK_GROUP)
(DCN_PARAMETERS(SCATTER_ATOMIC)) {
    offset_mask += offset_mask_at, grad_output += grad_output_at;
    grad_value += grad_value_at, workspace += workspace_at;
    dcn_sizes sizes;
    sizes.height = height, sizes.width = width;
    sizes.output_height = output_height, sizes.output_width = output_width;
    sizes.by_columns = by_columns, sizes.by_rows = by_rows;
    DCN_GLOBAL float *const sums = DCN_SUMS(grad_value, workspace);
    const dcn_tile tile = dcn_tile_of(DCN_GROUP_ID, 1, &sizes);
    const int item = DCN_LOCAL_ID;
    const dcn_block block = dcn_tile_block(&tile, item / DCN_LANES, &sizes);
    if (!dcn_exists(&block, &sizes))
        return;
    const dcn_softmax norm = dcn_softmax_of(offset_mask, block.offsets);
    for (dcn_index channel = item % DCN_LANES * DCN_VECTOR; channel < DCN_CHANNELS; channel += DCN_LANES * DCN_VECTOR) {
        const dcn_index first_channel = block.group * DCN_CHANNELS + channel;
        const dcn_vector grad = dcn_load(grad_output, block.pixel * DCN_GRAD_OUTPUT_STRIDE + first_channel);
        for (int k = 0; k < DCN_POINTS; ++k) {
            const dcn_sample s = dcn_point(offset_mask, &block, k, &norm, &sizes);
            float weight[4];
            dcn_weights(s.fx, s.fy, s.mask, weight);
            DCN_UNROLL
            for (int c = 0; c < 4; ++c)
                if (s.inside >> c & 1)
                    dcn_atomic_add(sums, (dcn_at(&s, block.n, &sizes) + (c & 1) + (c & 2 ? sizes.width : 0)) * DCN_SUMS_STRIDE + first_channel,
                                   dcn_scale(weight[c], grad));
        }
    }
}

#if DCN_DTYPE != DCN_FLOAT32
/* Rounds the sums of every value pixel into grad_value; one work-item a channel. */
DCN_KERNEL(dcn_backward_convert, DCN_FLAT_GROUP)
(DCN_PARAMETERS(CONVERT)) {
    grad_value += grad_value_at, workspace += workspace_at;
    const dcn_index item = DCN_GROUP_ID * DCN_FLAT_GROUP + DCN_LOCAL_ID;
    const dcn_index channels = (dcn_index)DCN_GROUPS * DCN_CHANNELS;
    if (item / channels < pixels)
        dcn_write(grad_value, item / channels * DCN_GRAD_VALUE_STRIDE + item % channels,
                  workspace[item / channels * DCN_SUMS_STRIDE + item % channels]);
}
#endif

#endif
