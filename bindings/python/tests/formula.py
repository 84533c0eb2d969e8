"""The operators as sums over all pixels, which PyTorch can differentiate in every way: derivatives are compared with
them.

A pixel's weight for a point is (1 − |x − column|)·(1 − |y − row|) where both factors are positive, else 0.
"""

import torch

from dcnv4._problem import make_layer


def near(positions, count):
    return (1 - (positions.unsqueeze(-1) - torch.arange(count, dtype=positions.dtype)).abs()).clamp(min=0)


def dcnv4(value, offset_mask, **arguments):
    layer = make_layer(**arguments)
    points, groups = layer.points, layer.group
    blocks = offset_mask[..., : 3 * groups * points].unflatten(-1, (groups, 3 * points))
    offsets, weights = blocks[..., : 2 * points].unflatten(-1, (points, 2)), blocks[..., 2 * points :]
    if layer.softmax:
        weights = weights.softmax(-1)
    (kernel_h, kernel_w), (dilation_h, dilation_w) = layer.kernel_size, layer.dilation
    half_h, half_w = dilation_h * (kernel_h - 1) // 2, dilation_w * (kernel_w - 1) // 2
    grid = [
        (i * dilation_w - half_w, j * dilation_h - half_h)
        for i in range(kernel_w)
        for j in range(kernel_h)
        if not layer.remove_center or (i, j) != (kernel_w // 2, kernel_h // 2)
    ]
    places = layer.offset_scale * (torch.tensor(grid, dtype=value.dtype) + offsets)
    rows = torch.arange(offset_mask.shape[1]) * layer.stride[0] - layer.padding[0] + half_h
    columns = torch.arange(offset_mask.shape[2]) * layer.stride[1] - layer.padding[1] + half_w
    x, y = columns.reshape(-1, 1, 1) + places[..., 0], rows.reshape(-1, 1, 1, 1) + places[..., 1]
    pixels = value.unflatten(-1, (groups, -1))
    near_x, near_y = near(x, value.shape[2]), near(y, value.shape[1])
    return torch.einsum("nqpgk,nqpgkh,nqpgkw,nhwgd->nqpgd", weights, near_y, near_x, pixels).flatten(-2)


def ms_deform_attn(value, sizes, locations, weights, references=None, starts=None, points=None, unit="normalized",
                   softmax=False, box_scale=0.5):  # fmt: skip
    """With P in one axis, and the number of points of each level."""
    batch, _, heads, _ = value.shape
    queries, total = locations.shape[1], sum(points)
    locations = locations.reshape(batch, queries, heads, total, 2)
    weights = weights.reshape(batch, queries, heads, total)
    if softmax:
        weights = weights.softmax(-1)
    output, begin, start = 0, 0, 0
    for level, ((height, width), count) in enumerate(zip(sizes, points)):
        start = start if starts is None else starts[level]
        some = slice(begin, begin + count)
        xy, size = locations[..., some, :], torch.tensor([width, height], dtype=value.dtype)
        if references is not None:
            reference = references[:, :, min(level, references.shape[2] - 1)][:, :, None, None]
        if unit == "normalized":
            xy = xy * size - 0.5
        elif unit == "offsets":
            xy = xy + reference * size - 0.5
        elif unit == "box_offsets":
            xy = (reference[..., :2] + xy * reference[..., 2:] * box_scale / count) * size - 0.5
        image = value[:, start : start + height * width].unflatten(1, (height, width))
        output = output + torch.einsum(
            "nqmk,nqmkh,nqmkw,nhwmd->nqmd", weights[..., some], near(xy[..., 1], height), near(xy[..., 0], width), image
        )
        begin, start = begin + count, start + height * width
    return output.flatten(-2)
