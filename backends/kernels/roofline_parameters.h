/* The parameters of the kernels of roofline.inl, see language/argument_lists.h. */

#define DCN_ARGUMENTS_ROOFLINE_MEMORY(B, N)                                                                           \
    B(FIRST, DCN_READS, a), B(SECOND, DCN_READS, b), B(THIRD, DCN_READS, c), B(FIRST_WRITTEN, DCN_WRITES, x),         \
        B(SECOND_WRITTEN, DCN_WRITES, y), N(FIRST_COUNT, a_count), N(SECOND_COUNT, b_count), N(THIRD_COUNT, c_count), \
        N(FIRST_WRITTEN_COUNT, x_count), N(SECOND_WRITTEN_COUNT, y_count)

#define DCN_ARGUMENTS_ROOFLINE_LOADS(B, N)                                                               \
    B(FIRST, DCN_READS, value), B(FIRST_WRITTEN, DCN_GLOBAL dcn_element *, output), N(VECTORS, vectors), \
        N(CELLS, cells), N(ITEMS, items)
