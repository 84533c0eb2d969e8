"""Multi-scale deformable attention, as dcnv4::ms_deform_attn and dcnv4::ms_deform_attn_backward."""

from __future__ import annotations

import math

import torch

from . import _library as lib
from ._attention_points import find_points
from ._attention_problem import check_call, check_dtypes, convert, make_levels
from ._operator import Input, Operator
from ._problem import DTYPES, HALVES


class Attention(Operator):
    """Without weights, locations has the packed layout."""

    name, backward_name = "ms_deform_attn", "ms_deform_attn_backward"
    arguments = "SymInt[] sizes, SymInt[] starts, int[] points, int unit, bool softmax, float box_scale"
    inputs = (
        Input("value", "value_stride", 2),
        Input("locations", "location_stride", 2),
        Input("weights", "weight_stride", 2, optional=True),
        Input("references", "reference_stride", 2, optional=True),
        Input("level_shapes", None, 0, optional=True),
        Input("level_starts", None, 0, optional=True),
    )
    differentiable = 4
    output_row = 2
    library = lib.MS_DEFORM_ATTN

    def make_layer(self, *arguments):
        return make_levels(*arguments)

    def check_dtypes(self, tensors):
        check_dtypes(tensors)

    def convert(self, tensors):
        return convert(tensors)

    def check_call(self, tensors, layer, grad_output=None):
        return check_call(tensors, layer, grad_output)

    def fill(self, problem, layer, tensors):
        value, locations, weights, references, level_shapes = tensors[:5]
        problem.dtype, problem.location_dtype = DTYPES.index(value.dtype), DTYPES.index(locations.dtype)
        problem.weight_dtype = DTYPES.index((locations if weights is None else weights).dtype)
        problem.reference_dtype = DTYPES.index((locations if references is None else references).dtype)
        problem.location_unit, problem.softmax, problem.packed = layer.unit, layer.softmax, weights is None
        problem.level_count, problem.levels_in_buffers = len(layer.points), level_shapes is not None
        problem.levels = (lib.MsdaLevel * len(layer.points))()
        starts = layer.begins()
        for index, points in enumerate(layer.points):
            level = problem.levels[index]
            level.points = points
            if level_shapes is None:
                level.height, level.width = layer.sizes[2 * index : 2 * index + 2]
                level.start = starts[index]
        problem.batch, problem.value_length, problem.heads, problem.head_channels = value.shape
        problem.queries = locations.shape[1]
        problem.reference_levels = 1 if references is None else references.shape[2]
        problem.box_scale = layer.box_scale

    def on_host(self, tensors, arguments):
        """Level tables in the memory of a cpu are read, and become arguments."""
        *some, shapes, starts = tensors
        if shapes is None or (shapes.device.type != "cpu" and some[0].device.type != "cpu"):
            return tensors, arguments
        check_dtypes((*some, shapes, starts))
        numbers = tuple(shapes.flatten().tolist()), tuple(starts.flatten().tolist())
        return (*some, None, None), (*numbers, *arguments[2:])

    def flops(self, shapes, arguments):
        """A multiply-add for each of the four places around a point and each channel."""
        value, locations = shapes[:2]
        return 2 * 4 * sum(make_levels(*arguments).points) * math.prod(locations[:2]) * math.prod(value[2:])

    def tangent(self, layer, tensors, tangents):
        """The operator is linear in value and in the weights, and between two columns or rows of places in x and y."""
        value, *others = tensors
        value_t, *others_t = tangents
        parts = []
        if value_t is not None:
            parts.append(torch.ops.dcnv4.ms_deform_attn(value_t, *others, *layer))
        if any(tangent is not None for tangent in others_t):
            wide = lambda t: t.float() if t is not None and t.dtype in HALVES else t  # noqa: E731
            tables = others[3:]
            inputs, moving = map(wide, others[:3]), map(wide, others_t)
            parts.append(_points_tangent(wide(value), (*inputs, *tables), tuple(moving), layer).to(value.dtype))
        return sum(parts)


ms_deform_attn = Attention()


def _points_tangent(value, others, others_t, layer) -> torch.Tensor:
    """The part of the output's tangent that comes from weights and positions: a run with the weights' tangents in the
    place of the weights, and for x and for y the difference of two runs with the points moved to the places on either
    side."""
    points = find_points(*others, layer)
    x, y, weights, counts = points.x, points.y, points.weights, points.counts
    x_t, y_t, weights_t = points.tangents(*others_t)
    zero = torch.zeros_like(x)
    plain = layer._replace(unit=lib.PLACES, softmax=False)

    def run_at(x, y, weights):
        locations = torch.stack((x, y), -1)
        return torch.ops.dcnv4.ms_deform_attn(value, locations, weights, None, *others[3:], *plain)

    output_t = run_at(x, y, weights_t) if weights_t is not None else 0
    if x_t is None:
        return output_t
    weights = torch.where(counts, weights, zero)
    by_x, by_y = (weights * torch.where(counts, t, zero) for t in (x_t, y_t))
    left, top = x.detach().floor(), y.detach().floor()
    output_t = output_t + run_at(left + 1, y, by_x) - run_at(left, y, by_x)
    return output_t + run_at(x, top + 1, by_y) - run_at(x, top, by_y)
