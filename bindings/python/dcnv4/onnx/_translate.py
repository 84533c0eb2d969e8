"""PyTorch's operators dcnv4::forward and dcnv4::ms_deform_attn as nodes of ONNX: the translations that torch.onnx's
exporter calls."""

from __future__ import annotations

import onnx
import torch
from onnx.defs import OpSchema
from onnxscript import opset18 as op
from onnxscript import values

from .. import functional  # noqa: F401  registers the operators
from .._library import BOX_OFFSETS, NORMALIZED, OFFSETS, PLACES
from .functions import DOMAIN

_FLOATS = ["tensor(float)", "tensor(float16)", "tensor(bfloat16)", "tensor(double)"]
_INT, _INTS, _FLOAT = OpSchema.AttrType.INT, OpSchema.AttrType.INTS, OpSchema.AttrType.FLOAT


def _operator(name: str, inputs: dict, **attributes):
    """An operator that onnxscript knows. inputs is the name of each and of its type."""
    types = {kind: _FLOATS for kind in inputs.values() if kind != "tensor(int64)"}
    schema = OpSchema(
        name,
        DOMAIN,
        1,
        inputs=[OpSchema.FormalParameter(*each) for each in inputs.items()],
        outputs=[OpSchema.FormalParameter("output", "T")],
        type_constraints=[(kind, allowed, "") for kind, allowed in types.items()],
        attributes=[OpSchema.Attribute(each, kind, required=True) for each, kind in attributes.items()],
    )
    return values.Op(values.Opset(DOMAIN, 1), name, schema)


_conv = _operator(
    "DCNv4",
    {"value": "T", "offset_mask": "T1"},
    kernel_size=_INTS,
    stride=_INTS,
    padding=_INTS,
    dilation=_INTS,
    group=_INT,
    offset_scale=_FLOAT,
    remove_center=_INT,
    softmax=_INT,
)
_attention = _operator(
    "MSDeformAttn",
    {
        "value": "T",
        "spatial_shapes": "tensor(int64)",
        "level_start_index": "tensor(int64)",
        "sampling_locations": "T1",
        "attention_weights": "T2",
    },
    points=_INTS,
    unit=_INT,
    softmax=_INT,
)


def _translate_conv(
    value, offset_mask, kernel_size, stride, padding, dilation, group, offset_scale, remove_center, softmax
):
    return _conv(
        value,
        offset_mask,
        kernel_size=list(kernel_size),
        stride=list(stride),
        padding=list(padding),
        dilation=list(dilation),
        group=group,
        offset_scale=offset_scale,
        remove_center=int(remove_center),
        softmax=int(softmax),
    )


def _ints(numbers):
    return op.Constant(value=onnx.helper.make_tensor("", onnx.TensorProto.INT64, [len(numbers)], list(numbers)))


def _floats(numbers, shape):
    return op.Constant(value=onnx.helper.make_tensor("", onnx.TensorProto.FLOAT, list(shape), list(numbers)))


def _numbers(given):
    """Whole numbers, some of them symbolic, as a tensor."""
    if all(isinstance(number, int) for number in given):
        return _ints(given)
    parts = [_ints([each]) if isinstance(each, int) else op.Reshape(each, _ints([1])) for each in given]
    return op.Concat(*parts, axis=0)


def _tables(level_shapes, level_starts, sizes, starts):
    """spatial_shapes [L, 2] and level_start_index [L] as tensors."""
    if level_shapes is not None:
        return level_shapes, level_starts
    shapes = op.Reshape(_numbers(sizes), _ints([-1, 2]))
    if starts:
        return shapes, _numbers(starts)
    if all(isinstance(number, int) for number in sizes):
        begins = [0]
        for height, width in zip(sizes[:-2:2], sizes[1:-2:2]):
            begins.append(begins[-1] + height * width)
        return shapes, _ints(begins)
    places = op.ReduceProd(shapes, _ints([1]), keepdims=0)
    return shapes, op.CumSum(places, op.Constant(value_int=0), exclusive=1)


def _split(packed, points: int):
    """A packed row of 2·P numbers of locations and P weights."""
    ends, last = _ints([2 * points]), _ints([-1])
    pairs = op.Slice(packed, _ints([0]), ends, last)
    return op.Reshape(pairs, _ints([0, 0, 0, points, 2])), op.Slice(packed, ends, _ints([3 * points]), last)


def _around_references(locations, references, shapes, points, unit: int, box_scale: float):
    """Offsets from references as locations in another unit, in float32: 16 bits would round locations."""
    count = sum(points)
    levels = [level for level, number in enumerate(points) for _ in range(number)]
    per_level = references.shape[2] != 1
    offsets = op.Reshape(op.Cast(locations, to=1), _ints([0, 0, 0, count, 2]))
    references = op.Cast(references, to=1)
    references = op.Gather(references, _ints(levels if per_level else [0]), axis=2)
    references = op.Unsqueeze(references, _ints([2]))  # [N, Q, 1, P or 1, 2 or 4]
    centre = op.Slice(references, _ints([0]), _ints([2]), _ints([-1]))
    if unit == OFFSETS:
        sizes = op.Cast(op.Gather(op.Gather(shapes, _ints([1, 0]), axis=1), _ints(levels), axis=0), to=1)
        half = _floats([0.5], [])
        return op.Add(offsets, op.Sub(op.Mul(centre, sizes), half)), PLACES
    size = op.Slice(references, _ints([2]), _ints([4]), _ints([-1]))
    scale = _floats([box_scale / points[level] for level in levels], [count, 1])
    return op.Add(centre, op.Mul(op.Mul(offsets, size), scale)), NORMALIZED


def _translate_attention(
    value,
    locations,
    weights,
    references,
    level_shapes,
    level_starts,
    sizes,
    starts,
    points,
    unit,
    softmax,
    box_scale,
):
    shapes, begins = _tables(level_shapes, level_starts, sizes, starts)
    if weights is None:
        locations, weights = _split(locations, sum(points))
    if unit in (OFFSETS, BOX_OFFSETS):
        locations, unit = _around_references(locations, references, shapes, points, unit, box_scale)
    return _attention(
        value, shapes, begins, locations, weights, points=list(points), unit=unit, softmax=int(softmax)
    )


def translations() -> dict:
    """For torch.onnx.export(…, dynamo=True, custom_translation_table=…)."""
    operators = torch.ops.dcnv4
    return {operators.forward.default: _translate_conv, operators.ms_deform_attn.default: _translate_attention}
