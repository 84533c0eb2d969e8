"""Multi-scale deformable attention as modules: the operator with linear layers that predict offsets and weights."""

from __future__ import annotations

from . import _needs_torch  # noqa: F401
import math
from numbers import Integral
from typing import Optional, Sequence, Union

import torch
from torch import nn

from . import functional
from ._formats import for_layer


class MSDeformAttn(nn.Module):
    """Deformable DETR's module: the first four arguments, the parameters, their names, shapes and initial values are the
    same, so that its checkpoints load with strict=True.

    n_points may be a list, with the number of points of each level, as in RT-DETRv2 and D-FINE; the parameters are
    theirs then. box_scale is their offset_scale.

    Any d_model that n_heads divides. The offsets go to the operator as they are, with the reference points: no tensor of
    sampling locations is made, and 16 bits round the offsets alone, not the positions. The softmax is the operator's.

    `operator` is the function that computes; set it to dcnv4.reference.ms_deform_attn for exporters that know
    grid_sample.
    """

    def __init__(
        self,
        d_model: int = 256,
        n_levels: int = 4,
        n_heads: int = 8,
        n_points: Union[int, Sequence[int]] = 4,
        *,
        box_scale: float = 0.5,
        device=None,
        dtype=None,
    ):
        super().__init__()
        for name, number in (("d_model", d_model), ("n_levels", n_levels), ("n_heads", n_heads)):
            self._check_number(name, number, 1)
        if d_model % n_heads != 0:
            raise ValueError(f"{type(self).__name__}: d_model is {d_model}, which n_heads {n_heads} does not divide")
        self.points = self._points(n_points, n_levels)
        self.d_model, self.n_levels, self.n_heads, self.n_points = d_model, n_levels, n_heads, n_points
        self.box_scale, self.operator = box_scale, functional.ms_deform_attn
        factory, total = {"device": device, "dtype": dtype}, n_heads * sum(self.points)
        # In the original's order, so that a seed gives the same initial values.
        self.sampling_offsets = nn.Linear(d_model, 2 * total, **factory)
        self.attention_weights = nn.Linear(d_model, total, **factory)
        self.value_proj = nn.Linear(d_model, d_model, **factory)
        self.output_proj = nn.Linear(d_model, d_model, **factory)
        self.reset_parameters()

    def _check_number(self, name: str, given, least: int) -> None:
        if not isinstance(given, Integral):
            raise TypeError(f"{type(self).__name__}: {name} is {given!r}, it must be a whole number")
        if given < least:
            raise ValueError(f"{type(self).__name__}: {name} is {given}, at least {least} is needed")

    def _points(self, n_points, n_levels: int) -> tuple:
        """How many points each level has."""
        points = tuple(n_points) if isinstance(n_points, (list, tuple)) else (n_points,) * n_levels
        for number in points:
            self._check_number("n_points", number, 0)
        if len(points) != n_levels:
            raise ValueError(f"{type(self).__name__}: n_points has {len(points)} levels, but n_levels is {n_levels}")
        return points

    def reset_parameters(self) -> None:
        """Initialises all parameters: offsets are a star, in which head m points in direction 2πm/M, and a level's point
        i is i + 1 places away; weights are equal."""
        angles = torch.arange(self.n_heads, dtype=torch.float32) * (2 * math.pi / self.n_heads)
        star = torch.stack((angles.cos(), angles.sin()), -1)
        star = star / star.abs().amax(-1, keepdim=True)
        steps = torch.tensor([step + 1.0 for count in self.points for step in range(count)])
        nn.init.zeros_(self.sampling_offsets.weight)
        with torch.no_grad():
            self.sampling_offsets.bias.copy_((star[:, None] * steps[:, None]).flatten())
        nn.init.zeros_(self.attention_weights.weight)
        nn.init.zeros_(self.attention_weights.bias)
        for projection in (self.value_proj, self.output_proj):
            nn.init.xavier_uniform_(projection.weight)
            nn.init.zeros_(projection.bias)

    def __setstate__(self, state):
        """A pickle of the original's module has its attributes and parameters; adds the missing ones."""
        super().__setstate__(state)
        self.__dict__.setdefault("points", self._points(self.n_points, self.n_levels))
        self.__dict__.setdefault("box_scale", 0.5)
        self.__dict__.setdefault("operator", functional.ms_deform_attn)

    def forward(
        self,
        query: torch.Tensor,
        reference_points: torch.Tensor,
        input_flatten: torch.Tensor,
        input_spatial_shapes: functional.Shapes,
        input_level_start_index: functional.Starts = None,
        input_padding_mask: Optional[torch.Tensor] = None,
    ) -> torch.Tensor:
        """
        query                    [N, Q, d_model]
        reference_points         [N, Q, n_levels or 1, 2], (x, y) in parts of the level, or [N, Q, n_levels or 1, 4],
                                 (x, y, width, height) of boxes
        input_flatten            [N, S, d_model], the levels' places one after the other
        input_spatial_shapes     (H, W) of each level: a list, or an int64 tensor [n_levels, 2] on any device
        input_level_start_index  where each level begins; by default where the one before ends
        input_padding_mask       [N, S], True where value counts as 0
        returns                  [N, Q, d_model]
        """
        self._check(query, reference_points, input_flatten)
        value = self.value_proj(input_flatten)
        if input_padding_mask is not None:
            value = value.masked_fill(input_padding_mask.unsqueeze(-1), 0.0)
        heads, total = self.n_heads, sum(self.points)
        # Not unflatten, which PyTorch's older ONNX exporter exports with this batch and number of queries.
        split = lambda rows, *shape: rows.reshape(rows.shape[0], rows.shape[1], *shape)  # noqa: E731
        offsets, weights = (layer(for_layer(layer, query)) for layer in (self.sampling_offsets, self.attention_weights))
        output = self.operator(
            split(value, heads, self.d_model // heads), input_spatial_shapes, split(offsets, heads, total, 2),
            split(weights, heads, total), input_level_start_index, self.points, True,
            reference_points=reference_points, box_scale=self.box_scale,
        )  # fmt: skip
        return self.output_proj(output)

    def _check(self, query, reference_points, input_flatten) -> None:
        """torch.fx's proxies cannot be checked."""
        for name, tensor in (("query", query), ("input_flatten", input_flatten)):
            if isinstance(tensor, torch.Tensor) and (tensor.dim() != 3 or tensor.shape[2] != self.d_model):
                raise ValueError(
                    f"{type(self).__name__}: {name} has shape {list(tensor.shape)}, [N, …, {self.d_model}] is needed"
                )
        if isinstance(reference_points, torch.Tensor) and reference_points.shape[-1] not in (2, 4):
            raise ValueError(
                f"{type(self).__name__}: reference_points has shape {list(reference_points.shape)}, whose last axis must "
                f"be 2 or 4"
            )

    def extra_repr(self) -> str:
        text = f"{self.d_model}, n_levels={self.n_levels}, n_heads={self.n_heads}, n_points={self.n_points}"
        return text if self.box_scale == 0.5 else f"{text}, box_scale={self.box_scale:g}"


class FlashDeformAttn(MSDeformAttn):
    """The module of that name of DCNv4's authors: its arguments, parameters and initial values are MSDeformAttn's, and so
    is the result. The original rounds locations to float16 in every dtype, by up to 0.05 places in 200; here they are
    not rounded. Any number of channels per head, of levels and of points."""
