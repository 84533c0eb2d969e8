/* value, locations, weights → output, on CPUs: a work-item has DCN_BLOCKS neighbouring rows in one head, and goes through them by
 * runs of eight (attention_runs.inl). Cells are staged in private arrays; then each row's channels are gathered in registers. */

DCN_KERNEL(attn_forward, 1)
(DCN_PARAMETERS(ATTN_FORWARD)) {
    value += value_at, locations += locations_at, weights += weights_at, output += output_at;
    references += references_at, level_shapes += level_shapes_at, level_starts += level_starts_at;
    const dcn_index count = (dcn_index)(batch * queries), tiles = (count + DCN_BLOCKS - 1) / DCN_BLOCKS;
    const dcn_index head = DCN_GROUP_ID / tiles, begin = DCN_GROUP_ID % tiles * DCN_BLOCKS;
    attn_level table[DCN_LEVELS];
    attn_run run;
    const int bare = attn_find_levels(table, level_shapes, level_starts, value_length);
    for (dcn_index first = begin; first < begin + DCN_BLOCKS && first < count; first += 8) {
        const attn_rows rows = attn_rows_of(first, count - 1, head, queries, by_queries);
        attn_stage_run(&run, &rows, table, locations, weights, references, DCN_VALUE_STRIDE);
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
