"""The derivatives of dcnv4::forward and dcnv4::backward: of any order, in reverse and in forward mode, and batched.

The operator F(value, offset_mask) is linear in value and in the weights, and between two columns or rows of pixels it
is linear in a point's x and y. Its tangent is therefore a few runs of F itself (`tangent`), and all higher derivatives
are derivatives of that.
"""

from __future__ import annotations

import torch

from torch.autograd import forward_ad

from ._problem import HALVES, Layer, make_layer
from .reference import find_points


def _below_autograd(run, *arguments):
    with torch._C._AutoDispatchBelowAutograd():
        return run(*arguments)


def _fold(count: int, dims, tensors) -> list:
    """[count, N, …] as [count·N, …]; a tensor without a batch dimension is repeated."""
    batched = (
        tensor.expand(count, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
        for tensor, dim in zip(tensors, dims)
    )
    return [tensor.flatten(0, 1) for tensor in batched]


def _unfold(count: int, tensor: torch.Tensor) -> torch.Tensor:
    return tensor.reshape(count, tensor.shape[0] // count, *tensor.shape[1:])


class Forward(torch.autograd.Function):
    """apply(value, offset_mask, arguments), the last as dcnv4::forward takes them."""

    @staticmethod
    def forward(value, offset_mask, arguments):
        return _below_autograd(torch.ops.dcnv4.forward, value, offset_mask, *arguments)

    @staticmethod
    def setup_context(ctx, inputs, output):
        value, offset_mask, ctx.arguments = inputs
        ctx.save_for_backward(value, offset_mask)
        ctx.save_for_forward(value, offset_mask)
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx, grad_output):
        if grad_output is None:
            return None, None, None
        return (*torch.ops.dcnv4.backward(grad_output, *ctx.saved_tensors, *ctx.arguments), None)

    @staticmethod
    def jvp(ctx, value_t, offset_mask_t, _):
        with forward_ad._set_fwd_grad_enabled(True):  # otherwise PyTorch treats a tangent's own tangent as 0
            return tangent(*_primals(ctx.saved_tensors), value_t, offset_mask_t, ctx.arguments)

    @staticmethod
    def vmap(info, in_dims, value, offset_mask, arguments):
        folded = _fold(info.batch_size, in_dims, (value, offset_mask))
        return _unfold(info.batch_size, torch.ops.dcnv4.forward(*folded, *arguments)), 0


class Backward(torch.autograd.Function):
    """apply(grad_output, value, offset_mask, arguments), the last as dcnv4::backward takes them."""

    @staticmethod
    def forward(grad_output, value, offset_mask, arguments):
        return _below_autograd(torch.ops.dcnv4.backward, grad_output, value, offset_mask, *arguments)

    @staticmethod
    def setup_context(ctx, inputs, output):
        *tensors, ctx.arguments = inputs
        ctx.save_for_backward(*tensors)
        ctx.save_for_forward(*tensors)
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx, value_t, offset_mask_t):
        # ⟨gradients, (value_t, offset_mask_t)⟩ is ⟨grad_output, forward's tangent⟩: this differentiates the latter.
        if value_t is None and offset_mask_t is None:
            return None, None, None, None
        return (*_along(*ctx.saved_tensors, value_t, offset_mask_t, ctx.arguments), None)

    @staticmethod
    def jvp(ctx, grad_output_t, value_t, offset_mask_t, _):
        parts = []
        with forward_ad._set_fwd_grad_enabled(True):
            grad_output, value, offset_mask = _primals(ctx.saved_tensors)
            if grad_output_t is not None:  # backward is linear in grad_output
                parts.append(torch.ops.dcnv4.backward(grad_output_t, value, offset_mask, *ctx.arguments))
            if value_t is not None or offset_mask_t is not None:  # second derivatives are symmetric
                parts.append(_along(grad_output, value, offset_mask, value_t, offset_mask_t, ctx.arguments)[1:])
            return tuple(map(sum, zip(*parts)))

    @staticmethod
    def vmap(info, in_dims, *inputs):
        *tensors, arguments = inputs
        folded = _fold(info.batch_size, in_dims, tensors)
        gradients = torch.ops.dcnv4.backward(*folded, *arguments)
        return tuple(_unfold(info.batch_size, gradient) for gradient in gradients), (0, 0)


def run_batched(operator, tensors, arguments):
    """The operator on tensors of the vmap that torch.autograd itself uses, for is_grads_batched and vectorize=True. Its
    level can only be read by incrementing it, and it takes no rule other than a kernel like this."""
    level = torch._C._vmapmode_increment_nesting() - 1
    torch._C._vmapmode_decrement_nesting()
    tensors = [torch._remove_batch_dim(tensor, level, 1, 0) for tensor in tensors]
    count = max(tensor.shape[0] for tensor in tensors)
    folded = [tensor.expand(count, *tensor.shape[1:]).flatten(0, 1) for tensor in tensors]
    torch._C._vmapmode_decrement_nesting()
    try:
        results = operator(*folded, *arguments)
    finally:
        torch._C._vmapmode_increment_nesting()
    batched = lambda result: torch._add_batch_dim(_unfold(count, result), 0, level)  # noqa: E731
    return tuple(map(batched, results)) if isinstance(results, tuple) else batched(results)


def _primals(tensors) -> tuple:
    """The saved inputs without their tangents."""
    return tuple(forward_ad.unpack_dual(tensor, level=0).primal for tensor in tensors)


def _along(grad_output, value, offset_mask, value_t, offset_mask_t, arguments) -> tuple:
    """forward's tangent, and the gradients by value and offset_mask of its inner product with grad_output."""
    run = lambda v, o: tangent(v, o, value_t, offset_mask_t, arguments)  # noqa: E731
    output_t, pull = torch.func.vjp(run, value, offset_mask)
    return (output_t, *pull(grad_output))


def tangent(value, offset_mask, value_t, offset_mask_t, arguments) -> torch.Tensor:
    """The tangent of forward's output for the inputs' tangents value_t and offset_mask_t; None stands for 0."""
    parts = []
    if value_t is not None:
        parts.append(torch.ops.dcnv4.forward(value_t, offset_mask, *arguments))
    if offset_mask_t is not None:
        layer = make_layer(*arguments)
        wide = [t.float() if t.dtype in HALVES else t for t in (value, offset_mask, offset_mask_t)]
        parts.append(_points_tangent(*wide, layer).to(value.dtype))
    return sum(parts)


def _points_tangent(value, offset_mask, offset_mask_t, layer: Layer) -> torch.Tensor:
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
