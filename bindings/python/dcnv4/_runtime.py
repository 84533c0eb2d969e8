"""Runs the library on tensors. Everything about a call but the addresses is found by one look-up among cached plans.

value [N, H, W, C], offset_mask [N, Ho, Wo, P] and output [N, Ho, Wo, C] are of one dtype and device here.
"""

from __future__ import annotations

import os
import threading

import torch

from . import _devices
from . import _library as lib
from ._problem import Layer, check_dtypes, check_shapes, make_layer

MOST_THREADS = 1024  # that libdcnv4 takes
PLANS = 512  # of the latest layers and sizes; a plan is small, and made anew in microseconds where nothing is compiled

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

_plans: dict = {}
_contexts: dict = {}
_lock = threading.Lock()


def _after_fork() -> None:
    """Another thread may have had the lock when this process was made. What the cpu needs in a child, libdcnv4 sees
    to; contexts of other devices refuse to work there, as PyTorch's own do."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def pixel_stride(tensor: torch.Tensor):
    """The distance between neighbouring pixels of a [N, H, W, C] tensor if there is one for all, or None: then the
    tensor has to be copied. Axes of length 1 may have any stride."""
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


class Run:
    """A plan, and what has to be done around it."""

    def __init__(self, plan: lib.Plan, device: torch.device, shape: tuple, like_value: bool, copies: tuple):
        self.plan = plan
        self.address = plan.address
        self.workspace = plan.workspace
        self.spare = plan.spare  # buffers that no call has in use: list.pop and append need no lock
        self.shape = torch.Size(shape)
        self.like_value = like_value  # the output is what empty_like(value) gives, which is quicker than by its shape
        self.copies = copies if any(copies) else None  # which of the inputs are made contiguous first
        self.on_host = device.type == "cpu"

    def buffers(self):
        try:
            return self.spare.pop()
        except IndexError:
            return self.plan.buffers()

    def call(self, function, buffers, device: torch.device) -> None:
        """Runs it on addresses that are filled in."""
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


def _make(key: tuple, parameters: tuple, value, offset_mask, grad_output=None) -> Run:
    """Checks a call as it came, and makes its run ready."""
    layer = parameters if isinstance(parameters, Layer) else make_layer(*parameters)
    check_dtypes(value, offset_mask)
    shape = check_shapes(value, offset_mask, layer)
    inputs = {"value": value, "offset_mask": offset_mask}
    if grad_output is not None:
        if tuple(grad_output.shape) != shape or grad_output.dtype != value.dtype or grad_output.device != value.device:
            raise ValueError(
                f"dcnv4: grad_output is {grad_output.dtype}, {list(grad_output.shape)} on {grad_output.device}; "
                f"{value.dtype}, {list(shape)} on {value.device} is needed"
            )
        inputs["grad_output"] = grad_output
    problem = lib.Problem()
    problem.dtype = DTYPES[value.dtype]
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
        like_value = tuple(value.shape) == shape and value.is_contiguous()
        run = Run(plan, value.device, shape, like_value, tuple(copies))
        while len(_plans) >= PLANS:
            del _plans[next(iter(_plans))]
        _plans[key] = run
    return run


def forward(value: torch.Tensor, offset_mask: torch.Tensor, parameters: tuple) -> torch.Tensor:
    """parameters are the arguments of make_layer, or a Layer."""
    key = (
        value.shape, value.stride(), value.dtype, value.device,
        offset_mask.shape, offset_mask.stride(), offset_mask.dtype, offset_mask.device,
        parameters, _get_num_threads(), _deterministic(),
    )  # fmt: skip
    run = _plans.get(key)
    if run is None:
        run = _make(key, parameters, value, offset_mask)
    if run.copies:
        value, offset_mask = (t.contiguous() if copy else t for t, copy in zip((value, offset_mask), run.copies))
    if run.like_value:
        output = _empty_like(value)
    else:
        output = _empty(run.shape, dtype=value.dtype, device=value.device)
    buffers = run.buffers()
    buffers[_VALUE] = value.data_ptr()
    buffers[_OFFSET_MASK] = offset_mask.data_ptr()
    buffers[_OUTPUT] = output.data_ptr()
    run.call(lib.run_forward, buffers, value.device)
    return output


def backward(grad_output: torch.Tensor, value: torch.Tensor, offset_mask: torch.Tensor, parameters: tuple) -> tuple:
    """grad_value and grad_offset_mask, dense."""
    key = (
        value.shape, value.stride(), value.dtype, value.device,
        offset_mask.shape, offset_mask.stride(), offset_mask.dtype, offset_mask.device,
        grad_output.shape, grad_output.stride(), grad_output.dtype, grad_output.device,
        parameters, _get_num_threads(), _deterministic(),
    )  # fmt: skip
    run = _plans.get(key)
    if run is None:
        run = _make(key, parameters, value, offset_mask, grad_output)
    if run.copies:
        value, offset_mask, grad_output = (
            t.contiguous() if copy else t for t, copy in zip((value, offset_mask, grad_output), run.copies)
        )
    grad_value = _empty(value.shape, dtype=value.dtype, device=value.device)
    grad_offset_mask = _empty(offset_mask.shape, dtype=value.dtype, device=value.device)
    buffers = run.buffers()
    buffers[_VALUE] = value.data_ptr()
    buffers[_OFFSET_MASK] = offset_mask.data_ptr()
    buffers[_GRAD_OUTPUT] = grad_output.data_ptr()
    buffers[_GRAD_VALUE] = grad_value.data_ptr()
    buffers[_GRAD_OFFSET_MASK] = grad_offset_mask.data_ptr()
    run.call(lib.run_backward, buffers, value.device)
    return grad_value, grad_offset_mask
