/* The parameters of the kernels of multi-scale deformable attention, see ../language/argument_lists.h. */

#define ATTN_READS_LOCATIONS const DCN_GLOBAL attn_location_element *DCN_RESTRICT
#define ATTN_READS_WEIGHTS const DCN_GLOBAL attn_weight_element *DCN_RESTRICT
#define ATTN_READS_REFERENCES const DCN_GLOBAL attn_reference_element *DCN_RESTRICT
#define ATTN_READS_LONGS const DCN_GLOBAL dcn_long *DCN_RESTRICT

/* Where points come from. */
#define ATTN_POINTS_OF(B)                                                                                  \
    B(LOCATIONS, ATTN_READS_LOCATIONS, locations), B(WEIGHTS, ATTN_READS_WEIGHTS, weights),                \
        B(REFERENCES, ATTN_READS_REFERENCES, references), B(LEVEL_SHAPES, ATTN_READS_LONGS, level_shapes), \
        B(LEVEL_STARTS, ATTN_READS_LONGS, level_starts)
#define ATTN_SIZES_OF(N) N(BATCH, batch), N(QUERIES, queries), N(VALUE_LENGTH, value_length), N(BY_QUERIES, by_queries)

#define DCN_ARGUMENTS_ATTN_FORWARD(B, N) \
    B(VALUE, DCN_READS, value), B(OUTPUT, DCN_WRITES, output), ATTN_POINTS_OF(B), ATTN_SIZES_OF(N)

#define DCN_ARGUMENTS_ATTN_POINTS(B, N)                                        \
    B(VALUE, DCN_READS, value), B(GRAD_OUTPUT, DCN_READS, grad_output),        \
        B(GRAD_LOCATIONS, DCN_GLOBAL attn_location_element *, grad_locations), \
        B(GRAD_WEIGHTS, DCN_GLOBAL attn_weight_element *, grad_weights),       \
        B(MOVES, DCN_GLOBAL float *DCN_RESTRICT, moves), ATTN_POINTS_OF(B), ATTN_SIZES_OF(N)

#define DCN_ARGUMENTS_ATTN_REFERENCES(B, N)                                                                     \
    B(LOCATIONS, ATTN_READS_LOCATIONS, locations),                                                              \
        B(GRAD_REFERENCES, DCN_GLOBAL attn_reference_element *, grad_references),                               \
        B(MOVES, const DCN_GLOBAL float *DCN_RESTRICT, moves), B(LEVEL_SHAPES, ATTN_READS_LONGS, level_shapes), \
        B(LEVEL_STARTS, ATTN_READS_LONGS, level_starts), ATTN_SIZES_OF(N)

#define DCN_ARGUMENTS_ATTN_VALUE(B, N)                                                           \
    B(GRAD_OUTPUT, DCN_READS, grad_output), B(GRAD_VALUE, DCN_GLOBAL dcn_element *, grad_value), \
        B(SUMS, DCN_GLOBAL float *, workspace), ATTN_POINTS_OF(B), ATTN_SIZES_OF(N)

#define DCN_ARGUMENTS_ATTN_VALUE_RUN(B, N) DCN_ARGUMENTS_ATTN_VALUE(B, N), N(PACKED, packed), N(SHARES, shares)

#define DCN_ARGUMENTS_ATTN_BOUNDS(B, N) \
    B(BOUNDS, DCN_GLOBAL dcn_index *DCN_RESTRICT, bounds), ATTN_POINTS_OF(B), ATTN_SIZES_OF(N)

#define DCN_ARGUMENTS_ATTN_TILES(B, N)                                             \
    B(GRAD_OUTPUT, DCN_READS, grad_output), B(GRAD_VALUE, DCN_WRITES, grad_value), \
        B(BOUNDS, const DCN_GLOBAL dcn_index *DCN_RESTRICT, bounds), ATTN_POINTS_OF(B), ATTN_SIZES_OF(N)

#define DCN_ARGUMENTS_ATTN_CLEAR(B, N) \
    B(GRAD_VALUE, DCN_GLOBAL dcn_element *, grad_value), B(SUMS, DCN_GLOBAL float *, workspace), N(PLACES, places)

#define DCN_ARGUMENTS_ATTN_CLEAR_RUN(B, N) \
    B(GRAD_VALUE, DCN_GLOBAL dcn_element *, grad_value), N(PLACES, places), N(SHARES, shares)

#define DCN_ARGUMENTS_ATTN_CONVERT(B, N) \
    B(GRAD_VALUE, DCN_GLOBAL dcn_element *, grad_value), B(SUMS, const DCN_GLOBAL float *, workspace), N(PLACES, places)
