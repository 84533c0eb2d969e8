/* locations, weights, grad_output → grad_value, on CPUs: a work-item has some channels of one head of one image after the other,
 * and adds up all queries in their order, by runs of eight (attention_runs.inl). So there are no atomic additions, and the bits
 * are the same in every run, whatever the number of work-items.
 *
 * Sums are in grad_value itself, which another kernel has cleared with all heads of a place together, or, with `packed`, in the work-item's part of the workspace,
 * where a place's channels follow those of the place before: in grad_value, with many heads, they are often a large power of two
 * apart, and compete for few sets of the caches. */

/* Where a work-item's sums of one image and head are: of the first place, at its first channel. */
typedef struct attn_sums {
    DCN_GLOBAL float *first;
    dcn_index stride; /* elements from place to place */
} attn_sums;

/* Which vectors a work-item has. */
#define ATTN_EACH_VECTOR(v)                 \
    DCN_UNROLL                              \
    for (int v = 0; v < DCN_VECTORS; ++v)   \
        if (DCN_HAS_CHANNEL(channel + v * DCN_VECTOR))

/* Adds weight·grad to a place. */
DCN_INLINE void attn_add_to_place(DCN_GLOBAL float *place, float weight, const DCN_PRIVATE dcn_vector *grad,
                                  dcn_index channel) {
    ATTN_EACH_VECTOR(v)
    dcn_store_sum(place, v * DCN_VECTOR, dcn_fma(weight, grad[v], dcn_load_sum(place, v * DCN_VECTOR)));
}

/* Scatters row i of a run to its staged cells. */
DCN_INLINE void attn_scatter_cells(const DCN_PRIVATE attn_sums *sums, const DCN_PRIVATE attn_run *run, int i,
                                   const DCN_PRIVATE dcn_vector *grad, dcn_index channel) {
    for (int t = 0; t < run->count; ++t) {
        const dcn_quad weight = run->weights[i * DCN_POINTS + t];
        DCN_GLOBAL float *const upper = sums->first + run->start[t] + run->cells[8 * t + i];
        DCN_GLOBAL float *const lower = upper + run->below[t];
        attn_add_to_place(upper, weight.part[0], grad, channel);
        attn_add_to_place(upper + sums->stride, weight.part[1], grad, channel);
        attn_add_to_place(lower, weight.part[2], grad, channel);
        attn_add_to_place(lower + sums->stride, weight.part[3], grad, channel);
    }
}

/* Scatters a block point by point, which is exact: all points, or only those of levels that have no cells. */
DCN_NOINLINE void attn_scatter_exact(const DCN_PRIVATE attn_sums *sums, int all,
                                     const DCN_GLOBAL attn_location_element *locations,
                                     const DCN_GLOBAL attn_weight_element *weights,
                                     const DCN_GLOBAL attn_reference_element *references,
                                     const DCN_PRIVATE attn_level *table, const DCN_PRIVATE attn_block *b,
                                     const DCN_PRIVATE dcn_vector *grad, dcn_index channel) {
    const attn_softmax norm = attn_softmax_of(weights, b);
    int k = 0;
    for (int l = 0; l < DCN_LEVELS; ++l) {
        const attn_level level = table[l];
        const int skip = !all && level.cells;
        for (const int end = k + DCN_LEVEL_POINTS(l); k < end; ++k) {
            const dcn_sample s = attn_sample_of(locations, references, b, k, l, &level);
            if (skip || !s.inside)
                continue;
            const dcn_index place = attn_place_within(&s, &level);
            float weight[4];
            dcn_weights(s.fx, s.fy, attn_weight_of(weights, b, k, &norm), weight);
            for (int c = 0; c < 4; ++c)
                if (s.inside >> c & 1)
                    attn_add_to_place(sums->first + (place + (c & 1) + (c & 2 ? level.width : 0)) * sums->stride, weight[c],
                                      grad, channel);
        }
    }
}

DCN_INLINE void attn_clear_packed(const DCN_PRIVATE attn_sums *sums, dcn_index places, dcn_index channel) {
    for (dcn_index place = 0; place < places; ++place)
        ATTN_EACH_VECTOR(v)
    dcn_store_sum(sums->first, place * DCN_PART_CHANNELS + v * DCN_VECTOR, dcn_zero());
}

/* Writes the sums to an image of grad_value, which is given at the work-item's first channel. Channels that another vector has as
 * well, perhaps another work-item's, are left to that. */
DCN_INLINE void attn_unpack(const DCN_PRIVATE attn_sums *sums, DCN_GLOBAL dcn_element *image, dcn_index places,
                            dcn_index channel) {
    for (dcn_index place = 0; place < places; ++place)
        ATTN_EACH_VECTOR(v) {
            const dcn_index from = place * DCN_PART_CHANNELS + v * DCN_VECTOR;
            const dcn_index to = place * DCN_GRAD_VALUE_STRIDE + DCN_STEP(channel, v);
            if (!DCN_OVERLAPS(channel, v))
                dcn_store(image, to, dcn_load_sum(sums->first, from));
            else
                for (int i = DCN_OVERLAP; i < DCN_VECTOR; ++i)
                    dcn_write(image, to + i, sums->first[from + i]);
        }
}

DCN_KERNEL(attn_backward_value, 1)
(DCN_PARAMETERS(ATTN_VALUE_RUN)) {
    locations += locations_at, weights += weights_at, grad_output += grad_output_at, references += references_at;
    level_shapes += level_shapes_at, level_starts += level_starts_at;
    grad_value += grad_value_at, workspace += workspace_at;
    const dcn_index places = (dcn_index)value_length;
    attn_level table[DCN_LEVELS];
    attn_run run;
    const int bare = attn_find_levels(table, level_shapes, level_starts, value_length);
    for (dcn_long item = DCN_GROUP_ID; item < batch * DCN_HEADS * DCN_CHANNEL_PARTS; item += shares) {
        const dcn_index n = (dcn_index)(item / (DCN_HEADS * DCN_CHANNEL_PARTS));
        const dcn_index head = (dcn_index)(item / DCN_CHANNEL_PARTS % DCN_HEADS);
        const dcn_index channel = DCN_CHANNEL((dcn_index)(item % DCN_CHANNEL_PARTS), 0, 0);
        const dcn_index own = head * DCN_CHANNELS + channel, last = (n + 1) * (dcn_index)queries - 1;
        DCN_GLOBAL dcn_element *const image = grad_value + n * places * DCN_GRAD_VALUE_STRIDE + own;
        attn_sums sums;
        sums.first = workspace + DCN_GROUP_ID * value_length * DCN_PART_CHANNELS, sums.stride = DCN_PART_CHANNELS;
#if DCN_DTYPE == DCN_FLOAT32
        if (!packed)
            sums.first = image, sums.stride = DCN_GRAD_VALUE_STRIDE;
#endif
        if (packed)
            attn_clear_packed(&sums, places, channel);
        for (dcn_index first = n * (dcn_index)queries; first <= last; first += 8) {
            const attn_rows rows = attn_rows_of(first, last, head, queries, by_queries);
            attn_stage_run(&run, &rows, table, locations, weights, references, sums.stride);
            for (int i = 0; i < 8 && first + i <= last; ++i) {
                dcn_vector grad[DCN_VECTORS];
                dcn_partials nothing = dcn_no_products();
                ATTN_EACH_VECTOR(v) {
                    grad[v] = dcn_load_once(grad_output, (first + i) * DCN_GRAD_OUTPUT_STRIDE + own, channel, v);
                    nothing = dcn_add_zero_or_nan(grad[v], nothing);
                }
                const int all = run.nan_if_infinite[i] != 0.0f || !dcn_are_zero(nothing);
                if (!all)
                    attn_scatter_cells(&sums, &run, i, grad, channel);
                if (all || bare)
                    attn_scatter_exact(&sums, all, locations, weights, references, table, &rows.block[i], grad, channel);
            }
        }
        if (packed)
            attn_unpack(&sums, image, places, channel);
    }
}

#if DCN_DTYPE == DCN_FLOAT32
/* Sets grad_value to 0; each work-item has as many places as the others. */
DCN_KERNEL(attn_backward_clear, 1)
(DCN_PARAMETERS(ATTN_CLEAR_RUN)) {
    const dcn_index first = (dcn_index)(places * DCN_GROUP_ID / shares), end = (dcn_index)(places * (DCN_GROUP_ID + 1) / shares);
    for (dcn_index place = first; place < end; ++place)
        for (dcn_index channel = 0; channel < DCN_HEADS * DCN_CHANNELS; channel += DCN_VECTOR)
            dcn_store_sum(grad_value + grad_value_at, place * DCN_GRAD_VALUE_STRIDE + channel, dcn_zero());
}
#endif
