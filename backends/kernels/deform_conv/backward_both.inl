/* value, offset_mask, grad_output → grad_value and grad_offset_mask, on a CPU: what of its points a run's gradients need is
 * found once for both. README.md beside this file says who does what. */

/* Copies the channels of a share's first group, as float32s, with sums between them, which are zeroed. A pixel's lie side by
 * side then, and rows of them in the first-level cache, where pixels of many groups would all want the same few of its
 * sets. */
DCN_INLINE void dcn_pack(const DCN_GLOBAL dcn_item *value, const DCN_PRIVATE dcn_share *own, DCN_GLOBAL float *packed) {
    value += own->group * DCN_CHANNELS;
    for (dcn_index pixel = own->begin; pixel < own->end; ++pixel, packed += DCN_PACKED)
        DCN_UNROLL_VECTORS
        for (int v = 0; v < DCN_LANE_VECTORS; ++v) {
            dcn_store_sum(packed, v * DCN_VECTOR, dcn_load(value, pixel * DCN_VALUE_STRIDE + v * DCN_VECTOR));
            dcn_store_sum(packed, DCN_CHANNELS + v * DCN_VECTOR, dcn_zero());
        }
}

/* Writes the sums out. */
DCN_INLINE void dcn_unpack(const DCN_GLOBAL float *packed, const DCN_PRIVATE dcn_share *own,
                           DCN_GLOBAL dcn_item *grad_value) {
    grad_value += own->group * DCN_CHANNELS;
    for (dcn_index pixel = own->begin; pixel < own->end; ++pixel, packed += DCN_PACKED)
        DCN_UNROLL_VECTORS
        for (int v = 0; v < DCN_LANE_VECTORS; ++v)
            dcn_store(grad_value, pixel * DCN_GRAD_VALUE_STRIDE + v * DCN_VECTOR,
                      dcn_load_sum(packed, DCN_CHANNELS + v * DCN_VECTOR));
}

/* Each work-group has a share of the groups of one image, and a band of its rows: of value's, to whose gradients nobody else
 * adds, and of output's, for whose points it writes the gradients. If it has all rows, it does both at once, on a copy of one
 * group's channels after the other in its part of the workspace; else the sums of 16-bit types are there. */
DCN_KERNEL(dcn_backward, 1)
(DCN_PARAMETERS(BOTH)) {
    value += value_at, offset_mask += offset_mask_at, grad_output += grad_output_at;
    grad_offset_mask += grad_offset_mask_at, grad_value += grad_value_at, workspace += workspace_at, reach += reach_at;
    dcn_sizes sizes;
    sizes.height = height, sizes.width = width;
    sizes.output_height = output_height, sizes.output_width = output_width;
    dcn_share own = dcn_share_of(DCN_GROUP_ID, bands, shares, &sizes);
    if (bands == 1 && width > 1 && height > 1) {
        DCN_GLOBAL float *const packed = workspace + DCN_GROUP_ID * (height * width * DCN_PACKED);
        for (; own.group < own.end_group; ++own.group) {
            dcn_pack(value, &own, packed);
            for (dcn_index oy = 0; oy < sizes.output_height; ++oy)
                for (dcn_index ox = 0; ox < sizes.output_width; ox += DCN_RUN) {
                    const dcn_run run = dcn_run_of(own.n, oy, ox, own.group, offset_mask, &sizes);
                    dcn_points_of_run(value, offset_mask, grad_output, grad_offset_mask, packed, &run, &sizes);
                }
            dcn_unpack(packed, &own, grad_value);
        }
        return;
    }
    DCN_GLOBAL float *const sums = DCN_SUMS(grad_value, workspace);
    const dcn_long band = DCN_GROUP_ID % bands;
    const dcn_index first = (dcn_index)(output_height * band / bands), end = (dcn_index)(output_height * (band + 1) / bands);
    dcn_clear_share(sums, &own, 0);
    for (dcn_index oy = 0; oy < sizes.output_height; ++oy) {
        const int ours = oy >= first && oy < end;
        const int reached = dcn_reaches(reach, own.n * sizes.output_height + oy, &own, bands);
        for (dcn_index ox = 0; ox < sizes.output_width && (ours || reached); ox += DCN_RUN)
            for (dcn_index group = own.group; group < own.end_group; ++group) {
                const dcn_run run = dcn_run_of(own.n, oy, ox, group, offset_mask, &sizes);
                if (ours)
                    dcn_points_of_run(value, offset_mask, grad_output, grad_offset_mask, 0, &run, &sizes);
                if (reached)
                    dcn_scatter_run(offset_mask, grad_output, sums, &run, &own, &sizes);
            }
    }
    dcn_round_share(sums, grad_value, &own, 0);
}
