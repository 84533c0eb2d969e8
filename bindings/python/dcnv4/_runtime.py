"""Runs the library on tensors. One look-up among cached plans gives everything about a call but the addresses.

value [N, H, W, C], offset_mask [N, Ho, Wo, P] and output [N, Ho, Wo, C] are on one device and of one dtype here, except
that offset_mask may be float32 beside 16-bit tensors.
"""

from __future__ import annotations

import marshal
import os
import threading

import torch

from . import _devices
from . import _library as lib
from ._problem import Layer, check_call, is_plain, make_layer

MOST_THREADS = 1024  # libdcnv4's limit
PLANS = 512  # of the latest layers and sizes; a plan is small, and takes microseconds to make if nothing is compiled

DTYPES = {
    torch.float32: lib.FLOAT32,
    torch.float16: lib.FLOAT16,
    torch.bfloat16: lib.BFLOAT16,
    torch.float64: lib.FLOAT64,
}

_VALUE, _OFFSET_MASK, _OUTPUT, _GRAD_OUTPUT, _GRAD_VALUE, _GRAD_OFFSET_MASK, _WORKSPACE = map(
    lib.handle_of, range(len(lib.TENSORS) + 1)
)

_get_num_threads = torch.get_num_threads
_deterministic = torch.are_deterministic_algorithms_enabled
_empty, _empty_like = torch.empty, torch.empty_like
_dumps = marshal.dumps

_plans: dict = {}
_contexts: dict = {}
_lock = threading.Lock()


def _after_fork() -> None:
    """Another thread may have held the lock when this process was forked. libdcnv4 handles forks for the cpu; contexts
    of other devices refuse calls in a child, as PyTorch's own do."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def pixel_stride(tensor: torch.Tensor):
    """The stride in elements between neighbouring pixels of a [N, H, W, C] tensor, or None if it is not the same for
    all: then the tensor has to be copied. Axes of length 1 may have any stride."""
    channels = tensor.shape[3]
    if tensor.numel() == 0 or tensor.is_contiguous():
        return channels
    if channels > 1 and tensor.stride(3) != 1:
        return None
    found, pixels = None, 1
    for axis in (2, 1, 0):
        if tensor.shape[axis] > 1:
            if found is None:
                found = tensor.stride(axis) // pixels
            if tensor.stride(axis) != found * pixels:
                return None
        pixels *= tensor.shape[axis]
    return channels if found is None else found if found >= channels else None


class NoMemory(TypeError):
    """A tensor has no memory of its own, such as one of PyTorch's batched or functional tensors."""


class Run:
    """A plan, and the preparation of its inputs and outputs."""

    def __init__(self, plan: lib.Plan, device: torch.device, shape: tuple, value, offset_mask, copies: tuple):
        self.plan = plan
        self.address = plan.address
        self.workspace = plan.workspace
        self.spare = plan.spare  # buffers that no call uses: list.pop and append need no lock
        self.shape = torch.Size(shape)
        # Whether empty_like makes the right output: it takes half as long as empty with a shape, dtype and device.
        self.value_is_dense = copies[0] or value.is_contiguous()
        self.offset_mask_is_dense = copies[1] or offset_mask.is_contiguous()
        self.like_value = tuple(value.shape) == shape and self.value_is_dense
        self.copies = copies if any(copies) else None  # which of the inputs are made contiguous first
        self.on_host = device.type == "cpu"

    def buffers(self):
        try:
            return self.spare.pop()
        except IndexError:
            return self.plan.buffers()

    def call(self, function, buffers, device: torch.device) -> None:
        """Runs the plan on buffers whose addresses are filled in."""
        if self.workspace:
            workspace = _empty(self.workspace, dtype=torch.uint8, device=device)
            buffers[_WORKSPACE] = workspace.data_ptr()
        if self.on_host:
            status = function(self.address, buffers, None)
        else:
            with torch.cuda.device(device):
                status = function(self.address, buffers, torch.cuda.current_stream().cuda_stream)
        self.spare.append(buffers)
        if status:
            lib.check(status)


def _context(device: torch.device, threads: int) -> lib.Context:
    key = (device, min(threads, MOST_THREADS) if device.type == "cpu" else 0)
    if key not in _contexts:
        _contexts[key] = lib.Context(_devices.name_of(device), key[1])
    return _contexts[key]


def _key(parameters: tuple, value, offset_mask) -> tuple:
    """All that a plan depends on, as it was passed. The parameters are marshalled to bytes, which differ for 3, 3.0 and
    True; hash and == do not."""
    return (
        _dumps(parameters, 2), value.shape, value.stride(), value.dtype, value.device,
        offset_mask.shape, offset_mask.stride(), offset_mask.dtype, offset_mask.device,
        _get_num_threads(), _deterministic(),
    )  # fmt: skip


def _backward_key(parameters: tuple, value, offset_mask, grad_output) -> tuple:
    return (
        _dumps(parameters, 2), value.shape, value.stride(), value.dtype, value.device,
        offset_mask.shape, offset_mask.stride(), offset_mask.dtype, offset_mask.device,
        grad_output.shape, grad_output.stride(), grad_output.dtype, grad_output.device,
        _get_num_threads(), _deterministic(),
    )  # fmt: skip


def _find(key, parameters: tuple, value, offset_mask, grad_output=None) -> Run:
    """The run of a call whose key is not cached, or that has no key."""
    layer = make_layer(*parameters)
    shape = check_call(value, offset_mask, layer, grad_output)
    if key is None or not is_plain(parameters):  # different numbers of other types may have the same bytes
        inputs = (tuple(layer), value, offset_mask)
        key = _key(*inputs) if grad_output is None else _backward_key(*inputs, grad_output)
        if key in _plans:
            return _plans[key]
    return _make(key, layer, shape, value, offset_mask, grad_output)


def _make(key: tuple, layer: Layer, shape: tuple, value, offset_mask, grad_output) -> Run:
    """Makes the run of a call that has been checked, and caches it."""
    inputs = {"value": value, "offset_mask": offset_mask}
    if grad_output is not None:
        inputs["grad_output"] = grad_output
    problem = lib.Problem()
    problem.dtype, problem.offset_mask_dtype = DTYPES[value.dtype], DTYPES[offset_mask.dtype]
    problem.remove_center, problem.softmax = layer.remove_center, layer.softmax
    problem.deterministic = _deterministic()
    problem.offset_scale = layer.offset_scale
    problem.batch, problem.height, problem.width = value.shape[:3]
    problem.groups, problem.group_channels = layer.group, value.shape[3] // layer.group
    problem.kernel_h, problem.kernel_w = layer.kernel_size
    problem.stride_h, problem.stride_w = layer.stride
    problem.pad_h, problem.pad_w = layer.padding
    problem.dilation_h, problem.dilation_w = layer.dilation
    problem.offset_mask_row = offset_mask.shape[3]
    copies = []
    for name, tensor in inputs.items():
        stride = pixel_stride(tensor)
        copies.append(stride is None)
        setattr(problem, f"{name}_stride", stride or 0)
    with _lock:
        plan = lib.Plan(_context(value.device, _get_num_threads()), problem, grad_output is not None)
        run = Run(plan, value.device, shape, value, offset_mask, tuple(copies))
        while len(_plans) >= PLANS:
            del _plans[next(iter(_plans))]
        _plans[key] = run
    return run


def _in_memory(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor with its numbers in memory: PyTorch negates some lazily, and some tensors of zeros have no memory."""
    if tensor._is_zerotensor():
        return torch.zeros(tensor.shape, dtype=tensor.dtype, device=tensor.device)
    return tensor.resolve_neg()


def _no_address(*tensors) -> bool:
    """One of value, offset_mask and perhaps grad_output has no address: returns whether that is because it is zeros
    without memory. Raises NoMemory for other tensors, unless they have no elements."""
    for name, tensor in zip(("value", "offset_mask", "grad_output"), tensors):
        if tensor._is_zerotensor():
            return True
        try:
            found = tensor.numel() == 0 or tensor.data_ptr() != 0
        except RuntimeError:
            found = False
        if not found:
            raise NoMemory(f"dcnv4: {name} has no memory to read: it wraps another tensor, or its storage was freed")
    return False


def forward(value: torch.Tensor, offset_mask: torch.Tensor, parameters: tuple) -> torch.Tensor:
    """parameters are the arguments of make_layer."""
    if value.is_neg() or offset_mask.is_neg():
        value, offset_mask = _in_memory(value), _in_memory(offset_mask)
    try:
        key = _key(parameters, value, offset_mask)
        run = _plans.get(key)
    except (ValueError, RuntimeError):  # numbers of other types than Python's; tensors without strides
        key = run = None
    if run is None:
        run = _find(key, parameters, value, offset_mask)
    if run.copies:
        value, offset_mask = (t.contiguous() if copy else t for t, copy in zip((value, offset_mask), run.copies))
    try:
        at_value, at_offset_mask = value.data_ptr(), offset_mask.data_ptr()
    except RuntimeError:
        at_value = at_offset_mask = 0
    if not (at_value and at_offset_mask) and _no_address(value, offset_mask):
        return forward(_in_memory(value), _in_memory(offset_mask), parameters)
    if run.like_value:
        output = _empty_like(value)
    else:
        output = _empty(run.shape, dtype=value.dtype, device=value.device)
    buffers = run.buffers()
    buffers[_VALUE], buffers[_OFFSET_MASK] = at_value, at_offset_mask
    buffers[_OUTPUT] = output.data_ptr()
    run.call(lib.run_forward, buffers, value.device)
    return output


def backward(grad_output: torch.Tensor, value: torch.Tensor, offset_mask: torch.Tensor, parameters: tuple) -> tuple:
    """grad_value and grad_offset_mask, dense."""
    if grad_output.is_neg() or value.is_neg() or offset_mask.is_neg():
        grad_output, value, offset_mask = map(_in_memory, (grad_output, value, offset_mask))
    try:
        key = _backward_key(parameters, value, offset_mask, grad_output)
        run = _plans.get(key)
    except (ValueError, RuntimeError):
        key = run = None
    if run is None:
        run = _find(key, parameters, value, offset_mask, grad_output)
    if run.copies:
        value, offset_mask, grad_output = (
            t.contiguous() if copy else t for t, copy in zip((value, offset_mask, grad_output), run.copies)
        )
    try:
        at_value, at_offset_mask, at_grad_output = value.data_ptr(), offset_mask.data_ptr(), grad_output.data_ptr()
    except RuntimeError:
        at_value = at_offset_mask = at_grad_output = 0
    if not (at_value and at_offset_mask and at_grad_output) and _no_address(value, offset_mask, grad_output):
        return backward(*map(_in_memory, (grad_output, value, offset_mask)), parameters)
    if run.value_is_dense:
        grad_value = _empty_like(value)
    else:
        grad_value = _empty(value.shape, dtype=value.dtype, device=value.device)
    if run.offset_mask_is_dense:
        grad_offset_mask = _empty_like(offset_mask)
    else:
        grad_offset_mask = _empty(offset_mask.shape, dtype=offset_mask.dtype, device=value.device)
    buffers = run.buffers()
    buffers[_VALUE], buffers[_OFFSET_MASK], buffers[_GRAD_OUTPUT] = at_value, at_offset_mask, at_grad_output
    buffers[_GRAD_VALUE] = grad_value.data_ptr()
    buffers[_GRAD_OFFSET_MASK] = grad_offset_mask.data_ptr()
    run.call(lib.run_backward, buffers, value.device)
    return grad_value, grad_offset_mask
