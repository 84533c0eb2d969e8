"""Replacing a network's convolutions by DCNv4."""

from __future__ import annotations

from . import _needs_torch  # noqa: F401
import math
from dataclasses import dataclass
from typing import Callable, List, Optional, Union

import torch
from torch import nn

from .modules import DCNv4Conv2d


@dataclass
class Layer:
    """One replaced convolution. Multiply-adds are of one output pixel; a sampled number counts as four."""

    name: str
    group: int
    parameters: int
    parameters_before: int
    multiply_adds: int
    multiply_adds_before: int
    same_start: bool  # whether the new layer's output equals the convolution's


@dataclass
class Conversion:
    """What convert replaced. str() is a table; save `module.state_dict()` and convert a fresh network in the same way to load it
    again. A library's from_pretrained builds the convolutions anew, unless the class itself converts them (docs/models.md)."""

    module: nn.Module  # the converted network, or the new layer if a convolution itself was given
    layers: List[Layer]

    @property
    def parameters(self) -> int:
        return sum(layer.parameters for layer in self.layers)

    @property
    def parameters_before(self) -> int:
        return sum(layer.parameters_before for layer in self.layers)

    def flops(self, size) -> tuple:
        """The operations (two for each multiply-add) of the replaced layers before and after, for output maps of `size`
        (height, width), the same for all of them; torch.utils.flop_counter counts those of a whole network."""
        pixels = 2 * math.prod(size)
        before = sum(layer.multiply_adds_before for layer in self.layers)
        return pixels * before, pixels * sum(layer.multiply_adds for layer in self.layers)

    def __str__(self) -> str:
        lines = ["layer, group: parameters, multiply-adds a pixel, start"]
        for each in self.layers:
            start = "the convolution" if each.same_start else "the closest"
            lines.append(
                f"{each.name or '(itself)'}, {each.group}: {each.parameters_before} → {each.parameters}, "
                f"{each.multiply_adds_before} → {each.multiply_adds}, {start}"
            )
        return "\n".join(
            [*lines, f"{len(self.layers)} layers: {self.parameters_before} → {self.parameters} parameters"]
        )


def convert(
    module: nn.Module,
    where: Optional[Callable[[str, nn.Conv2d], bool]] = None,
    *,
    group: Union[int, Callable[[str, nn.Conv2d], int], None] = None,
    **arguments,
) -> Conversion:
    """Replaces convolutions by DCNv4Conv2d, in place, and reports what it replaced.

    where      called with each convolution's name and the module; by default those whose kernel is 3×3 or larger, with odd
               sides, groups=1 and zeros as padding. It is not asked about convolutions that cannot be replaced: grouped
               ones, others than zeros as padding_mode, padding="same" with an even kernel
    group      how many groups of channels have offsets of their own, a number or a function of the same arguments; by
               default as many as make 16 channels a group, if that divides, else DCNv4Conv2d's default
    arguments  others of DCNv4Conv2d, such as dw_kernel_size or softmax

    The start: offsets are 0, so the points are the convolution's own taps. DCNv4 applies one 3×3 kernel of weights to each group
    of channels, between two matrices, so that the new layer equals the convolution where that is such a product: W[o, c, tap] =
    A[o, c]·m[group of c, tap]. Otherwise it starts from the closest product in the least-squares sense, group by group
    (singular value decomposition). value_proj is the identity, output_proj is A, the weights' bias is m, and offset_mask's
    matrix is 0 (with dw_kernel_size, nearly). A convolution without weights yet, on the meta device or with some that are not
    finite, leaves DCNv4Conv2d's own start. Convolutions are shared, converted and reported once, under their first name.
    """
    where = _is_spatial if where is None else where
    made, layers = {}, []
    for name, each in list(module.named_modules()):
        if not _can_be_replaced(each) or not where(name, each):
            continue
        groups = group(name, each) if callable(group) else group
        if groups is None and each.in_channels % 16 == 0:
            groups = each.in_channels // 16
        made[each] = _replacement(each, groups, arguments)
        layers.append(_report(name, each, *made[each]))
    if module in made:
        return Conversion(made[module][0], layers)
    for parent in list(module.modules()):
        for name, child in list(parent._modules.items()):
            if child in made:
                parent._modules[name] = made[child][0]
    return Conversion(module, layers)


def _can_be_replaced(module: nn.Module) -> bool:
    return (
        type(module) is nn.Conv2d
        and module.groups == 1
        and module.padding_mode == "zeros"
        and not (module.padding == "same" and any(side % 2 == 0 for side in module.kernel_size))
    )


def _is_spatial(name: str, convolution: nn.Conv2d) -> bool:
    return all(side >= 3 and side % 2 == 1 for side in convolution.kernel_size)


def _replacement(convolution: nn.Conv2d, group: Optional[int], arguments: dict) -> tuple:
    """The new layer, and the relative distance of its kernel from the convolution's."""
    weight = convolution.weight
    layer = DCNv4Conv2d(
        convolution.in_channels, convolution.out_channels, convolution.kernel_size, convolution.stride,
        convolution.padding, convolution.dilation, group, convolution.bias is not None,
        **{"device": weight.device, "dtype": weight.dtype, **arguments},
    )  # fmt: skip
    distance = math.inf
    # Libraries that load weights build the network first, on no device or in memory that holds anything.
    if weight.device.type != "meta" and weight.isfinite().all():
        with torch.no_grad():
            distance = _start_as(layer, convolution)
    layer.train(convolution.training)
    for parameter in layer.parameters():
        parameter.requires_grad_(weight.requires_grad)
    return layer, distance


def _start_as(layer: DCNv4Conv2d, convolution: nn.Conv2d) -> float:
    """Sets the weights. Points go down the kernel's columns first, and there are none in the middle with remove_center."""
    groups, depth, problem = layer.group, layer.group_channels, layer.layer
    weight = convolution.weight.double()
    taps = weight.transpose(2, 3).flatten(2)
    points = list(range(taps.shape[2]))
    if problem.remove_center:
        points.remove(len(points) // 2)
    kernels = taps[:, :, points].reshape(taps.shape[0], groups, depth, -1)
    kernels = kernels.permute(1, 0, 2, 3).flatten(1, 2)  # [groups, out·depth, K]
    if problem.softmax:  # all weights alike at the start: an average
        shared = kernels.new_full((groups, len(points)), 1 / len(points))
    else:
        shared = torch.linalg.svd(kernels, full_matrices=False).Vh[:, 0]
        layer.offset_mask.bias[: 3 * groups * len(points)].view(groups, -1)[:, 2 * len(points) :] = shared
    factors = (kernels @ shared.unsqueeze(2)).squeeze(2) / shared.square().sum(1, keepdim=True)
    layer.output_proj.weight.copy_(factors.view(groups, -1, depth).permute(1, 0, 2).flatten(1))
    if convolution.bias is not None:
        layer.output_proj.bias.copy_(convolution.bias)
    nn.init.eye_(layer.value_proj.weight)
    nn.init.zeros_(layer.value_proj.bias)
    found = factors.unsqueeze(2) * shared.unsqueeze(1)
    lost = (found - kernels).square().sum() + taps.square().sum() - kernels.square().sum()
    return (lost.clamp(min=0).sqrt() / taps.norm().clamp(min=1e-300)).item()


def _report(name: str, convolution: nn.Conv2d, layer: DCNv4Conv2d, distance: float) -> Layer:
    points = layer.layer.points
    inputs, outputs = layer.in_channels, layer.out_channels
    predicted = inputs * layer.offset_mask.out_features
    if layer.dw_kernel_size is not None:
        predicted += inputs * layer.dw_kernel_size**2
    stride = math.prod(layer.layer.stride)  # value_proj runs on the input's grid
    return Layer(
        name, layer.group,
        sum(x.numel() for x in layer.parameters()), sum(x.numel() for x in convolution.parameters()),
        inputs * inputs * stride + predicted + 4 * points * inputs + inputs * outputs,
        inputs * outputs * math.prod(convolution.kernel_size),
        distance < 1e-5 and layer.dw_kernel_size is None,
    )  # fmt: skip
