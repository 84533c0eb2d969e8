"""The operators on JAX's arrays, on the CPU and on CUDA and ROCm devices.

    output = dcnv4.jax.dcnv4(value, offset_mask, group=4)

Arguments are those of dcnv4.functional. grad and vjp have the library's own gradients (once: a second derivative is a
NotImplementedError, and there is no forward mode), jit compiles calls into programs, vmap folds its axis into the batch, and
inside shard_map each device runs its own part. jit on operands that are sharded along the batch alone runs each device's part
on it. float32, float16, bfloat16, and float64 with jax_enable_x64 on the CPU. spatial_shapes and level_start_index are
numbers, not traced arrays.

jax.export needs jax.export.DisabledSafetyCheck.custom_call(name) for each name of TARGETS that a function calls.
"""

from __future__ import annotations

import functools
import marshal
import operator
import struct
from typing import Optional

from . import _calls
from . import _library as lib
from ._layer import Pair, check_shapes, is_plain, make_layer
from ._levels import check_options, make_levels, numbers_in, plain, unit_number
from ._needs import need

_jax = need("jax", "dcnv4.jax", "jax")
_np = need("numpy", "dcnv4.jax", "jax")
_jnp = need("jax.numpy", "dcnv4.jax", "jax")
try:
    _ffi = need("jax.ffi", "dcnv4.jax", "jax")
except ModuleNotFoundError:
    raise ImportError(f"dcnv4.jax needs jax 0.5 or newer, which has jax.ffi; this is {_jax.__version__}") from None
_custom_partitioning = need("jax.experimental.custom_partitioning", "dcnv4.jax", "jax").custom_partitioning
need("jax.custom_batching", "dcnv4.jax", "jax")

__all__ = ["TARGETS", "dcnv4", "flash_deform_attn", "ms_deform_attn"]

TARGETS = ("dcnv4_conv_forward", "dcnv4_conv_backward", "dcnv4_attention_forward", "dcnv4_attention_backward")
LAYERS = 1024  # as many parameter sets are kept
PACKED = 2  # which of an attention layer's numbers says that locations and weights are packed
NUMBERS = {"float32": lib.FLOAT32, "float16": lib.FLOAT16, "bfloat16": lib.BFLOAT16, "float64": lib.FLOAT64}

_layers: dict = {}
_calls_seen: dict = {}
_dumps = marshal.dumps
_concrete: set = set()  # types of arrays that have numbers, unlike traced ones
_numbers: dict = {}  # NUMBERS by dtype, for speed


def _register() -> None:
    for target in TARGETS:
        for platform, api in (("cpu", "cpu"), ("CUDA", "cuda"), ("ROCM", "hip")):
            handler = getattr(_calls.library, f"{target.replace('dcnv4', 'dcnv4_xla')}_{api}")
            _ffi.register_ffi_target(target, _ffi.pycapsule(handler), platform=platform)


_register()


class _Layer:
    """A layer's numbers as the handlers read them: int64, with doubles as their bits. One object for equal layers.

    run(*operands) is compiled, since calls outside jit would otherwise take ten times as long."""

    def __init__(self, kind: str, numbers: tuple):
        self.kind = kind
        self.numbers = _np.array(numbers, _np.int64)
        self.run = _jax.jit(lambda *operands: _differentiable(self, _one_axis_of_points(self, operands)))


def _bits(number: float) -> int:
    return struct.unpack("q", struct.pack("d", number))[0]


def _layer(kind: str, numbers: tuple) -> _Layer:
    key = kind, numbers
    if key not in _layers:
        if len(_layers) >= LAYERS:
            _layers.clear()
        _layers.setdefault(key, _Layer(kind, numbers))
    return _layers[key]


# ---- Calls: operands are dense, and of dtypes that go together ------------------------------------------------------------


def _mesh_axes(array) -> frozenset:
    """The axes of shard_map's mesh along which the array differs."""
    if not hasattr(_jax, "typeof"):
        return frozenset()
    of = _jax.typeof(array)
    if hasattr(of, "vma"):
        return of.vma
    return getattr(getattr(of, "manual_axis_type", None), "varying", frozenset())


def _varying(axes: frozenset) -> dict:
    """The arguments of ShapeDtypeStruct for an array that differs along these axes, in this version of JAX."""
    kind = getattr(_jax.sharding, "ManualAxisType", None)
    if kind is None:
        return {"vma": axes}
    mesh = _jax.sharding.get_abstract_mesh()
    sharding = _jax.sharding.NamedSharding(mesh, _jax.sharding.PartitionSpec())
    return {"manual_axis_type": kind(varying=axes), "sharding": sharding}


def _alike(operands: tuple) -> tuple:
    """In shard_map, operands that all differ along the same axes: those of the gradients are summed along the others."""
    if all(type(each) in _concrete for each in operands):
        return operands
    axes = frozenset().union(*map(_mesh_axes, operands))
    if not axes:
        return operands
    vary = getattr(_jax.lax, "pcast", None)
    vary = functools.partial(vary, to="varying") if vary else _jax.lax.pvary
    missing = [tuple(axes - _mesh_axes(each)) for each in operands]
    return tuple(vary(each, lacks) if lacks else each for each, lacks in zip(operands, missing))


def _call(target: str, layer: _Layer, results, operands):
    """results are (shape, dtype)."""
    axes = frozenset().union(*map(_mesh_axes, operands))
    if axes:  # in shard_map each device has its own part already
        return _call_whole(target, layer, results, operands, **_varying(axes))
    return _batched(target, layer, tuple((shape[1:], _np.dtype(dtype)) for shape, dtype in results), operands)


def _call_whole(target: str, layer: _Layer, results, operands, **more):
    types = [_jax.ShapeDtypeStruct(shape, dtype, **more) for shape, dtype in results]
    call = _ffi.ffi_call(f"dcnv4_{layer.kind}_{target}", types, vmap_method="broadcast_all")
    return tuple(call(*operands, numbers=layer.numbers))


def _batched(target: str, layer: _Layer, rows: tuple, operands):
    """A call that vmap folds into the batch, and that is partitioned along it. rows are the results but for the batch."""

    def whole(*operands):
        batch = operands[0].shape[0]
        return _call_whole(target, layer, [((batch, *shape), dtype) for shape, dtype in rows], operands)

    @_jax.custom_batching.custom_vmap
    def call(*operands):
        return _partitioned(whole, operands, rows)(*operands)

    @call.def_vmap
    def fold(size, is_batched, *operands):
        operands = [
            each if batched else _jnp.broadcast_to(each, (size, *each.shape)) for each, batched in zip(operands, is_batched)
        ]
        results = call(*(each.reshape(-1, *each.shape[2:]) for each in operands))
        return tuple(each.reshape(size, -1, *each.shape[1:]) for each in results), (True,) * len(results)

    return call(*operands)


def _partitioned(whole, operands, rows: tuple):
    """`whole` for operands sharded along the batch, each device on its own images. Other axes are gathered."""

    def along_batch(shapes, mesh, others):
        spec = others[0].sharding.spec if others[0].sharding is not None else ()
        batch = spec[0] if len(spec) > 0 else None
        sharding = _jax.sharding.NamedSharding
        return tuple(sharding(mesh, _jax.sharding.PartitionSpec(batch, *[None] * (len(each.shape) - 1))) for each in shapes)

    def infer(mesh, operands, results):
        return along_batch(results, mesh, operands)

    def partition(mesh, operands, results):
        return mesh, whole, along_batch(results, mesh, operands), along_batch(operands, mesh, operands)

    # Shardy's rule: the first axis of all is one, and every other is its own.
    names = [["n", *(f"a{index}b{axis}" for axis in range(1, each.ndim))] for index, each in enumerate(operands)]
    results = [["n", *(f"r{index}b{axis}" for axis in range(len(shape)))] for index, (shape, _) in enumerate(rows)]
    rule = " -> ".join(", ".join(" ".join(each) for each in side) for side in (names, results))
    made = _custom_partitioning(whole)
    try:
        made.def_partition(partition, infer, sharding_rule=rule)
    except TypeError:  # before Shardy
        made.def_partition(partition, infer)
    return made


def _one_axis_of_points(layer: _Layer, operands: tuple) -> tuple:
    """Locations [N, Q, M, P, 2] and weights [N, Q, M, P], whatever the levels."""
    if layer.kind == "conv" or layer.numbers[PACKED]:
        return operands
    value, locations, weights, *references = operands
    locations = locations.reshape(*locations.shape[:3], -1, 2) if locations.ndim != 5 else locations
    weights = weights.reshape(*weights.shape[:3], -1) if weights.ndim != 4 else weights
    return (value, locations, weights, *references)


def _output(layer: _Layer, operands):
    value, points = operands[:2]
    if layer.kind == "conv":
        shape = (*points.shape[:3], value.shape[3])
    else:
        shape = (*points.shape[:2], value.shape[2] * value.shape[3])
    (output,) = _call("forward", layer, [(shape, value.dtype)], operands)
    return output


def _gradients(layer: _Layer, operands, grad_output):
    results = [(each.shape, each.dtype) for each in operands]
    return tuple(_call("backward", layer, results, (*operands, grad_output)))


def _once(function):
    """The function, with a sentence in place of its derivatives, in both modes."""
    made = _jax.custom_jvp(function, nondiff_argnums=(0,))

    @made.defjvp
    def refuse(layer, primals, tangents):
        name = "DCNv4" if layer.kind == "conv" else "MSDeformAttn"
        raise NotImplementedError(
            f"dcnv4: {name} has first derivatives alone in dcnv4.jax, and those of any order in dcnv4.functional"
        )

    return made


_differentiable = _jax.custom_vjp(_output, nondiff_argnums=(0,))
# What a first derivative leaves in the program, which a second one would differentiate.
_output_once, _gradients_once = _once(_output), _once(_gradients)


def _forward(layer: _Layer, operands):
    return _output_once(layer, operands), operands


def _backward(layer: _Layer, operands, grad_output):
    return (_gradients_once(layer, operands, grad_output),)


_differentiable.defvjp(_forward, _backward)


# ---- Arguments ------------------------------------------------------------------------------------------------------------


def _array(name: str, given):
    if type(given) in _concrete and given.dtype in _numbers:
        return given
    if not hasattr(given, "dtype") or not hasattr(given, "shape"):
        raise TypeError(f"dcnv4: {name} is of type {type(given).__name__}, it must be an array")
    number = NUMBERS.get(given.dtype.name)
    if number is None:
        raise TypeError(f"dcnv4: {name} is of {given.dtype}, possible are float32, float16, bfloat16 and float64")
    _numbers[given.dtype] = number
    if not isinstance(given, _jax.Array):
        return _jnp.asarray(given)
    if not isinstance(given, _jax.core.Tracer):
        _concrete.add(type(given))
    return given


def _go_together(first, second) -> bool:
    return first is second or first == second or (second == _np.float32 and first.itemsize == 2)


def _remember(operands: tuple, options: tuple, layer: _Layer) -> None:
    """Lets calls of such operands and options find their layer in _calls_seen. Options are marshalled, which tells 3 from
    3.0 and True; only calls with Python's own numbers are kept, and with arrays that need no conversion."""
    if is_plain(numbers_in(options)) and all(type(each) in _concrete for each in operands):
        if len(_calls_seen) >= LAYERS:
            _calls_seen.clear()
        _calls_seen[(*[each.aval for each in operands], _dumps(options, 2))] = layer


class _Shape:
    def __init__(self, shape: tuple):
        self.shape = shape


def _conv_layer(shapes: tuple, parameters: tuple) -> _Layer:
    layer = make_layer(*parameters)
    check_shapes(*map(_Shape, shapes), layer)
    sizes = (*layer.kernel_size, *layer.stride, *layer.padding, *layer.dilation)
    numbers = (*sizes, layer.group, _bits(layer.offset_scale), int(layer.remove_center), int(layer.softmax))
    return _layer("conv", numbers)


def dcnv4(
    value: _jax.Array,
    offset_mask: _jax.Array,
    kernel_size: Pair = 3,
    stride: Pair = 1,
    padding: Pair = 1,
    dilation: Pair = 1,
    group: int = 4,
    offset_scale: float = 1.0,
    remove_center: bool = False,
    softmax: bool = False,
) -> _jax.Array:
    """dcnv4.functional.dcnv4 on arrays: value [N, H, W, C], offset_mask [N, Ho, Wo, P]; returns [N, Ho, Wo, C]."""
    parameters = (kernel_size, stride, padding, dilation, group, offset_scale, remove_center, softmax)
    given = value, offset_mask
    try:  # all that a call like one before needs
        layer = _calls_seen[value.aval, offset_mask.aval, _dumps(parameters, 2)]
    except (AttributeError, KeyError, TypeError, ValueError):
        pass
    else:
        return layer.run(value, offset_mask)
    value, offset_mask = _array("value", value), _array("offset_mask", offset_mask)
    if not _go_together(value.dtype, offset_mask.dtype):
        offset_mask = offset_mask.astype(value.dtype)
    layer = _conv_layer((value.shape, offset_mask.shape), parameters)
    if offset_mask is given[1]:
        _remember(given, parameters, layer)
    return layer.run(*_alike((value, offset_mask)))


def _beside(first, array):
    """The array in first's dtype, or in float32 beside 16 bits, which would round locations."""
    if _go_together(first.dtype, array.dtype):
        return array
    return array.astype(_np.float32 if first.dtype.itemsize == 2 else first.dtype)


def _attention_layer(operands: tuple, options: tuple) -> _Layer:
    spatial_shapes, level_start_index, points, softmax, unit, box_scale = options
    packed, references = operands[2] is None, operands[3]
    levels = make_levels(*map(plain, (spatial_shapes, level_start_index, points)), operands[1][0], packed)
    number = unit_number(unit, references and references[0])
    flag, scale = check_options(softmax, box_scale)
    problem = _calls.attention_problem(levels, number, flag, packed, scale)
    _calls.output_shape(_calls.ATTENTION, problem, operands)
    head = (number, int(flag), int(packed), _bits(scale), int(references is not None))
    return _layer("attention", (*head, *(size for level in levels for size in level)))


def _static(name: str, given):
    """Numbers as tuples. Arrays that jit traces have none."""
    if isinstance(given, _jax.core.Tracer):
        raise TypeError(f"dcnv4: {name} is a traced array, it must be numbers: give it as tuples")
    return plain(given)


def _attend(value, locations, weights, references, spatial_shapes, level_start_index, points, softmax, unit, box_scale):
    packed = weights is None
    given = (value, locations) if packed else (value, locations, weights)
    given = given if references is None else (*given, references)
    options = (spatial_shapes, level_start_index, points, softmax, unit, box_scale)
    try:  # as in dcnv4
        layer = _calls_seen[(*[each.aval for each in given], _dumps((packed, options), 2))]
    except (AttributeError, KeyError, TypeError, ValueError):
        pass
    else:
        return layer.run(*given)
    value = _array("value", value)
    locations = _beside(value, _array("sampling_loc_attn" if packed else "sampling_locations", locations))
    weights = None if packed else _beside(value, _array("attention_weights", weights))
    references = None if references is None else _beside(locations, _array("reference_points", references))
    static = (_static("spatial_shapes", spatial_shapes), _static("level_start_index", level_start_index),
              _static("points", points), softmax, unit, box_scale)  # fmt: skip
    operands = tuple(each for each in (value, locations, weights, references) if each is not None)
    types = (None if each is None else (each.shape, _numbers[each.dtype]) for each in (value, locations, weights, references))
    layer = _attention_layer(tuple(types), static)
    if all(map(operator.is_, operands, given)):
        _remember(given, (packed, options), layer)
    return layer.run(*_alike(operands))


def ms_deform_attn(
    value: _jax.Array,
    spatial_shapes,
    sampling_locations: _jax.Array,
    attention_weights: _jax.Array,
    level_start_index=None,
    points=None,
    softmax: bool = False,
    *,
    reference_points: Optional[_jax.Array] = None,
    unit: Optional[str] = None,
    box_scale: float = 0.5,
) -> _jax.Array:
    """dcnv4.functional.ms_deform_attn on arrays: value [N, S, M, D]; returns [N, Q, M·D]."""
    if attention_weights is None:
        raise TypeError("dcnv4: attention_weights is of type NoneType, it must be an array")
    return _attend(value, sampling_locations, attention_weights, reference_points, spatial_shapes, level_start_index, points,
                   softmax, unit, box_scale)  # fmt: skip


def flash_deform_attn(
    value: _jax.Array,
    spatial_shapes,
    level_start_index,
    sampling_loc_attn: _jax.Array,
    points=None,
    softmax: bool = True,
    *,
    reference_points: Optional[_jax.Array] = None,
    unit: Optional[str] = None,
    box_scale: float = 0.5,
) -> _jax.Array:
    """dcnv4.functional.flash_deform_attn on arrays."""
    return _attend(value, sampling_loc_attn, None, reference_points, spatial_shapes, level_start_index, points, softmax,
                   unit, box_scale)  # fmt: skip
