"""The operator as one sum over all pixels, which PyTorch can differentiate in every way: derivatives are compared with
it.

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
