/* The arguments of each kernel, in their order: the only place. The kernels' texts make their parameters of these lists, and the
 * host (backends/gpu/deform_conv/arguments.h) what it gives them.
 *
 * B(what, type, name) is a buffer with the number of the element where its part begins, and N(what, name) a number; the host
 * knows them by `what`. */

#define DCN_BUFFER(what, type, name) type name, dcn_long name##_at
#define DCN_NUMBER(what, name) dcn_long name
#define DCN_PARAMETERS(kernel) DCN_ARGUMENTS_##kernel(DCN_BUFFER, DCN_NUMBER)

#define DCN_READS const DCN_GLOBAL dcn_item *DCN_RESTRICT
#define DCN_WRITES DCN_GLOBAL dcn_item *DCN_RESTRICT
#define DCN_READS_OFFSETS const DCN_GLOBAL dcn_offset_item *DCN_RESTRICT
#define DCN_WRITES_OFFSETS DCN_GLOBAL dcn_offset_item *DCN_RESTRICT

#define DCN_SIZES(N) N(HEIGHT, height), N(WIDTH, width), N(OUTPUT_HEIGHT, output_height), N(OUTPUT_WIDTH, output_width)

#define DCN_ARGUMENTS_FORWARD(B, N)                                                                            \
    B(VALUE, DCN_READS, value), B(OFFSET_MASK, DCN_READS_OFFSETS, offset_mask), B(OUTPUT, DCN_WRITES, output), \
        DCN_SIZES(N), N(BY_COLUMNS, by_columns), N(BY_ROWS, by_rows)

#define DCN_ARGUMENTS_POINTS(B, N)                                                                         \
    B(VALUE, DCN_READS, value), B(OFFSET_MASK, DCN_READS_OFFSETS, offset_mask),                            \
        B(GRAD_OUTPUT, DCN_READS, grad_output), B(GRAD_OFFSET_MASK, DCN_WRITES_OFFSETS, grad_offset_mask), \
        DCN_SIZES(N), N(BY_COLUMNS, by_columns), N(BY_ROWS, by_rows)

#define DCN_ARGUMENTS_REACH_BANDS(B, N) \
    B(OFFSET_MASK, DCN_READS_OFFSETS, offset_mask), B(REACH, DCN_GLOBAL dcn_index *DCN_RESTRICT, reach), DCN_SIZES(N)

#define DCN_ARGUMENTS_SCATTER_BANDS(B, N)                                                         \
    B(OFFSET_MASK, DCN_READS_OFFSETS, offset_mask), B(GRAD_OUTPUT, DCN_READS, grad_output),       \
        B(GRAD_VALUE, DCN_GLOBAL dcn_item *, grad_value), B(SUMS, DCN_GLOBAL float *, workspace), \
        B(REACH, const DCN_GLOBAL dcn_index *DCN_RESTRICT, reach), N(BANDS, bands), N(SHARES, shares), DCN_SIZES(N)

#define DCN_ARGUMENTS_BOTH(B, N)                                                                           \
    B(VALUE, DCN_READS, value), B(OFFSET_MASK, DCN_READS_OFFSETS, offset_mask),                            \
        B(GRAD_OUTPUT, DCN_READS, grad_output), B(GRAD_OFFSET_MASK, DCN_WRITES_OFFSETS, grad_offset_mask), \
        B(GRAD_VALUE, DCN_GLOBAL dcn_item *, grad_value), B(SUMS, DCN_GLOBAL float *, workspace),          \
        B(REACH, const DCN_GLOBAL dcn_index *DCN_RESTRICT, reach), N(BANDS, bands), N(SHARES, shares), DCN_SIZES(N)

#define DCN_ARGUMENTS_REACH_TILES(B, N)                                                                                \
    B(OFFSET_MASK, DCN_READS_OFFSETS, offset_mask), B(REACH, DCN_GLOBAL dcn_index *DCN_RESTRICT, reach), DCN_SIZES(N), \
        N(BY_CHUNKS, by_chunks), N(BY_CHUNK_COLUMNS, by_chunk_columns)

#define DCN_ARGUMENTS_SCATTER_TILES(B, N)                                                                 \
    B(OFFSET_MASK, DCN_READS_OFFSETS, offset_mask), B(GRAD_OUTPUT, DCN_READS, grad_output),               \
        B(GRAD_VALUE, DCN_WRITES, grad_value), B(REACH, const DCN_GLOBAL dcn_index *DCN_RESTRICT, reach), \
        DCN_SIZES(N), N(BY_COLUMNS, by_columns), N(BY_ROWS, by_rows), N(BY_CHUNK_COLUMNS, by_chunk_columns)

#define DCN_ARGUMENTS_CLEAR(B, N) \
    B(GRAD_VALUE, DCN_GLOBAL dcn_item *, grad_value), B(SUMS, DCN_GLOBAL float *, workspace), N(PIXELS, pixels)

#define DCN_ARGUMENTS_SCATTER_ATOMIC(B, N)                                                                      \
    B(OFFSET_MASK, DCN_READS_OFFSETS, offset_mask), B(GRAD_OUTPUT, DCN_READS, grad_output),                     \
        B(GRAD_VALUE, DCN_GLOBAL dcn_item *, grad_value), B(SUMS, DCN_GLOBAL float *, workspace), DCN_SIZES(N), \
        N(BY_COLUMNS, by_columns), N(BY_ROWS, by_rows)

#define DCN_ARGUMENTS_CONVERT(B, N) \
    B(GRAD_VALUE, DCN_GLOBAL dcn_item *, grad_value), B(SUMS, const DCN_GLOBAL float *, workspace), N(PIXELS, pixels)

#define DCN_ARGUMENTS_FLOOR_MEMORY(B, N)                                                                              \
    B(FIRST, DCN_READS, a), B(SECOND, DCN_READS, b), B(THIRD, DCN_READS, c), B(FIRST_WRITTEN, DCN_WRITES, x),         \
        B(SECOND_WRITTEN, DCN_WRITES, y), N(FIRST_COUNT, a_count), N(SECOND_COUNT, b_count), N(THIRD_COUNT, c_count), \
        N(FIRST_WRITTEN_COUNT, x_count), N(SECOND_WRITTEN_COUNT, y_count)

#define DCN_ARGUMENTS_FLOOR_LOADS(B, N)                                                                         \
    B(VALUE, DCN_READS, value), B(OUTPUT, DCN_GLOBAL dcn_item *, output), N(VECTORS, vectors), N(CELLS, cells), \
        N(ITEMS, items)
