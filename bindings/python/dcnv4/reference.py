"""The operators as plain PyTorch: slow, but they run and export wherever grid_sample does."""

from __future__ import annotations

from . import _needs_torch  # noqa: F401
from typing import NamedTuple, Optional, Sequence, Tuple, Union

import torch
import torch.nn.functional as F

from ._attention_call import find_levels, points_of_levels, stand_in_among, unit_number
from ._attention_points import find_points as find_attention_points
from ._attention_problem import check_call as check_attention
from ._attention_problem import check_dtypes as check_attention_dtypes
from ._attention_problem import make_levels
from ._problem import Layer, Pair, check_dtypes, check_shapes, check_tensor, make_layer, stand_in


class Points(NamedTuple):
    """The points' positions and weights, each [N, Ho, Wo, G, K] unless stated otherwise."""

    blocks: torch.Tensor  # [N, Ho, Wo, G, 3·K], offset_mask without its padding
    weights: torch.Tensor
    counts: torch.Tensor  # whether a point counts
    x: torch.Tensor  # −2 where it does not
    y: torch.Tensor
    origin_x: torch.Tensor  # x with an offset of 0 and an offset_scale of 1; [Wo, 1, K]
    origin_y: torch.Tensor  # [Ho, 1, 1, K]


def find_points(offset_mask: torch.Tensor, layer: Layer, height, width) -> Points:
    batch, out_h, out_w = offset_mask.shape[:3]
    points, groups = layer.points, layer.group
    blocks = offset_mask[..., : 3 * groups * points].reshape(batch, out_h, out_w, groups, 3 * points)
    offsets = blocks[..., : 2 * points].reshape(batch, out_h, out_w, groups, points, 2)
    weights = blocks[..., 2 * points :]
    if layer.softmax:
        weights = weights.softmax(-1)

    # The kernel's grid, with its width as the outer loop: k = i·Kh + j.
    half_h, half_w = ((d * (k - 1)) // 2 for d, k in zip(layer.dilation, layer.kernel_size))
    grid = [
        (i * layer.dilation[1] - half_w, j * layer.dilation[0] - half_h)
        for i in range(layer.kernel_size[1])
        for j in range(layer.kernel_size[0])
        if not (layer.remove_center and i == layer.kernel_size[1] // 2 and j == layer.kernel_size[0] // 2)
    ]
    grid = torch.tensor(grid, dtype=offset_mask.dtype, device=offset_mask.device).reshape(points, 2)
    centre_x = _centres(out_w, layer.stride[1], layer.padding[1], half_w, offset_mask).reshape(out_w, 1, 1)
    centre_y = _centres(out_h, layer.stride[0], layer.padding[0], half_h, offset_mask).reshape(out_h, 1, 1, 1)
    places = layer.offset_scale * (grid + offsets)
    x, y = centre_x + places[..., 0], centre_y + places[..., 1]

    # Points outside the image or at NaN do not count; their numbers are replaced before they are multiplied.
    counts = (x > -1) & (x < width) & (y > -1) & (y < height)
    outside = torch.tensor(-2.0, dtype=x.dtype, device=x.device)
    x, y = torch.where(counts, x, outside), torch.where(counts, y, outside)
    return Points(blocks, weights, counts, x, y, centre_x + grid[:, 0], centre_y + grid[:, 1])


def _centres(count, stride: int, pad: int, half: int, like: torch.Tensor) -> torch.Tensor:
    """The middle of the kernel for each of `count` output pixels along one axis."""
    return torch.arange(count, dtype=like.dtype, device=like.device) * stride - pad + half


def dcnv4(
    value: torch.Tensor,
    offset_mask: torch.Tensor,
    kernel_size: Pair = 3,
    stride: Pair = 1,
    padding: Pair = 1,
    dilation: Pair = 1,
    group: int = 4,
    offset_scale: float = 1.0,
    remove_center: bool = False,
    softmax: bool = False,
) -> torch.Tensor:
    """Computes the same as dcnv4.functional.dcnv4, with its arguments; float16 and bfloat16 in float32."""
    parameters = (kernel_size, stride, padding, dilation, group, offset_scale, remove_center, softmax)
    if stand_in(value, offset_mask):
        return torch.overrides.handle_torch_function(
            dcnv4, (value, offset_mask), value, offset_mask, *parameters
        )
    layer = make_layer(*parameters)
    check_dtypes(value, offset_mask)
    batch, out_h, out_w, channels = check_shapes(value, offset_mask, layer)
    height, width = value.shape[1:3]
    dtype = value.dtype
    if dtype is not torch.float64:
        value = value.float()
    offset_mask = offset_mask.to(value.dtype)
    if value.numel() == 0 or offset_mask.numel() == 0:
        # 0, with a graph: gradients are 0 as well, whatever the tensor that is not empty has.
        zero = value.narrow(1, 0, 0).sum() + offset_mask.narrow(1, 0, 0).sum()
        return zero.to(dtype).expand(batch, out_h, out_w, channels).clone()

    points, groups = layer.points, layer.group
    _, weights, counts, x, y, *_ = find_points(offset_mask, layer, height, width)
    weights = torch.where(counts, weights, torch.zeros_like(weights))

    # grid_sample's coordinates run from −1 to 1 over the pixels' outer edges.
    position = torch.stack(((2 * x + 1) / width - 1, (2 * y + 1) / height - 1), -1)
    position = position.permute(0, 3, 1, 2, 4, 5).reshape(batch * groups, out_h, out_w * points, 2)
    images = value.permute(0, 3, 1, 2).reshape(batch * groups, channels // groups, height, width)
    samples = F.grid_sample(images, position, mode="bilinear", padding_mode="zeros", align_corners=False)
    samples = samples.reshape(batch, groups, channels // groups, out_h, out_w, points)
    weights = weights.permute(0, 3, 1, 2, 4).unsqueeze(2)  # [N, G, 1, Ho, Wo, K]
    output = (samples * weights).sum(-1).reshape(batch, channels, out_h, out_w)
    return output.permute(0, 2, 3, 1).contiguous().to(dtype)


def ms_deform_attn(
    value: torch.Tensor,
    spatial_shapes: Union[torch.Tensor, Sequence[Tuple[int, int]]],
    sampling_locations: torch.Tensor,
    attention_weights: torch.Tensor,
    level_start_index: Union[torch.Tensor, Sequence[int], None] = None,
    points: Union[int, Sequence[int], None] = None,
    softmax: bool = False,
    *,
    reference_points: Optional[torch.Tensor] = None,
    unit: Optional[str] = None,
    box_scale: float = 0.5,
) -> torch.Tensor:
    """Computes the same as dcnv4.functional.ms_deform_attn, with its arguments; float16 and bfloat16 in float32. Reads
    spatial_shapes, so that an exported program has those sizes: give a list whose sizes may be symbolic to avoid it."""
    tensors = (value, sampling_locations, attention_weights, reference_points)
    if stand_in_among(tensors):
        return torch.overrides.handle_torch_function(
            ms_deform_attn, tensors, value, spatial_shapes, sampling_locations, attention_weights, level_start_index,
            points, softmax, reference_points=reference_points, unit=unit, box_scale=box_scale,
        )  # fmt: skip
    check_tensor("attention_weights", attention_weights)
    return _attend(tensors, spatial_shapes, level_start_index, points, softmax, unit, box_scale)


def flash_deform_attn(
    value: torch.Tensor,
    spatial_shapes: Union[torch.Tensor, Sequence[Tuple[int, int]]],
    level_start_index: Union[torch.Tensor, Sequence[int], None],
    sampling_loc_attn: torch.Tensor,
    points: Union[int, Sequence[int], None] = None,
    softmax: bool = True,
    *,
    reference_points: Optional[torch.Tensor] = None,
    unit: Optional[str] = None,
    box_scale: float = 0.5,
) -> torch.Tensor:
    """Computes the same as dcnv4.functional.flash_deform_attn; see ms_deform_attn."""
    tensors = (value, sampling_loc_attn, None, reference_points)
    if stand_in_among(tensors):
        return torch.overrides.handle_torch_function(
            flash_deform_attn, tensors, value, spatial_shapes, level_start_index, sampling_loc_attn, points, softmax,
            reference_points=reference_points, unit=unit, box_scale=box_scale,
        )  # fmt: skip
    return _attend(tensors, spatial_shapes, level_start_index, points, softmax, unit, box_scale)


def _attend(tensors, spatial_shapes, level_start_index, points, softmax, unit, box_scale) -> torch.Tensor:
    check_attention_dtypes(tensors)
    dtype = tensors[0].dtype
    wide = torch.float64 if dtype is torch.float64 else torch.float32
    value, locations, weights, references = (None if tensor is None else tensor.to(wide) for tensor in tensors)
    *_, sizes, starts, count = find_levels(spatial_shapes, level_start_index, torch.device("cpu"), True)
    points = points_of_levels(points, count, locations, weights is None)
    levels = make_levels(sizes, starts, points, unit_number(unit, references), softmax, box_scale)
    batch, queries, channels = check_attention((value, locations, weights, references, None, None), levels)
    found = find_attention_points(locations, weights, references, None, None, levels)
    parts = [
        _sample_level(value, found, size, start, slice(sum(points[:level]), sum(points[: level + 1])))
        for level, (size, start) in enumerate(zip(zip(levels.sizes[::2], levels.sizes[1::2]), levels.begins()))
        if points[level] > 0 and not _is_empty(size) and not _is_empty((batch, queries))
    ]
    if not parts:
        # 0, with a graph: gradients are 0 as well.
        zero = sum(t.narrow(1, 0, 0).sum() for t in (value, locations, weights, references) if t is not None)
        return zero.to(dtype).expand(batch, queries, channels).clone()
    output = sum(parts).reshape(batch, channels, queries)
    return output.permute(0, 2, 1).contiguous().to(dtype)


def _is_empty(sizes) -> bool:
    return any(type(size) is int and size == 0 for size in sizes)


def _sample_level(value, found, size, start, some: slice) -> torch.Tensor:
    """One level's part of the output, [N·M, D, Q]."""
    batch, _, heads, channels = value.shape
    height, width = size
    image = value.narrow(1, start, height * width).reshape(batch, height, width, heads, channels)
    image = image.permute(0, 3, 4, 1, 2).reshape(batch * heads, channels, height, width)
    x, y, counts, weights = (t[..., some] for t in (found.x, found.y, found.counts, found.weights))
    # grid_sample's coordinates run from −1 to 1 over the places' outer edges.
    position = torch.stack(((2 * x + 1) / width - 1, (2 * y + 1) / height - 1), -1)
    position = position.permute(0, 2, 1, 3, 4).flatten(0, 1)
    samples = F.grid_sample(image, position, mode="bilinear", padding_mode="zeros", align_corners=False)
    weights = torch.where(counts, weights, torch.zeros_like(weights)).permute(0, 2, 1, 3).flatten(0, 1)
    return (samples * weights.unsqueeze(1)).sum(-1)
