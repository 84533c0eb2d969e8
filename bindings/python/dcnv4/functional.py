"""The operators as functions of tensors."""

from __future__ import annotations

from . import _needs_torch  # noqa: F401
from typing import Optional, Sequence, Tuple, Union

import torch

from . import _operators
from ._attention import ms_deform_attn as _attention
from ._attention_call import find_levels, points_of_levels, stand_in_among, unit_number
from ._deform_conv import deform_conv as _deform_conv
from ._problem import Pair, check_tensor, stand_in
from .layouts import pack_offset_mask, unpack_offset_mask  # noqa: F401

_OPERATORS = _operators.available


def dcnv4(
    value: torch.Tensor,
    offset_mask: torch.Tensor,
    kernel_size: Pair = 3,
    stride: Pair = 1,
    padding: Pair = 1,
    dilation: Pair = 1,
    group: int = 4,
    offset_scale: float = 1.0,
    remove_center: bool = False,
    softmax: bool = False,
) -> torch.Tensor:
    """Each output pixel is the weighted sum of K points of value; offset_mask has the points' offsets and weights.

    value        [N, H, W, C]    the feature map; C is group times any number of channels
    offset_mask  [N, Ho, Wo, P]  one row per pixel: group g has K pairs (dx, dy) from 3·K·g on, then K weights
    returns      [N, Ho, Wo, C]  in value's dtype and on its device

    kernel_size, stride, padding and dilation are numbers or pairs (height, width). K is the kernel's number of points,
    one less with remove_center. softmax applies a softmax to the K weights first. docs/operator.md has the formula.

    float32, float16, bfloat16, and float64 on the CPU. A float32 offset_mask beside a float16 or bfloat16 value is used
    as it is: in bfloat16 an offset of 64 pixels would be off by up to 0.25. In other pairs of dtypes, offset_mask is
    converted to value's. Its gradient has offset_mask's own dtype. Inputs may be slices: nothing is copied as long as a
    pixel's channels are contiguous and the stride between neighbouring pixels is the same for the whole tensor, as in
    x[..., :C].
    """
    parameters = (kernel_size, stride, padding, dilation, group, offset_scale, remove_center, softmax)
    if _OPERATORS and _operators.is_compiling():
        return _operators.dispatch(_deform_conv, (value, offset_mask), parameters)
    if _operators.is_eager(value, offset_mask):
        tensors = value, offset_mask
        if value.dtype is not offset_mask.dtype:
            tensors = _deform_conv.convert(tensors)
        return _operators.call_eagerly(_deform_conv, tensors, parameters)
    if stand_in(value, offset_mask):
        return torch.overrides.handle_torch_function(
            dcnv4, (value, offset_mask), value, offset_mask, *parameters
        )
    return _operators.dispatch(_deform_conv, (value, offset_mask), parameters)


Shapes = Union[torch.Tensor, Sequence[Tuple[int, int]]]  # (H, W) of each level
Starts = Union[torch.Tensor, Sequence[int], None]
PointCounts = Union[int, Sequence[int], None]


def ms_deform_attn(
    value: torch.Tensor,
    spatial_shapes: Shapes,
    sampling_locations: torch.Tensor,
    attention_weights: torch.Tensor,
    level_start_index: Starts = None,
    points: PointCounts = None,
    softmax: bool = False,
    *,
    reference_points: Optional[torch.Tensor] = None,
    unit: Optional[str] = None,
    box_scale: float = 0.5,
) -> torch.Tensor:
    """Multi-scale deformable attention: each head of each query is the weighted sum of P points of several feature maps.

    value               [N, S, M, D]  the levels' places one after the other, for M heads of D channels
    spatial_shapes      (H, W) of each of L levels: a list of pairs, or an int64 tensor [L, 2] on any device
    sampling_locations  [N, Q, M, L, K, 2] or [N, Q, M, P, 2]  (x, y), level by level, then point by point
    attention_weights   [N, Q, M, L, K] or [N, Q, M, P]  likewise
    level_start_index   where each level begins in value; by default where the one before ends
    points              how many points each level has, a number or a list; by default P / L
    softmax             applies a softmax to the P weights of each head and query first
    returns             [N, Q, M·D]  in value's dtype and on its device

    What a location means is its unit:

    "normalized"   0 and 1 are the outer edges of the level; the default without reference_points
    "places"       x is a column and y a row of the level, 0 the centre of the first
    "offsets"      in places, from reference_points [N, Q, L or 1, 2], normalised (x, y)
    "box_offsets"  in parts of boxes reference_points [N, Q, L or 1, 4], normalised (centre x, centre y, width, height):
                   x = centre x + location·width·box_scale/K, with the level's K

    The default with reference_points depends on their last axis. No tensor of locations is made from them.

    A location that is not finite, or at least one place outside its level, does not count. docs/ms-deform-attn.md has
    the formula.

    float32, float16, bfloat16, and float64 on the CPU. Beside a 16-bit value, float32 locations, weights and references
    are used as they are: 16 bits round a normalised location by up to 0.4 places in 200. Other dtypes are converted to
    value's, or to float32 beside 16 bits. Gradients have their tensors' own dtypes. Inputs may be slices, as of one
    fused linear layer: nothing is copied as long as the last axes, from M or R on, are contiguous and the stride between
    neighbouring places or queries is the same for the whole tensor.

    spatial_shapes and level_start_index on a GPU are read by its kernels: the call does not wait for the GPU, and a
    level that stands out of value has no places. Otherwise such a level is an error.
    """
    tensors = (value, sampling_locations, attention_weights, reference_points)
    if stand_in_among(tensors):
        return torch.overrides.handle_torch_function(
            ms_deform_attn, tensors, value, spatial_shapes, sampling_locations, attention_weights, level_start_index,
            points, softmax, reference_points=reference_points, unit=unit, box_scale=box_scale,
        )  # fmt: skip
    check_tensor("attention_weights", attention_weights)
    return _attend(tensors, spatial_shapes, level_start_index, points, softmax, unit, box_scale)


def flash_deform_attn(
    value: torch.Tensor,
    spatial_shapes: Shapes,
    level_start_index: Starts,
    sampling_loc_attn: torch.Tensor,
    points: PointCounts = None,
    softmax: bool = True,
    *,
    reference_points: Optional[torch.Tensor] = None,
    unit: Optional[str] = None,
    box_scale: float = 0.5,
) -> torch.Tensor:
    """ms_deform_attn in the original authors' packed layout, with the softmax inside.

    sampling_loc_attn  [N, Q, M, 3·P]: for each head first P pairs (x, y), level by level, then P logits

    The other arguments are ms_deform_attn's; level_start_index may be None.
    """
    tensors = (value, sampling_loc_attn, None, reference_points)
    if stand_in_among(tensors):
        return torch.overrides.handle_torch_function(
            flash_deform_attn, tensors, value, spatial_shapes, level_start_index, sampling_loc_attn, points, softmax,
            reference_points=reference_points, unit=unit, box_scale=box_scale,
        )  # fmt: skip
    return _attend(tensors, spatial_shapes, level_start_index, points, softmax, unit, box_scale)


def _attend(tensors, spatial_shapes, level_start_index, points, softmax, unit, box_scale):
    value, locations, weights, references = tensors
    there = [value, *(tensor for tensor in tensors[1:] if tensor is not None)]
    eager = _operators.is_plain_call(*there)
    if not eager:
        _attention.check_dtypes(tensors)
    *tables, sizes, starts, count = find_levels(spatial_shapes, level_start_index, value.device, eager)
    points = points_of_levels(points, count, locations, weights is None)
    arguments = (sizes, starts, points, unit_number(unit, references), softmax, box_scale)
    tensors = (*tensors, *tables)
    if not eager:
        return _operators.dispatch(_attention, tensors, arguments)
    for tensor in there:
        if tensor.dtype is not value.dtype:
            tensors = _attention.convert(tensors)
            break
    return _operators.call_eagerly(_attention, tensors, arguments)
