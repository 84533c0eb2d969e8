"""libdcnv4_bindings through ctypes: whole calls of the operators, on plans that all frameworks but PyTorch share."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, Structure, byref, c_char, c_char_p, c_int32, c_int64, c_size_t, c_void_p, sizeof

from . import _library as lib

AXES = 6
SUCCESS, INVALID_PROBLEM, UNSUPPORTED = 0, 2, 3
INT64 = 64  # beside the dtypes of _library
CONV, ATTENTION = range(2)


class Tensor(Structure):
    _fields_ = [
        ("data", c_void_p), ("dtype", c_int32), ("rank", c_int32), ("shape", c_int64 * AXES), ("strides", c_int64 * AXES),
    ]  # fmt: skip


class Call(Structure):
    _fields_ = [
        ("device", c_char_p), ("threads", c_int32), ("backward", c_int32), ("workspace", c_size_t),
        ("message", c_char * 512), ("entry", c_void_p),
    ]  # fmt: skip


def _load() -> ctypes.CDLL:
    path = lib.path_beside("dcnv4_bindings")
    try:
        library = ctypes.CDLL(path)
    except OSError as error:
        raise ImportError(f"dcnv4 cannot load {path}: {error}") from None
    shape = POINTER(c_int64)
    for name in ("conv_output", "attention_output"):
        getattr(library, f"dcnv4_calls_{name}").argtypes = (c_void_p, POINTER(Tensor), shape, POINTER(Call))
    library.dcnv4_calls_arrays.argtypes = (c_int32, c_void_p, c_void_p, c_void_p, c_size_t, c_int32, c_void_p)
    return library


library = _load()


def check(status: int, call: Call) -> None:
    """Raises the exception for a status, unless it is success."""
    if status == SUCCESS:
        return
    message = call.message.decode(errors="replace")
    if status == lib.OUT_OF_MEMORY:
        raise MemoryError(message)
    raise ValueError(message) if status == INVALID_PROBLEM else lib.Error(status, message)


def conv_problem(layer) -> lib.Problem:
    """The parameters of a Layer; what follows from tensors is filled in by the library."""
    problem = lib.Problem(size=sizeof(lib.Problem), groups=layer.group, offset_scale=layer.offset_scale)
    problem.remove_center, problem.softmax = layer.remove_center, layer.softmax
    for name, pair in (("kernel", "kernel_size"), ("stride", "stride"), ("pad", "padding"), ("dilation", "dilation")):
        for axis, number in zip("hw", getattr(layer, pair)):
            setattr(problem, f"{name}_{axis}", number)
    return problem


def attention_problem(levels, unit: int, softmax: bool, packed: bool, box_scale: float) -> lib.MsdaProblem:
    """levels has (H, W, start, points) of each."""
    problem = lib.MsdaProblem(size=sizeof(lib.MsdaProblem), location_unit=unit, softmax=softmax, packed=packed)
    problem.level_count, problem.box_scale = len(levels), box_scale
    problem.levels = (lib.MsdaLevel * len(levels))(*levels)
    return problem


def output_shape(kind: int, problem: Structure, inputs) -> tuple:
    """The output's shape of a call with these inputs: (shape, dtype number), or None for those that are not there."""
    call, count = Call(), len((lib.TENSORS, lib.MSDA_TENSORS)[kind])
    tensors, shape = (Tensor * count)(), (c_int64 * 4)()
    for index, given in enumerate(inputs):
        if given is not None:
            sizes, tensors[index].dtype = given
            tensors[index].rank = len(sizes)
            tensors[index].shape[: len(sizes[:AXES])] = sizes[:AXES]
    function = (library.dcnv4_calls_conv_output, library.dcnv4_calls_attention_output)[kind]
    check(function(byref(problem), tensors, shape, byref(call)), call)
    return tuple(shape[: 4 - kind])
