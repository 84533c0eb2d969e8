"""The grid of output pixels on the input, and the paddings that define it."""

from __future__ import annotations

import math

import torch
from torch.overrides import handle_torch_function, has_torch_function

from . import _operators
from ._problem import Layer, pair

# Older PyTorch has sym_sqrt, but cannot compile a call of it.
_sym_sqrt = torch.sym_sqrt if hasattr(getattr(torch, "compiler", None), "is_exporting") else None


def may_be_symbol(size) -> bool:
    """Whether this size of a tensor may be symbolic, in torch.export and torch.compile."""
    return _operators.available and (isinstance(size, torch.SymInt) or _operators.is_compiling())


def side_of_square(length) -> int:
    """The side of a square of `length` pixels. math.isqrt would turn a symbolic length into a constant."""
    if _sym_sqrt is not None and may_be_symbol(length):
        return torch.sym_int(_sym_sqrt(length))
    return math.isqrt(length)


def image_size(length, shape) -> tuple:
    """(H, W) of images of `length` pixels: shape, or a square's if shape is None."""
    if has_torch_function((length, shape)):  # proxies of torch.fx, in whose graph this is one node
        return handle_torch_function(image_size, (length, shape), length, shape)
    return tuple(shape) if shape is not None else (side_of_square(length),) * 2


class Middle:
    """The input pixel in the middle of each output pixel's kernel, along one axis: `first` for the first output pixel,
    and `stride` further for each next one, to at most `overhang` past the image's last pixel. Offsets are predicted
    from these pixels. `behind` is the number of zeros appended to value."""

    def __init__(self, layer: Layer, axis: int, behind: int):
        self.stride = layer.stride[axis]
        self.span = layer.dilation[axis] * (layer.kernel_size[axis] - 1)
        self.first = self.span // 2 - layer.padding[axis]
        self.overhang = layer.padding[axis] + behind - (self.span - self.span // 2)

    def edges(self, before: int, after: int) -> tuple:
        """How many pixels to add before and after (to remove if negative), so that the axis begins `before` pixels
        before the first middle and ends `after` pixels after the last possible one. Independent of the image's size, so
        that a program exported for all sizes needs no condition on them."""
        return before - self.first, after + self.overhang


def convolution_padding(given, kernel_size, stride, dilation) -> tuple:
    """DCNv4Conv2d's padding as numbers of pixels on both sides, and of additional ones at the end."""
    kernel_size, stride = pair("kernel_size", kernel_size, 1), pair("stride", stride, 1)
    dilation = pair("dilation", dilation, 1)
    spans = tuple(d * (k - 1) for d, k in zip(dilation, kernel_size))
    if given is None:
        return tuple(span // 2 for span in spans), (0, 0)
    if not isinstance(given, str):
        return given, (0, 0)
    if given == "valid":
        return (0, 0), (0, 0)
    if given != "same":
        raise ValueError(
            f"dcnv4: padding is {given!r}, it must be 'same', 'valid', a whole number or a pair of them (height, width)"
        )
    if stride != (1, 1):
        raise ValueError(
            f"dcnv4: padding is 'same', but stride is {stride}: the size can stay the same with stride 1 alone; leave "
            f"padding out, or give numbers"
        )
    return tuple(span // 2 for span in spans), tuple(span % 2 for span in spans)
