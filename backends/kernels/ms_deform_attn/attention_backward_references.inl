/* Gradients by the points' positions → grad_references. A work-item has one reference of one row, and adds up the points that it
 * serves, in all heads, in their order. */

DCN_KERNEL(attn_backward_references, DCN_FLAT_GROUP)
(DCN_PARAMETERS(ATTN_REFERENCES)) {
    locations += locations_at, grad_references += grad_references_at, moves += moves_at;
    level_shapes += level_shapes_at, level_starts += level_starts_at;
    const dcn_index row = ATTN_ITEM / DCN_REFERENCE_LEVELS, reference = ATTN_ITEM % DCN_REFERENCE_LEVELS;
    if (row >= batch * queries)
        return;
    float x = 0.0f, y = 0.0f, across = 0.0f, down = 0.0f;
    for (int head = 0; head < DCN_HEADS; ++head) {
        const attn_block block = attn_block_of(row, head, queries, by_queries);
        const DCN_GLOBAL float *const move = moves + (row * DCN_HEADS + head) * 2 * DCN_POINTS;
        int k = 0;
        for (int l = 0; l < DCN_LEVELS; ++l) {
            const attn_level level = attn_level_of(level_shapes, level_starts, l, value_length);
            for (const int end = k + DCN_LEVEL_POINTS(l); k < end; ++k) {
                if (DCN_REFERENCE_LEVELS > 1 && l != reference)
                    continue;
                const float by_x = (float)level.width * move[2 * k], by_y = (float)level.height * move[2 * k + 1];
                x += by_x, y += by_y;
#if DCN_UNIT == DCN_UNIT_BOX_OFFSETS
                /* A location that is not finite belongs to a point that does not count. */
                if (by_x != 0.0f)
                    across += by_x * ATTN_READ_LOCATION(locations, block.locations + 2 * k) * ATTN_BOX_PARTS(l);
                if (by_y != 0.0f)
                    down += by_y * ATTN_READ_LOCATION(locations, block.locations + 2 * k + 1) * ATTN_BOX_PARTS(l);
#endif
            }
        }
    }
    const dcn_index at = row * DCN_GRAD_REFERENCE_STRIDE + reference * ATTN_REFERENCE_NUMBERS;
    ATTN_WRITE_REFERENCE(grad_references, at, x);
    ATTN_WRITE_REFERENCE(grad_references, at + 1, y);
#if DCN_UNIT == DCN_UNIT_BOX_OFFSETS
    ATTN_WRITE_REFERENCE(grad_references, at + 2, across);
    ATTN_WRITE_REFERENCE(grad_references, at + 3, down);
#endif
}
