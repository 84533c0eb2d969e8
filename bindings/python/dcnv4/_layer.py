"""The parameters of a DCNv4 layer, checked. Every error names the argument. For all frameworks: imports none."""

from __future__ import annotations

from numbers import Integral, Real
from typing import NamedTuple, Tuple, Union

MOST = 2**63 - 1  # the largest int64_t, the library's type

Pair = Union[int, Tuple[int, int]]  # one number for both axes, or (height, width)


class Layer(NamedTuple):
    """The parameters of a layer. Pairs are in (height, width) order."""

    kernel_size: tuple
    stride: tuple
    padding: tuple
    dilation: tuple
    group: int
    offset_scale: float
    remove_center: bool
    softmax: bool

    @property
    def points(self) -> int:
        """The number of points of each output pixel and group."""
        return self.kernel_size[0] * self.kernel_size[1] - self.remove_center

    def output_size(self, height, width):
        """Ho and Wo, which are 0 or less where the kernel is larger than the padded input."""
        return tuple(
            (size + 2 * pad - (dilation * (kernel - 1) + 1)) // stride + 1
            for size, kernel, stride, pad, dilation in zip(
                (height, width), self.kernel_size, self.stride, self.padding, self.dilation
            )
        )


def pair(name: str, given, least: int) -> tuple:
    """One number, or two in (height, width) order, as two numbers."""
    numbers = tuple(given) if isinstance(given, (tuple, list)) else (given, given)
    if len(numbers) != 2 or not all(isinstance(number, Integral) for number in numbers):
        raise TypeError(f"dcnv4: {name} is {given!r}, it must be a whole number or a pair of them (height, width)")
    if min(numbers) < least:
        raise ValueError(f"dcnv4: {name} is {given!r}, at least {least} is needed")
    if max(numbers) > MOST:
        raise ValueError(f"dcnv4: {name} is {given!r}, at most {MOST} is possible")
    return int(numbers[0]), int(numbers[1])


def check_flag(name: str, given) -> bool:
    if not isinstance(given, Integral) or given not in (0, 1):
        raise TypeError(f"dcnv4: {name} is {given!r}, it must be True or False")
    return bool(given)


def make_layer(kernel_size, stride, padding, dilation, group, offset_scale, remove_center, softmax) -> Layer:
    if not isinstance(group, Integral):
        raise TypeError(f"dcnv4: group is {group!r}, it must be a whole number")
    if group < 1:
        raise ValueError(f"dcnv4: group is {group}, at least 1 is needed")
    if group > MOST:
        raise ValueError(f"dcnv4: group is {group}, at most {MOST} is possible")
    if not isinstance(offset_scale, Real):
        raise TypeError(f"dcnv4: offset_scale is {offset_scale!r}, it must be a number")
    try:
        offset_scale = float(offset_scale)
    except OverflowError:
        raise ValueError(f"dcnv4: offset_scale is {offset_scale}, which no float holds") from None
    return Layer(
        pair("kernel_size", kernel_size, 1),
        pair("stride", stride, 1),
        pair("padding", padding, 0),
        pair("dilation", dilation, 1),
        int(group),
        offset_scale,
        check_flag("remove_center", remove_center),
        check_flag("softmax", softmax),
    )


def is_plain(parameters) -> bool:
    """Whether all numbers are of Python's built-in types."""
    numbers = (number for given in parameters for number in (given if type(given) in (tuple, list) else (given,)))
    return all(type(number) in (int, float, bool) for number in numbers)


def check_shapes(value, offset_mask, layer: Layer) -> tuple:
    """The output's shape [N, Ho, Wo, C]. Arguments are tensors or arrays; sizes may be symbolic."""
    for name, tensor, axes in (("value", value, "[N, H, W, C]"), ("offset_mask", offset_mask, "[N, Ho, Wo, P]")):
        if len(tensor.shape) != 4:
            raise ValueError(f"dcnv4: {name} has shape {list(tensor.shape)}, four axes {axes} are needed")
    batch, height, width, channels = value.shape
    if channels < 1 or channels % layer.group != 0:
        raise ValueError(f"dcnv4: value has {channels} channels, which {layer.group} groups (group) do not divide")
    sizes = layer.output_size(height, width)
    for axis, size, out, kernel, dilation, pad in zip(
        "HW", (height, width), sizes, layer.kernel_size, layer.dilation, layer.padding
    ):
        if out < 1 and size != 0:
            raise ValueError(
                f"dcnv4: kernel_size {kernel} with dilation {dilation} spans {dilation * (kernel - 1) + 1} pixels, "
                f"but value has {axis} = {size}, with padding {size + 2 * pad}"
            )
    out_h, out_w = (max(out, 0) if not size else out for out, size in zip(sizes, (height, width)))
    row = 3 * layer.group * layer.points
    if tuple(offset_mask.shape[:3]) != (batch, out_h, out_w) or offset_mask.shape[3] < row:
        raise ValueError(
            f"dcnv4: offset_mask has shape {list(offset_mask.shape)}, but value of shape {list(value.shape)} needs "
            f"[{batch}, {out_h}, {out_w}, P] with P of at least {row} = 3·group·K = 3·{layer.group}·{layer.points}"
        )
    return batch, out_h, out_w, channels
