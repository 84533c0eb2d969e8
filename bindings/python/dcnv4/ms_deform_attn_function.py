"""Multi-scale deformable attention's functions under the names that other packages give them. All ignore im2col_step,
which splits batches there."""

from __future__ import annotations

from . import _needs_torch  # noqa: F401
import torch

from . import _operators, _runtime
from ._attention import ms_deform_attn as _attention
from ._attention_call import find_levels, points_of_levels
from ._attention_problem import _beside as beside
from .functional import flash_deform_attn, ms_deform_attn


def ms_deform_attn_forward(
    value, spatial_shapes, level_start_index, sampling_loc, attn_weight, im2col_step=64
) -> torch.Tensor:
    """Deformable DETR's extension MultiScaleDeformableAttention; there without a graph, here with one."""
    return ms_deform_attn(value, spatial_shapes, sampling_loc, attn_weight, level_start_index)


def ms_deform_attn_backward(
    value, spatial_shapes, level_start_index, sampling_loc, attn_weight, grad_output, im2col_step=64
) -> list:
    """The extension's: [grad_value, grad_sampling_loc, grad_attn_weight]."""
    tensors = (value, sampling_loc, attn_weight)
    return _backward(tensors, spatial_shapes, level_start_index, None, False, grad_output)


def _backward(tensors, spatial_shapes, level_start_index, points, softmax, grad_output) -> list:
    value, locations, weights = tensors
    *tables, sizes, starts, count = find_levels(spatial_shapes, level_start_index, value.device, False)
    points = points_of_levels(points, count, locations, weights is None)
    layer = _attention.make_layer(sizes, starts, points, 0, softmax, 0.5)
    # Not convert(), whose checks torch.compile does not trace in a backward.
    same = (value, beside(value, locations), beside(value, weights), None, *tables)
    if _operators.available:
        found = torch.ops.dcnv4.ms_deform_attn_backward(grad_output, *same, *layer)
    else:
        found = _runtime.backward(_attention, grad_output, *_attention.on_host(same, layer))
    return [gradient.to(tensor.dtype) for gradient, tensor in zip(found, tensors) if tensor is not None]


class _Function(torch.autograd.Function):
    """apply() takes forward's arguments without ctx."""

    @classmethod
    def apply(cls, *args, **kwargs):
        if cls.__module__ == __name__:
            return cls.forward(None, *args, **kwargs)  # with the functional's graph, which has all derivatives
        return super().apply(*args, **kwargs)


class MSDeformAttnFunction(_Function):
    """Deformable DETR's, and mmcv's MultiScaleDeformableAttnFunction."""

    @staticmethod
    def forward(
        ctx, value, value_spatial_shapes, value_level_start_index, sampling_locations, attention_weights, im2col_step=64
    ):
        if ctx is not None:
            ctx.save_for_backward(value, sampling_locations, attention_weights)
            ctx.levels = value_spatial_shapes, value_level_start_index
        return ms_deform_attn(
            value, value_spatial_shapes, sampling_locations, attention_weights, value_level_start_index
        )

    @staticmethod
    def backward(ctx, grad_output):
        """For classes derived from this one, and for torch.compile, which traces forward and backward, not apply."""
        gradients = _backward(ctx.saved_tensors, *ctx.levels, None, False, grad_output)
        return gradients[0], None, None, gradients[1], gradients[2], None


class FlashDeformAttnFunction(_Function):
    """The DCNv4 package's. K is the number of points of each level."""

    @staticmethod
    def forward(
        ctx, value, value_spatial_shapes, value_level_start_index, sampling_loc_attn, im2col_step=64, K=8
    ):
        if ctx is not None:
            ctx.save_for_backward(value, sampling_loc_attn)
            ctx.levels = value_spatial_shapes, value_level_start_index, K
        return flash_deform_attn(value, value_spatial_shapes, value_level_start_index, sampling_loc_attn, K)

    @staticmethod
    def backward(ctx, grad_output):
        """As MSDeformAttnFunction's."""
        gradients = _backward((*ctx.saved_tensors, None), *ctx.levels, True, grad_output)
        return gradients[0], None, None, gradients[1], None, None
