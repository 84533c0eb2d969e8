/* value, locations, weights, grad_output → grad_locations, grad_weights, on CPUs: a work-item has DCN_BLOCKS neighbouring rows in
 * one head, and goes through them by runs of eight (attention_runs.inl). */

/* Eight rows' points: their cells and weights, the dot products of row i of point k at 8·k + DCN_SLOT(i), and what follows from
 * these, by point and row. */
typedef struct attn_run_points {
    dcn_cells found[DCN_POINTS];
    dcn_floats weight[DCN_POINTS];
    dcn_index cells[8 * DCN_POINTS]; /* first element of each, within the level's image */
    dcn_quad dots[8 * DCN_POINTS];
    float weights[8 * DCN_POINTS], mask[8 * DCN_POINTS], x[8 * DCN_POINTS], y[8 * DCN_POINTS];
    int counts[8 * DCN_POINTS];
} attn_run_points;

DCN_INLINE void attn_find_points(DCN_PRIVATE attn_run_points *points, const DCN_PRIVATE attn_rows *rows,
                                 const DCN_PRIVATE attn_level *table, const DCN_GLOBAL attn_location_element *locations,
                                 const DCN_GLOBAL attn_weight_element *weights,
                                 const DCN_GLOBAL attn_reference_element *references) {
    const attn_run_softmax norm = attn_run_softmax_of(weights, rows);
    int k = 0;
    for (int l = 0; l < DCN_LEVELS; ++l) {
        const attn_level level = table[l];
        for (const int end = k + DCN_LEVEL_POINTS(l); k < end; ++k) {
            points->weight[k] = attn_run_weights(weights, rows, k, &norm);
            vstore8(points->weight[k], k, points->weights);
            if (!level.cells)
                continue;
            points->found[k] = attn_run_cells(locations, references, rows, k, l, &level);
            dcn_stage_cells(&points->found[k], level.width, DCN_VALUE_STRIDE, points->cells + 8 * k);
        }
    }
}

/* The dot products of row i over the cells of its points. */
DCN_INLINE void attn_dot_row(DCN_PRIVATE attn_run_points *points, const DCN_PRIVATE attn_level *table, int i,
                             const DCN_GLOBAL dcn_element *image, const DCN_GLOBAL dcn_element *grad) {
    int k = 0;
    for (int l = 0; l < DCN_LEVELS; ++l) {
        const attn_level level = table[l];
        const DCN_GLOBAL dcn_element *const from = image + level.start * DCN_VALUE_STRIDE;
        for (const int end = k + DCN_LEVEL_POINTS(l); k < end; ++k)
            if (level.cells)
                points->dots[8 * k + DCN_SLOT(i)] = dcn_cell_vector_dots(from + points->cells[8 * k + i], grad,
                                                                         level.width * DCN_VALUE_STRIDE);
    }
}

/* The derivatives of point k from its dot products. Returns for which rows these are finite; for the others they are wrong. */
DCN_INLINE dcn_ints attn_derive(DCN_PRIVATE attn_run_points *points, int k) {
    dcn_floats dot[4];
    dcn_load_quads(points->dots + 8 * k, dot);
    const dcn_cells cells = points->found[k];
    const dcn_vector_derivatives d = dcn_vector_derivatives_of(&cells, dot);
    vstore8(d.mask, k, points->mask), vstore8(d.x, k, points->x), vstore8(d.y, k, points->y);
    vstore8(cells.x.counts & cells.y.counts, k, points->counts);
    const dcn_floats total = dot[0] + dot[1] + dot[2] + dot[3];
    return DCN_ZERO_OR_NAN(total) == 0.0f;
}

/* Computes the derivatives of point k again for those rows that are not finite. */
DCN_NOINLINE void attn_correct(DCN_PRIVATE attn_run_points *points, const DCN_PRIVATE attn_rows *rows, dcn_ints finite,
                               const DCN_GLOBAL dcn_element *value, const DCN_GLOBAL attn_location_element *locations,
                               const DCN_GLOBAL attn_reference_element *references,
                               const DCN_GLOBAL dcn_element *grad_output, int k, int l,
                               const DCN_PRIVATE attn_level *level, dcn_long value_length) {
    int keep[8];
    vstore8(finite, 0, keep);
    for (int i = 0; i < 8; ++i)
        if (!keep[i]) {
            const dcn_derivatives d = attn_exact_derivatives(value, locations, references, grad_output, &rows->block[i], k, l,
                                                             level, value_length);
            points->mask[8 * k + i] = d.mask, points->x[8 * k + i] = d.x, points->y[8 * k + i] = d.y;
            points->counts[8 * k + i] = d.counts;
        }
}

/* Writes the gradients of row i's points. */
DCN_INLINE void attn_write_row(const DCN_PRIVATE attn_run_points *points, const DCN_PRIVATE attn_level *table, int i,
                               const DCN_PRIVATE attn_block *block, const DCN_GLOBAL attn_reference_element *references,
                               const DCN_PRIVATE attn_target *to) {
    float mean = 0.0f;
    for (int k = 0; k < DCN_POINTS && DCN_SOFTMAX; ++k)
        mean += points->counts[8 * k + i] ? points->weights[8 * k + i] * points->mask[8 * k + i] : 0.0f;
    int k = 0;
    for (int l = 0; l < DCN_LEVELS; ++l) {
        const attn_level level = table[l];
        for (const int end = k + DCN_LEVEL_POINTS(l); k < end; ++k) {
            dcn_derivatives d;
            d.mask = points->mask[8 * k + i], d.x = points->x[8 * k + i], d.y = points->y[8 * k + i];
            d.counts = points->counts[8 * k + i];
            attn_write_point(to, references, block, k, l, &level, points->weights[8 * k + i], &d, mean);
        }
    }
}

DCN_KERNEL(attn_backward_points, 1)
(DCN_PARAMETERS(ATTN_POINTS)) {
    value += value_at, locations += locations_at, weights += weights_at, grad_output += grad_output_at;
    references += references_at, level_shapes += level_shapes_at, level_starts += level_starts_at;
    grad_locations += grad_locations_at, grad_weights += grad_weights_at, moves += moves_at;
    const dcn_index count = (dcn_index)(batch * queries), tiles = (count + DCN_BLOCKS - 1) / DCN_BLOCKS;
    const dcn_index head = DCN_GROUP_ID / tiles, begin = DCN_GROUP_ID % tiles * DCN_BLOCKS;
    attn_level table[DCN_LEVELS];
    attn_run_points points;
    attn_find_levels(table, level_shapes, level_starts, value_length);
    for (dcn_index first = begin; first < begin + DCN_BLOCKS && first < count; first += 8) {
        const attn_rows rows = attn_rows_of(first, count - 1, head, queries, by_queries);
        attn_find_points(&points, &rows, table, locations, weights, references);
        for (int i = 0; i < 8; ++i)
            attn_dot_row(&points, table, i,
                         value + rows.block[i].n * (dcn_index)value_length * DCN_VALUE_STRIDE + head * DCN_CHANNELS,
                         grad_output + rows.block[i].row * DCN_GRAD_OUTPUT_STRIDE + head * DCN_CHANNELS);
        int k = 0;
        for (int l = 0; l < DCN_LEVELS; ++l) {
            const attn_level level = table[l];
            for (const int end = k + DCN_LEVEL_POINTS(l); k < end; ++k) {
                const dcn_ints finite = level.cells ? attn_derive(&points, k) : (dcn_ints)(0);
                if (!all(finite))
                    attn_correct(&points, &rows, finite, value, locations, references, grad_output, k, l, &level,
                                 value_length);
            }
        }
        for (int i = 0; i < 8 && first + i < count; ++i) {
            const attn_target to = attn_target_of(grad_locations, grad_weights, moves, &rows.block[i]);
            attn_write_row(&points, table, i, &rows.block[i], references, &to);
        }
    }
}
