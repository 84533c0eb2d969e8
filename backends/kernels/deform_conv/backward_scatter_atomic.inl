/* offset_mask, grad_output → grad_value, by atomic additions: for GPUs whose local memory is too small for tiles. */

/* Sets all sums to 0; one work-item for each channel of each value pixel. */
DCN_KERNEL(dcn_backward_clear, DCN_FLAT_GROUP)
(DCN_PARAMETERS(CLEAR)) {
    grad_value += grad_value_at, workspace += workspace_at;
    const dcn_index item = DCN_GROUP_ID * DCN_FLAT_GROUP + DCN_LOCAL_ID;
    const dcn_index channels = (dcn_index)DCN_GROUPS * DCN_CHANNELS;
    if (item / channels < pixels)
        DCN_SUMS(grad_value, workspace)[item / channels * DCN_SUMS_STRIDE + item % channels] = 0.0f;
}

/* Each work-item scatters its channels of a block. */
DCN_KERNEL(dcn_backward_scatter, DCN_WORK_GROUP)
(DCN_PARAMETERS(SCATTER_ATOMIC)) {
    offset_mask += offset_mask_at, grad_output += grad_output_at;
    grad_value += grad_value_at, workspace += workspace_at;
    dcn_sizes sizes;
    sizes.height = height, sizes.width = width;
    sizes.output_height = output_height, sizes.output_width = output_width;
    sizes.by_columns = by_columns, sizes.by_rows = by_rows;
    DCN_GLOBAL float *const sums = DCN_SUMS(grad_value, workspace);
    const dcn_tile tile = dcn_tile_of(DCN_GROUP_ID, 1, &sizes);
    const int item = DCN_LOCAL_ID;
    const dcn_block block = dcn_tile_block(&tile, item / DCN_LANES, &sizes);
    if (!dcn_exists(&block, &sizes))
        return;
    const dcn_softmax norm = dcn_softmax_of(offset_mask, block.offsets);
    for (dcn_index channel = item % DCN_LANES * DCN_VECTOR; channel < DCN_CHANNELS; channel += DCN_LANES * DCN_VECTOR) {
        const dcn_index first_channel = block.group * DCN_CHANNELS + channel;
        const dcn_vector grad = dcn_load(grad_output, block.pixel * DCN_GRAD_OUTPUT_STRIDE + first_channel);
        for (int k = 0; k < DCN_POINTS; ++k) {
            const dcn_sample s = dcn_point(offset_mask, &block, k, &norm, &sizes);
            dcn_scatter_atomic(sums, dcn_at(&s, block.n, &sizes), sizes.width, &s, grad, first_channel);
        }
    }
}

#if DCN_DTYPE != DCN_FLOAT32
/* Rounds all sums into grad_value; one work-item for each channel of each value pixel. */
DCN_KERNEL(dcn_backward_convert, DCN_FLAT_GROUP)
(DCN_PARAMETERS(CONVERT)) {
    grad_value += grad_value_at, workspace += workspace_at;
    const dcn_index item = DCN_GROUP_ID * DCN_FLAT_GROUP + DCN_LOCAL_ID;
    const dcn_index channels = (dcn_index)DCN_GROUPS * DCN_CHANNELS;
    if (item / channels < pixels)
        dcn_write(grad_value, item / channels * DCN_GRAD_VALUE_STRIDE + item % channels,
                  workspace[item / channels * DCN_SUMS_STRIDE + item % channels]);
}
#endif
