/* value, locations, weights → output, on CPUs: a work-item has DCN_BLOCKS neighbouring rows in one head, and goes through them by
 * runs of eight. Cells are found for one point of all eight rows at a time (vector_cells.inl), and staged in private arrays; then
 * each row's channels are gathered in registers. A run that would end past the last row repeats it. */

/* Cells of eight rows: their weights, point by point in each row; their first elements within the level's image, row by row in
 * each point; and of each point the elements from its level's start, and from a place to the one below. */
typedef struct attn_run {
    dcn_quad weights[8 * DCN_POINTS];
    dcn_index cells[8 * DCN_POINTS], start[DCN_POINTS], below[DCN_POINTS];
    int count; /* points that are staged: those of levels that have cells */
} attn_run;

/* The rows of a run, as elements of their locations, weights and references. */
typedef struct attn_rows {
    attn_block block[8];
} attn_rows;

#define ATTN_READ_RUN(to, READ, tensor, at)      \
    do {                                         \
        float each[8];                           \
        for (int i = 0; i < 8; ++i)              \
            each[i] = READ(tensor, at);          \
        to = vload8(0, each);                    \
    } while (0)

typedef struct attn_run_softmax {
    dcn_floats largest, sum;
} attn_run_softmax;

DCN_INLINE attn_run_softmax attn_run_softmax_of(const DCN_GLOBAL attn_weight_element *weights,
                                                const DCN_PRIVATE attn_rows *rows) {
    attn_run_softmax norm;
    norm.largest = -DCN_INFINITY, norm.sum = 0.0f;
#if DCN_SOFTMAX
    for (int k = 0; k < DCN_POINTS; ++k) {
        dcn_floats raw;
        ATTN_READ_RUN(raw, ATTN_READ_WEIGHT, weights, rows->block[i].weights + k);
        norm.largest = fmax(norm.largest, raw);
    }
    for (int k = 0; k < DCN_POINTS; ++k) {
        dcn_floats raw;
        ATTN_READ_RUN(raw, ATTN_READ_WEIGHT, weights, rows->block[i].weights + k);
        norm.sum += exp(raw - norm.largest);
    }
#endif
    return norm;
}

/* Stages all points of a run that have cells. */
DCN_INLINE void attn_stage_run(DCN_PRIVATE attn_run *run, const DCN_PRIVATE attn_rows *rows,
                               const DCN_PRIVATE attn_level *table, const DCN_GLOBAL attn_location_element *locations,
                               const DCN_GLOBAL attn_weight_element *weights,
                               const DCN_GLOBAL attn_reference_element *references) {
    const attn_run_softmax norm = attn_run_softmax_of(weights, rows);
    int k = 0, t = 0;
    for (int l = 0; l < DCN_LEVELS; ++l) {
        const attn_level level = table[l];
        for (const int end = k + DCN_LEVEL_POINTS(l); k < end; ++k) {
            if (!level.cells)
                continue;
            float x[8], y[8];
            for (int i = 0; i < 8; ++i) {
                const attn_position p = attn_position_of(locations, references, &rows->block[i], k, l, &level);
                x[i] = p.x, y[i] = p.y;
            }
            dcn_floats weight;
            ATTN_READ_RUN(weight, ATTN_READ_WEIGHT, weights, rows->block[i].weights + k);
#if DCN_SOFTMAX
            weight = exp(weight - norm.largest) / norm.sum;
#endif
            dcn_cells cells;
            cells.x = dcn_axis_of(vload8(0, x), (dcn_ints)(0), 0, level.width);
            cells.y = dcn_axis_of(vload8(0, y), (dcn_ints)(0), 0, level.height);
            dcn_stage_weights(&cells, weight, run->weights + t, DCN_POINTS);
            dcn_stage_cells(&cells, level.width, DCN_VALUE_STRIDE, run->cells + 8 * t);
            run->start[t] = level.start * DCN_VALUE_STRIDE, run->below[t] = level.width * DCN_VALUE_STRIDE;
            ++t;
        }
    }
    run->count = t;
}

DCN_KERNEL(attn_forward, 1)
(DCN_PARAMETERS(ATTN_FORWARD)) {
    value += value_at, locations += locations_at, weights += weights_at, output += output_at;
    references += references_at, level_shapes += level_shapes_at, level_starts += level_starts_at;
    const dcn_index count = (dcn_index)(batch * queries), tiles = (count + DCN_BLOCKS - 1) / DCN_BLOCKS;
    const dcn_index head = DCN_GROUP_ID / tiles, begin = DCN_GROUP_ID % tiles * DCN_BLOCKS;
    attn_level table[DCN_LEVELS];
    attn_run run;
    attn_rows rows;
    int bare = 0; /* whether there are levels without cells */
    for (int l = 0; l < DCN_LEVELS; ++l) {
        table[l] = attn_level_of(level_shapes, level_starts, l, value_length);
        bare |= !table[l].cells;
    }
    for (dcn_index first = begin; first < begin + DCN_BLOCKS && first < count; first += 8) {
        for (int i = 0; i < 8; ++i)
            rows.block[i] = attn_block_of(min(first + i, count - 1), head, queries, by_queries);
        attn_stage_run(&run, &rows, table, locations, weights, references);
        for (int i = 0; i < 8 && first + i < count; ++i) {
            const attn_block block = rows.block[i];
            for (int part = 0; part < DCN_CHANNEL_PARTS; ++part) {
                const dcn_index channel = DCN_CHANNEL(part, 0, 0), own = head * DCN_CHANNELS + channel;
                const DCN_GLOBAL dcn_element *const image = value + block.n * (dcn_index)value_length * DCN_VALUE_STRIDE + own;
                dcn_vector sum[DCN_VECTORS];
                dcn_clear_sums(sum);
                for (int t = 0; t < run.count; ++t) {
                    const DCN_GLOBAL dcn_element *const upper = image + run.start[t] + run.cells[8 * t + i];
                    dcn_gather_cell(sum, sum, upper, upper + run.below[t], run.weights[i * DCN_POINTS + t], channel);
                }
                const int all = !dcn_all_finite(sum);
                if (all)
                    dcn_clear_sums(sum);
                if (all || bare)
                    attn_add_exact(sum, all, value, locations, weights, references, level_shapes, level_starts, &block,
                                   channel, value_length);
                dcn_store_sums(output, block.row * DCN_OUTPUT_STRIDE + own, sum, channel);
            }
        }
    }
}
