"""The operators on NumPy's arrays.

    output = dcnv4.numpy.dcnv4(value, offset_mask, group=4)
    grad_value, grad_offset_mask = dcnv4.numpy.dcnv4_backward(grad_output, value, offset_mask, group=4)

Arguments are those of dcnv4.functional, with arrays in the place of tensors, and:

    out     the array, or for backward the tuple of arrays, to write the results into; it must not overlap an input
    device  "auto" and "cpu": the processors, in place. "reference"; or a device with memory of its own ("opencl:0",
            "cuda:0", "hip:0"), to which the call copies the arrays, and the results back

float32, float16, float64, and bfloat16 of ml_dtypes. Slices are used in place wherever dcnv4.functional does so, and copied
otherwise. Functions may be called from several threads at once, and run without Python's lock.
"""

from __future__ import annotations

import marshal
from ctypes import addressof, c_int32, c_void_p
from typing import Optional

from . import _calls
from . import _library as lib
from ._calls import ATTENTION, CONV
from ._layer import Pair, check_shapes, is_plain, make_layer
from ._levels import check_options, make_levels, numbers_in, plain, unit_number
from ._needs import need

np = need("numpy", "dcnv4.numpy", "numpy")

__all__ = [
    "dcnv4", "dcnv4_backward", "flash_deform_attn", "flash_deform_attn_backward", "ms_deform_attn",
    "ms_deform_attn_backward", "set_num_threads",
]  # fmt: skip

LAYERS = 1024  # as many parameter sets are kept
MOST_THREADS = 1024  # libdcnv4's limit

_run = _calls.library.dcnv4_calls_arrays
_head = object.__basicsize__
_array, _empty, _dumps = np.ndarray, np.empty, marshal.dumps
_numbers = {np.dtype(name): number for number, name in enumerate(("float32", "float16", None, "float64")) if name}
_layers: dict = {}
_threads = 0


def set_num_threads(threads: int) -> None:
    """How many threads a call on the cpu uses: 1 to 1024, or 0, the default, for as many as there are processors."""
    global _threads
    if not isinstance(threads, int) or not 0 <= threads <= MOST_THREADS:
        raise ValueError(f"dcnv4: threads is {threads!r}, possible are 0 to {MOST_THREADS}")
    _threads = threads


def _dtype_number(name: str, array) -> int:
    """The library's number of the array's dtype."""
    number = _numbers.get(array.dtype) if type(array) is _array else None
    if number is not None:
        return number
    if not isinstance(array, _array):
        raise TypeError(f"dcnv4: {name} is of type {type(array).__name__}, it must be an array")
    dtype = array.dtype
    if dtype.name == "bfloat16" and dtype.itemsize == 2:
        _numbers[dtype] = lib.BFLOAT16
    if dtype not in _numbers:
        raise TypeError(f"dcnv4: {name} is of {dtype}, possible are float32, float16, bfloat16 and float64")
    return _numbers[dtype]


class _Frame:
    """The memory that passes one call's arguments to C."""

    def __init__(self, kind: int, backward: bool):
        count = len((lib.TENSORS, lib.MSDA_TENSORS)[kind])
        self.objects, self.dtypes, self.call = (c_void_p * count)(), (c_int32 * count)(), _calls.Call(backward=backward)
        self.addresses = addressof(self.objects), addressof(self.dtypes), addressof(self.call)


class _Prepared:
    """The parameters of a layer, for the arrays of one pass."""

    def __init__(self, kind: int, backward: bool, problem, names: tuple, used: tuple, layer=None):
        self.kind, self.backward, self.problem, self.layer = kind, backward, problem, layer
        self.address = addressof(problem)
        self.names = names  # of the inputs that there are, and grad_output
        self.places = tuple(map((lib.TENSORS, lib.MSDA_TENSORS)[kind].index, used))
        prefix = ("grad_" + name for name in used[:-1])
        results = tuple(prefix) if backward else ("output",)
        self.results = tuple(map((lib.TENSORS, lib.MSDA_TENSORS)[kind].index, results))
        self.shapes: dict = {}  # the output's shape by the inputs'
        self.frames: list = []  # that no call uses: list.pop and append need no lock

    def __call__(self, arrays: tuple, out, device: str):
        """arrays are the inputs, and then grad_output for backward."""
        numbers = [_dtype_number(name, array) for name, array in zip(self.names, arrays)]
        if numbers.count(numbers[0]) != len(numbers):
            arrays, numbers = self.converted(arrays, numbers)
        results = self.make_results(arrays, numbers) if out is None else self.check_out(out)
        try:
            frame = self.frames.pop()
        except IndexError:
            frame = _Frame(self.kind, self.backward)
        status = self.start(frame, arrays, numbers, results, device)
        if status == _calls.UNSUPPORTED:
            status = self.start_with_copies(frame, arrays, numbers, results, device)
        if status:
            self.refuse(status, frame.call, arrays)
        self.frames.append(frame)
        return results if self.backward else results[0]

    def start(self, frame: _Frame, arrays, numbers, results, device: str) -> int:
        objects, dtypes, call = frame.objects, frame.dtypes, frame.call
        for place, array, number in zip(self.places, arrays, numbers):
            objects[place] = id(array)
            dtypes[place] = number
        for place, array in zip(self.results, results):
            objects[place] = id(array)
            dtypes[place] = _numbers[array.dtype]
        copied = 0
        if device == "auto" or device == "cpu":
            call.device, call.threads = b"cpu", _threads
        else:
            call.device, call.threads = str(device).encode(), 0
            copied = call.device != b"reference" and not call.device.startswith(b"cpu")
        return _run(self.kind, self.address, frame.addresses[0], frame.addresses[1], _head, copied, frame.addresses[2])

    def start_with_copies(self, frame: _Frame, arrays, numbers, results, device: str) -> int:
        """Again, with copies of arrays whose rows the library cannot use in place."""
        arrays = tuple(np.require(array, requirements=("C", "A")) for array in arrays)
        dense = tuple(np.require(array, requirements=("C", "A", "W")) for array in results)
        status = self.start(frame, arrays, numbers, dense, device)
        for array, copy in zip(results, dense):
            if status == _calls.SUCCESS and copy is not array:
                array[...] = copy
        return status

    def converted(self, arrays: tuple, numbers: list) -> tuple:
        """Arrays in dtypes that the library takes together: an input in value's dtype, or in float32 beside 16 bits."""
        inputs, first = len(arrays) - self.backward, numbers[0]
        halves = (lib.FLOAT16, lib.BFLOAT16)
        made, of = list(arrays), list(numbers)
        for index in range(1, inputs):
            # References stand beside locations, all others beside value.
            beside = of[1] if self.names[index] == "reference_points" else first
            if of[index] == beside or (of[index] == lib.FLOAT32 and beside in halves):
                continue
            wide = self.kind == ATTENTION and beside in halves
            made[index] = made[index].astype(np.float32 if wide else made[of.index(beside)].dtype)
            of[index] = lib.FLOAT32 if wide else beside
        if self.backward and of[-1] != first:
            raise ValueError(f"dcnv4: grad_output is {arrays[-1].dtype}; {arrays[0].dtype} is needed")
        return tuple(made), of

    def make_results(self, arrays: tuple, numbers: list) -> tuple:
        if self.backward:
            return tuple(_empty(array.shape, array.dtype) for array in arrays[:-1])
        key = tuple(array.shape for array in arrays)
        shape = self.shapes.get(key)
        if shape is None:
            shape = self.output_shape(arrays, numbers)
            if len(self.shapes) >= LAYERS:
                self.shapes.clear()
            self.shapes[key] = shape
        return (_empty(shape, arrays[0].dtype),)

    def output_shape(self, arrays: tuple, numbers: list) -> tuple:
        self.check_shapes(arrays)
        inputs = [None] * 6
        for place, array, number in zip(self.places, arrays, numbers):
            inputs[place] = array.shape, number
        return _calls.output_shape(self.kind, self.problem, inputs[: 2 if self.kind == CONV else 6])

    def check_shapes(self, arrays: tuple) -> None:
        if self.layer:
            check_shapes(*arrays[:2], self.layer)

    def check_out(self, out) -> tuple:
        names = [f"out[{index}]" for index in range(len(self.results))] if self.backward else ["out"]
        results = tuple(out) if self.backward and isinstance(out, (tuple, list)) else (out,)
        if len(results) != len(names):
            raise ValueError(f"dcnv4: out has {len(results)} arrays, {len(names)} are needed")
        for name, array in zip(names, results):
            _dtype_number(name, array)
        return results

    def refuse(self, status: int, call, arrays) -> None:
        if status == _calls.INVALID_PROBLEM:
            self.check_shapes(arrays)
        _calls.check(status, call)


def _prepare(key, make) -> _Prepared:
    """The prepared layer of a key, or the one that make() returns."""
    prepared = make()
    if key is not None:
        while len(_layers) >= LAYERS:
            _layers.pop(next(iter(_layers)), None)
        _layers[key] = prepared
    return prepared


def _conv(backward: bool, parameters: tuple) -> _Prepared:
    try:
        key = backward, _dumps(parameters, 2)  # bytes differ for 3, 3.0 and True; hash and == do not
        prepared = _layers.get(key)
    except ValueError:  # numbers of other types than Python's
        key = prepared = None
    if prepared is None:
        names = ("value", "offset_mask", "grad_output")[: 2 + backward]

        def make():
            layer = make_layer(*parameters)
            return _Prepared(CONV, backward, _calls.conv_problem(layer), names, names, layer)

        prepared = _prepare(key if is_plain(parameters) else None, make)
    return prepared


def dcnv4(
    value: np.ndarray,
    offset_mask: np.ndarray,
    kernel_size: Pair = 3,
    stride: Pair = 1,
    padding: Pair = 1,
    dilation: Pair = 1,
    group: int = 4,
    offset_scale: float = 1.0,
    remove_center: bool = False,
    softmax: bool = False,
    *,
    out: Optional[np.ndarray] = None,
    device: str = "auto",
) -> np.ndarray:
    """dcnv4.functional.dcnv4 on arrays: value [N, H, W, C], offset_mask [N, Ho, Wo, P]; returns [N, Ho, Wo, C]."""
    parameters = (kernel_size, stride, padding, dilation, group, offset_scale, remove_center, softmax)
    return _conv(False, parameters)((value, offset_mask), out, device)


def dcnv4_backward(
    grad_output: np.ndarray,
    value: np.ndarray,
    offset_mask: np.ndarray,
    kernel_size: Pair = 3,
    stride: Pair = 1,
    padding: Pair = 1,
    dilation: Pair = 1,
    group: int = 4,
    offset_scale: float = 1.0,
    remove_center: bool = False,
    softmax: bool = False,
    *,
    out: Optional[tuple] = None,
    device: str = "auto",
) -> tuple:
    """(grad_value, grad_offset_mask) for the gradient [N, Ho, Wo, C] of dcnv4's output."""
    parameters = (kernel_size, stride, padding, dilation, group, offset_scale, remove_center, softmax)
    return _conv(True, parameters)((value, offset_mask, grad_output), out, device)


def _attend(grad_output, tensors, spatial_shapes, level_start_index, points, softmax, unit, box_scale, out, device):
    value, locations, weights, references = tensors
    backward, packed = grad_output is not None, weights is None
    _dtype_number("value", value), _dtype_number("sampling_loc_attn" if packed else "sampling_locations", locations)
    references_shape = None if references is None else references.shape
    if type(spatial_shapes) is _array or type(level_start_index) is _array:
        spatial_shapes, level_start_index = plain(spatial_shapes), plain(level_start_index)
    options = (spatial_shapes, level_start_index, points, softmax, unit, box_scale)
    try:
        key = (backward, packed, locations.shape, references_shape, _dumps(options, 2))
        prepared = _layers.get(key)
    except ValueError:
        key = prepared = None
    if prepared is None:

        def make():
            levels = make_levels(*map(plain, options[:3]), locations.shape, packed)
            flag, scale = check_options(softmax, box_scale)
            problem = _calls.attention_problem(levels, unit_number(unit, references_shape), flag, packed, scale)
            names = ["value", "sampling_loc_attn" if packed else "sampling_locations"]
            used = ["value", "locations"]
            for array, name, ours in ((weights, "attention_weights", "weights"), (references, "reference_points", "references")):
                if array is not None:
                    names.append(name), used.append(ours)
            names.append("grad_output"), used.append("grad_output")
            count = len(names) if backward else len(names) - 1
            return _Prepared(ATTENTION, backward, problem, tuple(names[:count]), tuple(used[:count]))

        prepared = _prepare(key if is_plain(numbers_in(options)) else None, make)
    arrays = tuple(array for array in (*tensors, grad_output) if array is not None)
    return prepared(arrays, out, device)


def ms_deform_attn(
    value: np.ndarray,
    spatial_shapes,
    sampling_locations: np.ndarray,
    attention_weights: np.ndarray,
    level_start_index=None,
    points=None,
    softmax: bool = False,
    *,
    reference_points: Optional[np.ndarray] = None,
    unit: Optional[str] = None,
    box_scale: float = 0.5,
    out: Optional[np.ndarray] = None,
    device: str = "auto",
) -> np.ndarray:
    """dcnv4.functional.ms_deform_attn on arrays: value [N, S, M, D]; returns [N, Q, M·D]."""
    _dtype_number("attention_weights", attention_weights)
    tensors = (value, sampling_locations, attention_weights, reference_points)
    return _attend(None, tensors, spatial_shapes, level_start_index, points, softmax, unit, box_scale, out, device)


def ms_deform_attn_backward(
    grad_output: np.ndarray,
    value: np.ndarray,
    spatial_shapes,
    sampling_locations: np.ndarray,
    attention_weights: np.ndarray,
    level_start_index=None,
    points=None,
    softmax: bool = False,
    *,
    reference_points: Optional[np.ndarray] = None,
    unit: Optional[str] = None,
    box_scale: float = 0.5,
    out: Optional[tuple] = None,
    device: str = "auto",
) -> tuple:
    """(grad_value, grad_locations, grad_weights), and grad_reference_points if they are given."""
    _dtype_number("grad_output", grad_output), _dtype_number("attention_weights", attention_weights)
    tensors = (value, sampling_locations, attention_weights, reference_points)
    return _attend(grad_output, tensors, spatial_shapes, level_start_index, points, softmax, unit, box_scale, out, device)


def flash_deform_attn(
    value: np.ndarray,
    spatial_shapes,
    level_start_index,
    sampling_loc_attn: np.ndarray,
    points=None,
    softmax: bool = True,
    *,
    reference_points: Optional[np.ndarray] = None,
    unit: Optional[str] = None,
    box_scale: float = 0.5,
    out: Optional[np.ndarray] = None,
    device: str = "auto",
) -> np.ndarray:
    """dcnv4.functional.flash_deform_attn on arrays."""
    tensors = (value, sampling_loc_attn, None, reference_points)
    return _attend(None, tensors, spatial_shapes, level_start_index, points, softmax, unit, box_scale, out, device)


def flash_deform_attn_backward(
    grad_output: np.ndarray,
    value: np.ndarray,
    spatial_shapes,
    level_start_index,
    sampling_loc_attn: np.ndarray,
    points=None,
    softmax: bool = True,
    *,
    reference_points: Optional[np.ndarray] = None,
    unit: Optional[str] = None,
    box_scale: float = 0.5,
    out: Optional[tuple] = None,
    device: str = "auto",
) -> tuple:
    """(grad_value, grad_sampling_loc_attn), and grad_reference_points if they are given."""
    _dtype_number("grad_output", grad_output)
    tensors = (value, sampling_loc_attn, None, reference_points)
    return _attend(grad_output, tensors, spatial_shapes, level_start_index, points, softmax, unit, box_scale, out, device)
