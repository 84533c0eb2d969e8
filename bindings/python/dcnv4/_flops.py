"""The operations of a call, for torch.utils.flop_counter.FlopCounterMode, which counts a multiply-add as two."""

from __future__ import annotations

import math

from torch.utils.flop_counter import flop_registry, register_flop_formula


def _forward(value, offset_mask, kernel_size, stride, padding, dilation, group, offset_scale, remove_center, softmax,
             *args, out_shape=None, **kwargs) -> int:  # fmt: skip
    """A multiply-add for each of the four pixels around a point and each channel."""
    points = kernel_size[0] * kernel_size[1] - remove_center
    return 2 * 4 * points * math.prod(offset_mask[:3]) * value[3]


def _backward(grad_output, *arguments, **kwargs) -> int:
    """As many for the pixels' gradients, and as many for the point's."""
    return 2 * _forward(*arguments)


def register(forward, backward) -> None:
    for operator, formula in ((forward, _forward), (backward, _backward)):
        counted = register_flop_formula(operator)(formula)
        flop_registry.setdefault(operator, counted)  # PyTorch 2.4 registers overloads, but looks up the operator
