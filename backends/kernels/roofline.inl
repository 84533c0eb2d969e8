/* Kernels that do the least that any implementation of a pass must do, to be timed beside it. Only the dtype and the
 * width of an access (DCN_VECTOR) matter. */

#define DCN_ITEM (DCN_GROUP_ID * DCN_FLAT_GROUP + DCN_LOCAL_ID)

/* A store that practically never happens: it keeps the compiler from removing the computation of sum. */
DCN_INLINE void dcn_keep(dcn_vector sum, DCN_GLOBAL dcn_element *to) {
    if (dcn_dot(sum, sum, 0.0f) == 1.2345678e-30f)
        dcn_store(to, 0, sum);
}

/* Reads up to three tensors and writes up to two, each element once; a work-item has one vector of each. Counts are in
 * vectors. */
DCN_KERNEL(dcn_roofline_memory, DCN_FLAT_GROUP)
(DCN_PARAMETERS(ROOFLINE_MEMORY)) {
    a += a_at, b += b_at, c += c_at, x += x_at, y += y_at;
    const dcn_index item = DCN_ITEM, at = item * DCN_VECTOR;
    dcn_vector sum = dcn_zero();
    if (item < a_count)
        sum = dcn_load(a, at);
    if (item < b_count)
        sum = dcn_fma(1.0f, dcn_load(b, at), sum);
    if (item < c_count)
        sum = dcn_fma(1.0f, dcn_load(c, at), sum);
    if (item < x_count)
        dcn_store(x, at, sum);
    if (item < y_count)
        dcn_store(y, at, sum);
    dcn_keep(sum, x);
}

/* Each work-item loads four vectors `cells` times, with a multiply-add for each, from the first `vectors` (a power
 * of two) of value, which stay in the first-level cache; neighbouring work-items load neighbouring vectors. */
DCN_KERNEL(dcn_roofline_loads, DCN_FLAT_GROUP)
(DCN_PARAMETERS(ROOFLINE_LOADS)) {
    value += value_at, output += output_at;
    if (DCN_ITEM >= items)
        return;
    const dcn_index last = (dcn_index)vectors - 1;
    dcn_index at = DCN_LOCAL_ID;
    dcn_vector sum[4];
    DCN_UNROLL
    for (int i = 0; i < 4; ++i)
        sum[i] = dcn_zero();
    for (dcn_index cell = 0; cell < cells; ++cell, at += 4 * DCN_FLAT_GROUP) {
        const float weight = (float)cell;
        DCN_UNROLL
        for (int i = 0; i < 4; ++i)
            sum[i] = dcn_fma(weight, dcn_load(value, (at + i * DCN_FLAT_GROUP & last) * DCN_VECTOR), sum[i]);
    }
    DCN_UNROLL
    for (int i = 1; i < 4; ++i)
        sum[0] = dcn_fma(1.0f, sum[i], sum[0]);
    dcn_keep(sum[0], output);
}
