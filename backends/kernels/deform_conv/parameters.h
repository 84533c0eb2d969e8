/* The parameters of DCNv4's kernels, see ../language/argument_lists.h. */

#define DCN_READS_OFFSETS const DCN_GLOBAL dcn_offset_element *DCN_RESTRICT
#define DCN_WRITES_OFFSETS DCN_GLOBAL dcn_offset_element *DCN_RESTRICT

#define DCN_SIZES(N) N(HEIGHT, height), N(WIDTH, width), N(OUTPUT_HEIGHT, output_height), N(OUTPUT_WIDTH, output_width)

#define DCN_ARGUMENTS_FORWARD(B, N)                                                                            \
    B(VALUE, DCN_READS, value), B(OFFSET_MASK, DCN_READS_OFFSETS, offset_mask), B(OUTPUT, DCN_WRITES, output), \
        DCN_SIZES(N), N(BY_COLUMNS, by_columns), N(BY_ROWS, by_rows)

#define DCN_ARGUMENTS_POINTS(B, N)                                                                         \
    B(VALUE, DCN_READS, value), B(OFFSET_MASK, DCN_READS_OFFSETS, offset_mask),                            \
        B(GRAD_OUTPUT, DCN_READS, grad_output), B(GRAD_OFFSET_MASK, DCN_WRITES_OFFSETS, grad_offset_mask), \
        DCN_SIZES(N), N(BY_COLUMNS, by_columns), N(BY_ROWS, by_rows)

#define DCN_ARGUMENTS_BOUNDS_BANDS(B, N) \
    B(OFFSET_MASK, DCN_READS_OFFSETS, offset_mask), B(BOUNDS, DCN_GLOBAL dcn_index *DCN_RESTRICT, bounds), DCN_SIZES(N)

#define DCN_ARGUMENTS_SCATTER_BANDS(B, N)                                                            \
    B(OFFSET_MASK, DCN_READS_OFFSETS, offset_mask), B(GRAD_OUTPUT, DCN_READS, grad_output),          \
        B(GRAD_VALUE, DCN_GLOBAL dcn_element *, grad_value), B(SUMS, DCN_GLOBAL float *, workspace), \
        B(BOUNDS, const DCN_GLOBAL dcn_index *DCN_RESTRICT, bounds), N(BANDS, bands), N(SHARES, shares), DCN_SIZES(N)

#define DCN_ARGUMENTS_BOTH(B, N)                                                                           \
    B(VALUE, DCN_READS, value), B(OFFSET_MASK, DCN_READS_OFFSETS, offset_mask),                            \
        B(GRAD_OUTPUT, DCN_READS, grad_output), B(GRAD_OFFSET_MASK, DCN_WRITES_OFFSETS, grad_offset_mask), \
        B(GRAD_VALUE, DCN_GLOBAL dcn_element *, grad_value), B(SUMS, DCN_GLOBAL float *, workspace),       \
        B(BOUNDS, const DCN_GLOBAL dcn_index *DCN_RESTRICT, bounds), N(BANDS, bands), N(SHARES, shares), DCN_SIZES(N)

#define DCN_ARGUMENTS_BOUNDS_TILES(B, N)                                                                   \
    B(OFFSET_MASK, DCN_READS_OFFSETS, offset_mask), B(BOUNDS, DCN_GLOBAL dcn_index *DCN_RESTRICT, bounds), \
        DCN_SIZES(N), N(BY_CHUNKS, by_chunks), N(BY_CHUNK_COLUMNS, by_chunk_columns)

#define DCN_ARGUMENTS_SCATTER_TILES(B, N)                                                                   \
    B(OFFSET_MASK, DCN_READS_OFFSETS, offset_mask), B(GRAD_OUTPUT, DCN_READS, grad_output),                 \
        B(GRAD_VALUE, DCN_WRITES, grad_value), B(BOUNDS, const DCN_GLOBAL dcn_index *DCN_RESTRICT, bounds), \
        DCN_SIZES(N), N(BY_COLUMNS, by_columns), N(BY_ROWS, by_rows), N(BY_CHUNK_COLUMNS, by_chunk_columns)

#define DCN_ARGUMENTS_CLEAR(B, N) \
    B(GRAD_VALUE, DCN_GLOBAL dcn_element *, grad_value), B(SUMS, DCN_GLOBAL float *, workspace), N(PIXELS, pixels)

#define DCN_ARGUMENTS_SCATTER_ATOMIC(B, N)                                                                         \
    B(OFFSET_MASK, DCN_READS_OFFSETS, offset_mask), B(GRAD_OUTPUT, DCN_READS, grad_output),                        \
        B(GRAD_VALUE, DCN_GLOBAL dcn_element *, grad_value), B(SUMS, DCN_GLOBAL float *, workspace), DCN_SIZES(N), \
        N(BY_COLUMNS, by_columns), N(BY_ROWS, by_rows)

#define DCN_ARGUMENTS_CONVERT(B, N) \
    B(GRAD_VALUE, DCN_GLOBAL dcn_element *, grad_value), B(SUMS, const DCN_GLOBAL float *, workspace), N(PIXELS, pixels)
