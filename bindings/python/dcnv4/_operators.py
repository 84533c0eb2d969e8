"""dcnv4::forward and dcnv4::backward as operators of torch.library: for torch.compile, export, and who looks at calls.

Importing this registers them; PyTorch before 2.4 cannot, and then there is only AutogradCall, which is also the quick
way of eager mode: a call through the dispatcher to an operator that is written in Python costs more than the call
itself.
"""

from __future__ import annotations

import torch
from torch.autograd import forward_ad

from . import _runtime
from ._problem import Layer, check_dtypes, check_shapes, make_layer

available = hasattr(torch.library, "register_fake") and hasattr(torch.library, "register_autograd")

_LAYER = (
    "int[2] kernel_size, int[2] stride, int[2] padding, int[2] dilation, int group, float offset_scale, "
    "bool remove_center, bool softmax"
)


class AutogradRefusal(torch.autograd.Function):
    """The gradients, with a graph behind them (create_graph) that says that it is none. PyTorch's once_differentiable
    is not connected to the inputs: autograd.grad(…, allow_unused=True) would take their second derivatives for 0."""

    @staticmethod
    def forward(ctx, grad_output, value, offset_mask, parameters):
        return _runtime.backward(grad_output, value, offset_mask, parameters)

    @staticmethod
    def backward(ctx, *gradients):
        _refuse(ctx, *gradients)


class AutogradCall(torch.autograd.Function):
    """apply(value, offset_mask, parameters), in eager mode."""

    @staticmethod
    def forward(ctx, value, offset_mask, parameters):
        ctx.save_for_backward(value, offset_mask)
        ctx.parameters = parameters
        return _runtime.forward(value, offset_mask, parameters)

    @staticmethod
    def backward(ctx, grad_output):
        value, offset_mask = ctx.saved_tensors
        run = AutogradRefusal.apply if torch.is_grad_enabled() else _runtime.backward
        return (*run(grad_output, value, offset_mask, ctx.parameters), None)


# torch.autograd.Function.apply, less its look-out for function transforms, which is_eager has done: a quarter of the
# time.
_apply = super(torch.autograd.Function, AutogradCall).apply


def _layer(arguments) -> Layer:
    """The dispatcher hands pairs over as lists."""
    pairs = (tuple(pair) for pair in arguments[:4])
    return Layer(*pairs, *arguments[4:])


def _forward(value, offset_mask, *arguments):
    return _runtime.forward(value, offset_mask, _layer(arguments))


def _backward(grad_output, value, offset_mask, *arguments):
    return _runtime.backward(grad_output, value, offset_mask, _layer(arguments))


def _fake_forward(value, offset_mask, *arguments):
    check_dtypes(value, offset_mask)
    return value.new_empty(check_shapes(value, offset_mask, make_layer(*_layer(arguments))))


def _fake_backward(grad_output, value, offset_mask, *arguments):
    return value.new_empty(value.shape), offset_mask.new_empty(offset_mask.shape)


def _setup(ctx, inputs, output):
    value, offset_mask, *arguments = inputs
    ctx.save_for_backward(value, offset_mask)
    ctx.arguments = arguments


def _differentiate(ctx, grad_output):
    gradients = torch.ops.dcnv4.backward(grad_output, *ctx.saved_tensors, *ctx.arguments)
    return (*gradients, *(None for _ in ctx.arguments))


def _refuse(ctx, *gradients):
    raise RuntimeError("dcnv4: trying to differentiate twice; the operator has first derivatives only")


def _register() -> torch.library.Library:
    library = torch.library.Library("dcnv4", "DEF")
    tags = (torch.Tag.pt2_compliant_tag,)
    library.define(f"forward(Tensor value, Tensor offset_mask, {_LAYER}) -> Tensor", tags=tags)
    library.define(
        f"backward(Tensor grad_output, Tensor value, Tensor offset_mask, {_LAYER}) -> (Tensor, Tensor)", tags=tags
    )
    for key in ("CPU", "CUDA"):
        library.impl("forward", _forward, key)
        library.impl("backward", _backward, key)
    torch.library.register_fake("dcnv4::forward", _fake_forward, lib=library)
    torch.library.register_fake("dcnv4::backward", _fake_backward, lib=library)
    torch.library.register_autograd("dcnv4::forward", _differentiate, setup_context=_setup, lib=library)
    torch.library.register_autograd("dcnv4::backward", _refuse, lib=library)
    return library


def _nothing() -> int:
    return 0


if available:
    _library = _register()  # the operators live as long as this does
    forward = torch.ops.dcnv4.forward
    is_compiling = torch.compiler.is_compiling
    _modes, _transforms, _tracing = (
        getattr(torch._C, "_len_torch_dispatch_stack", _nothing),
        getattr(torch._C._functorch, "peek_interpreter_stack", lambda: None),
        torch._C._get_tracing_state,
    )
    _plain = (torch.Tensor, torch.nn.Parameter)


def is_eager(value, offset_mask) -> bool:
    """Whether nobody looks at the call: no tracer, no mode, no function transform, no subclass of a tensor."""
    return not available or (
        type(value) in _plain
        and type(offset_mask) in _plain
        and not _modes()
        and _transforms() is None
        and _tracing() is None
        and value.device.type != "meta"
    )


def call_eagerly(value, offset_mask, parameters):
    if torch.is_grad_enabled() and (value.requires_grad or offset_mask.requires_grad) or forward_ad._current_level >= 0:
        return _apply(value, offset_mask, parameters)
    return _runtime.forward(value, offset_mask, parameters)
