"""Positions and weights of multi-scale deformable attention's points, as plain PyTorch."""

from __future__ import annotations

from typing import NamedTuple, Optional

import torch

from ._attention_problem import Levels
from ._library import BOX_OFFSETS, NORMALIZED, PLACES


class Points(NamedTuple):
    """Everything is [N, Q, M, P], or can be broadcast to it, unless stated otherwise."""

    x: torch.Tensor  # in places of the level; −2 where a point does not count
    y: torch.Tensor
    counts: torch.Tensor
    weights: torch.Tensor
    locations: torch.Tensor  # [N, Q, M, P, 2]
    references: Optional[torch.Tensor]  # [N, Q, 1, P or 1, 2 or 4]
    size: torch.Tensor  # [P, 2], (W, H) of each point's level
    share: torch.Tensor  # [P, 1], box_scale/K of each point's level
    layer: Levels

    def tangents(self, locations_t, weights_t, references_t) -> tuple:
        """The tangents of x, y and weights for those of the inputs; None stands for 0."""
        layer = self.layer
        if locations_t is not None and locations_t.dim() == 4:  # packed
            locations_t, weights_t = _unpack(locations_t, layer.all_points)
        if weights_t is not None:
            weights_t = weights_t.reshape(self.weights.shape)
            if layer.softmax:
                weights_t = self.weights * (weights_t - (self.weights * weights_t).sum(-1, keepdim=True))
        if locations_t is not None:
            locations_t = locations_t.reshape(self.locations.shape)
        if references_t is not None:
            references_t = _of_points(references_t, layer)
        places_t = self._places_t(locations_t, references_t)
        if places_t is None:
            return None, None, weights_t
        x_t, y_t = places_t.expand(self.locations.shape).unbind(-1)
        return x_t, y_t, weights_t

    def _places_t(self, locations_t, references_t):
        unit, parts = self.layer.unit, []
        if locations_t is not None:
            scale = self.size if unit in (NORMALIZED, BOX_OFFSETS) else 1
            if unit == BOX_OFFSETS:
                scale = scale * self.references.narrow(-1, 2, 2) * self.share
            parts.append(locations_t * scale)
        if references_t is not None:
            parts.append(references_t.narrow(-1, 0, 2) * self.size)
            if unit == BOX_OFFSETS:
                parts.append(self.locations * references_t.narrow(-1, 2, 2) * self.share * self.size)
        return sum(parts) if parts else None


def _unpack(packed: torch.Tensor, points: int) -> tuple:
    """Locations [N, Q, M, P, 2] and weights of packed rows [N, Q, M, 3·P]."""
    # Not packed[..., : 2 * points], which PyTorch's older vmap has no rule for if it is the whole row.
    locations = packed.narrow(-1, 0, 2 * points)
    return locations.reshape(*packed.shape[:3], points, 2), packed.narrow(-1, 2 * points, points)


def _level_of_points(layer: Levels) -> list:
    return [level for level, count in enumerate(layer.points) for _ in range(count)]


def _of_points(references: torch.Tensor, layer: Levels) -> torch.Tensor:
    """References [N, Q, R, …] as [N, Q, 1, P or 1, …]."""
    if references.shape[2] != 1:
        index = torch.tensor(_level_of_points(layer), dtype=torch.int64, device=references.device)
        references = references.index_select(2, index)
    return references.unsqueeze(2)


def _sizes(layer: Levels, level_shapes, like: torch.Tensor) -> torch.Tensor:
    """(W, H) of each point's level, [P, 2]."""
    level = _level_of_points(layer)
    if level_shapes is not None:
        index = torch.tensor(level, dtype=torch.int64, device=level_shapes.device)
        return level_shapes.index_select(0, index).flip(-1).to(like)
    columns = [[layer.sizes[2 * each + axis] for each in level] for axis in (1, 0)]
    return torch.stack([_numbers(column, like) for column in columns], -1)


def _numbers(numbers: list, like: torch.Tensor) -> torch.Tensor:
    """A tensor of numbers, which may be symbolic."""
    if all(type(number) in (int, float) for number in numbers):
        return torch.tensor(numbers, dtype=like.dtype, device=like.device)
    return torch.stack([torch.full((), number, dtype=like.dtype, device=like.device) for number in numbers])


def find_points(locations, weights, references, level_shapes, level_starts, layer: Levels) -> Points:
    points = layer.all_points
    if weights is None:
        locations, weights = _unpack(locations, points)
    locations = locations.reshape(*locations.shape[:3], points, 2)
    weights = weights.reshape(locations.shape[:4])
    if layer.softmax:
        weights = weights.softmax(-1)
    if references is not None:
        references = _of_points(references, layer)
    size = _sizes(layer, level_shapes, locations)
    share = [layer.box_scale / count for count in layer.points for _ in range(count)]
    share = torch.tensor(share, dtype=locations.dtype, device=locations.device).unsqueeze(-1)
    if layer.unit == NORMALIZED:
        places = locations * size - 0.5
    elif layer.unit == PLACES:
        places = locations
    elif layer.unit == BOX_OFFSETS:
        places = (references.narrow(-1, 0, 2) + locations * references.narrow(-1, 2, 2) * share) * size - 0.5
    else:
        places = locations + references * size - 0.5
    # Points outside their level or at NaN do not count; their numbers are replaced before they are multiplied.
    inside = (places > -1) & (places < size)
    counts = inside[..., 0] & inside[..., 1] & (size > 0).all(-1)
    x, y = torch.where(counts.unsqueeze(-1), places, torch.full_like(places, -2)).unbind(-1)
    return Points(x, y, counts, weights, locations, references, size, share, layer)
