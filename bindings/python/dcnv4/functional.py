"""DCNv4 as a function of tensors."""

from __future__ import annotations

import torch

from . import _operators
from ._problem import check_dtypes, make_layer

_OPERATORS = _operators.available


def dcnv4(
    value: torch.Tensor,
    offset_mask: torch.Tensor,
    kernel_size=3,
    stride=1,
    padding=1,
    dilation=1,
    group=4,
    offset_scale=1.0,
    remove_center=False,
    softmax=False,
) -> torch.Tensor:
    """Each output pixel adds up K places of value, where and how much offset_mask says.

    value        [N, H, W, C]    the feature map; C is group times any number of channels
    offset_mask  [N, Ho, Wo, P]  one row a pixel: for group g from 3·K·g on K pairs (dx, dy), then K weights
    returns      [N, Ho, Wo, C]  of value's dtype and on its device

    kernel_size, stride, padding and dilation are numbers or pairs (height, width). K is the kernel's number of points,
    one less with remove_center. softmax puts the K weights through one first. docs/operator.md has the formula.

    float32, float16, bfloat16, and float64 on the CPU. If the dtypes differ, offset_mask is taken to value's; its
    gradient comes back in its own. Inputs may be slices: nothing is copied as long as channels are neighbours and the
    distance between neighbouring pixels is one for the whole tensor, as in x[..., :C].
    """
    if _OPERATORS and _operators.is_compiling():
        return _dispatch(
            value, offset_mask, kernel_size, stride, padding, dilation, group, offset_scale, remove_center, softmax
        )
    parameters = (kernel_size, stride, padding, dilation, group, offset_scale, remove_center, softmax)
    if not _operators.is_eager(value, offset_mask):
        return _dispatch(value, offset_mask, *parameters)
    try:
        hash(parameters)
        same = value.dtype is offset_mask.dtype
    except (TypeError, AttributeError):  # lists for pairs, or no tensor
        parameters = make_layer(*parameters)
        check_dtypes(value, offset_mask)
        same = value.dtype is offset_mask.dtype
    if not same:
        check_dtypes(value, offset_mask)
        offset_mask = offset_mask.to(value.dtype)
    return _operators.call_eagerly(value, offset_mask, parameters)


def _dispatch(value, offset_mask, *parameters):
    check_dtypes(value, offset_mask)
    return _operators.forward(value, offset_mask.to(value.dtype), *make_layer(*parameters))
