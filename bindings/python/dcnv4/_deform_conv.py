"""DCNv4, as dcnv4::forward and dcnv4::backward."""

from __future__ import annotations

import math

import torch

from . import _library as lib
from ._operator import Input, Operator
from ._problem import DTYPES, HALVES, check_call, check_dtypes, go_together, make_layer
from .reference import find_points


class DeformConv(Operator):
    name, backward_name = "forward", "backward"
    arguments = (
        "int[2] kernel_size, int[2] stride, int[2] padding, int[2] dilation, int group, float offset_scale, "
        "bool remove_center, bool softmax"
    )
    inputs = (Input("value", "value_stride", 3), Input("offset_mask", "offset_mask_stride", 3))
    differentiable = 2
    output_row = 3
    library = lib.DEFORM_CONV

    def make_layer(self, *arguments):
        return make_layer(*arguments)

    def check_dtypes(self, tensors):
        check_dtypes(*tensors)

    def convert(self, tensors):
        value, offset_mask = tensors
        check_dtypes(value, offset_mask)
        # Not .to(value.dtype): a trace would record that dtype, even if the module is converted later. For the same
        # reason nothing is recorded if no conversion is necessary.
        return value, offset_mask if go_together(value.dtype, offset_mask.dtype) else offset_mask.type_as(value)

    def check_call(self, tensors, layer, grad_output=None):
        return check_call(*tensors, layer, grad_output)

    def fill(self, problem, layer, tensors):
        value, offset_mask = tensors
        problem.dtype, problem.offset_mask_dtype = DTYPES.index(value.dtype), DTYPES.index(offset_mask.dtype)
        problem.remove_center, problem.softmax = layer.remove_center, layer.softmax
        problem.offset_scale = layer.offset_scale
        problem.batch, problem.height, problem.width = value.shape[:3]
        problem.groups, problem.group_channels = layer.group, value.shape[3] // layer.group
        problem.kernel_h, problem.kernel_w = layer.kernel_size
        problem.stride_h, problem.stride_w = layer.stride
        problem.pad_h, problem.pad_w = layer.padding
        problem.dilation_h, problem.dilation_w = layer.dilation
        problem.offset_mask_row = offset_mask.shape[3]

    def flops(self, shapes, arguments):
        """A multiply-add for each of the four pixels around a point and each channel."""
        value, offset_mask = shapes
        return 2 * 4 * make_layer(*arguments).points * math.prod(offset_mask[:3]) * value[3]

    def tangent(self, layer, tensors, tangents):
        """The operator is linear in value and in the weights, and between two columns or rows of pixels in x and y."""
        value, offset_mask = tensors
        value_t, offset_mask_t = tangents
        parts = []
        if value_t is not None:
            parts.append(torch.ops.dcnv4.forward(value_t, offset_mask, *layer))
        if offset_mask_t is not None:
            wide = [t.float() if t.dtype in HALVES else t for t in (value, offset_mask, offset_mask_t)]
            parts.append(_points_tangent(*wide, layer).to(value.dtype))
        return sum(parts)


deform_conv = DeformConv()


def _points_tangent(value, offset_mask, offset_mask_t, layer) -> torch.Tensor:
    """The part of the output's tangent that comes from weights and offsets: a run with the weights' tangents in the
    place of the weights, and for x and for y the difference of two runs with the points moved to the pixels on either
    side."""
    points = find_points(offset_mask, layer, value.shape[1], value.shape[2])
    used = 3 * layer.group * layer.points
    # Not offset_mask_t[..., :used]: if that is the whole row it is an alias, for which PyTorch's older vmap has no
    # rule.
    blocks_t = offset_mask_t.narrow(-1, 0, used).reshape(points.blocks.shape)
    split = 2 * layer.points
    offsets_t, weights_t = blocks_t.narrow(-1, 0, split), blocks_t.narrow(-1, split, layer.points)
    if layer.softmax:
        weights_t = points.weights * (weights_t - (points.weights * weights_t).sum(-1, keepdim=True))
    plain = layer._replace(softmax=False)
    unscaled = plain._replace(offset_scale=1.0)

    def run(offsets, weights, layer):
        rows = torch.cat((offsets, weights), -1)
        return torch.ops.dcnv4.forward(value, rows.reshape(*rows.shape[:3], used), *layer)

    def run_at(x, y, weights):
        places = torch.stack((x - points.origin_x, y - points.origin_y), -1)
        return run(places.reshape(offsets.shape), weights, unscaled)

    offsets = points.blocks[..., :split]
    output_t = run(offsets, weights_t, plain)
    counts, zero = points.counts, torch.zeros_like(points.weights)
    weights = torch.where(counts, points.weights, zero)
    offsets_t = layer.offset_scale * offsets_t.reshape(*points.x.shape, 2)
    by_x, by_y = (weights * torch.where(counts, offset_t, zero) for offset_t in offsets_t.unbind(-1))
    x, y = points.x, points.y
    left, top = x.detach().floor(), y.detach().floor()
    output_t = output_t + run_at(left + 1, y, by_x) - run_at(left, y, by_x)
    return output_t + run_at(x, top + 1, by_y) - run_at(x, top, by_y)
