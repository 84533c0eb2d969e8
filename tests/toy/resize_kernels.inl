/* Bilinear resize, the smallest operator on backends/kernels/sampling: value [N, H, W, C] → output [N, Ho, Wo, C], and
 * back. Output pixel (oy, ox) is one point of weight 1, at x = (ox + 0.5)·W / Wo − 0.5 and the same for y; beyond the
 * border value is 0. Float32 alone. A work-item has one vector of one output pixel. */

typedef struct resize_item {
    dcn_index n, pixel, channel; /* image; output pixel in the batch; first channel */
    dcn_sample sample;
    int exists;
} resize_item;

DCN_INLINE float resize_position(dcn_index index, dcn_index size, dcn_index outputs) {
    return ((float)index + 0.5f) * (float)size / (float)outputs - 0.5f;
}

DCN_INLINE resize_item resize_item_of(dcn_long batch, dcn_index height, dcn_index width, dcn_index output_height,
                                dcn_index output_width) {
    const dcn_index item = DCN_GROUP_ID * DCN_FLAT_GROUP + DCN_LOCAL_ID;
    resize_item t;
    t.pixel = item / DCN_CHANNEL_PARTS, t.channel = DCN_CHANNEL(item % DCN_CHANNEL_PARTS, 0, 0);
    const dcn_index row = t.pixel / output_width;
    const float x = resize_position(t.pixel % output_width, width, output_width);
    const float y = resize_position(row % output_height, height, output_height);
    t.n = row / output_height, t.exists = t.n < batch;
    t.sample = dcn_locate(x, y, 0, 0, width, height), t.sample.mask = 1.0f;
    return t;
}

DCN_KERNEL(resize_forward, DCN_FLAT_GROUP)
(const DCN_GLOBAL dcn_element *DCN_RESTRICT value, dcn_long value_at, DCN_GLOBAL dcn_element *DCN_RESTRICT output,
 dcn_long output_at, dcn_long batch, dcn_long height, dcn_long width, dcn_long output_height, dcn_long output_width) {
    const resize_item t = resize_item_of(batch, height, width, output_height, output_width);
    dcn_vector sum[DCN_VECTORS];
    if (!t.exists)
        return;
    value += value_at, output += output_at;
    dcn_clear_sums(sum);
    const dcn_index at = dcn_pixel_of(&t.sample, t.n, height, width) * DCN_VALUE_STRIDE + t.channel;
    if (t.sample.inside)
        dcn_gather(sum, value, at, width * DCN_VALUE_STRIDE, &t.sample, t.channel);
    dcn_store_sums(output, t.pixel * DCN_OUTPUT_STRIDE + t.channel, sum, t.channel);
}

/* Before resize_backward: sets the elements of grad_value to 0; one work-item per element. */
DCN_KERNEL(resize_clear, DCN_FLAT_GROUP)
(DCN_GLOBAL float *grad_value, dcn_long grad_value_at, dcn_long elements) {
    const dcn_index item = DCN_GROUP_ID * DCN_FLAT_GROUP + DCN_LOCAL_ID;
    if (item < elements)
        grad_value[grad_value_at + item] = 0.0f;
}

DCN_KERNEL(resize_backward, DCN_FLAT_GROUP)
(const DCN_GLOBAL dcn_element *DCN_RESTRICT grad_output, dcn_long grad_output_at, DCN_GLOBAL float *grad_value,
 dcn_long grad_value_at, dcn_long batch, dcn_long height, dcn_long width, dcn_long output_height,
 dcn_long output_width) {
    const resize_item t = resize_item_of(batch, height, width, output_height, output_width);
    if (!t.exists)
        return;
    const dcn_vector grad = dcn_load(grad_output + grad_output_at, t.pixel * DCN_GRAD_OUTPUT_STRIDE + t.channel);
    dcn_scatter_atomic(grad_value + grad_value_at, dcn_pixel_of(&t.sample, t.n, height, width), width, &t.sample, grad,
                       t.channel);
}
