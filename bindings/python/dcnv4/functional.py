"""DCNv4 as a function of tensors."""

from __future__ import annotations

import torch

from . import _operators
from ._problem import Pair, stand_in
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
        return _operators.dispatch(value, offset_mask, parameters)
    if _operators.is_eager(value, offset_mask):
        if value.dtype is not offset_mask.dtype:
            offset_mask = _operators.of_values_dtype(value, offset_mask)
        return _operators.call_eagerly(value, offset_mask, parameters)
    if stand_in(value, offset_mask):
        return torch.overrides.handle_torch_function(
            dcnv4, (value, offset_mask), value, offset_mask, *parameters
        )
    return _operators.dispatch(value, offset_mask, parameters)
