"""The derivatives of the operators and of their backward runs: of any order, in reverse and in forward mode, and
batched.

An operator's tangent is a few runs of itself (Operator.tangent), and all higher derivatives are derivatives of that.
"""

from __future__ import annotations

import torch

from torch.autograd import forward_ad


def _below_autograd(name, *arguments):
    with torch._C._AutoDispatchBelowAutograd():
        return _registered(name)(*arguments)


def _registered(name: str):
    return getattr(torch.ops.dcnv4, name)


def _fold(operator, count: int, dims, tensors) -> list:
    """[count, N, …] as [count·N, …]; a tensor without a batch dimension is repeated. The last ones, which have no
    derivatives, have no batch: they are the same for all."""
    folded, fixed = [], len(operator.inputs) - operator.differentiable
    for left, dim, tensor in zip(range(len(tensors) - 1, -1, -1), dims, tensors):
        if left < fixed or tensor is None:
            if dim is not None:
                raise RuntimeError(f"dcnv4::{operator.name}: vmap over {operator.inputs[-1 - left].name} is not possible")
            folded.append(tensor)
        else:
            batched = tensor.expand(count, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
            folded.append(batched.flatten(0, 1))
    return folded


def _unfold(count: int, tensor: torch.Tensor) -> torch.Tensor:
    return tensor.reshape(count, tensor.shape[0] // count, *tensor.shape[1:])


def _without_empty(operator, tensors, gradients) -> list:
    """None for each input that is not there, in place of the tensor without elements that the operator returns; and for
    those without derivatives."""
    found = [None if tensor is None else gradient for tensor, gradient in zip(tensors, gradients)]
    return found + [None] * (len(operator.inputs) - operator.differentiable)


class Forward(torch.autograd.Function):
    """apply(operator, arguments, *tensors)"""

    @staticmethod
    def forward(operator, arguments, *tensors):
        return _below_autograd(operator.name, *tensors, *arguments)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.operator, ctx.arguments, *tensors = inputs
        ctx.save_for_backward(*tensors)
        ctx.save_for_forward(*tensors)
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx, grad_output):
        operator, tensors = ctx.operator, ctx.saved_tensors
        if grad_output is None:
            return (None,) * (2 + len(tensors))
        gradients = _registered(operator.backward_name)(grad_output, *tensors, *ctx.arguments)
        return (None, None, *_without_empty(operator, tensors, gradients))

    @staticmethod
    def jvp(ctx, _, __, *tangents):
        with forward_ad._set_fwd_grad_enabled(True):  # otherwise PyTorch treats a tangent's own tangent as 0
            return _tangent(ctx.operator, ctx.arguments, _primals(ctx.saved_tensors), tangents)

    @staticmethod
    def vmap(info, in_dims, operator, arguments, *tensors):
        folded = _fold(operator, info.batch_size, in_dims[2:], tensors)
        return _unfold(info.batch_size, _registered(operator.name)(*folded, *arguments)), 0


class Backward(torch.autograd.Function):
    """apply(operator, arguments, grad_output, *tensors)"""

    @staticmethod
    def forward(operator, arguments, *tensors):
        return _below_autograd(operator.backward_name, *tensors, *arguments)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.operator, ctx.arguments, *tensors = inputs
        ctx.save_for_backward(*tensors)
        ctx.save_for_forward(*tensors)
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx, *tangents):
        # ⟨gradients, tangents⟩ is ⟨grad_output, forward's tangent⟩: this differentiates the latter.
        operator, (grad_output, *tensors) = ctx.operator, ctx.saved_tensors
        if all(tangent is None for tangent in tangents):
            return (None,) * (3 + len(tensors))
        output_t, gradients = _along(operator, ctx.arguments, grad_output, tensors, tangents)
        return (None, None, output_t, *_without_empty(operator, tensors, gradients))

    @staticmethod
    def jvp(ctx, _, __, grad_output_t, *tangents):
        operator, parts = ctx.operator, []
        with forward_ad._set_fwd_grad_enabled(True):
            grad_output, *tensors = _primals(ctx.saved_tensors)
            if grad_output_t is not None:  # backward is linear in grad_output
                parts.append(_registered(operator.backward_name)(grad_output_t, *tensors, *ctx.arguments))
            if any(tangent is not None for tangent in tangents):  # second derivatives are symmetric
                parts.append(_along(operator, ctx.arguments, grad_output, tensors, tangents)[1])
            return tuple(map(sum, zip(*parts)))

    @staticmethod
    def vmap(info, in_dims, operator, arguments, *tensors):
        folded = _fold(operator, info.batch_size, in_dims[2:], tensors)
        gradients = _registered(operator.backward_name)(*folded, *arguments)
        return tuple(_unfold(info.batch_size, gradient) for gradient in gradients), (0,) * len(gradients)


def run_batched(operator, registered, tensors, arguments):
    """A registered operator on tensors of the vmap that torch.autograd itself uses, for is_grads_batched and
    vectorize=True. Its level can only be read by incrementing it, and it takes no rule other than a kernel like this."""
    level = torch._C._vmapmode_increment_nesting() - 1
    torch._C._vmapmode_decrement_nesting()
    fixed = len(tensors) - (len(operator.inputs) - operator.differentiable)  # those from here on have no batch
    batched = [
        tensor if tensor is None or index >= fixed else torch._remove_batch_dim(tensor, level, 1, 0)
        for index, tensor in enumerate(tensors)
    ]
    count = max(tensor.shape[0] for tensor in batched[:fixed] if tensor is not None)
    folded = [
        tensor if tensor is None or index >= fixed else tensor.expand(count, *tensor.shape[1:]).flatten(0, 1)
        for index, tensor in enumerate(batched)
    ]
    torch._C._vmapmode_decrement_nesting()
    try:
        results = registered(*folded, *arguments)
    finally:
        torch._C._vmapmode_increment_nesting()
    wrap = lambda result: torch._add_batch_dim(_unfold(count, result), 0, level)  # noqa: E731
    return tuple(map(wrap, results)) if isinstance(results, tuple) else wrap(results)


def _primals(tensors) -> tuple:
    """The saved inputs without their tangents."""
    return tuple(None if t is None else forward_ad.unpack_dual(t, level=0).primal for t in tensors)


def _tangent(operator, arguments, tensors, tangents) -> torch.Tensor:
    """The tangent of forward's output for the inputs' tangents, None of which stands for 0."""
    return operator.tangent(operator.make_layer(*arguments), tensors, tangents[: operator.differentiable])


def _along(operator, arguments, grad_output, tensors, tangents) -> tuple:
    """forward's tangent, and the gradients by the inputs of its inner product with grad_output: as the operator returns
    them, without elements for inputs that are not there."""
    tangents = [None if tensor is None else tangent for tensor, tangent in zip(tensors, tangents)]
    there = [index for index in range(operator.differentiable) if tensors[index] is not None]

    def run(*moving):
        whole = list(tensors)
        for index, tensor in zip(there, moving):
            whole[index] = tensor
        return _tangent(operator, arguments, whole, tangents)

    output_t, pull = torch.func.vjp(run, *(tensors[index] for index in there))
    found = dict(zip(there, pull(grad_output)))
    gradients = (found.get(index) for index in range(operator.differentiable))
    return output_t, tuple(grad_output.new_empty(0) if gradient is None else gradient for gradient in gradients)
