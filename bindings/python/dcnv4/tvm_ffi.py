"""The operators as functions of tvm-ffi: tensors of any framework that has DLPack, without a copy, on their current stream.

    dcnv4_forward(value, offset_mask, output, *LAYER)
    dcnv4_backward(value, offset_mask, grad_output, grad_value, grad_offset_mask, *LAYER)
        LAYER: kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, group, offset_scale,
               remove_center, softmax
    ms_deform_attn_forward(INPUTS, output, LEVELS)
    ms_deform_attn_backward(INPUTS, grad_output, grad_value, grad_locations, grad_weights, grad_references, LEVELS)
        INPUTS: value, sampling_locations, attention_weights, reference_points, spatial_shapes, level_start_index
        LEVELS: levels, unit, softmax, box_scale

Arguments are given by position, and have the shapes of dcnv4.functional; all tensors of a call are on one device. Results are
written into the caller's tensors. None stands for a tensor that is not there: attention_weights with packed locations,
reference_points, and spatial_shapes and level_start_index where levels() has the numbers. unit is one of UNITS' indices.
"""

from __future__ import annotations

from . import _calls
from ._levels import UNITS, make_levels, plain
from ._needs import need

_tvm_ffi = need("tvm_ffi", "dcnv4.tvm_ffi", "tvm_ffi")
_module = _tvm_ffi.load_module(_calls.library._name)

__all__ = ["UNITS", "dcnv4_backward", "dcnv4_forward", "levels", "ms_deform_attn_backward", "ms_deform_attn_forward"]

dcnv4_forward = _module.dcnv4_forward
dcnv4_backward = _module.dcnv4_backward
ms_deform_attn_forward = _module.ms_deform_attn_forward
ms_deform_attn_backward = _module.ms_deform_attn_backward


def levels(spatial_shapes, points, level_start_index=None):
    """The levels as the functions take them: (H, W) of each, the number of points of each or one for all, and where each
    begins in value. spatial_shapes is None if a tensor has them: then points is a list."""
    points = plain(points)
    if spatial_shapes is None:
        return _tvm_ffi.Shape(tuple(points))
    made = make_levels(plain(spatial_shapes), plain(level_start_index), points, (), False)
    return _tvm_ffi.Shape(tuple(number for level in made for number in level))
