/* value, offset_mask, grad_output → grad_value and grad_offset_mask, on CPUs: the cells of a run's points are found
 * once for both gradients. */

/* Makes the packed copy of a share's first group (DCN_PACKED): values as float32, and sums of 0. The copy's rows fit
 * the first-level cache; in the tensors, pixels are often a large power of two apart, so that those of one group
 * would compete for few of its sets. */
DCN_INLINE void dcn_pack(const DCN_GLOBAL dcn_element *value, const DCN_PRIVATE dcn_share *own,
                         DCN_GLOBAL float *packed) {
    value += own->group * DCN_CHANNELS;
    for (dcn_index pixel = own->begin; pixel < own->end; ++pixel, packed += DCN_PACKED)
        DCN_UNROLL_VECTORS
    for (int v = 0; v < DCN_LANE_VECTORS; ++v) {
        dcn_store_sum(packed, v * DCN_VECTOR, dcn_load(value, pixel * DCN_VALUE_STRIDE + DCN_STEP(0, v)));
        dcn_store_sum(packed, DCN_PACKED_SUMS + v * DCN_VECTOR, dcn_zero());
    }
}

/* Writes the sums to grad_value: the last vector first, whose channels that the one before has as well are 0. */
DCN_INLINE void dcn_unpack(const DCN_GLOBAL float *packed, const DCN_PRIVATE dcn_share *own,
                           DCN_GLOBAL dcn_element *grad_value) {
    grad_value += own->group * DCN_CHANNELS;
    for (dcn_index pixel = own->begin; pixel < own->end; ++pixel, packed += DCN_PACKED)
        DCN_UNROLL_VECTORS
    for (int v = DCN_LANE_VECTORS - 1; v >= 0; --v)
        dcn_store(grad_value, pixel * DCN_GRAD_VALUE_STRIDE + DCN_STEP(0, v),
                  dcn_load_sum(packed, DCN_PACKED_SUMS + v * DCN_VECTOR));
}

/* Each work-group has some groups of one image and a band of its rows: it owns the band in grad_value, and writes
 * the gradients of the points of the same band of output. If the band is the whole image it computes both at once,
 * group after group, on a packed copy in the workspace. Else it scatters as dcn_backward_scatter does, and the
 * workspace has the sums of 16-bit types. */
DCN_KERNEL(dcn_backward, 1)
(DCN_PARAMETERS(BOTH)) {
    value += value_at, offset_mask += offset_mask_at, grad_output += grad_output_at;
    grad_offset_mask += grad_offset_mask_at, grad_value += grad_value_at, workspace += workspace_at, bounds += bounds_at;
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
    const dcn_index first = (dcn_index)(output_height * band / bands),
                    end = (dcn_index)(output_height * (band + 1) / bands);
    dcn_clear_share(sums, &own, 0);
    for (dcn_index oy = 0; oy < sizes.output_height; ++oy) {
        const int ours = oy >= first && oy < end;
        const int reached = dcn_touches(bounds, own.n * sizes.output_height + oy, &own, bands);
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
