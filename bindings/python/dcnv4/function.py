"""The original authors' function, for code that calls it directly."""

from __future__ import annotations

from . import _needs_torch  # noqa: F401
import torch

from . import _operators, _runtime
from ._deform_conv import deform_conv
from ._problem import make_layer
from .functional import dcnv4


class DCNv4Function(torch.autograd.Function):
    """apply() takes forward's arguments without ctx. im2col_step, which splits batches in the original, is ignored."""

    @classmethod
    def apply(cls, *args, **kwargs):
        if cls is DCNv4Function:
            return cls.forward(None, *args, **kwargs)  # with the graph of dcnv4(), which supports function transforms
        return super().apply(*args, **kwargs)

    @staticmethod
    def forward(
        ctx, input, offset_mask, kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w,
        group, group_channels, offset_scale, im2col_step, remove_center,
    ):  # fmt: skip
        if input.shape[-1] != group * group_channels:
            raise ValueError(
                f"DCNv4Function: input has {input.shape[-1]} channels, but group {group} times group_channels "
                f"{group_channels} is {group * group_channels}"
            )
        parameters = (
            (kernel_h, kernel_w), (stride_h, stride_w), (pad_h, pad_w), (dilation_h, dilation_w),
            group, offset_scale, remove_center,
        )  # fmt: skip
        if ctx is not None:
            ctx.save_for_backward(input, offset_mask)
            ctx.parameters = parameters
        return dcnv4(input, offset_mask, *parameters)

    @staticmethod
    def backward(ctx, grad_output):
        """For classes derived from this one, and for torch.compile, which traces forward and backward, not apply."""
        value, offset_mask = ctx.saved_tensors
        layer = make_layer(*ctx.parameters, False)
        same = offset_mask.to(value.dtype)
        if _operators.available:
            grad_value, grad_offset_mask = torch.ops.dcnv4.backward(grad_output, value, same, *layer)
        else:
            grad_value, grad_offset_mask = _runtime.backward(deform_conv, grad_output, (value, same), tuple(layer))
        return (grad_value, grad_offset_mask.to(offset_mask.dtype), *[None] * 13)
