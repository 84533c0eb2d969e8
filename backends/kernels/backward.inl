/* value, offset_mask, grad_output → grad_offset_mask (dcn_backward_points), grad_value (dcn_backward_scatter and what
 * stands around it). README.md beside this file says who does what. */

/* Vectors of a group that one work-item has; the last may be there for some lanes only. */
#define DCN_LANE_VECTORS ((DCN_CHANNELS + DCN_VECTOR * DCN_LANES - 1) / (DCN_VECTOR * DCN_LANES))
#define DCN_LANE_TAIL (DCN_CHANNELS % (DCN_VECTOR * DCN_LANES) != 0)
/* Whether the work-item whose first channel this is has vector v. */
#define DCN_HAS_VECTOR(channel, v) (!DCN_LANE_TAIL || (channel) + (v) * DCN_LANES * DCN_VECTOR < DCN_CHANNELS)


#if DCN_PART_POINTS

/* Σ over this work-item's channels of grad_output times each corner's value. */
DCN_INLINE void dcn_dots(const DCN_GLOBAL dcn_item *value, dcn_index at, dcn_index below,
                         const DCN_GLOBAL dcn_item *grad_output, dcn_index grad_at, int inside, dcn_index channel,
                         DCN_PRIVATE float *dot) {
    dcn_vector sum[4];
    DCN_UNROLL
    for (int c = 0; c < 4; ++c)
        sum[c] = dcn_zero();
    if (inside == DCN_INTERIOR) {
        DCN_UNROLL_VECTORS
        for (int v = 0; v < DCN_LANE_VECTORS; ++v)
            if (DCN_HAS_VECTOR(channel, v)) {
                const dcn_index step = v * DCN_LANES * DCN_VECTOR;
                const dcn_vector grad = dcn_load(grad_output, grad_at + step);
                sum[0] = dcn_fma_each(grad, dcn_load(value, at + step), sum[0]);
                sum[1] = dcn_fma_each(grad, dcn_load(value, at + step + DCN_VALUE_STRIDE), sum[1]);
                sum[2] = dcn_fma_each(grad, dcn_load(value, at + step + below), sum[2]);
                sum[3] = dcn_fma_each(grad, dcn_load(value, at + step + below + DCN_VALUE_STRIDE), sum[3]);
            }
    } else {
        for (int v = 0; v < DCN_LANE_VECTORS; ++v)
            if (DCN_HAS_VECTOR(channel, v))
                for (int c = 0; c < 4; ++c)
                    if (inside >> c & 1) {
                        const dcn_index step = v * DCN_LANES * DCN_VECTOR;
                        const dcn_index corner = at + step + (c & 1 ? DCN_VALUE_STRIDE : 0) + (c & 2 ? below : 0);
                        sum[c] = dcn_fma_each(dcn_load(grad_output, grad_at + step), dcn_load(value, corner), sum[c]);
                    }
    }
    dcn_sum4(sum, dot);
}

/* The gradients by a point's weight and position, before the factors offset_scale and mask. */
typedef struct dcn_slopes {
    float mask, x, y;
} dcn_slopes;

DCN_INLINE dcn_slopes dcn_slopes_of(const DCN_PRIVATE dcn_sample *s, const DCN_PRIVATE float *dot) {
    const float right = s->fx, left = 1.0f - right, lower = s->fy, upper = 1.0f - lower;
    dcn_slopes slopes;
    slopes.mask = upper * left * dot[0] + upper * right * dot[1] + lower * left * dot[2] + lower * right * dot[3];
    slopes.x = upper * (dot[1] - dot[0]) + lower * (dot[3] - dot[2]);
    slopes.y = left * (dot[2] - dot[0]) + right * (dot[3] - dot[1]);
    return slopes;
}

/* The same where a corner's sum is not finite: factors times corners are added up in each channel before grad_output
 * multiplies, so that Inf − Inf arises only where the formula has it. Rare, hence an element at a time. */
DCN_INLINE dcn_slopes dcn_slopes_by_channel(const DCN_GLOBAL dcn_item *value, dcn_index at, dcn_index below,
                                            const DCN_GLOBAL dcn_item *grad_output, dcn_index grad_at,
                                            const DCN_PRIVATE dcn_sample *s, dcn_index channel) {
    dcn_slopes slopes;
    slopes.mask = 0.0f, slopes.x = 0.0f, slopes.y = 0.0f;
    for (dcn_index v = channel; v < DCN_CHANNELS; v += DCN_LANES * DCN_VECTOR)
        for (int i = 0; i < DCN_VECTOR; ++i) {
            const float grad = dcn_read(grad_output, grad_at + v - channel + i);
            float mask = 0.0f, x = 0.0f, y = 0.0f;
            for (int c = 0; c < 4; ++c)
                if (s->inside >> c & 1) {
                    const float wx = c & 1 ? s->fx : 1.0f - s->fx, wy = c & 2 ? s->fy : 1.0f - s->fy;
                    const dcn_index corner = at + v - channel + i + (c & 1 ? DCN_VALUE_STRIDE : 0) + (c & 2 ? below : 0);
                    const float number = dcn_read(value, corner);
                    mask += wx * wy * number;
                    x += (c & 1 ? wy : -wy) * number;
                    y += (c & 2 ? wx : -wx) * number;
                }
            slopes.mask += grad * mask, slopes.x += grad * x, slopes.y += grad * y;
        }
    return slopes;
}

/* What this work-item's channels give of the slopes of point k. */
DCN_INLINE dcn_slopes dcn_project(const DCN_GLOBAL dcn_item *value, const DCN_GLOBAL dcn_item *grad_output,
                                  const DCN_PRIVATE dcn_sample *s, const DCN_PRIVATE dcn_block *b, dcn_index channel,
                                  const DCN_PRIVATE dcn_sizes *sizes) {
    dcn_slopes slopes;
    slopes.mask = 0.0f, slopes.x = 0.0f, slopes.y = 0.0f;
    if (s->inside) {
        const dcn_index first = b->group * DCN_CHANNELS + channel;
        const dcn_index at = dcn_at(s, b->n, sizes) * DCN_VALUE_STRIDE + first, below = sizes->width * DCN_VALUE_STRIDE;
        const dcn_index grad_at = b->pixel * DCN_GRAD_OUTPUT_STRIDE + first;
        float dot[4];
        dcn_dots(value, at, below, grad_output, grad_at, s->inside, channel, dot);
        /* 0·x is 0 for every finite x alone. */
        if (0.0f * dot[0] + 0.0f * dot[1] + 0.0f * dot[2] + 0.0f * dot[3] == 0.0f)
            slopes = dcn_slopes_of(s, dot);
        else
            slopes = dcn_slopes_by_channel(value, at, below, grad_output, grad_at, s, channel);
    }
    return slopes;
}

/* Writes point k's three gradients; mean is Σ mask·slope over the block with softmax. */
DCN_INLINE void dcn_write_point(DCN_GLOBAL dcn_item *grad_offset_mask, const DCN_PRIVATE dcn_block *b, int k,
                                const DCN_PRIVATE dcn_sample *s, const DCN_PRIVATE dcn_slopes *slopes, float mean) {
    const dcn_index at = b->pixel * DCN_GRAD_OFFSET_MASK_STRIDE + b->group * 3 * DCN_POINTS;
    const float factor = DCN_SCALE * s->mask;
    dcn_write(grad_offset_mask, at + 2 * k, s->inside ? factor * slopes->x : 0.0f);
    dcn_write(grad_offset_mask, at + 2 * k + 1, s->inside ? factor * slopes->y : 0.0f);
    dcn_write(grad_offset_mask, at + 2 * DCN_POINTS + k, DCN_SOFTMAX ? s->mask * (slopes->mask - mean) : slopes->mask);
}

/* The work-items of the last block of a row write its padding. */
DCN_INLINE void dcn_write_padding(DCN_GLOBAL dcn_item *grad_offset_mask, const DCN_PRIVATE dcn_block *b, int lane) {
    if (b->group == DCN_GROUPS - 1)
        for (dcn_index c = 3 * DCN_POINTS * (dcn_index)DCN_GROUPS + lane; c < DCN_OFFSET_MASK_ROW; c += DCN_LANES)
            dcn_write(grad_offset_mask, b->pixel * DCN_GRAD_OFFSET_MASK_STRIDE + c, 0.0f);
}

DCN_KERNEL(dcn_backward_points, DCN_WORK_GROUP)
(const DCN_GLOBAL dcn_item *DCN_RESTRICT value, dcn_long value_at,
 const DCN_GLOBAL dcn_item *DCN_RESTRICT offset_mask, dcn_long offset_mask_at,
 const DCN_GLOBAL dcn_item *DCN_RESTRICT grad_output, dcn_long grad_output_at,
 DCN_GLOBAL dcn_item *DCN_RESTRICT grad_offset_mask, dcn_long grad_offset_mask_at, dcn_long height, dcn_long width,
 dcn_long output_height, dcn_long output_width) {
    value += value_at, offset_mask += offset_mask_at;
    grad_output += grad_output_at, grad_offset_mask += grad_offset_mask_at;
    dcn_sizes sizes;
    sizes.height = height, sizes.width = width;
    sizes.output_height = output_height, sizes.output_width = output_width;
    const dcn_tile tile = dcn_tile_of(DCN_GROUP_ID, 1, &sizes);
    const int item = DCN_LOCAL_ID, lane = item % DCN_LANES;
    const dcn_block block = dcn_tile_block(&tile, item / DCN_LANES, &sizes);
    const dcn_index channel = lane * DCN_VECTOR;
    const int exists = dcn_exists(&block, &sizes);

#if DCN_STAGED
    DCN_LOCAL_ARRAY dcn_sample samples[DCN_TILE_BLOCKS * DCN_TAPS];
    DCN_LOCAL_ARRAY dcn_slopes slopes[DCN_TILE_BLOCKS * DCN_TAPS * DCN_LANES];
    float mean = 0.0f; /* of the blocks that this work-item writes points of; they change, so it is looked up */
#if DCN_SOFTMAX
    DCN_LOCAL_ARRAY float means[DCN_WORK_GROUP];
    if (exists) {
        const dcn_softmax norm = dcn_softmax_of(offset_mask, block.offsets);
        for (int k = 0; k < DCN_POINTS; ++k) {
            const dcn_sample s = dcn_point(offset_mask, &block, k, &norm, &sizes);
            const dcn_slopes part = dcn_project(value, grad_output, &s, &block, channel, &sizes);
            mean += s.inside ? s.mask * part.mask : 0.0f;
        }
    }
    means[item] = mean;
#endif
    for (int first = 0; first < DCN_POINTS; first += DCN_TAPS) {
        const int taps = DCN_MIN(DCN_TAPS, DCN_POINTS - first);
        for (int t = item; t < DCN_TILE_BLOCKS * DCN_TAPS; t += DCN_WORK_GROUP) {
            const dcn_block b = dcn_tile_block(&tile, t / DCN_TAPS, &sizes);
            if (t % DCN_TAPS < taps && dcn_exists(&b, &sizes)) {
                const dcn_softmax norm = dcn_softmax_of(offset_mask, b.offsets);
                samples[t] = dcn_point(offset_mask, &b, first + t % DCN_TAPS, &norm, &sizes);
            }
        }
        DCN_BARRIER();
        if (exists)
            for (int k = 0; k < taps; ++k) {
                const dcn_sample s = samples[item / DCN_LANES * DCN_TAPS + k];
                slopes[(item / DCN_LANES * DCN_TAPS + k) * DCN_LANES + lane] =
                    dcn_project(value, grad_output, &s, &block, channel, &sizes);
            }
        DCN_BARRIER();
        for (int t = item; t < DCN_TILE_BLOCKS * DCN_TAPS; t += DCN_WORK_GROUP) {
            const dcn_block b = dcn_tile_block(&tile, t / DCN_TAPS, &sizes);
            if (t % DCN_TAPS < taps && dcn_exists(&b, &sizes)) {
                const dcn_sample s = samples[t];
                dcn_slopes sum = slopes[t * DCN_LANES];
                for (int l = 1; l < DCN_LANES; ++l) {
                    const dcn_slopes part = slopes[t * DCN_LANES + l];
                    sum.mask += part.mask, sum.x += part.x, sum.y += part.y;
                }
#if DCN_SOFTMAX
                mean = 0.0f;
                for (int l = 0; l < DCN_LANES; ++l)
                    mean += means[t / DCN_TAPS * DCN_LANES + l];
#endif
                dcn_write_point(grad_offset_mask, &b, first + t % DCN_TAPS, &s, &sum, mean);
            }
        }
#if DCN_POINTS > DCN_TAPS
        DCN_BARRIER(); /* before the next round's samples are written */
#endif
    }
#else
    if (exists) {
        const dcn_softmax norm = dcn_softmax_of(offset_mask, block.offsets);
        float mean = 0.0f;
        for (int k = 0; DCN_SOFTMAX && k < DCN_POINTS; ++k) {
            const dcn_sample s = dcn_point(offset_mask, &block, k, &norm, &sizes);
            const dcn_slopes slopes = dcn_project(value, grad_output, &s, &block, channel, &sizes);
            mean += s.inside ? s.mask * slopes.mask : 0.0f;
        }
        for (int k = 0; k < DCN_POINTS; ++k) {
            const dcn_sample s = dcn_point(offset_mask, &block, k, &norm, &sizes);
            const dcn_slopes slopes = dcn_project(value, grad_output, &s, &block, channel, &sizes);
            dcn_write_point(grad_offset_mask, &block, k, &s, &slopes, mean);
        }
    }
#endif
    if (exists)
        dcn_write_padding(grad_offset_mask, &block, lane);
}

#endif

#if DCN_PART_SCATTER

/* Where the sums of grad_value are: in grad_value itself where it is float32, else in the workspace. */
#if DCN_DTYPE == DCN_FLOAT32
#define DCN_SUMS(grad_value, sums) (grad_value)
#define DCN_SUMS_STRIDE DCN_GRAD_VALUE_STRIDE
#else
#define DCN_SUMS(grad_value, sums) (sums)
#define DCN_SUMS_STRIDE ((dcn_index)DCN_GROUPS * DCN_CHANNELS)
#endif

#if DCN_OWNED

/* For each row of output pixels, the smallest and the largest number of a value pixel that its points can reach. */
DCN_KERNEL(dcn_backward_reach, 1)
(const DCN_GLOBAL dcn_item *DCN_RESTRICT offset_mask, dcn_long offset_mask_at, DCN_GLOBAL dcn_index *DCN_RESTRICT reach,
 dcn_long reach_at, dcn_long height, dcn_long width, dcn_long output_height, dcn_long output_width) {
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
                    least = DCN_MIN(least, at);
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

/* Adds what one block's points give to the pixels that are owned. */
DCN_INLINE void dcn_scatter_block(const DCN_GLOBAL dcn_item *offset_mask, const DCN_GLOBAL dcn_item *grad_output,
                                  DCN_GLOBAL float *sums, const DCN_PRIVATE dcn_block *b,
                                  const DCN_PRIVATE dcn_share *own, dcn_index channel,
                                  const DCN_PRIVATE dcn_sizes *sizes) {
    const dcn_index first = b->group * DCN_CHANNELS + channel;
    const DCN_GLOBAL dcn_item *const grad = grad_output + b->pixel * DCN_GRAD_OUTPUT_STRIDE + first;
    const dcn_softmax norm = dcn_softmax_of(offset_mask, b->offsets);
    for (int k = 0; k < DCN_POINTS; ++k) {
        const dcn_sample s = dcn_point(offset_mask, b, k, &norm, sizes);
        const dcn_index at = dcn_at(&s, b->n, sizes), last = at + sizes->width + 1;
        if (!s.inside || at >= own->end || last < own->begin)
            continue;
        const int all = s.inside == DCN_INTERIOR && at >= own->begin && last < own->end;
        float weight[4];
        dcn_weights(&s, s.mask, weight);
        DCN_UNROLL
        for (int c = 0; c < 4; ++c) {
            const dcn_index pixel = at + (c & 1) + (c & 2 ? sizes->width : 0);
            if (all || ((s.inside >> c & 1) && pixel >= own->begin && pixel < own->end))
                dcn_add_grad(sums, pixel * DCN_SUMS_STRIDE + first, weight[c], grad, channel);
        }
    }
}

/* Each work-group owns a band of rows of one image in some groups, and nobody else writes there: it looks through the output
 * pixels in their order, and adds what falls into its share. */
DCN_KERNEL(dcn_backward_scatter, DCN_LANES)
(const DCN_GLOBAL dcn_item *DCN_RESTRICT offset_mask, dcn_long offset_mask_at,
 const DCN_GLOBAL dcn_item *DCN_RESTRICT grad_output, dcn_long grad_output_at, DCN_GLOBAL dcn_item *grad_value,
 dcn_long grad_value_at, DCN_GLOBAL float *workspace, dcn_long workspace_at,
 const DCN_GLOBAL dcn_index *DCN_RESTRICT reach, dcn_long reach_at, dcn_long bands, dcn_long shares, dcn_long height,
 dcn_long width, dcn_long output_height, dcn_long output_width) {
    offset_mask += offset_mask_at, grad_output += grad_output_at, grad_value += grad_value_at;
    workspace += workspace_at, reach += reach_at;
    dcn_sizes sizes;
    sizes.height = height, sizes.width = width;
    sizes.output_height = output_height, sizes.output_width = output_width;
    DCN_GLOBAL float *const sums = DCN_SUMS(grad_value, workspace);
    const dcn_share own = dcn_share_of(DCN_GROUP_ID, bands, shares, &sizes);
    const dcn_index channel = DCN_LOCAL_ID * DCN_VECTOR;

    for (dcn_index pixel = own.begin; pixel < own.end; ++pixel)
        for (dcn_index group = own.group; group < own.end_group; ++group)
            for (int v = 0; v < DCN_LANE_VECTORS; ++v)
                if (DCN_HAS_VECTOR(channel, v))
                    dcn_store_sum(sums,
                                  pixel * DCN_SUMS_STRIDE + group * DCN_CHANNELS + channel + v * DCN_LANES * DCN_VECTOR,
                                  dcn_zero());

    for (dcn_index oy = 0; oy < sizes.output_height; ++oy) {
        const dcn_index row = own.n * sizes.output_height + oy;
        if (bands > 1 && (reach[2 * row] >= own.end || reach[2 * row + 1] < own.begin))
            continue;
        for (dcn_index ox = 0; ox < sizes.output_width; ++ox)
            for (dcn_index group = own.group; group < own.end_group; ++group) {
                const dcn_block b = dcn_block_of(own.n, oy, ox, group, &sizes);
                dcn_scatter_block(offset_mask, grad_output, sums, &b, &own, channel, &sizes);
            }
    }

#if DCN_DTYPE != DCN_FLOAT32
    for (dcn_index pixel = own.begin; pixel < own.end; ++pixel)
        for (dcn_index group = own.group; group < own.end_group; ++group)
            for (int v = 0; v < DCN_LANE_VECTORS; ++v)
                if (DCN_HAS_VECTOR(channel, v)) {
                    const dcn_index step = group * DCN_CHANNELS + channel + v * DCN_LANES * DCN_VECTOR;
                    dcn_store(grad_value, pixel * DCN_GRAD_VALUE_STRIDE + step,
                              dcn_load_sum(sums, pixel * DCN_SUMS_STRIDE + step));
                }
#endif
}

#else

/* Zeroes the sums of every value pixel; one work-item a channel. */
DCN_KERNEL(dcn_backward_clear, DCN_FLAT_GROUP)
(DCN_GLOBAL dcn_item *grad_value, dcn_long grad_value_at, DCN_GLOBAL float *workspace, dcn_long workspace_at,
 dcn_long pixels) {
    grad_value += grad_value_at, workspace += workspace_at;
    const dcn_index item = DCN_GROUP_ID * DCN_FLAT_GROUP + DCN_LOCAL_ID;
    const dcn_index channels = (dcn_index)DCN_GROUPS * DCN_CHANNELS;
    if (item / channels < pixels)
        DCN_SUMS(grad_value, workspace)[item / channels * DCN_SUMS_STRIDE + item % channels] = 0.0f;
}

/* Each work-item has some channels of a block, and adds to every corner of its points by atomic additions. */
DCN_KERNEL(dcn_backward_scatter, DCN_WORK_GROUP)
(const DCN_GLOBAL dcn_item *DCN_RESTRICT offset_mask, dcn_long offset_mask_at,
 const DCN_GLOBAL dcn_item *DCN_RESTRICT grad_output, dcn_long grad_output_at, DCN_GLOBAL dcn_item *grad_value,
 dcn_long grad_value_at, DCN_GLOBAL float *workspace, dcn_long workspace_at, dcn_long height, dcn_long width,
 dcn_long output_height, dcn_long output_width) {
    offset_mask += offset_mask_at, grad_output += grad_output_at;
    grad_value += grad_value_at, workspace += workspace_at;
    dcn_sizes sizes;
    sizes.height = height, sizes.width = width;
    sizes.output_height = output_height, sizes.output_width = output_width;
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
            dcn_weights(&s, s.mask, weight);
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
(DCN_GLOBAL dcn_item *grad_value, dcn_long grad_value_at, const DCN_GLOBAL float *workspace, dcn_long workspace_at,
 dcn_long pixels) {
    grad_value += grad_value_at, workspace += workspace_at;
    const dcn_index item = DCN_GROUP_ID * DCN_FLAT_GROUP + DCN_LOCAL_ID;
    const dcn_index channels = (dcn_index)DCN_GROUPS * DCN_CHANNELS;
    if (item / channels < pixels)
        dcn_write(grad_value, item / channels * DCN_GRAD_VALUE_STRIDE + item % channels,
                  workspace[item / channels * DCN_SUMS_STRIDE + item % channels]);
}
#endif

#endif
#endif
