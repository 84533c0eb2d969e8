/* The float32 sums of grad_value that other kernels add to: in grad_value itself if it is float32, else in the workspace. */

/* Sets all sums to 0; one work-item for each channel of each place. */
DCN_KERNEL(attn_backward_clear, DCN_FLAT_GROUP)
(DCN_PARAMETERS(ATTN_CLEAR)) {
    grad_value += grad_value_at, workspace += workspace_at;
    const dcn_index item = ATTN_ITEM, channels = (dcn_index)DCN_GROUPS * DCN_CHANNELS;
    if (item / channels < places)
        DCN_SUMS(grad_value, workspace)[item / channels * DCN_SUMS_STRIDE + item % channels] = 0.0f;
}

#if DCN_DTYPE != DCN_FLOAT32
/* Rounds all sums into grad_value; one work-item for each channel of each place. */
DCN_KERNEL(attn_backward_convert, DCN_FLAT_GROUP)
(DCN_PARAMETERS(ATTN_CONVERT)) {
    grad_value += grad_value_at, workspace += workspace_at;
    const dcn_index item = ATTN_ITEM, channels = (dcn_index)DCN_GROUPS * DCN_CHANNELS;
    if (item / channels < places)
        dcn_write(grad_value, item / channels * DCN_GRAD_VALUE_STRIDE + item % channels,
                  workspace[item / channels * DCN_SUMS_STRIDE + item % channels]);
}
#endif
