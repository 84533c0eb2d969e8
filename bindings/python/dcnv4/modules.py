"""DCNv4 as modules: the linear layers that predict where to look and mix channels, around the operator."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from ._problem import Layer, make_layer, pair
from .functional import dcnv4


class _Middle:
    """Which input pixel is in the middle of each output pixel's kernel, along one axis: number `first` for the first
    output pixel, and `stride` further for each next one. Offsets are predicted from there."""

    def __init__(self, layer: Layer, axis: int):
        self.stride = layer.stride[axis]
        self.span = layer.dilation[axis] * (layer.kernel_size[axis] - 1)
        self.first = self.span // 2 - layer.padding[axis]
        self.overhang = layer.padding[axis] - (self.span - self.span // 2)  # how far the last may be past the image

    def window(self, out: int, before: int, after: int) -> tuple:
        """The part of the axis with all middles, and `before` and `after` pixels around the outermost: how much padding
        reaches it in front and behind, whatever the image's size, and where in the padded axis it begins and ends."""
        front, behind = max(0, before - self.first), max(0, after + self.overhang)
        begin = self.first - before + front
        return front, behind, begin, begin + (out - 1) * self.stride + 1 + before + after


class DCNv4(nn.Module):
    """The original authors' module: parameters, their names, shapes and initial values are the same, and so are the
    first twelve arguments; others are ignored. [N, L, C] → [N, Lo, C] for images of shape (H, W), which are taken to be
    square if shape is left out; Lo = Ho·Wo is L unless stride or pad make the output smaller or larger.

    offset_mask predicts on the output's grid: from the input pixel (or with dw_kernel_size, from the pixels around it)
    in the middle of the kernel, zeros beyond the border. Any kernel size, stride, pad, dilation, and number of channels
    per group.

    `operator` is what computes: dcnv4.reference.dcnv4 may be put in its place, for exporters that know grid_sample.
    """

    def __init__(
        self,
        channels=64,
        kernel_size=3,
        stride=1,
        pad=1,
        dilation=1,
        group=4,
        offset_scale=1.0,
        dw_kernel_size=None,
        center_feature_scale=False,
        remove_center=False,
        output_bias=True,
        without_pointwise=False,
        **kwargs,
    ):
        super().__init__()
        layer = make_layer(kernel_size, stride, pad, dilation, group, offset_scale, remove_center, False)
        if channels < 1 or channels % layer.group != 0:
            raise ValueError(f"DCNv4: channels is {channels}, which group {layer.group} does not divide")
        self.layer = layer
        self.operator = dcnv4
        self.channels, self.kernel_size, self.stride, self.pad = channels, kernel_size, stride, pad
        self.dilation, self.group, self.group_channels = dilation, layer.group, channels // layer.group
        self.offset_scale, self.remove_center = layer.offset_scale, int(layer.remove_center)
        self.dw_kernel_size = dw_kernel_size
        self.center_feature_scale = center_feature_scale
        self.without_pointwise = without_pointwise
        self.middles = tuple(_Middle(layer, axis) for axis in (0, 1))
        self.same_grid = all((m.stride, m.first, m.overhang) == (1, 0, 0) for m in self.middles)

        # The order of these is the original's: a seed gives the same initial values.
        if dw_kernel_size is not None:
            self.offset_mask_dw = self._depthwise(dw_kernel_size)
        self.offset_mask = nn.Linear(channels, math.ceil(3 * layer.group * layer.points / 8) * 8)
        if not without_pointwise:
            self.value_proj = nn.Linear(channels, channels)
            self.output_proj = nn.Linear(channels, self.output_channels(), bias=output_bias)
        self._reset_parameters()
        if center_feature_scale:
            self.center_feature_scale_proj_weight = nn.Parameter(torch.zeros(layer.group, channels))
            self.center_feature_scale_proj_bias = nn.Parameter(torch.zeros(layer.group))

    def output_channels(self) -> int:
        return self.channels

    def _depthwise(self, size: int) -> nn.Conv2d:
        """A convolution on the output's grid. Its own padding does where one number for both sides is right for every
        image size; elsewhere `depthwise_padding` is None and the padding is worked out for each image."""
        if size < 1:
            raise ValueError(f"DCNv4: dw_kernel_size is {size}, at least 1 is needed")
        padding = tuple((size - 1) // 2 - middle.first for middle in self.middles)
        exact = size % 2 == 1 and min(padding) >= 0 and all(middle.span % 2 == 0 for middle in self.middles)
        self.depthwise_padding = padding if exact else None
        return nn.Conv2d(
            self.channels, self.channels, size, self.layer.stride, padding if exact else 0, groups=self.channels
        )

    def _reset_parameters(self):
        nn.init.zeros_(self.offset_mask.weight)
        nn.init.zeros_(self.offset_mask.bias)
        if not self.without_pointwise:
            for projection in (self.value_proj, self.output_proj):
                nn.init.xavier_uniform_(projection.weight)
                if projection.bias is not None:
                    nn.init.zeros_(projection.bias)

    def output_size(self, height: int, width: int) -> tuple:
        """(Ho, Wo) for images of this size."""
        return self.layer.output_size(height, width)

    def _around_middles(self, x: torch.Tensor, before: int = 0, after: int = 0) -> torch.Tensor:
        """The part of x [N, H, W, C] from `before` pixels in front of the first middle to `after` behind the last."""
        outs = self.output_size(*x.shape[1:3])
        rows, columns = (middle.window(out, before, after) for middle, out in zip(self.middles, outs))
        if any(rows[:2] + columns[:2]):
            x = F.pad(x, (0, 0, *columns[:2], *rows[:2]))
        return x[:, rows[2] : rows[3], columns[2] : columns[3]]

    def _at_middles(self, x: torch.Tensor) -> torch.Tensor:
        """x [N, H, W, C] on the output's grid, [N, Ho, Wo, C]."""
        if self.same_grid:
            return x
        step_h, step_w = self.layer.stride
        return self._around_middles(x)[:, ::step_h, ::step_w]

    def _predict(self, x: torch.Tensor) -> torch.Tensor:
        """offset_mask [N, Ho, Wo, P] from the input [N, H, W, C]."""
        if self.dw_kernel_size is None:
            return self.offset_mask(self._at_middles(x))
        if self.depthwise_padding is None:
            x = self._around_middles(x, (self.dw_kernel_size - 1) // 2, self.dw_kernel_size // 2)
        return self.offset_mask(self.offset_mask_dw(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))

    def aggregate(self, x: torch.Tensor) -> torch.Tensor:
        """The whole module on an image: [N, H, W, C] → [N, Ho, Wo, C]."""
        value = x if self.without_pointwise else self.value_proj(x)
        layer = self.layer
        y = self.operator(
            value, self._predict(x), layer.kernel_size, layer.stride, layer.padding, layer.dilation,
            layer.group, layer.offset_scale, layer.remove_center,
        )  # fmt: skip
        if self.center_feature_scale:
            scale = F.linear(y, self.center_feature_scale_proj_weight, self.center_feature_scale_proj_bias).sigmoid()
            scale = scale.repeat_interleave(self.group_channels, dim=-1)
            y = y * (1 - scale) + self._at_middles(value) * scale
        return y if self.without_pointwise else self.output_proj(y)

    def forward(self, input: torch.Tensor, shape=None) -> torch.Tensor:
        if input.dim() != 3 or input.shape[2] != self.channels:
            raise ValueError(f"DCNv4: input has shape {list(input.shape)}, [N, L, {self.channels}] is needed")
        batch, length, channels = input.shape
        height, width = shape if shape is not None else (math.isqrt(length),) * 2
        if height * width != length:
            given = "shape is left out" if shape is None else f"shape is {tuple(shape)}"
            raise ValueError(f"DCNv4: input has {length} pixels an image, {given}, which makes {height}×{width}")
        return self.aggregate(input.reshape(batch, height, width, channels)).flatten(1, 2)

    def extra_repr(self) -> str:
        layer = self.layer
        text = f"{self.channels}, kernel_size={layer.kernel_size}, stride={layer.stride}, pad={layer.padding}"
        return f"{text}, dilation={layer.dilation}, group={layer.group}, offset_scale={layer.offset_scale:g}"


class DCNv4Conv2d(DCNv4):
    """DCNv4 in the place of a convolution: [N, in_channels, H, W] → [N, out_channels, Ho, Wo], channels-last in memory.
    The arguments begin as torch.nn.Conv2d's. padding=None keeps the size at stride 1 with an odd kernel."""

    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size=3,
        stride=1,
        padding=None,
        dilation=1,
        group=4,
        bias=True,
        offset_scale=1.0,
        dw_kernel_size=None,
        center_feature_scale=False,
        remove_center=False,
    ):
        self.out_channels = out_channels
        if padding is None:
            sizes = pair("kernel_size", kernel_size, 1), pair("dilation", dilation, 1)
            padding = tuple(d * (k - 1) // 2 for k, d in zip(*sizes))
        super().__init__(
            in_channels, kernel_size, stride, padding, dilation, group, offset_scale, dw_kernel_size,
            center_feature_scale, remove_center, output_bias=bias,
        )  # fmt: skip

    def output_channels(self) -> int:
        return self.out_channels

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if input.dim() != 4 or input.shape[1] != self.channels:
            raise ValueError(f"DCNv4Conv2d: input has shape {list(input.shape)}, [N, {self.channels}, H, W] is needed")
        return self.aggregate(input.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
