"""The levels of multi-scale deformable attention as numbers, checked. For all frameworks: imports none."""

from __future__ import annotations

import math
from numbers import Integral, Real

from ._layer import MOST, check_flag

UNITS = ("normalized", "places", "offsets", "box_offsets")  # in the order of dcnv4_msda_unit


def _whole(name: str, given) -> int:
    if not isinstance(given, Integral):
        raise TypeError(f"dcnv4: {name} has {given!r}, it must have whole numbers")
    if not 0 <= given <= MOST:
        raise ValueError(f"dcnv4: {name} has {given}, possible are 0 to {MOST}")
    return int(given)


def plain(numbers):
    """A list, tuple or array as nested tuples of Python's numbers."""
    if hasattr(numbers, "tolist"):
        numbers = numbers.tolist()
    return tuple(map(plain, numbers)) if isinstance(numbers, (list, tuple)) else numbers


def numbers_in(options) -> tuple:
    """All numbers in nested tuples and lists, without the Nones and names among them."""
    found: tuple = ()
    for option in options:
        if isinstance(option, (tuple, list)):
            found += numbers_in(option)
        elif option is not None and type(option) is not str:
            found += (option,)
    return found


def _points(points, count: int, shape: tuple, packed: bool) -> tuple:
    """How many points each level has: as given, one number for all, or as many as the shape of the locations says."""
    if isinstance(points, tuple):
        if len(points) != count:
            raise ValueError(f"dcnv4: points has {len(points)} levels, but spatial_shapes has {count}")
        return tuple(_whole("points", number) for number in points)
    if points is not None:
        return (_whole("points", points),) * count
    if len(shape) == 6 and not packed:
        return (shape[4],) * count
    if len(shape) != (4 if packed else 5):
        return (0,) * count  # refused later, with the shapes
    of_level = count * (3 if packed else 1)
    if shape[3] % of_level != 0:
        name = "sampling_loc_attn" if packed else "sampling_locations"
        raise ValueError(f"dcnv4: {name} has shape {list(shape)}, whose axis 3 {count} levels do not divide; give points")
    return (shape[3] // of_level,) * count


def make_levels(spatial_shapes, level_start_index, points, shape: tuple, packed: bool) -> tuple:
    """(H, W, start, points) of each level. Arguments are plain(); shape is the locations'."""
    if not isinstance(spatial_shapes, tuple):
        raise TypeError(f"dcnv4: spatial_shapes is {spatial_shapes!r}, pairs (H, W) are needed")
    for pair in spatial_shapes:
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise ValueError(f"dcnv4: spatial_shapes has {pair!r}, pairs (H, W) are needed")
    sizes = [tuple(_whole("spatial_shapes", number) for number in pair) for pair in spatial_shapes]
    if not sizes:
        raise ValueError("dcnv4: spatial_shapes has no level, at least 1 is needed")
    if level_start_index is None:
        starts = [sum(height * width for height, width in sizes[:level]) for level in range(len(sizes))]
    else:
        starts = [_whole("level_start_index", number) for number in level_start_index]
        if len(starts) != len(sizes):
            raise ValueError(
                f"dcnv4: level_start_index has {len(starts)} levels, but spatial_shapes has {len(sizes)}"
            )
    counts = _points(points, len(sizes), shape, packed)
    for level, (start, (height, width)) in enumerate(zip(starts, sizes)):
        if start + height * width > MOST:
            raise ValueError(f"dcnv4: spatial_shapes[{level}] is ({height}, {width}), which is too large")
    return tuple((*size, start, count) for size, start, count in zip(sizes, starts, counts))


def unit_number(unit, references_shape) -> int:
    """A dcnv4_msda_unit. By default references decide, by how many numbers they have."""
    if unit is None:
        if references_shape is None:
            return 0
        return UNITS.index("box_offsets" if tuple(references_shape[-1:]) == (4,) else "offsets")
    if unit not in UNITS:
        raise ValueError(f"dcnv4: unit is {unit!r}, possible are {', '.join(UNITS)}")
    return UNITS.index(unit)


def check_options(softmax, box_scale) -> tuple:
    """(softmax, box_scale), checked."""
    if not isinstance(box_scale, Real):
        raise TypeError(f"dcnv4: box_scale is {box_scale!r}, it must be a number")
    try:
        number = float(box_scale)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"dcnv4: box_scale is {box_scale}, a finite number is needed")
    return check_flag("softmax", softmax), number
