/* The binary interface: the layout of every public struct and the value of every public constant. A program that was compiled
 * against an older header passes structs of that layout, so lines here never change: a new member adds a line after the
 * others and increases the size. check_abi.sh finds what the header defines and this file lacks. */
#include <dcnv4/dcnv4.h>

#include <stddef.h>

#define SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), "the size of " #type " changed")
#define MEMBER(type, member, at) _Static_assert(offsetof(type, member) == (at), #type "." #member " moved")
#define VALUE(name, number) _Static_assert((name) == (number), "the value of " #name " changed")

/* Pointers, long and size_t of 64 bits, as on every 64-bit system but Windows. */
_Static_assert(sizeof(void *) == 8 && sizeof(long) == 8, "these are the layouts of LP64");

SIZE(dcnv4_status, 4);
VALUE(DCNV4_SUCCESS, 0);
VALUE(DCNV4_INVALID_ARGUMENT, 1);
VALUE(DCNV4_INVALID_PROBLEM, 2);
VALUE(DCNV4_UNSUPPORTED, 3);
VALUE(DCNV4_OUT_OF_MEMORY, 4);
VALUE(DCNV4_DEVICE_UNAVAILABLE, 5);
VALUE(DCNV4_OUT_OF_DEVICE_MEMORY, 6);
VALUE(DCNV4_DEVICE_LOST, 7);
VALUE(DCNV4_DRIVER_ERROR, 8);
VALUE(DCNV4_COMPILER_UNAVAILABLE, 9);
VALUE(DCNV4_BUILD_FAILED, 10);
VALUE(DCNV4_FORKED, 11);

SIZE(dcnv4_device_info, 712);
MEMBER(dcnv4_device_info, size, 0);
MEMBER(dcnv4_device_info, name, 8);
MEMBER(dcnv4_device_info, backend, 40);
MEMBER(dcnv4_device_info, description, 56);
MEMBER(dcnv4_device_info, features, 184);
MEMBER(dcnv4_device_info, reason, 440);
MEMBER(dcnv4_device_info, available, 696);
MEMBER(dcnv4_device_info, units, 700);
MEMBER(dcnv4_device_info, memory, 704);

SIZE(dcnv4_dtype, 4);
VALUE(DCNV4_FLOAT32, 0);
VALUE(DCNV4_FLOAT16, 1);
VALUE(DCNV4_BFLOAT16, 2);
VALUE(DCNV4_FLOAT64, 3);

SIZE(dcnv4_problem, 208);
MEMBER(dcnv4_problem, size, 0);
MEMBER(dcnv4_problem, dtype, 8);
MEMBER(dcnv4_problem, remove_center, 12);
MEMBER(dcnv4_problem, softmax, 16);
MEMBER(dcnv4_problem, deterministic, 20);
MEMBER(dcnv4_problem, forward_only, 24);
MEMBER(dcnv4_problem, reserved, 28);
MEMBER(dcnv4_problem, offset_scale, 32);
MEMBER(dcnv4_problem, batch, 40);
MEMBER(dcnv4_problem, height, 48);
MEMBER(dcnv4_problem, width, 56);
MEMBER(dcnv4_problem, groups, 64);
MEMBER(dcnv4_problem, group_channels, 72);
MEMBER(dcnv4_problem, kernel_h, 80);
MEMBER(dcnv4_problem, kernel_w, 88);
MEMBER(dcnv4_problem, stride_h, 96);
MEMBER(dcnv4_problem, stride_w, 104);
MEMBER(dcnv4_problem, pad_h, 112);
MEMBER(dcnv4_problem, pad_w, 120);
MEMBER(dcnv4_problem, dilation_h, 128);
MEMBER(dcnv4_problem, dilation_w, 136);
MEMBER(dcnv4_problem, offset_mask_row, 144);
MEMBER(dcnv4_problem, value_stride, 152);
MEMBER(dcnv4_problem, offset_mask_stride, 160);
MEMBER(dcnv4_problem, output_stride, 168);
MEMBER(dcnv4_problem, grad_output_stride, 176);
MEMBER(dcnv4_problem, grad_value_stride, 184);
MEMBER(dcnv4_problem, grad_offset_mask_stride, 192);
MEMBER(dcnv4_problem, offset_mask_dtype, 200);
MEMBER(dcnv4_problem, reserved_2, 204);

SIZE(dcnv4_sizes, 96);
MEMBER(dcnv4_sizes, size, 0);
MEMBER(dcnv4_sizes, points, 8);
MEMBER(dcnv4_sizes, channels, 16);
MEMBER(dcnv4_sizes, output_height, 24);
MEMBER(dcnv4_sizes, output_width, 32);
MEMBER(dcnv4_sizes, offset_mask_row, 40);
MEMBER(dcnv4_sizes, value, 48);
MEMBER(dcnv4_sizes, offset_mask, 56);
MEMBER(dcnv4_sizes, output, 64);
MEMBER(dcnv4_sizes, grad_output, 72);
MEMBER(dcnv4_sizes, grad_value, 80);
MEMBER(dcnv4_sizes, grad_offset_mask, 88);

SIZE(dcnv4_pass, 4);
VALUE(DCNV4_PASS_FORWARD, 0);
VALUE(DCNV4_PASS_BACKWARD, 1);

SIZE(dcnv4_kernel_info, 112);
MEMBER(dcnv4_kernel_info, size, 0);
MEMBER(dcnv4_kernel_info, name, 8);
MEMBER(dcnv4_kernel_info, target, 40);
MEMBER(dcnv4_kernel_info, aligned, 72);
MEMBER(dcnv4_kernel_info, deterministic, 76);
MEMBER(dcnv4_kernel_info, registers, 80);
MEMBER(dcnv4_kernel_info, local_memory_bytes, 88);
MEMBER(dcnv4_kernel_info, spill_bytes, 96);
MEMBER(dcnv4_kernel_info, occupancy, 104);

SIZE(dcnv4_part, 4);
VALUE(DCNV4_PART_OUTPUT, 0);
VALUE(DCNV4_PART_GRAD_OFFSET_MASK, 1);
VALUE(DCNV4_PART_GRAD_VALUE, 2);

SIZE(dcnv4_tactic_info, 144);
MEMBER(dcnv4_tactic_info, size, 0);
MEMBER(dcnv4_tactic_info, description, 8);
MEMBER(dcnv4_tactic_info, in_use, 136);
MEMBER(dcnv4_tactic_info, reserved, 140);

SIZE(dcnv4_buffer, 24);
MEMBER(dcnv4_buffer, handle, 0);
MEMBER(dcnv4_buffer, offset, 8);
MEMBER(dcnv4_buffer, length, 16);

SIZE(dcnv4_buffers, 176);
MEMBER(dcnv4_buffers, size, 0);
MEMBER(dcnv4_buffers, value, 8);
MEMBER(dcnv4_buffers, offset_mask, 32);
MEMBER(dcnv4_buffers, output, 56);
MEMBER(dcnv4_buffers, grad_output, 80);
MEMBER(dcnv4_buffers, grad_value, 104);
MEMBER(dcnv4_buffers, grad_offset_mask, 128);
MEMBER(dcnv4_buffers, workspace, 152);

SIZE(dcnv4_opencl_stream, 40);
MEMBER(dcnv4_opencl_stream, size, 0);
MEMBER(dcnv4_opencl_stream, queue, 8);
MEMBER(dcnv4_opencl_stream, wait_count, 16);
MEMBER(dcnv4_opencl_stream, wait_list, 24);
MEMBER(dcnv4_opencl_stream, event, 32);

SIZE(dcnv4_roofline, 4);
VALUE(DCNV4_ROOFLINE_MEMORY, 0);
VALUE(DCNV4_ROOFLINE_LOADS, 1);

SIZE(dcnv4_msda_level, 32);
MEMBER(dcnv4_msda_level, height, 0);
MEMBER(dcnv4_msda_level, width, 8);
MEMBER(dcnv4_msda_level, start, 16);
MEMBER(dcnv4_msda_level, points, 24);

SIZE(dcnv4_msda_unit, 4);
VALUE(DCNV4_MSDA_NORMALIZED, 0);
VALUE(DCNV4_MSDA_PLACES, 1);
VALUE(DCNV4_MSDA_OFFSETS, 2);
VALUE(DCNV4_MSDA_BOX_OFFSETS, 3);

SIZE(dcnv4_msda_problem, 200);
MEMBER(dcnv4_msda_problem, size, 0);
MEMBER(dcnv4_msda_problem, dtype, 8);
MEMBER(dcnv4_msda_problem, location_dtype, 12);
MEMBER(dcnv4_msda_problem, weight_dtype, 16);
MEMBER(dcnv4_msda_problem, reference_dtype, 20);
MEMBER(dcnv4_msda_problem, location_unit, 24);
MEMBER(dcnv4_msda_problem, softmax, 28);
MEMBER(dcnv4_msda_problem, packed, 32);
MEMBER(dcnv4_msda_problem, deterministic, 36);
MEMBER(dcnv4_msda_problem, forward_only, 40);
MEMBER(dcnv4_msda_problem, levels_in_buffers, 44);
MEMBER(dcnv4_msda_problem, levels, 48);
MEMBER(dcnv4_msda_problem, level_count, 56);
MEMBER(dcnv4_msda_problem, batch, 64);
MEMBER(dcnv4_msda_problem, value_length, 72);
MEMBER(dcnv4_msda_problem, queries, 80);
MEMBER(dcnv4_msda_problem, heads, 88);
MEMBER(dcnv4_msda_problem, head_channels, 96);
MEMBER(dcnv4_msda_problem, reference_levels, 104);
MEMBER(dcnv4_msda_problem, box_scale, 112);
MEMBER(dcnv4_msda_problem, value_stride, 120);
MEMBER(dcnv4_msda_problem, location_stride, 128);
MEMBER(dcnv4_msda_problem, weight_stride, 136);
MEMBER(dcnv4_msda_problem, reference_stride, 144);
MEMBER(dcnv4_msda_problem, output_stride, 152);
MEMBER(dcnv4_msda_problem, grad_output_stride, 160);
MEMBER(dcnv4_msda_problem, grad_value_stride, 168);
MEMBER(dcnv4_msda_problem, grad_location_stride, 176);
MEMBER(dcnv4_msda_problem, grad_weight_stride, 184);
MEMBER(dcnv4_msda_problem, grad_reference_stride, 192);

SIZE(dcnv4_msda_sizes, 112);
MEMBER(dcnv4_msda_sizes, size, 0);
MEMBER(dcnv4_msda_sizes, points, 8);
MEMBER(dcnv4_msda_sizes, value, 16);
MEMBER(dcnv4_msda_sizes, locations, 24);
MEMBER(dcnv4_msda_sizes, weights, 32);
MEMBER(dcnv4_msda_sizes, references, 40);
MEMBER(dcnv4_msda_sizes, level_shapes, 48);
MEMBER(dcnv4_msda_sizes, level_starts, 56);
MEMBER(dcnv4_msda_sizes, output, 64);
MEMBER(dcnv4_msda_sizes, grad_output, 72);
MEMBER(dcnv4_msda_sizes, grad_value, 80);
MEMBER(dcnv4_msda_sizes, grad_locations, 88);
MEMBER(dcnv4_msda_sizes, grad_weights, 96);
MEMBER(dcnv4_msda_sizes, grad_references, 104);

SIZE(dcnv4_msda_part, 4);
VALUE(DCNV4_MSDA_PART_OUTPUT, 0);
VALUE(DCNV4_MSDA_PART_GRAD_POINTS, 1);
VALUE(DCNV4_MSDA_PART_GRAD_VALUE, 2);

SIZE(dcnv4_msda_buffers, 320);
MEMBER(dcnv4_msda_buffers, size, 0);
MEMBER(dcnv4_msda_buffers, value, 8);
MEMBER(dcnv4_msda_buffers, locations, 32);
MEMBER(dcnv4_msda_buffers, weights, 56);
MEMBER(dcnv4_msda_buffers, references, 80);
MEMBER(dcnv4_msda_buffers, level_shapes, 104);
MEMBER(dcnv4_msda_buffers, level_starts, 128);
MEMBER(dcnv4_msda_buffers, output, 152);
MEMBER(dcnv4_msda_buffers, grad_output, 176);
MEMBER(dcnv4_msda_buffers, grad_value, 200);
MEMBER(dcnv4_msda_buffers, grad_locations, 224);
MEMBER(dcnv4_msda_buffers, grad_weights, 248);
MEMBER(dcnv4_msda_buffers, grad_references, 272);
MEMBER(dcnv4_msda_buffers, workspace, 296);
