"""Runs the library on tensors. One look-up among cached plans gives everything about a call but the addresses.

Tensors are the operator's inputs (_operator.py), on one device and of dtypes that go together; None for those that are
not there.
"""

from __future__ import annotations

import marshal
import os
import threading

import torch

from . import _devices
from . import _library as lib
from ._operator import Operator
from ._problem import is_plain

MOST_THREADS = 1024  # libdcnv4's limit
PLANS = 512  # of the latest layers and sizes; a plan is small, and takes microseconds to make if nothing is compiled

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


def row_stride(tensor: torch.Tensor, axis: int):
    """The stride in elements between neighbouring rows, which consist of the axes from `axis` on, or None if a row is
    not contiguous or the stride is not the same for all: then the tensor has to be copied. Axes of length 1 may have any
    stride."""
    shape = tensor.shape
    row = 1
    for size in shape[axis:]:
        row *= size
    if tensor.numel() == 0 or tensor.is_contiguous():
        return row
    inner = 1
    for k in range(len(shape) - 1, axis - 1, -1):
        if shape[k] > 1 and tensor.stride(k) != inner:
            return None
        inner *= shape[k]
    found, rows = None, 1
    for k in range(axis - 1, -1, -1):
        if shape[k] > 1:
            if found is None:
                found = tensor.stride(k) // rows
            if tensor.stride(k) != found * rows:
                return None
        rows *= shape[k]
    return row if found is None else found if found >= row else None


class NoMemory(TypeError):
    """A tensor has no memory of its own, such as one of PyTorch's batched or functional tensors."""


class Run:
    """A plan, and the preparation of its inputs and outputs. Tensors include grad_output, for a backward run."""

    def __init__(self, operator: Operator, plan: lib.Plan, shape: tuple, tensors: tuple, copies: tuple):
        value, handles = tensors[0], operator.library.handles
        self.plan = plan
        self.address = plan.address
        self.workspace, self.workspace_handle = plan.workspace, operator.library.workspace
        self.spare = plan.spare  # buffers that no call uses: list.pop and append need no lock
        self.shape = torch.Size(shape)
        self.copies = copies if any(copies) else None  # which of the tensors are made contiguous first
        names = [*(each.name for each in operator.inputs), "grad_output"]
        self.handles = [handles[name] for name, tensor in zip(names, tensors) if tensor is not None]
        self.output = handles["output"]
        # Whether empty_like makes the right tensor: it takes half as long as empty with a shape, dtype and device.
        dense = [copy or tensor is None or tensor.is_contiguous() for copy, tensor in zip(copies, tensors)]
        self.like_value = tuple(value.shape) == shape and dense[0]
        self.gradients = [
            (index, handles[f"grad_{names[index]}"], dense[index]) if tensors[index] is not None else (0, 0, False)
            for index in range(operator.differentiable)
        ]
        self.on_host = value.device.type == "cpu"

    def buffers(self):
        try:
            return self.spare.pop()
        except IndexError:
            return self.plan.buffers()

    def call(self, function, buffers, device: torch.device) -> None:
        """Runs the plan on buffers whose addresses are filled in."""
        if self.workspace:
            workspace = _empty(self.workspace, dtype=torch.uint8, device=device)
            buffers[self.workspace_handle] = workspace.data_ptr()
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


def _key(name: str, parameters: tuple, tensors: tuple) -> tuple:
    """All that a plan depends on, as it was passed. The parameters are marshalled to bytes, which differ for 3, 3.0 and
    True; hash and == do not."""
    key = [name, _dumps(parameters, 2), _get_num_threads(), _deterministic()]
    for tensor in tensors:
        key += (None,) if tensor is None else (tensor.shape, tensor.stride(), tensor.dtype, tensor.device)
    return tuple(key)


def _find(operator: Operator, backward: bool, key, parameters: tuple, tensors: tuple) -> Run:
    """The run of a call whose key is not cached, or that has no key."""
    layer = operator.make_layer(*parameters)
    inputs, grad_output = (tensors[:-1], tensors[-1]) if backward else (tensors, None)
    shape = operator.check_call(inputs, layer, grad_output)
    if key is None or not is_plain(parameters):  # different numbers of other types may have the same bytes
        key = _key(operator.backward_name if backward else operator.name, tuple(layer), tensors)
        if key in _plans:
            return _plans[key]
    return _make(operator, backward, key, layer, shape, tensors)


def _make(operator: Operator, backward: bool, key: tuple, layer: tuple, shape: tuple, tensors: tuple) -> Run:
    """Makes the run of a call that has been checked, and caches it."""
    problem = operator.library.Problem()
    operator.fill(problem, layer, tensors[: len(operator.inputs)])
    problem.deterministic = _deterministic()
    rows = [(each.stride, each.row) for each in operator.inputs] + [("grad_output_stride", operator.output_row)]
    copies = []
    for (field, axis), tensor in zip(rows, tensors):
        stride = 0 if tensor is None else row_stride(tensor, axis)
        copies.append(stride is None)
        if field is not None:
            setattr(problem, field, stride or 0)
    with _lock:
        plan = lib.Plan(_context(tensors[0].device, _get_num_threads()), operator.library, problem, backward)
        run = Run(operator, plan, shape, tensors, tuple(copies))
        while len(_plans) >= PLANS:
            del _plans[next(iter(_plans))]
        _plans[key] = run
    return run


def _in_memory(tensor):
    """The tensor with its numbers in memory: PyTorch negates some lazily, and some tensors of zeros have no memory."""
    if tensor is None:
        return None
    if tensor._is_zerotensor():
        return torch.zeros(tensor.shape, dtype=tensor.dtype, device=tensor.device)
    return tensor.resolve_neg()


def _no_address(operator: Operator, tensors: tuple) -> bool:
    """One of the tensors has no address: returns whether that is because it is zeros without memory. Raises NoMemory for
    other tensors, unless they have no elements."""
    for name, tensor in zip((*(each.name for each in operator.inputs), "grad_output"), tensors):
        if tensor is None:
            continue
        if tensor._is_zerotensor():
            return True
        try:
            found = tensor.numel() == 0 or tensor.data_ptr() != 0
        except RuntimeError:
            found = False
        if not found:
            raise NoMemory(f"dcnv4: {name} has no memory to read: it wraps another tensor, or its storage was freed")
    return False


def _prepare(operator: Operator, backward: bool, parameters: tuple, tensors: tuple) -> tuple:
    """The run of a call, and its buffers with the addresses of the inputs. The tensors that they belong to are returned
    as well, since copies must live until the run has been queued."""
    for tensor in tensors:
        if tensor is not None and tensor.is_neg():
            tensors = tuple(map(_in_memory, tensors))
            break
    try:
        key = _key(operator.backward_name if backward else operator.name, parameters, tensors)
        run = _plans.get(key)
    except (ValueError, RuntimeError):  # numbers of other types than Python's; tensors without strides
        key = run = None
    if run is None:
        run = _find(operator, backward, key, parameters, tensors)
    if run.copies:
        tensors = tuple(tensor.contiguous() if copy else tensor for tensor, copy in zip(tensors, run.copies))
    try:
        addresses = [tensor.data_ptr() for tensor in tensors if tensor is not None]
    except RuntimeError:
        addresses = (0,)
    if 0 in addresses and _no_address(operator, tensors):
        return _prepare(operator, backward, parameters, tuple(map(_in_memory, tensors)))
    buffers = run.buffers()
    for handle, address in zip(run.handles, addresses):
        buffers[handle] = address
    return run, buffers, tensors


def forward(operator: Operator, tensors: tuple, parameters: tuple) -> torch.Tensor:
    """parameters are the arguments of operator.make_layer."""
    run, buffers, tensors = _prepare(operator, False, parameters, tensors)
    value = tensors[0]
    if run.like_value:
        output = _empty_like(value)
    else:
        output = _empty(run.shape, dtype=value.dtype, device=value.device)
    buffers[run.output] = output.data_ptr()
    run.call(operator.library.forward, buffers, value.device)
    return output


def backward(operator: Operator, grad_output: torch.Tensor, tensors: tuple, parameters: tuple) -> tuple:
    """The dense gradients of the differentiable inputs, None for those that are not there."""
    run, buffers, tensors = _prepare(operator, True, parameters, (*tensors, grad_output))
    value = tensors[0]
    gradients = []
    for index, handle, dense in run.gradients:
        gradient = None
        if handle:
            tensor = tensors[index]
            gradient = _empty_like(tensor) if dense else _empty(tensor.shape, dtype=tensor.dtype, device=value.device)
            buffers[handle] = gradient.data_ptr()
        gradients.append(gradient)
    run.call(operator.library.backward, buffers, value.device)
    return tuple(gradients)
