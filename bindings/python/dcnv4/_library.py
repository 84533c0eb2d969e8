"""libdcnv4 through ctypes: its structs, its functions, and its statuses as exceptions. Knows nothing of PyTorch."""

from __future__ import annotations

import ctypes
import os
import sys
from ctypes import POINTER, Structure, byref, c_char, c_char_p, c_double, c_int, c_int32, c_int64, c_size_t, c_void_p

FLOAT32, FLOAT16, BFLOAT16, FLOAT64 = range(4)
FORWARD, BACKWARD = range(2)
OUT_OF_MEMORY = 4
NORMALIZED, PLACES, OFFSETS, BOX_OFFSETS = range(4)  # dcnv4_msda_unit

# The tensors of each operator, in the order of its dcnv4_buffers, where the workspace follows.
TENSORS = ("value", "offset_mask", "output", "grad_output", "grad_value", "grad_offset_mask")
MSDA_TENSORS = (
    "value", "locations", "weights", "references", "level_shapes", "level_starts", "output",
    "grad_output", "grad_value", "grad_locations", "grad_weights", "grad_references",
)  # fmt: skip


class Error(RuntimeError):
    """A call of the library failed. status is the number in dcnv4.h."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status


class Problem(Structure):
    _fields_ = (
        [("size", c_size_t)]
        + [
            (name, c_int32)
            for name in ("dtype", "remove_center", "softmax", "deterministic", "forward_only", "reserved")
        ]
        + [("offset_scale", c_double)]
        + [
            (name, c_int64)
            for name in (
                "batch height width groups group_channels kernel_h kernel_w stride_h stride_w pad_h pad_w "
                "dilation_h dilation_w offset_mask_row"
            ).split()
        ]
        + [(f"{name}_stride", c_int64) for name in TENSORS]
        + [(name, c_int32) for name in ("offset_mask_dtype", "reserved_2")]
    )


class Sizes(Structure):
    _fields_ = (
        [("size", c_size_t)]
        + [(name, c_int64) for name in ("points", "channels", "output_height", "output_width", "offset_mask_row")]
        + [(name, c_size_t) for name in TENSORS]
    )


class MsdaLevel(Structure):
    _fields_ = [(name, c_int64) for name in ("height", "width", "start", "points")]


class MsdaProblem(Structure):
    _fields_ = (
        [("size", c_size_t)]
        + [
            (name, c_int32)
            for name in (
                "dtype location_dtype weight_dtype reference_dtype location_unit softmax packed deterministic "
                "forward_only levels_in_buffers"
            ).split()
        ]
        + [("levels", POINTER(MsdaLevel))]
        + [
            (name, c_int64)
            for name in "level_count batch value_length queries heads head_channels reference_levels".split()
        ]
        + [("box_scale", c_double)]
        + [
            (f"{name}_stride", c_int64)
            for name in (
                "value location weight reference output grad_output grad_value grad_location grad_weight "
                "grad_reference"
            ).split()
        ]
    )


class MsdaSizes(Structure):
    _fields_ = [("size", c_size_t), ("points", c_int64)] + [(name, c_size_t) for name in MSDA_TENSORS]


class DeviceInfo(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("name", c_char * 32),
        ("backend", c_char * 16),
        ("description", c_char * 128),
        ("features", c_char * 256),
        ("reason", c_char * 256),
        ("available", c_int32),
        ("units", c_int32),
        ("memory", c_int64),
    ]


def handle_of(tensor: int) -> int:
    """The index of a tensor's address in an operator's Buffers."""
    return 1 + 3 * tensor


def length_of(tensor: int) -> int:
    return 3 + 3 * tensor


PROTOTYPES = {
    "dcnv4_version": (c_char_p, ()),
    "dcnv4_last_message": (c_char_p, ()),
    "dcnv4_device_count": (c_int64, ()),
    "dcnv4_device_info_get": (c_int, (c_int64, POINTER(DeviceInfo))),
    "dcnv4_context_create": (c_int, (c_char_p, POINTER(c_void_p))),
    "dcnv4_context_set_threads": (c_int, (c_void_p, c_int32)),
    "dcnv4_context_destroy": (None, (c_void_p,)),
    "dcnv4_problem_sizes": (c_int, (POINTER(Problem), POINTER(Sizes))),
    "dcnv4_plan_create": (c_int, (c_void_p, POINTER(Problem), POINTER(c_void_p))),
    "dcnv4_plan_workspace_size": (c_size_t, (c_void_p, c_int)),
    "dcnv4_plan_destroy": (None, (c_void_p,)),
    "dcnv4_forward": (c_int, (c_void_p, c_void_p, c_void_p)),
    "dcnv4_backward": (c_int, (c_void_p, c_void_p, c_void_p)),
    "dcnv4_msda_sizes_get": (c_int, (POINTER(MsdaProblem), POINTER(MsdaSizes))),
    "dcnv4_msda_plan_create": (c_int, (c_void_p, POINTER(MsdaProblem), POINTER(c_void_p))),
    "dcnv4_msda_forward": (c_int, (c_void_p, c_void_p, c_void_p)),
    "dcnv4_msda_backward": (c_int, (c_void_p, c_void_p, c_void_p)),
}


def file_name(library: str) -> str:
    """A library's file on this platform."""
    return {"darwin": f"lib{library}.dylib", "win32": f"{library}.dll"}.get(sys.platform, f"lib{library}.so")


def _load() -> ctypes.CDLL:
    """The library beside this file, as in the wheel, or the one that $DCNV4_LIBRARY names."""
    folder = os.path.dirname(os.path.abspath(__file__))
    path = os.environ.get("DCNV4_LIBRARY") or os.path.join(folder, file_name("dcnv4"))
    try:
        library = ctypes.CDLL(path)
    except OSError as error:
        raise ImportError(
            f"dcnv4 cannot load its library {path}: {error}. `pip install ./bindings/python` builds it"
        ) from None
    for function, (result, arguments) in PROTOTYPES.items():
        pointer = getattr(library, function)
        pointer.restype, pointer.argtypes = result, arguments
    return library


library = _load()


def path_beside(name: str) -> str:
    """The path of another library of this project, which is where libdcnv4 is."""
    return os.path.join(os.path.dirname(library._name), file_name(name))


class Operator:
    """The structs and functions of one operator of the library."""

    def __init__(self, prefix: str, problem, sizes, sizes_get: str, tensors: tuple):
        self.Problem, self.Sizes, self.tensors = problem, sizes, tensors
        self.workspace = handle_of(len(tensors))
        self.handles = {name: handle_of(index) for index, name in enumerate(tensors)}
        # The buffers: their struct's size, then (handle, offset, length) of each tensor and of the workspace. Filling
        # one array of words takes less than half as long as filling a Structure.
        self.Buffers = c_size_t * (1 + 3 * (len(tensors) + 1))
        self.sizes_get = getattr(library, sizes_get)
        self.plan_create = getattr(library, f"{prefix}_plan_create")
        self.forward, self.backward = getattr(library, f"{prefix}_forward"), getattr(library, f"{prefix}_backward")


DEFORM_CONV = Operator("dcnv4", Problem, Sizes, "dcnv4_problem_sizes", TENSORS)
MS_DEFORM_ATTN = Operator("dcnv4_msda", MsdaProblem, MsdaSizes, "dcnv4_msda_sizes_get", MSDA_TENSORS)


def check(status: int) -> None:
    """Raises the exception for a status, unless it is success."""
    if status == 0:
        return
    message = library.dcnv4_last_message().decode(errors="replace")
    raise MemoryError(message) if status == OUT_OF_MEMORY else Error(status, message)


def version() -> str:
    return library.dcnv4_version().decode()


def devices() -> list[dict]:
    """The devices that libdcnv4 can run on, and why it cannot run on others: a dict for each line of `dcnv4 info`."""
    found = []
    for index in range(library.dcnv4_device_count()):
        info = DeviceInfo(size=ctypes.sizeof(DeviceInfo))
        check(library.dcnv4_device_info_get(index, byref(info)))
        words = {
            word: getattr(info, word).decode(errors="replace")
            for word in ("name", "backend", "description", "features", "reason")
        }
        found.append({**words, "available": bool(info.available), "units": info.units, "memory": info.memory})
    return found


class Context:
    """A dcnv4_context. The library keeps it alive until it and all its plans are destroyed."""

    def __init__(self, device: str, threads: int):
        self.handle = c_void_p()
        self._destroy = library.dcnv4_context_destroy
        check(library.dcnv4_context_create(device.encode(), byref(self.handle)))
        check(library.dcnv4_context_set_threads(self.handle, threads))

    def __del__(self):
        if self.handle:
            self._destroy(self.handle)


class Plan:
    """A dcnv4_plan for one pass. buffers() fills in the lengths; the caller sets the addresses."""

    def __init__(self, context: Context, operator: Operator, problem: Structure, backward: bool):
        self.handle = c_void_p()
        self._destroy = library.dcnv4_plan_destroy
        self.operator = operator
        problem.size = ctypes.sizeof(problem)
        problem.forward_only = not backward
        self.sizes = operator.Sizes(size=ctypes.sizeof(operator.Sizes))
        check(operator.sizes_get(byref(problem), byref(self.sizes)))
        check(operator.plan_create(context.handle, byref(problem), byref(self.handle)))
        self.workspace = library.dcnv4_plan_workspace_size(self.handle, BACKWARD if backward else FORWARD)
        self.address = self.handle.value
        self.spare = []  # buffers that no run uses

    def buffers(self):
        words = self.operator.Buffers(ctypes.sizeof(self.operator.Buffers))
        for tensor, name in enumerate(self.operator.tensors):
            words[length_of(tensor)] = getattr(self.sizes, name)
        words[length_of(len(self.operator.tensors))] = self.workspace
        return words

    def __del__(self):
        if self.handle:
            self._destroy(self.handle)
