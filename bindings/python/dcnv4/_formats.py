"""Memory formats of images [N, C, H, W], which DCNv4Conv2d preserves as torch.nn.Conv2d does; and the input of a
float32 layer among 16-bit layers."""

from __future__ import annotations

import torch
from torch.overrides import handle_torch_function, has_torch_function

from ._problem import HALVES


def is_channels_last(x: torch.Tensor) -> bool:
    """Whether PyTorch's convolutions treat x as channels-last: PyTorch's own rule (suggest_memory_format in C++), also
    for slices, for which is_contiguous may be true for both formats or for neither. It does not depend on the batch's
    size, so that an exported program may have a batch size that depends on data."""
    (_, channels, height, width), (by_batch, by_channel, by_row, by_column) = x.shape, x.stride()
    return (
        by_column >= by_channel * channels
        and by_row >= by_column * width
        and by_batch >= by_row * height
        and 0 != by_channel != by_row * height  # the same in contiguous images of one pixel, or one channel and column
    )


def pixels_of(x: torch.Tensor) -> torch.Tensor:
    """x as [N, H, W, C]. If linear layers need a copy, it is made once here, and not by each of them."""
    if has_torch_function((x,)):  # a proxy of torch.fx, in whose graph this is one node
        return handle_torch_function(pixels_of, (x,), x)
    pixels = x.permute(0, 2, 3, 1)
    return pixels if is_channels_last(x) else pixels.contiguous()


def image_like(x: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
    """Contiguous pixels [N, H, W, C] as [N, C, H, W], in x's memory format."""
    if has_torch_function((x, pixels)):
        return handle_torch_function(image_like, (x, pixels), x, pixels)
    image = pixels.permute(0, 3, 1, 2)
    # Not .contiguous(), which leaves the strides of an image of one channel as they are.
    return image if is_channels_last(x) else image.clone(memory_format=torch.contiguous_format)


def _autocasts(device: torch.device) -> bool:
    try:
        return torch.is_autocast_enabled(device.type)
    except TypeError:  # PyTorch before 2.4 has one function for CUDA and one for the CPU
        return torch.is_autocast_cpu_enabled() if device.type == "cpu" else torch.is_autocast_enabled()


def for_layer(layer: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    """x for this layer: a 16-bit x is converted for a float32 layer. Not under autocast, which converts itself, nor for
    layers whose weight is not a tensor, such as quantized ones."""
    weight = getattr(layer, "weight", None)
    return _for_weight(weight, x) if isinstance(weight, torch.Tensor) or has_torch_function((weight,)) else x


def _for_weight(weight: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    if has_torch_function((weight, x)):
        return handle_torch_function(_for_weight, (weight, x), weight, x)
    widen = weight.dtype == torch.float32 and x.dtype in HALVES and not _autocasts(x.device)
    return x.float() if widen else x
