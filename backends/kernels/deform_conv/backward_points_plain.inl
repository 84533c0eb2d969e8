/* value, offset_mask, grad_output → grad_offset_mask, point by point; a block has one lane. */

DCN_KERNEL(dcn_backward_points, DCN_WORK_GROUP)
(DCN_PARAMETERS(POINTS)) {
    value += value_at, offset_mask += offset_mask_at;
    grad_output += grad_output_at, grad_offset_mask += grad_offset_mask_at;
    dcn_sizes sizes;
    sizes.height = height, sizes.width = width;
    sizes.output_height = output_height, sizes.output_width = output_width;
    sizes.by_columns = by_columns, sizes.by_rows = by_rows;
    const dcn_tile tile = dcn_tile_of(DCN_GROUP_ID, 1, &sizes);
    const int item = DCN_LOCAL_ID, lane = item % DCN_LANES;
    const dcn_block block = dcn_tile_block(&tile, item / DCN_LANES, &sizes);
    if (!dcn_exists(&block, &sizes))
        return;
    dcn_write_padding(grad_offset_mask, &block, lane);
    dcn_points_exact(value, offset_mask, grad_output, grad_offset_mask, &block, lane * DCN_VECTOR, &sizes);
}
