/* offset_mask, grad_output → grad_value, by bands of rows: for CPUs, and for GPUs with little local memory. A
 * work-group owns a band of an image's rows in some groups, so there are no atomic additions, and sums have the same
 * order in every run. */

/* Bounds of the points of each row of output pixels: the smallest and the largest index of a value pixel that they
 * touch. */
DCN_KERNEL(dcn_backward_bounds, 1)
(DCN_PARAMETERS(BOUNDS_BANDS)) {
    offset_mask += offset_mask_at, bounds += bounds_at;
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
    bounds[2 * row] = least, bounds[2 * row + 1] = most;
}

/* The part of grad_value that a work-group owns: value pixels begin to end − 1, all of image n, in groups group to
 * end_group − 1. */
typedef struct dcn_share {
    dcn_index n, begin, end;
    dcn_index group, end_group;
} dcn_share;

/* Work-groups are numbered: bands of rows fastest, then shares of the groups, then images. */
DCN_INLINE dcn_share dcn_share_of(dcn_index number, dcn_long bands, dcn_long shares,
                                  const DCN_PRIVATE dcn_sizes *sizes) {
    const dcn_long band = number % bands, share = number / bands % shares;
    dcn_share own;
    own.n = (dcn_index)(number / bands / shares);
    own.begin = (own.n * sizes->height + (dcn_index)(sizes->height * band / bands)) * sizes->width;
    own.end = (own.n * sizes->height + (dcn_index)(sizes->height * (band + 1) / bands)) * sizes->width;
    own.group = (dcn_index)(DCN_GROUPS * share / shares),
    own.end_group = (dcn_index)(DCN_GROUPS * (share + 1) / shares);
    return own;
}

/* The pixels of a share as the target of a scatter, in one group, from `channel` of it on. */
DCN_INLINE dcn_owned dcn_owned_of(const DCN_PRIVATE dcn_share *share, DCN_GLOBAL float *sums, dcn_index group,
                                  dcn_index channel) {
    dcn_owned own;
    own.sums = sums + share->begin * DCN_SUMS_STRIDE + group * DCN_CHANNELS + channel;
    own.stride = DCN_SUMS_STRIDE, own.begin = share->begin, own.end = share->end, own.apart = 0;
    return own;
}

/* Scatters points `from` to end − 1 of a block to the pixels that are owned, point by point; exact. */
DCN_INLINE void dcn_scatter_block(const DCN_GLOBAL dcn_offset_element *offset_mask,
                                  const DCN_GLOBAL dcn_element *grad_output, const DCN_PRIVATE dcn_owned *own,
                                  const DCN_PRIVATE dcn_block *b, int from, int end, dcn_index channel,
                                  const DCN_PRIVATE dcn_sizes *sizes) {
    const DCN_GLOBAL dcn_element *const grad = grad_output + b->pixel * DCN_GRAD_OUTPUT_STRIDE +
                                               b->group * DCN_CHANNELS + channel;
    const dcn_softmax norm = dcn_softmax_of(offset_mask, b->offsets);
    for (int k = from; k < end; ++k) {
        const dcn_sample s = dcn_point(offset_mask, b, k, &norm, sizes);
        dcn_scatter_owned(own, dcn_at(&s, b->n, sizes), sizes->width, &s, grad, channel);
    }
}

#if DCN_RUN > 1

/* Adds weights·grad to the pixels of a block's staged cells, in the channel part that begins with `channel`. */
DCN_INLINE void dcn_scatter_cells(DCN_GLOBAL float *sums, const DCN_GLOBAL dcn_element *grad_output,
                                  const DCN_PRIVATE dcn_quad *weights, const DCN_PRIVATE dcn_index *cells,
                                  dcn_index width, dcn_index channel) {
    dcn_vector grad[DCN_VECTORS];
    DCN_UNROLL
    for (int v = 0; v < DCN_VECTORS; ++v)
        if (DCN_HAS_CHANNEL(channel + v * DCN_VECTOR))
            grad[v] = dcn_load_once(grad_output, channel, channel, v);
    DCN_UNROLL_LOADS
    for (int k = 0; k < DCN_ROUND_POINTS; ++k) {
        const dcn_quad weight = weights[k];
        DCN_GLOBAL float *const first = sums + cells[k * DCN_RUN] * DCN_SUMS_STRIDE + channel;
        DCN_UNROLL
        for (int c = 0; c < 4; ++c) {
            DCN_GLOBAL float *const pixel = first + ((c & 1) + (c & 2 ? width : 0)) * DCN_SUMS_STRIDE;
            DCN_UNROLL
            for (int v = 0; v < DCN_VECTORS; ++v)
                if (DCN_HAS_CHANNEL(channel + v * DCN_VECTOR))
                    dcn_store_sum(pixel, DCN_STEP(channel, v),
                                  dcn_fma(weight.part[c], grad[v], dcn_load_sum(pixel, DCN_STEP(channel, v))));
        }
    }
}

/* Scatters the points of a run to the pixels that are owned: by cells of the owned rows, or, where a pixel's masks
 * or gradients are not finite or there are no cells, point by point. */
DCN_NOINLINE void dcn_scatter_run(const DCN_GLOBAL dcn_offset_element *offset_mask,
                                  const DCN_GLOBAL dcn_element *grad_output, DCN_GLOBAL float *sums,
                                  const DCN_PRIVATE dcn_run *run, const DCN_PRIVATE dcn_share *share,
                                  const DCN_PRIVATE dcn_sizes *sizes) {
    dcn_quad weights[DCN_RUN * DCN_ROUND_POINTS];
    dcn_index cells[DCN_RUN * DCN_ROUND_POINTS];
    float nan_if_infinite[DCN_RUN]; /* 0 if all masks of a pixel are finite, else NaN */
    const dcn_index image = run->n * sizes->height * sizes->width;
    dcn_frame frame;
    frame.begin_row = (share->begin - image) / sizes->width, frame.end_row = (share->end - image) / sizes->width;
    frame.width = sizes->width;
    const int cellular = DCN_HAS_CELLS(frame.end_row - frame.begin_row, frame.width);
    const dcn_softmaxes norm = dcn_softmaxes_of(run);
    for (int first = 0; first < DCN_POINTS; first += DCN_ROUND_POINTS) {
        dcn_floats nothing = 0.0f;
        for (int t = 0; t < DCN_ROUND_POINTS && cellular; ++t) {
            const int k = DCN_POINT(first + t);
            const dcn_cells found = dcn_cells_of(run, k, &frame);
            const dcn_floats mask = DCN_HAS_POINT(first + t) ? dcn_masks_of(run, k, &norm) : 0.0f;
            nothing += DCN_ZERO_OR_NAN(mask);
            dcn_stage_weights(&found, mask, weights + t, DCN_ROUND_POINTS);
            dcn_stage_cells(&found, sizes->width, 1, cells + t * DCN_RUN);
        }
        vstore8(nothing, 0, nan_if_infinite);
        for (int p = run->first; p < run->end; ++p) {
            const dcn_block b = dcn_run_block(run, p, sizes);
            const dcn_index channel = run->group * DCN_CHANNELS;
            const DCN_GLOBAL dcn_element *const grad = grad_output + b.pixel * DCN_GRAD_OUTPUT_STRIDE + channel;
            if (cellular && nan_if_infinite[p] == 0.0f && dcn_are_grads_finite(grad))
                for (int part = 0; part < DCN_CHANNEL_PARTS; ++part)
                    dcn_scatter_cells(sums + image * DCN_SUMS_STRIDE + channel, grad, weights + p * DCN_ROUND_POINTS,
                                      cells + p, sizes->width, part * DCN_PART_CHANNELS);
            else {
                const dcn_owned own = dcn_owned_of(share, sums, run->group, 0);
                dcn_scatter_block(offset_mask, grad_output, &own, &b, first,
                                  DCN_MIN_INDEX(first + DCN_ROUND_POINTS, DCN_POINTS), 0, sizes);
            }
        }
    }
}

#endif

/* Sets the sums of a share to 0, in a lane's channels. */
DCN_INLINE void dcn_clear_share(DCN_GLOBAL float *sums, const DCN_PRIVATE dcn_share *own, dcn_index channel) {
    for (dcn_index pixel = own->begin; pixel < own->end; ++pixel)
        for (dcn_index group = own->group; group < own->end_group; ++group)
            for (int v = 0; v < DCN_LANE_VECTORS; ++v)
                if (DCN_HAS_VECTOR(channel, v))
                    dcn_store_sum(sums,
                                  pixel * DCN_SUMS_STRIDE + group * DCN_CHANNELS + channel + DCN_STEP(channel, v),
                                  dcn_zero());
}

/* Rounds the sums of a share into grad_value, unless they are in it already. */
DCN_INLINE void dcn_round_share(const DCN_GLOBAL float *sums, DCN_GLOBAL dcn_element *grad_value,
                                const DCN_PRIVATE dcn_share *own, dcn_index channel) {
#if DCN_DTYPE != DCN_FLOAT32
    for (dcn_index pixel = own->begin; pixel < own->end; ++pixel)
        for (dcn_index group = own->group; group < own->end_group; ++group)
            for (int v = 0; v < DCN_LANE_VECTORS; ++v)
                if (DCN_HAS_VECTOR(channel, v)) {
                    const dcn_index step = group * DCN_CHANNELS + channel + DCN_STEP(channel, v);
                    dcn_store(grad_value, pixel * DCN_GRAD_VALUE_STRIDE + step,
                              dcn_load_sum(sums, pixel * DCN_SUMS_STRIDE + step));
                }
#endif
}

/* Whether points of a row of output pixels may touch a share; with one band they always may. */
DCN_INLINE int dcn_touches(const DCN_GLOBAL dcn_index *bounds, dcn_index row, const DCN_PRIVATE dcn_share *own,
                           dcn_long bands) {
    return bands == 1 || (bounds[2 * row] < own->end && bounds[2 * row + 1] >= own->begin);
}

#if !DCN_BOTH

/* Each work-group goes through all output pixels of its image in order, and scatters what falls into its share. */
DCN_KERNEL(dcn_backward_scatter, DCN_LANES)
(DCN_PARAMETERS(SCATTER_BANDS)) {
    offset_mask += offset_mask_at, grad_output += grad_output_at, grad_value += grad_value_at;
    workspace += workspace_at, bounds += bounds_at;
    dcn_sizes sizes;
    sizes.height = height, sizes.width = width;
    sizes.output_height = output_height, sizes.output_width = output_width;
    DCN_GLOBAL float *const sums = DCN_SUMS(grad_value, workspace);
    const dcn_share share = dcn_share_of(DCN_GROUP_ID, bands, shares, &sizes);
    const dcn_index channel = DCN_LOCAL_ID * DCN_VECTOR;
    dcn_clear_share(sums, &share, channel);
    for (dcn_index oy = 0; oy < sizes.output_height; ++oy) {
        if (!dcn_touches(bounds, share.n * sizes.output_height + oy, &share, bands))
            continue;
        for (dcn_index ox = 0; ox < sizes.output_width; ox += DCN_RUN)
            for (dcn_index group = share.group; group < share.end_group; ++group) {
#if DCN_RUN > 1
                const dcn_run run = dcn_run_of(share.n, oy, ox, group, offset_mask, &sizes);
                dcn_scatter_run(offset_mask, grad_output, sums, &run, &share, &sizes);
#else
                const dcn_block b = dcn_block_of(share.n, oy, ox, group, &sizes);
                const dcn_owned own = dcn_owned_of(&share, sums, group, channel);
                dcn_scatter_block(offset_mask, grad_output, &own, &b, 0, DCN_POINTS, channel, &sizes);
#endif
            }
    }
    dcn_round_share(sums, grad_value, &share, channel);
}

#endif
