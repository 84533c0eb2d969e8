"""offset_mask from the offsets and weights of other deformable convolutions, and back; docs/porting.md compares them.

Two layouts. K is the kernel's number of points, G the number of groups ("offset groups" elsewhere):

torchvision   offset [N, 2·G·K, Ho, Wo], pairs (dy, dx), points along the kernel's rows; mask [N, G·K, Ho, Wo].
              Also used by ONNX, OpenVINO, ncnn, paddle and mmcv.
dcnv3         offset [N, Ho, Wo, 2·G·K], pairs (dx, dy), points down the kernel's columns; mask [N, Ho, Wo, G·K].
              Used by DCNv3 and InternImage, whose mask is the result of a softmax.
"""

from __future__ import annotations

from . import _needs_torch  # noqa: F401
import torch
import torch.nn.functional as F

from ._problem import make_layer

LAYOUTS = ("torchvision", "dcnv3")


def pack_offset_mask(
    offset: torch.Tensor, mask, group: int, kernel_size=3, layout="torchvision", remove_center=False, row=None
) -> torch.Tensor:
    """offset_mask [N, Ho, Wo, P], with gradients. mask None stands for ones, as in DCN version 1.

    P is `row`, or else 3·G·K rounded up to a multiple of 8; the padding is 0. With remove_center, which only the layout
    dcnv3 has, K is one less than the kernel's points.
    """
    layer = _layer(group, kernel_size, layout, remove_center)
    if remove_center and layout == "torchvision":
        raise ValueError("pack_offset_mask: the layout torchvision has no remove_center; give the centre a mask of 0")
    axis = _channel_axis(layout)
    _check("offset", offset, axis, 2 * group * layer.points, "2·group·K", layer)
    if mask is None:
        shape = list(offset.shape)
        shape[axis] //= 2
        mask = offset.new_ones(shape)
    _check("mask", mask, axis, group * layer.points, "group·K", layer)
    sizes = [list(t.shape[:axis]) + list(t.shape[axis + 1 :]) for t in (offset, mask)]
    if sizes[0] != sizes[1]:
        raise ValueError(
            f"pack_offset_mask: offset has shape {list(offset.shape)} and mask {list(mask.shape)}; only their axes "
            f"{axis} may differ"
        )
    offset, weights = _by_point(offset, layer, layout, 2), _by_point(mask, layer, layout, 1)
    if layout == "torchvision":
        offset = offset.flip(-1)
    packed = torch.cat((offset.flatten(-2), weights.flatten(-2)), -1).flatten(-2)
    used = 3 * group * layer.points
    row = -(-used // 8) * 8 if row is None else row
    if row < used:
        raise ValueError(f"pack_offset_mask: row is {row}, at least {used} = 3·group·K is needed")
    return F.pad(packed, (0, row - used))


def unpack_offset_mask(
    offset_mask: torch.Tensor,
    group: int,
    kernel_size=3,
    layout="torchvision",
    remove_center=False,
    offset_scale=1.0,
    dilation=1,
) -> tuple:
    """(offset, mask) from an offset_mask [N, Ho, Wo, P], with gradients. The weights are not changed: if the layer has
    softmax, the caller must apply it.

    What the layout torchvision cannot express is included in its numbers: a removed centre is a point of mask 0, and
    the offsets include the effect of offset_scale, with the layer's dilation, on the kernel's grid.
    """
    layer = _layer(group, kernel_size, layout, remove_center, offset_scale, dilation)
    points, used = layer.points, 3 * group * layer.points
    if offset_mask.dim() != 4 or offset_mask.shape[3] < used:
        raise ValueError(
            f"unpack_offset_mask: offset_mask has shape {list(offset_mask.shape)}, [N, Ho, Wo, P] with P of at least "
            f"{used} = 3·group·K = 3·{group}·{points} is needed"
        )
    blocks = offset_mask[..., :used].unflatten(-1, (group, 3 * points))
    offset, mask = blocks[..., : 2 * points].unflatten(-1, (points, 2)), blocks[..., 2 * points :]
    if layout == "dcnv3":
        return offset.flatten(-3), mask.flatten(-2)

    kernel_h, kernel_w = layer.kernel_size
    if layer.remove_center:
        centre = kernel_w // 2 * kernel_h + kernel_h // 2
        offset = torch.cat((offset[..., :centre, :], torch.zeros_like(offset[..., :1, :]), offset[..., centre:, :]), -2)
        mask = torch.cat((mask[..., :centre], torch.zeros_like(mask[..., :1]), mask[..., centre:]), -1)
    if layer.offset_scale != 1:
        rows, columns = (
            torch.arange(k, dtype=offset.dtype, device=offset.device) * d - d * (k - 1) // 2
            for k, d in zip(layer.kernel_size, layer.dilation)
        )
        grid = torch.stack((columns.repeat_interleave(kernel_h), rows.repeat(kernel_w)), -1)
        offset = layer.offset_scale * offset + (layer.offset_scale - 1) * grid
    offset = offset.flip(-1).unflatten(-2, (kernel_w, kernel_h)).permute(0, 3, 5, 4, 6, 1, 2)
    mask = mask.unflatten(-1, (kernel_w, kernel_h)).permute(0, 3, 5, 4, 1, 2)
    return offset.flatten(1, 4), mask.flatten(1, 3)


def _layer(group, kernel_size, layout, remove_center, offset_scale=1.0, dilation=1):
    if layout not in LAYOUTS:
        raise ValueError(f"dcnv4: layout is {layout!r}, possible are {' and '.join(LAYOUTS)}")
    return make_layer(kernel_size, 1, 0, dilation, group, offset_scale, remove_center, False)


def _channel_axis(layout) -> int:
    return 1 if layout == "torchvision" else 3


def _check(name, tensor, axis, channels, formula, layer) -> None:
    if tensor.dim() != 4 or tensor.shape[axis] != channels:
        axes = ["N", "Ho", "Wo"]
        axes.insert(axis, str(channels))
        raise ValueError(
            f"pack_offset_mask: {name} has shape {list(tensor.shape)}, [{', '.join(axes)}] is needed, where {channels} is "
            f"{formula} with group {layer.group} and K = {layer.points}"
        )


def _by_point(tensor, layer, layout, numbers) -> torch.Tensor:
    """[N, Ho, Wo, G, K, numbers], points down the columns."""
    if layout == "dcnv3":
        return tensor.unflatten(3, (layer.group, layer.points, numbers))
    tensor = tensor.unflatten(1, (layer.group, *layer.kernel_size, numbers))
    return tensor.permute(0, 5, 6, 1, 3, 2, 4).flatten(4, 5)
