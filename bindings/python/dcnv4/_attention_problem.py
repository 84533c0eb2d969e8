"""The arguments of multi-scale deformable attention, checked. Every error names the argument."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import NamedTuple

import torch

from ._library import BOX_OFFSETS, OFFSETS
from ._problem import HALVES, MOST, check_flag, check_tensor, go_together

UNITS = ("normalized", "places", "offsets", "box_offsets")  # in the order of dcnv4_msda_unit
NAMES = ("value", "sampling_locations", "attention_weights", "reference_points", "spatial_shapes", "level_start_index")
PACKED = "sampling_loc_attn"


class Levels(NamedTuple):
    """All arguments but the tensors. sizes is (H, W) of one level after the other, and empty if the tensor
    spatial_shapes has them; starts likewise, or empty if each level begins where the one before ends."""

    sizes: tuple
    starts: tuple
    points: tuple
    unit: int
    softmax: bool
    box_scale: float

    @property
    def all_points(self) -> int:
        return sum(self.points)

    def begins(self) -> tuple:
        """Where each level begins in value, if sizes has the levels."""
        if self.starts:
            return self.starts
        found = [0]
        for height, width in zip(self.sizes[::2], self.sizes[1::2]):
            found.append(found[-1] + height * width)
        return tuple(found[:-1])


def _whole(name: str, given):
    if isinstance(given, torch.SymInt) or type(given) is int:
        return given
    if not isinstance(given, Integral):
        raise TypeError(f"dcnv4: {name} has {given!r}, it must have whole numbers")
    return int(given)


def make_levels(sizes, starts, points, unit, softmax, box_scale) -> Levels:
    named = (("spatial_shapes", sizes), ("level_start_index", starts), ("points", points))
    sizes, starts, points = (tuple(_whole(name, number) for number in numbers) for name, numbers in named)
    for name, numbers in (("spatial_shapes", sizes), ("level_start_index", starts), ("points", points)):
        for number in numbers:
            if type(number) is int and not 0 <= number <= MOST:
                raise ValueError(f"dcnv4: {name} has {number}, possible are 0 to {MOST}")
    if not points:
        raise ValueError("dcnv4: spatial_shapes has no level, at least 1 is needed")
    if sizes and len(sizes) != 2 * len(points):
        raise ValueError(f"dcnv4: points has {len(points)} levels, but spatial_shapes has {len(sizes) // 2}")
    if starts and len(starts) != len(points):
        raise ValueError(f"dcnv4: level_start_index has {len(starts)} levels, but spatial_shapes has {len(points)}")
    if unit not in range(len(UNITS)):
        raise ValueError(f"dcnv4: unit is {unit}, possible are 0 to {len(UNITS) - 1}")
    return Levels(sizes, starts, points, int(unit), check_flag("softmax", softmax), _finite("box_scale", box_scale))


def _finite(name: str, given) -> float:
    if not isinstance(given, Real):
        raise TypeError(f"dcnv4: {name} is {given!r}, it must be a number")
    try:
        number = float(given)
    except OverflowError:
        number = math.inf
    if not -math.inf < number < math.inf:  # not isfinite, which torch.compile does not trace for a symbolic number
        raise ValueError(f"dcnv4: {name} is {given}, a finite number is needed")
    return number


def names_of(tensors) -> tuple:
    """The tensors' names in messages. Without weights, locations are packed with them."""
    return NAMES if tensors[2] is not None else (NAMES[0], PACKED, *NAMES[2:])


def check_dtypes(tensors) -> None:
    value, names = tensors[0], names_of(tensors)
    check_tensor(names[0], value)
    for name, tensor in zip(names[1:4], tensors[1:]):
        if tensor is None:
            continue
        check_tensor(name, tensor)
        if tensor.device != value.device:
            raise ValueError(f"dcnv4: value is on {value.device} and {name} on {tensor.device}, one is needed")
    for name, tensor in zip(NAMES[4:], tensors[4:]):
        if tensor is not None and tensor.dtype is not torch.int64:
            raise TypeError(f"dcnv4: {name} is of {tensor.dtype}, int64 is needed")


def convert(tensors) -> tuple:
    """Locations and weights in value's dtype, or in float32 beside 16 bits, which would round locations; references
    likewise beside locations."""
    check_dtypes(tensors)
    value, locations, weights, references, *tables = tensors
    locations = _beside(value, locations)
    return (value, locations, _beside(value, weights), _beside(locations, references), *tables)


def _beside(first, tensor):
    if tensor is None or go_together(first.dtype, tensor.dtype):
        return tensor
    # Not .to(first.dtype): a trace would record that dtype, even if the module is converted later.
    return tensor.float() if first.dtype in HALVES else tensor.type_as(first)


def check_call(tensors, levels: Levels, grad_output=None) -> tuple:
    """Checks all that the library relies on. Returns the output's shape. Sizes may be symbolic."""
    check_dtypes(tensors)
    value, locations, weights, references, *tables = tensors
    names = names_of(tensors)
    for first, second in ((0, 1), (0, 2), (1, 3)):
        dtypes = [None if tensors[index] is None else tensors[index].dtype for index in (first, second)]
        if dtypes[1] is not None and not go_together(*dtypes):
            raise TypeError(
                f"dcnv4: {names[first]} is of {dtypes[0]} and {names[second]} of {dtypes[1]}, one is needed, or float32 "
                f"for {names[second]} beside 16 bits"
            )
    if value.dim() != 4:
        raise ValueError(f"dcnv4: value has shape {list(value.shape)}, four axes [N, S, M, D] are needed")
    batch, length, heads, channels = value.shape
    if heads < 1 or channels < 1:
        raise ValueError(f"dcnv4: value has shape {list(value.shape)}, [N, S, M, D] with M and D of at least 1 is needed")
    _check_points(locations, weights, batch, heads, levels)
    queries = locations.shape[1]
    _check_references(references, batch, queries, levels)
    _check_levels(levels, length, tables)
    shape = (batch, queries, heads * channels)
    if grad_output is not None:
        check_tensor("grad_output", grad_output)
        if (grad_output.dtype, grad_output.device, tuple(grad_output.shape)) != (value.dtype, value.device, shape):
            raise ValueError(
                f"dcnv4: grad_output is {grad_output.dtype}, {list(grad_output.shape)} on {grad_output.device}; "
                f"{value.dtype}, {list(shape)} on {value.device} is needed"
            )
    return shape


def _check_points(locations, weights, batch, heads, levels: Levels) -> None:
    packed = weights is None
    points, count = levels.all_points, len(levels.points)
    per_point = (3 * points,) if packed else (points, 2)
    # A level's axis of its own, if all levels have as many points.
    per_level = (count, levels.points[0], 2) if not packed and len(set(levels.points)) == 1 else per_point
    shape = tuple(locations.shape)
    if len(shape) < 4 or shape[0] != batch or shape[2] != heads or shape[3:] not in (per_point, per_level):
        name, least = (PACKED, "3·P") if packed else (NAMES[1], "P, 2")
        raise ValueError(
            f"dcnv4: {name} has shape {list(shape)}, [{batch}, Q, {heads}, {least}] with P = {points} of points "
            f"{levels.points} is needed"
        )
    if not packed:
        shape, queries = tuple(weights.shape), locations.shape[1]
        if shape[:3] != (batch, queries, heads) or shape[3:] not in (per_point[:-1], per_level[:-1]):
            raise ValueError(
                f"dcnv4: {NAMES[2]} has shape {list(shape)}, [{batch}, {queries}, {heads}, P] with P = {points} of "
                f"points {levels.points} is needed"
            )


def _check_references(references, batch, queries, levels: Levels) -> None:
    unit, count = levels.unit, len(levels.points)
    if unit not in (OFFSETS, BOX_OFFSETS):
        if references is not None:
            raise ValueError(f"dcnv4: reference_points are given, but unit is {UNITS[unit]!r}")
        return
    numbers = 2 if unit == OFFSETS else 4
    if references is None:
        raise ValueError(f"dcnv4: unit is {UNITS[unit]!r}, which needs reference_points")
    shape = tuple(references.shape)
    if len(shape) != 4 or shape[:2] != (batch, queries) or shape[2] not in (1, count) or shape[3] != numbers:
        raise ValueError(
            f"dcnv4: reference_points has shape {list(shape)}, [{batch}, {queries}, 1 or {count}, {numbers}] is needed "
            f"with unit {UNITS[unit]!r}"
        )


def _check_levels(levels: Levels, length, tables) -> None:
    """Levels must lie in value, and not overlap. Not checked here if a size is symbolic, or only on a device."""
    count = len(levels.points)
    if tables[0] is not None or tables[1] is not None:
        for name, table, shape in zip(NAMES[4:], tables, ((count, 2), (count,))):
            if table is None or tuple(table.shape) != shape:
                found = None if table is None else list(table.shape)
                raise ValueError(f"dcnv4: {name} has shape {found}, {list(shape)} is needed for {count} levels")
        return
    if not levels.sizes:
        raise ValueError(f"dcnv4: spatial_shapes has 0 levels, points has {count}")
    starts = levels.begins()
    if not all(type(number) is int for number in (*levels.sizes, *starts, length)):
        return
    before = (0, None, 0)  # end, level and start of the level before
    for start, level in sorted(zip(starts, range(count))):
        height, width = levels.sizes[2 * level : 2 * level + 2]
        if start + height * width > length:
            raise ValueError(
                f"dcnv4: spatial_shapes[{level}] is ({height}, {width}) and begins at {start}: {height * width} places, "
                f"but value has {length}"
            )
        if height * width == 0:
            continue
        if start < before[0]:
            raise ValueError(
                f"dcnv4: spatial_shapes[{level}], which begins at {start} (level_start_index), overlaps "
                f"spatial_shapes[{before[1]}], which begins at {before[2]} and ends at {before[0]}"
            )
        before = (start + height * width, level, start)
