"""libdcnv4's operators as operators of torch.library: for torch.compile, export, function transforms, and tools that
observe calls.

Importing this registers them. Before PyTorch 2.4 that is impossible, and there is only AutogradCall, which is also the
fast path in eager mode: dispatching to an operator that is written in Python costs more than the call itself.
"""

from __future__ import annotations

import torch
from torch.autograd import forward_ad, profiler

from . import _runtime
from ._attention import ms_deform_attn
from ._deform_conv import deform_conv

available = hasattr(torch.library, "register_fake") and hasattr(torch.library, "register_autograd")


class AutogradRefusal(torch.autograd.Function):
    """The gradients, with a graph (create_graph) that raises an error when it is differentiated. PyTorch's
    once_differentiable is not connected to the inputs: autograd.grad(…, allow_unused=True) would treat
    their second derivatives as 0."""

    @staticmethod
    def forward(ctx, operator, parameters, grad_output, *tensors):
        return _runtime.backward(operator, grad_output, tensors, parameters)

    @staticmethod
    def backward(ctx, *gradients):
        raise RuntimeError(
            f"dcnv4: trying to differentiate twice, which needs PyTorch 2.4; this is PyTorch {torch.__version__}"
        )


class AutogradCall(torch.autograd.Function):
    """apply(operator, parameters, *tensors), in eager mode."""

    @staticmethod
    def forward(ctx, operator, parameters, *tensors):
        ctx.save_for_backward(*tensors)
        ctx.operator, ctx.parameters = operator, parameters
        return _runtime.forward(operator, tensors, parameters)

    @staticmethod
    def backward(ctx, grad_output):
        tensors = ctx.saved_tensors
        gradients = _call_backward(ctx.operator, grad_output, tensors, ctx.parameters)
        return (None, None, *gradients, *[None] * (len(tensors) - len(gradients)))


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


def is_eager(*tensors) -> bool:
    """Whether nothing has to intercept the call: no tracer, no mode, no function transform, no forward mode, no
    subclass of a tensor."""
    for tensor in tensors:
        if type(tensor) not in _plain:
            return False
    return (
        not _modes()
        and _transforms() is None
        and _tracing() is None
        and forward_ad._current_level < 0
        and not tensors[0].is_meta
    )


def is_plain_call(*tensors) -> bool:
    """is_eager, which torch.compile cannot trace, where it does not compile."""
    return not (available and is_compiling()) and is_eager(*tensors)


def call_eagerly(operator, tensors, parameters):
    try:
        if _profiler._is_profiler_enabled:
            with _recorded(operator.name, *tensors):
                return _call_forward(operator, tensors, parameters)
        return _call_forward(operator, tensors, parameters)
    except _runtime.NoMemory:
        if not available:
            raise
        return _registered(operator.name)(*tensors, *operator.make_layer(*parameters))


def _call_forward(operator, tensors, parameters):
    if torch.is_grad_enabled():
        for tensor in tensors:
            if tensor is not None and tensor.requires_grad:
                return _apply(operator, parameters, *tensors)
    return _runtime.forward(operator, tensors, parameters)


def _call_backward(operator, grad_output, tensors, parameters):
    if not torch.is_grad_enabled() and is_eager(grad_output, tensors[0]):
        try:
            if _profiler._is_profiler_enabled:
                with _recorded(operator.backward_name, grad_output, *tensors):
                    return _runtime.backward(operator, grad_output, tensors, parameters)
            return _runtime.backward(operator, grad_output, tensors, parameters)
        except _runtime.NoMemory:
            if not available:
                raise
    if available:
        found = _registered(operator.backward_name)(grad_output, *tensors, *operator.make_layer(*parameters))
        return tuple(None if tensor is None else gradient for tensor, gradient in zip(tensors, found))
    return AutogradRefusal.apply(operator, parameters, grad_output, *tensors)


def _registered(name: str):
    return getattr(torch.ops.dcnv4, name)


def _recorded(name, *tensors):
    """Makes a profiler list a call as it lists dispatched ones."""
    name = f"dcnv4::{name}"
    return _fast_record(name, tensors) if _fast_record else profiler.record_function(name)


def dispatch(operator, tensors, parameters):
    tensors = operator.convert(tensors)
    layer = operator.make_layer(*parameters)
    if available:
        return _registered(operator.name)(*tensors, *layer)
    # Raises an error for transforms and forward mode.
    return AutogradCall.apply(operator, tuple(layer), *tensors)


def _empty_if_none(gradients, like) -> tuple:
    """An operator cannot return None: for an input that is not there it returns a tensor without elements."""
    return tuple(like.new_empty(0) if gradient is None else gradient for gradient in gradients)


def _kernels(operator) -> tuple:
    """Kernels of forward and backward for memory, and for fake tensors."""
    count = len(operator.inputs)

    def forward(*arguments):
        return _runtime.forward(operator, *operator.on_host(arguments[:count], arguments[count:]))

    def backward(grad_output, *arguments):
        tensors, arguments = operator.on_host(arguments[:count], arguments[count:])
        return _empty_if_none(_runtime.backward(operator, grad_output, tensors, arguments), grad_output)

    def fake_forward(*arguments):
        layer = operator.make_layer(*arguments[count:])
        return arguments[0].new_empty(operator.check_call(arguments[:count], layer))

    def fake_backward(grad_output, *arguments):
        tensors = arguments[:count]
        operator.check_call(tensors, operator.make_layer(*arguments[count:]), grad_output)
        shapes = [None if tensor is None else tensor.new_empty(tensor.shape) for tensor in tensors]
        return _empty_if_none(shapes[: operator.differentiable], grad_output)

    return forward, backward, fake_forward, fake_backward


def _moving(tensors) -> bool:
    return forward_ad._current_level >= 0 or (
        torch.is_grad_enabled() and any(tensor is not None and tensor.requires_grad for tensor in tensors)
    )


def _differentiable(function, operator, registered, count: int):
    """The kernel of a registered operator under autograd. Its first `count` arguments are tensors."""

    def run(*arguments):
        if _moving(arguments[:count]):
            return function.apply(operator, arguments[count:], *arguments[:count])
        with torch._C._AutoDispatchBelowAutograd():
            return registered(*arguments)

    return run


def _batched(operator, registered, count: int):
    from ._derivatives import run_batched

    return lambda *arguments: run_batched(operator, registered, arguments[:count], arguments[count:])


def _transformed(function, operator, registered, count: int):
    """The kernel of a registered operator under torch.func: what PyTorch does for an autograd.Function, with a rule for
    functionalize, which that lacks."""
    from torch._functorch import pyfunctorch
    from torch._subclasses.functional_tensor import FunctorchFunctionalizeAPI

    def run(*arguments):
        interpreter = pyfunctorch.retrieve_current_functorch_interpreter()
        if interpreter.key() != torch._C._functorch.TransformType.Functionalize:
            return function.apply(operator, arguments[count:], *arguments[:count])
        functional = FunctorchFunctionalizeAPI(interpreter)
        with functional.redispatch_to_next():
            result = registered(*functional.unwrap_tensors(arguments))
        return functional.wrap_tensors(result)

    return run


def _register(library, operator) -> None:
    """Defines an operator and its backward."""
    from . import _flops
    from ._derivatives import Backward, Forward

    inputs = ", ".join(f"Tensor{'?' * each.optional} {each.name}" for each in operator.inputs)
    outputs = ", ".join(["Tensor"] * operator.differentiable)
    forward, backward, fake_forward, fake_backward = _kernels(operator)
    for name, tensors, results, kernel, fake, function in (
        (operator.name, inputs, "Tensor", forward, fake_forward, Forward),
        (operator.backward_name, f"Tensor grad_output, {inputs}", f"({outputs})", backward, fake_backward, Backward),
    ):
        count = tensors.count("Tensor")
        if not hasattr(torch.ops.dcnv4, name):  # libdcnv4_libtorch, loaded before, has the same operators and kernels
            library.define(f"{name}({tensors}, {operator.arguments}) -> {results}", tags=(torch.Tag.pt2_compliant_tag,))
            library.impl(name, kernel, "CPU")
            library.impl(name, kernel, "CUDA")
        registered = _registered(name).default
        torch.library.register_fake(f"dcnv4::{name}", fake, lib=library)
        library.impl(name, _differentiable(function, operator, registered, count), "Autograd")
        library.impl(name, _batched(operator, registered, count), "Batched")
        library.impl(name, _transformed(function, operator, registered, count), "FuncTorchDynamicLayerFrontMode")
    _flops.register(operator, _registered(operator.name), _registered(operator.backward_name))


def _another_copy_has_them() -> bool:
    """Whether another copy of this package, from the Hugging Face Hub beside an installed one, has registered the operators.
    libdcnv4_libtorch has them without derivatives, which this package then adds."""
    name = deform_conv.name
    return hasattr(torch.ops.dcnv4, name) and torch._C._dispatch_has_kernel_for_dispatch_key(f"dcnv4::{name}", "Autograd")


if available and not _another_copy_has_them():
    _library = torch.library.Library("dcnv4", "FRAGMENT")  # the operators live as long as this does
    for _operator in (deform_conv, ms_deform_attn):
        _register(_library, _operator)
