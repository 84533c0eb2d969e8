"""dcnv4::forward and dcnv4::backward as operators of torch.library: for torch.compile, export, function transforms, and
tools that observe calls.

Importing this registers them. Before PyTorch 2.4 that is impossible, and there is only AutogradCall, which is also the
fast path in eager mode: dispatching to an operator that is written in Python costs more than the call itself.
"""

from __future__ import annotations

import torch
from torch.autograd import forward_ad, profiler

from . import _runtime
from ._problem import check_call, check_dtypes, go_together, make_layer

available = hasattr(torch.library, "register_fake") and hasattr(torch.library, "register_autograd")

_LAYER = (
    "int[2] kernel_size, int[2] stride, int[2] padding, int[2] dilation, int group, float offset_scale, "
    "bool remove_center, bool softmax"
)


class AutogradRefusal(torch.autograd.Function):
    """The gradients, with a graph (create_graph) that raises an error when it is differentiated. PyTorch's
    once_differentiable is not connected to the inputs: autograd.grad(…, allow_unused=True) would treat
    their second derivatives as 0."""

    @staticmethod
    def forward(ctx, grad_output, value, offset_mask, parameters):
        return _runtime.backward(grad_output, value, offset_mask, parameters)

    @staticmethod
    def backward(ctx, *gradients):
        raise RuntimeError(
            f"dcnv4: trying to differentiate twice, which needs PyTorch 2.4; this is PyTorch {torch.__version__}"
        )


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
        return (*_call_backward(grad_output, value, offset_mask, ctx.parameters), None)


# torch.autograd.Function.apply without its check for function transforms, which is_eager has made: a quarter of the
# time.
_apply = super(torch.autograd.Function, AutogradCall).apply


def _nothing() -> int:
    return 0


class _OldProfiler:
    """For PyTorch before 2.0, which has a function in place of this flag."""

    @property
    def _is_profiler_enabled(self) -> bool:
        return torch.autograd._profiler_enabled()


_profiler = profiler if hasattr(profiler, "_is_profiler_enabled") else _OldProfiler()
_fast_record = getattr(getattr(torch._C, "_profiler", None), "_RecordFunctionFast", None)


if available:
    is_compiling = torch.compiler.is_compiling
_modes = getattr(torch._C, "_len_torch_dispatch_stack", _nothing)
_transforms = getattr(getattr(torch._C, "_functorch", None), "peek_interpreter_stack", lambda: None)
_tracing = torch._C._get_tracing_state
_plain = (torch.Tensor, torch.nn.Parameter)


def is_eager(value, offset_mask) -> bool:
    """Whether nothing has to intercept the call: no tracer, no mode, no function transform, no forward mode, no
    subclass of a tensor."""
    return (
        type(value) in _plain
        and type(offset_mask) in _plain
        and not _modes()
        and _transforms() is None
        and _tracing() is None
        and forward_ad._current_level < 0
        and not value.is_meta
    )


def of_values_dtype(value, offset_mask):
    """offset_mask in a dtype that the operators take."""
    check_dtypes(value, offset_mask)
    # Not .to(value.dtype): a trace would record that dtype, even if the module is converted later. For the same reason
    # nothing is recorded if no conversion is necessary.
    return offset_mask if go_together(value.dtype, offset_mask.dtype) else offset_mask.type_as(value)


def call_eagerly(value, offset_mask, parameters):
    try:
        if _profiler._is_profiler_enabled:
            with _recorded("dcnv4::forward", value, offset_mask):
                return _call_forward(value, offset_mask, parameters)
        return _call_forward(value, offset_mask, parameters)
    except _runtime.NoMemory:
        if not available:
            raise
        return torch.ops.dcnv4.forward(value, offset_mask, *make_layer(*parameters))


def _call_forward(value, offset_mask, parameters):
    if torch.is_grad_enabled() and (value.requires_grad or offset_mask.requires_grad):
        return _apply(value, offset_mask, parameters)
    return _runtime.forward(value, offset_mask, parameters)


def _call_backward(grad_output, value, offset_mask, parameters):
    if not torch.is_grad_enabled() and is_eager(grad_output, value):
        try:
            if _profiler._is_profiler_enabled:
                with _recorded("dcnv4::backward", grad_output, value, offset_mask):
                    return _runtime.backward(grad_output, value, offset_mask, parameters)
            return _runtime.backward(grad_output, value, offset_mask, parameters)
        except _runtime.NoMemory:
            if not available:
                raise
    if available:
        return torch.ops.dcnv4.backward(grad_output, value, offset_mask, *make_layer(*parameters))
    return AutogradRefusal.apply(grad_output, value, offset_mask, parameters)


def _recorded(name, *tensors):
    """Makes a profiler list a call as it lists dispatched ones."""
    return _fast_record(name, tensors) if _fast_record else profiler.record_function(name)


def dispatch(value, offset_mask, parameters):
    offset_mask = of_values_dtype(value, offset_mask)
    layer = make_layer(*parameters)
    if available:
        return torch.ops.dcnv4.forward(value, offset_mask, *layer)
    return AutogradCall.apply(value, offset_mask, tuple(layer))  # raises an error for transforms and forward mode


def _forward(value, offset_mask, *arguments):
    return _runtime.forward(value, offset_mask, arguments)


def _backward(grad_output, value, offset_mask, *arguments):
    return _runtime.backward(grad_output, value, offset_mask, arguments)


def _fake_forward(value, offset_mask, *arguments):
    return value.new_empty(check_call(value, offset_mask, make_layer(*arguments)))


def _fake_backward(grad_output, value, offset_mask, *arguments):
    check_call(value, offset_mask, make_layer(*arguments), grad_output)
    return value.new_empty(value.shape), offset_mask.new_empty(offset_mask.shape)


def _differentiable(function, operator, count: int):
    """The kernel of an operator under autograd. Its first `count` arguments are tensors."""

    def run(*arguments):
        tensors = arguments[:count]
        if forward_ad._current_level >= 0 or (torch.is_grad_enabled() and any(t.requires_grad for t in tensors)):
            return function.apply(*tensors, arguments[count:])
        with torch._C._AutoDispatchBelowAutograd():
            return operator(*arguments)

    return run


def _batched(operator, count: int):
    from ._derivatives import run_batched

    return lambda *arguments: run_batched(operator, arguments[:count], arguments[count:])


def _transformed(function, operator, count: int):
    """The kernel of an operator under torch.func: what PyTorch does for an autograd.Function, with a rule for
    functionalize, which that lacks."""
    from torch._functorch import pyfunctorch
    from torch._subclasses.functional_tensor import FunctorchFunctionalizeAPI

    def run(*arguments):
        interpreter = pyfunctorch.retrieve_current_functorch_interpreter()
        if interpreter.key() != torch._C._functorch.TransformType.Functionalize:
            return function.apply(*arguments[:count], arguments[count:])
        functional = FunctorchFunctionalizeAPI(interpreter)
        with functional.redispatch_to_next():
            result = operator(*functional.unwrap_tensors(arguments))
        return functional.wrap_tensors(result)

    return run


def _register() -> torch.library.Library:
    from . import _flops
    from ._derivatives import Backward, Forward

    library = torch.library.Library("dcnv4", "DEF")
    tags = (torch.Tag.pt2_compliant_tag,)
    library.define(f"forward(Tensor value, Tensor offset_mask, {_LAYER}) -> Tensor", tags=tags)
    library.define(
        f"backward(Tensor grad_output, Tensor value, Tensor offset_mask, {_LAYER}) -> (Tensor, Tensor)", tags=tags
    )
    for name, kernel, fake, function, count in (
        ("forward", _forward, _fake_forward, Forward, 2),
        ("backward", _backward, _fake_backward, Backward, 3),
    ):
        operator = getattr(torch.ops.dcnv4, name).default
        library.impl(name, kernel, "CPU")
        library.impl(name, kernel, "CUDA")
        torch.library.register_fake(f"dcnv4::{name}", fake, lib=library)
        library.impl(name, _differentiable(function, operator, count), "Autograd")
        library.impl(name, _batched(operator, count), "Batched")
        library.impl(name, _transformed(function, operator, count), "FuncTorchDynamicLayerFrontMode")
    _flops.register(torch.ops.dcnv4.forward, torch.ops.dcnv4.backward)
    return library


if available:
    _library = _register()  # the operators live as long as this does
