/* Runs of eight neighbouring queries in one head, on CPUs: one point of all eight at a time has its cells found
 * (vector_cells.inl). A run that would end past the last query repeats it. */

/* The rows of a run, as elements of their locations, weights and references. */
typedef struct attn_rows {
    attn_block block[8];
} attn_rows;

/* Eight rows from `first` on, those past the last one being the last. */
DCN_INLINE attn_rows attn_rows_of(dcn_index first, dcn_index last, dcn_index head, dcn_long queries, dcn_long by_queries) {
    attn_rows rows;
    for (int i = 0; i < 8; ++i)
        rows.block[i] = attn_block_of(min(first + i, last), head, queries, by_queries);
    return rows;
}

/* Fills in the levels. Returns whether there are some without cells. */
DCN_INLINE int attn_find_levels(DCN_PRIVATE attn_level *table, const DCN_GLOBAL dcn_long *shapes,
                                const DCN_GLOBAL dcn_long *starts, dcn_long value_length) {
    int bare = 0;
    for (int l = 0; l < DCN_LEVELS; ++l) {
        table[l] = attn_level_of(shapes, starts, l, value_length);
        bare |= !table[l].cells;
    }
    return bare;
}

#define ATTN_READ_RUN(to, READ, tensor, at) \
    do {                                    \
        float each[8];                      \
        for (int i = 0; i < 8; ++i)         \
            each[i] = READ(tensor, at);     \
        to = vload8(0, each);               \
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

/* Weights of point k of the rows. */
DCN_INLINE dcn_floats attn_run_weights(const DCN_GLOBAL attn_weight_element *weights, const DCN_PRIVATE attn_rows *rows,
                                       int k, const DCN_PRIVATE attn_run_softmax *norm) {
    dcn_floats weight;
    ATTN_READ_RUN(weight, ATTN_READ_WEIGHT, weights, rows->block[i].weights + k);
#if DCN_SOFTMAX
    weight = exp(weight - norm->largest) / norm->sum;
#endif
    return weight;
}

/* Cells of point k of the rows, in a level that has cells. */
DCN_INLINE dcn_cells attn_run_cells(const DCN_GLOBAL attn_location_element *locations,
                                    const DCN_GLOBAL attn_reference_element *references,
                                    const DCN_PRIVATE attn_rows *rows, int k, int l, const DCN_PRIVATE attn_level *level) {
    float x[8], y[8];
    for (int i = 0; i < 8; ++i) {
        const attn_position p = attn_position_of(locations, references, &rows->block[i], k, l, level);
        x[i] = p.x, y[i] = p.y;
    }
    dcn_cells cells;
    cells.x = dcn_axis_of(vload8(0, x), (dcn_ints)(0), 0, level->width);
    cells.y = dcn_axis_of(vload8(0, y), (dcn_ints)(0), 0, level->height);
    return cells;
}

/* ---- Staging, for sums over points ------------------------------------------------------------------------------- */

/* Cells of eight rows: their weights, point by point in each row; their first elements within the level's image, row by row in
 * each point; and of each point the elements from its level's start, and from a place to the one below. */
typedef struct attn_run {
    dcn_quad weights[8 * DCN_POINTS];
    dcn_index cells[8 * DCN_POINTS], start[DCN_POINTS], below[DCN_POINTS];
    float nan_if_infinite[8]; /* 0 if all weights of a row are finite, else NaN */
    int count;                /* points that are staged: those of levels that have cells */
} attn_run;

/* Stages all points of a run that have cells, in an image that has `stride` elements from place to place. */
DCN_INLINE void attn_stage_run(DCN_PRIVATE attn_run *run, const DCN_PRIVATE attn_rows *rows,
                               const DCN_PRIVATE attn_level *table, const DCN_GLOBAL attn_location_element *locations,
                               const DCN_GLOBAL attn_weight_element *weights,
                               const DCN_GLOBAL attn_reference_element *references, dcn_index stride) {
    const attn_run_softmax norm = attn_run_softmax_of(weights, rows);
    dcn_floats nothing = 0.0f;
    int k = 0, t = 0;
    for (int l = 0; l < DCN_LEVELS; ++l) {
        const attn_level level = table[l];
        for (const int end = k + DCN_LEVEL_POINTS(l); k < end; ++k) {
            if (!level.cells)
                continue;
            const dcn_cells cells = attn_run_cells(locations, references, rows, k, l, &level);
            const dcn_floats weight = attn_run_weights(weights, rows, k, &norm);
            nothing += DCN_ZERO_OR_NAN(weight);
            dcn_stage_weights(&cells, weight, run->weights + t, DCN_POINTS);
            dcn_stage_cells(&cells, level.width, stride, run->cells + 8 * t);
            run->start[t] = level.start * stride, run->below[t] = level.width * stride;
            ++t;
        }
    }
    vstore8(nothing, 0, run->nan_if_infinite);
    run->count = t;
}
