"""Multi-scale deformable attention's arguments, as a user gives them, as the tensors and arguments of the operator."""

from __future__ import annotations

from numbers import Integral
from typing import Optional

import torch

from ._attention_problem import NAMES, PACKED, UNITS

_INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)


def stand_in_among(tensors) -> bool:
    """Whether one of them is not a tensor but has __torch_function__, such as a proxy of torch.fx."""
    others = tuple(tensor for tensor in tensors if tensor is not None and not isinstance(tensor, torch.Tensor))
    return bool(others) and torch.overrides.has_torch_function(others)


def unit_number(unit: Optional[str], references) -> int:
    """A dcnv4_msda_unit. By default references decide, by how many numbers they have."""
    if unit is None:
        if references is None:
            return 0
        return UNITS.index("box_offsets" if references.shape[-1] == 4 else "offsets")
    if unit not in UNITS:
        raise ValueError(f"dcnv4: unit is {unit!r}, possible are {', '.join(UNITS)}")
    return UNITS.index(unit)


def points_of_levels(points, count: int, locations, packed: bool) -> tuple:
    """How many points each level has: as given, one number for all, or as many as the locations' shape says."""
    if isinstance(points, (list, tuple)):
        return tuple(points)
    if points is not None:
        if not isinstance(points, Integral):
            raise TypeError(f"dcnv4: points is {points!r}, it must be a whole number or a list of them, one per level")
        return (int(points),) * count
    shape = locations.shape
    if len(shape) == 6 and not packed:
        return (int(shape[4]),) * count
    if count < 1 or len(shape) != (4 if packed else 5):
        return (0,) * count  # refused later, with the shapes
    found = int(shape[3])
    of_level = count * (3 if packed else 1)
    if found % of_level != 0:
        name = PACKED if packed else NAMES[1]
        raise ValueError(f"dcnv4: {name} has shape {list(shape)}, whose axis 3 {count} levels do not divide; give points")
    return (found // of_level,) * count


def _table(name: str, given, axes: int):
    """A tensor of whole numbers as int64."""
    if given.dtype not in _INTEGERS:
        raise TypeError(f"dcnv4: {name} is of {given.dtype}, int64 is needed")
    if given.dim() != axes or (axes == 2 and given.shape[1] != 2):
        raise ValueError(f"dcnv4: {name} has shape {list(given.shape)}, {'[L, 2]' if axes == 2 else '[L]'} is needed")
    return given if given.dtype is torch.int64 else given.to(torch.int64)


def _flat(spatial_shapes) -> tuple:
    numbers = []
    for pair in spatial_shapes:
        if len(pair) != 2:
            raise ValueError(f"dcnv4: spatial_shapes has {pair!r}, pairs (H, W) are needed")
        numbers += pair
    return tuple(numbers)


def find_levels(spatial_shapes, level_start_index, device: torch.device, eager: bool) -> tuple:
    """(table of sizes, table of starts, sizes, starts, count of levels). Tables are tensors, None if the numbers are
    known: then sizes is flat, and starts may be empty. In eager mode tables in the cpu's memory are read here; those of
    a device are never read, unless value is in the cpu's memory."""
    in_tensor, starts_in_tensor = (isinstance(given, torch.Tensor) for given in (spatial_shapes, level_start_index))
    if in_tensor:
        spatial_shapes = _table("spatial_shapes", spatial_shapes, 2)
    if starts_in_tensor:
        level_start_index = _table("level_start_index", level_start_index, 1)
    if eager:
        host = device.type == "cpu"
        if in_tensor and (host or spatial_shapes.device.type == "cpu"):
            spatial_shapes, in_tensor = spatial_shapes.tolist(), False
        if starts_in_tensor and (host or level_start_index.device.type == "cpu"):
            level_start_index, starts_in_tensor = level_start_index.tolist(), False
    if not in_tensor and not starts_in_tensor:
        starts = () if level_start_index is None else tuple(level_start_index)
        return None, None, _flat(spatial_shapes), starts, len(spatial_shapes)
    device = spatial_shapes.device if in_tensor else level_start_index.device
    if not in_tensor:
        spatial_shapes = torch.tensor([list(pair) for pair in spatial_shapes], dtype=torch.int64, device=device)
    if level_start_index is None:
        ends = spatial_shapes.prod(1).cumsum(0)
        level_start_index = ends - spatial_shapes.prod(1)
    elif not starts_in_tensor:
        level_start_index = torch.tensor(list(level_start_index), dtype=torch.int64, device=device)
    return spatial_shapes, level_start_index.to(device), (), (), spatial_shapes.shape[0]
