"""DCNv3, the predecessor: InternImage's module on this operator with softmax. Its checkpoints load with strict=True."""

from __future__ import annotations

from . import _needs_torch  # noqa: F401
import torch
import torch.nn.functional as F
from torch import nn

from ._formats import for_layer
from ._problem import make_layer
from .functional import dcnv4
from .layouts import pack_offset_mask

ACTIVATIONS = {"ReLU": nn.ReLU, "SiLU": nn.SiLU, "GELU": nn.GELU}


class _Permute(nn.Module):
    def __init__(self, *axes):
        super().__init__()
        self.axes = axes

    def forward(self, x):
        return x.permute(self.axes)


def _norm(kind: str, channels: int) -> nn.Sequential:
    """[N, C, H, W] → [N, H, W, C], with the checkpoints' numbers: there the permutation is a module, too."""
    to_channels_last = _Permute(0, 2, 3, 1)
    if kind == "LN":
        return nn.Sequential(to_channels_last, nn.LayerNorm(channels, eps=1e-6))
    if kind == "BN":
        return nn.Sequential(nn.BatchNorm2d(channels), to_channels_last)
    raise ValueError(f"DCNv3: norm_layer is {kind!r}, possible are LN and BN")


class DCNv3(nn.Module):
    """[N, H, W, C] → [N, H, W, C]. Arguments, parameters, their names and initial values are those of InternImage's
    DCNv3, for layers that keep the image's size, as all of InternImage's do. `operator` may be set to
    dcnv4.reference.dcnv4."""

    def __init__(
        self,
        channels=64,
        kernel_size=3,
        dw_kernel_size=None,
        stride=1,
        pad=1,
        dilation=1,
        group=4,
        offset_scale=1.0,
        act_layer="GELU",
        norm_layer="LN",
        center_feature_scale=False,
        remove_center=False,
    ):
        super().__init__()
        layer = make_layer(kernel_size, stride, pad, dilation, group, offset_scale, remove_center, True)
        if channels < 1 or channels % layer.group != 0:
            raise ValueError(f"DCNv3: channels is {channels}, which group {layer.group} does not divide")
        if layer.output_size(1024, 1024) != (1024, 1024):
            raise ValueError(
                f"DCNv3: kernel_size {layer.kernel_size}, stride {layer.stride}, pad {layer.padding} and dilation "
                f"{layer.dilation} change the image's size; offsets are predicted for each input pixel"
            )
        if act_layer not in ACTIVATIONS:
            raise ValueError(f"DCNv3: act_layer is {act_layer!r}, possible are {', '.join(ACTIVATIONS)}")
        self.layer, self.channels, self.operator = layer, channels, dcnv4
        size = layer.kernel_size[0] if dw_kernel_size is None else dw_kernel_size
        self.dw_conv = nn.Sequential(
            nn.Conv2d(channels, channels, size, padding=(size - 1) // 2, groups=channels),
            _norm(norm_layer, channels),
            ACTIVATIONS[act_layer](),
        )
        self.offset = nn.Linear(channels, 2 * layer.group * layer.points)
        self.mask = nn.Linear(channels, layer.group * layer.points)
        self.input_proj = nn.Linear(channels, channels)
        self.output_proj = nn.Linear(channels, channels)
        for linear in (self.offset, self.mask, self.input_proj, self.output_proj):
            nn.init.zeros_(linear.bias)
        for linear in (self.offset, self.mask):
            nn.init.zeros_(linear.weight)
        for linear in (self.input_proj, self.output_proj):
            nn.init.xavier_uniform_(linear.weight)
        self.center_feature_scale = center_feature_scale
        if center_feature_scale:
            self.center_feature_scale_proj_weight = nn.Parameter(torch.zeros(layer.group, channels))
            self.center_feature_scale_proj_bias = nn.Parameter(torch.zeros(layer.group))

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if input.dim() != 4 or input.shape[3] != self.channels:
            raise ValueError(f"DCNv3: input has shape {list(input.shape)}, [N, H, W, {self.channels}] is needed")
        layer = self.layer
        value = self.input_proj(input)
        features = self.dw_conv(input.permute(0, 3, 1, 2))
        offset, mask = (linear(for_layer(linear, features)) for linear in (self.offset, self.mask))
        offset_mask = pack_offset_mask(offset, mask, layer.group, layer.kernel_size, "dcnv3", layer.remove_center)
        y = self.operator(value, offset_mask, *layer)
        if self.center_feature_scale:
            scale = F.linear(features, self.center_feature_scale_proj_weight, self.center_feature_scale_proj_bias)
            # Not repeat_interleave, which PyTorch's older ONNX exporter exports wrongly.
            scale = scale.sigmoid().unsqueeze(-1).expand(-1, -1, -1, -1, self.channels // layer.group).flatten(-2)
            y = y * (1 - scale) + value * scale
        return self.output_proj(y)

    def extra_repr(self) -> str:
        layer = self.layer
        text = f"{self.channels}, kernel_size={layer.kernel_size}, pad={layer.padding}, dilation={layer.dilation}"
        return f"{text}, group={layer.group}, offset_scale={layer.offset_scale:g}"
