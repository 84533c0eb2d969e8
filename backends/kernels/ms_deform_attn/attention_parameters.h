/* The parameters of the kernels of multi-scale deformable attention, see ../language/argument_lists.h. */

#define ATTN_READS_LOCATIONS const DCN_GLOBAL attn_location_element *DCN_RESTRICT
#define ATTN_READS_WEIGHTS const DCN_GLOBAL attn_weight_element *DCN_RESTRICT
#define ATTN_LEVELS(B) B(LEVELS, const DCN_GLOBAL dcn_long *DCN_RESTRICT, levels)
#define ATTN_SIZES(N) N(BATCH, batch), N(QUERIES, queries), N(VALUE_LENGTH, value_length)

#define DCN_ARGUMENTS_ATTN_FORWARD(B, N)                                       \
    B(VALUE, DCN_READS, value), B(LOCATIONS, ATTN_READS_LOCATIONS, locations), \
        B(WEIGHTS, ATTN_READS_WEIGHTS, weights), B(OUTPUT, DCN_WRITES, output), ATTN_LEVELS(B), ATTN_SIZES(N)

#define DCN_ARGUMENTS_ATTN_POINTS(B, N)                                                  \
    B(VALUE, DCN_READS, value), B(LOCATIONS, ATTN_READS_LOCATIONS, locations),           \
        B(WEIGHTS, ATTN_READS_WEIGHTS, weights), B(GRAD_OUTPUT, DCN_READS, grad_output), \
        B(GRAD_LOCATIONS, DCN_GLOBAL attn_location_element *, grad_locations),           \
        B(GRAD_WEIGHTS, DCN_GLOBAL attn_weight_element *, grad_weights), ATTN_LEVELS(B), ATTN_SIZES(N)

#define DCN_ARGUMENTS_ATTN_SCATTER(B, N)                                                             \
    B(LOCATIONS, ATTN_READS_LOCATIONS, locations), B(WEIGHTS, ATTN_READS_WEIGHTS, weights),          \
        B(GRAD_OUTPUT, DCN_READS, grad_output), B(GRAD_VALUE, DCN_GLOBAL dcn_element *, grad_value), \
        B(SUMS, DCN_GLOBAL float *, workspace), ATTN_LEVELS(B), ATTN_SIZES(N)

#define DCN_ARGUMENTS_ATTN_CLEAR(B, N) \
    B(GRAD_VALUE, DCN_GLOBAL dcn_element *, grad_value), B(SUMS, DCN_GLOBAL float *, workspace), N(PLACES, places)

#define DCN_ARGUMENTS_ATTN_CONVERT(B, N) \
    B(GRAD_VALUE, DCN_GLOBAL dcn_element *, grad_value), B(SUMS, const DCN_GLOBAL float *, workspace), N(PLACES, places)
