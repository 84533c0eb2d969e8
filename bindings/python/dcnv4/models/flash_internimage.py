"""FlashInternImage, the network of the DCNv4 paper, with the original authors' parameter names, shapes and order.

Inside, images are [N, H, W, C]: a pixel's channels are contiguous, as linear layers, LayerNorm and DCNv4 want them. Convolutions
see the same memory as a channels-last [N, C, H, W], so that nothing is copied between layers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple, Union

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from ..modules import DCNv4
from . import _pieces

DEFAULT = "default"  # layer_scale as in the authors' configuration
STRIDES = (4, 8, 16, 32)  # of the stages' feature maps; sizes are rounded up
CHANNELS_PER_GROUP = 16


@dataclass(frozen=True)
class Variant:
    channels: int  # of the first stage; each next one has twice as many
    depths: Tuple[int, ...]  # blocks of the stages
    drop_path_rate: float  # of the last block, in the authors' training on ImageNet
    post_norm: bool = False
    layer_scale: Optional[float] = None
    offset_scale: float = 1.0
    dw_kernel_size: Optional[int] = None
    output_bias: bool = False  # of output_proj and fc2
    input_size: int = 224


def _layer_norm(channels: int) -> nn.LayerNorm:
    return nn.LayerNorm(channels, eps=1e-6)


def _pixels(x: torch.Tensor) -> torch.Tensor:
    """[N, C, H, W] as [N, H, W, C]."""
    return x.permute(0, 2, 3, 1)


def _image(x: torch.Tensor) -> torch.Tensor:
    """[N, H, W, C] as a channels-last [N, C, H, W]."""
    return x.permute(0, 3, 1, 2)


class Normalize(nn.Sequential):
    """LayerNorm under the name "1", as in the authors' sequences, whose other members only permute: [N, H, W, C]."""

    def __init__(self, channels: int):
        super().__init__(nn.Identity(), _layer_norm(channels))


def _add(x: torch.Tensor, scale: Optional[torch.Tensor], branch: torch.Tensor) -> torch.Tensor:
    """x + scale·branch; None stands for 1."""
    return x + branch if scale is None else torch.addcmul(x, scale, branch)


class Stem(nn.Module):
    """[N, 3, H, W] → [N, ⌈H/4⌉, ⌈W/4⌉, C]."""

    def __init__(self, in_channels: int, channels: int):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels // 2, 3, stride=2, padding=1)
        self.norm1 = Normalize(channels // 2)
        self.act = nn.GELU()
        self.conv2 = nn.Conv2d(channels // 2, channels, 3, stride=2, padding=1)
        self.norm2 = Normalize(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv1(x.contiguous(memory_format=torch.channels_last))
        x = self.act(self.norm1(_pixels(x)))
        return self.norm2(_pixels(self.conv2(_image(x))))


class Downsample(nn.Module):
    """[N, H, W, C] → [N, ⌈H/2⌉, ⌈W/2⌉, 2·C]."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv = nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1, bias=False)
        self.norm = Normalize(2 * channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(_pixels(self.conv(_image(x))))


class MLP(nn.Module):
    """fc2(GELU(fc1(x))), plus residual if it is given."""

    def __init__(self, channels: int, hidden: int, bias: bool):
        super().__init__()
        self.fc1 = nn.Linear(channels, hidden)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(hidden, channels, bias=bias)

    def forward(self, x: torch.Tensor, residual: Optional[torch.Tensor] = None) -> torch.Tensor:
        if _pieces.applies(x, self.fc1, self.act, self.fc2):
            return _pieces.run(x, residual, self.fc1, self.act, self.fc2)
        y = self.fc2(self.act(self.fc1(x)))
        return y if residual is None else residual + y


class JoinedDCNv4(DCNv4):
    """DCNv4 whose offsets and weights are predicted from the same pixels as value. Their two matrices lie one behind the other
    in memory, so that without gradients they are one matrix product, whose halves the operator reads in place."""

    def __init__(self, *arguments, **keywords):
        super().__init__(*arguments, **keywords)
        _pieces.join(self.value_proj, self.offset_mask)

    def _apply(self, *arguments, **keywords):
        """What to(), cuda(), half() and the like call: parameters may be elsewhere afterwards."""
        super()._apply(*arguments, **keywords)
        _pieces.join(self.value_proj, self.offset_mask)
        return self

    def aggregate(self, x: torch.Tensor) -> torch.Tensor:
        joined = _pieces.joined(x, self.value_proj, self.offset_mask)
        if joined is None:
            return super().aggregate(x)
        both, layer = nn.functional.linear(x, *joined), self.layer
        y = self.operator(
            both[..., : self.channels], both[..., self.channels :], layer.kernel_size, layer.stride, layer.padding,
            layer.dilation, layer.group, layer.offset_scale, layer.remove_center, layer.softmax,
        )  # fmt: skip
        return self.output_proj(y)


class Block(nn.Module):
    """x + γ1·D(norm1(x)), then x + γ2·M(norm2(x)); with post_norm, x + γ1·norm1(D(x)), then x + γ2·norm2(M(x)). D is DCNv4,
    M the MLP. Without layer_scale there is no γ. In training, a branch is left out with probability drop_path, for each image
    by itself, and scaled by 1 / (1 − drop_path) otherwise."""

    def __init__(self, channels: int, variant: Variant, drop_path: float, layer_scale: Optional[float]):
        super().__init__()
        self.post_norm, self.drop_path = variant.post_norm, drop_path
        self.norm1 = nn.Sequential(_layer_norm(channels))
        layer = JoinedDCNv4 if variant.dw_kernel_size is None else DCNv4
        self.dcn = layer(
            channels, group=channels // CHANNELS_PER_GROUP, offset_scale=variant.offset_scale,
            dw_kernel_size=variant.dw_kernel_size, output_bias=variant.output_bias,
        )  # fmt: skip
        self.norm2 = nn.Sequential(_layer_norm(channels))
        self.mlp = MLP(channels, 4 * channels, variant.output_bias)
        self.gamma1 = self.gamma2 = None
        if layer_scale is not None:
            self.gamma1 = nn.Parameter(torch.full((channels,), float(layer_scale)))
            self.gamma2 = nn.Parameter(torch.full((channels,), float(layer_scale)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scale1, scale2 = self._scale(x, self.gamma1), self._scale(x, self.gamma2)
        if self.post_norm:
            x = _add(x, scale1, self.norm1(self._deform(x)))
            return _add(x, scale2, self.norm2(self.mlp(x)))
        x = _add(x, scale1, self._deform(self.norm1(x)))
        if scale2 is None:
            return self.mlp(self.norm2(x), residual=x)
        return _add(x, scale2, self.mlp(self.norm2(x)))

    def _deform(self, x: torch.Tensor) -> torch.Tensor:
        size = x.shape[1:3]
        return self.dcn(x.flatten(1, 2), size).unflatten(1, size)

    def _scale(self, x: torch.Tensor, gamma: Optional[torch.Tensor]) -> Optional[torch.Tensor]:
        """γ, times 0 or 1 / (1 − drop_path) for each image; None stands for 1."""
        if not self.training or not self.drop_path:
            return gamma
        keep = 1 - self.drop_path
        kept = x.new_empty(x.shape[0], 1, 1, 1).bernoulli_(keep) / keep
        return kept if gamma is None else kept * gamma


class Stage(nn.Module):
    """[N, H, W, C] → the feature map of its blocks, in the same shape. `downsample` then makes the next stage's input."""

    def __init__(self, blocks: Sequence[Block], channels: int, norm: bool, downsample: bool):
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.Sequential(_layer_norm(channels)) if norm else nn.Identity()
        self.downsample = Downsample(channels) if downsample else nn.Identity()
        self.grad_checkpointing = False

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            if self.grad_checkpointing and torch.is_grad_enabled():
                x = checkpoint(block, x, use_reentrant=False)
            else:
                x = block(x)
        return self.norm(x)


class FlashInternImage(nn.Module):
    """[N, 3, H, W] of any size → logits [N, num_classes]. With features_only, a list of the feature maps [N, C, H, W] of the
    stages in out_indices, channels-last; their channels and strides are `channels` and STRIDES.

    num_classes=0 returns the pooled features. layer_scale is γ's initial value, or None for no γ; by default the authors' value
    for this variant: 1 with features_only, else None for T and 1e-5 for S, B and L.
    """

    def __init__(
        self,
        variant: Variant,
        num_classes: int = 1000,
        features_only: bool = False,
        out_indices: Sequence[int] = (0, 1, 2, 3),
        drop_path_rate: Optional[float] = None,
        layer_scale: Union[float, str, None] = DEFAULT,
        in_chans: int = 3,
        grad_checkpointing: bool = False,
    ):
        super().__init__()
        if not all(index in range(4) for index in out_indices):
            raise ValueError(f"FlashInternImage: out_indices is {tuple(out_indices)}; there are stages 0, 1, 2 and 3")
        self.variant, self.num_classes, self.features_only = variant, num_classes, features_only
        self.out_indices = tuple(out_indices)
        self.channels = tuple(variant.channels * 2**stage for stage in range(4))
        if drop_path_rate is None:
            drop_path_rate = variant.drop_path_rate
        if layer_scale == DEFAULT:
            layer_scale = 1.0 if features_only else variant.layer_scale
        rates = iter(torch.linspace(0, drop_path_rate, sum(variant.depths), device="cpu").tolist())
        self.patch_embed = Stem(in_chans, variant.channels)
        self.levels = nn.ModuleList(
            Stage(
                [Block(channels, variant, next(rates), layer_scale) for _ in range(depth)],
                channels, norm=not variant.post_norm, downsample=stage < 3,
            )
            for stage, (channels, depth) in enumerate(zip(self.channels, variant.depths))
        )  # fmt: skip
        if not features_only:
            wide = self.channels[3] * 3 // 2
            self.conv_head = nn.Sequential(
                nn.Conv2d(self.channels[3], wide, 1, bias=False), nn.Sequential(nn.BatchNorm2d(wide)), nn.GELU()
            )
            self.head = nn.Linear(wide, num_classes) if num_classes else nn.Identity()
        self.apply(_initialize)
        self.set_grad_checkpointing(grad_checkpointing)

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Whether training keeps only each block's input, and computes the rest again in the backward pass."""
        for stage in self.levels:
            stage.grad_checkpointing = enable

    def forward_stages(self, x: torch.Tensor) -> List[torch.Tensor]:
        """The feature maps of all stages up to the last that is asked for, [N, H, W, C]."""
        last = max(self.out_indices) if self.features_only else 3
        x, maps = self.patch_embed(x), []
        for stage in self.levels[: last + 1]:
            maps.append(stage(x))
            x = stage.downsample(maps[-1]) if len(maps) <= last else None
        return maps

    def forward_head(self, x: torch.Tensor) -> torch.Tensor:
        """Logits from the last stage's feature map [N, H, W, C]."""
        return self.head(self.conv_head(_image(x)).mean((2, 3)))

    def forward(self, x: torch.Tensor) -> Union[torch.Tensor, List[torch.Tensor]]:
        maps = self.forward_stages(x)
        if self.features_only:
            return [_image(maps[index]) for index in self.out_indices]
        return self.forward_head(maps[3])


def _initialize(module: nn.Module) -> None:
    """Linear layers normal with deviation 0.02, except DCNv4's, which follow their linear layers in Module.apply."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, DCNv4):
        module._reset_parameters()


T = Variant(64, (4, 4, 18, 4), drop_path_rate=0.1)
S = Variant(80, (4, 4, 21, 4), drop_path_rate=0.4, post_norm=True, layer_scale=1e-5, dw_kernel_size=3)
B = Variant(
    112, (4, 4, 21, 4), drop_path_rate=0.5, post_norm=True, layer_scale=1e-5, dw_kernel_size=3, offset_scale=0.5
)
L = Variant(
    160, (5, 5, 22, 5), drop_path_rate=0.1, post_norm=True, layer_scale=1e-5, dw_kernel_size=3, offset_scale=2.0,
    output_bias=True, input_size=384,
)  # fmt: skip


def flash_internimage_t(num_classes: int = 1000, features_only: bool = False, **arguments) -> FlashInternImage:
    """30 million parameters, for pictures of 224×224; FlashInternImage has the other arguments."""
    return FlashInternImage(T, num_classes, features_only, **arguments)


def flash_internimage_s(num_classes: int = 1000, features_only: bool = False, **arguments) -> FlashInternImage:
    """50 million parameters, for pictures of 224×224; FlashInternImage has the other arguments."""
    return FlashInternImage(S, num_classes, features_only, **arguments)


def flash_internimage_b(num_classes: int = 1000, features_only: bool = False, **arguments) -> FlashInternImage:
    """97 million parameters, for pictures of 224×224; FlashInternImage has the other arguments."""
    return FlashInternImage(B, num_classes, features_only, **arguments)


def flash_internimage_l(num_classes: int = 1000, features_only: bool = False, **arguments) -> FlashInternImage:
    """223 million parameters, for pictures of 384×384; FlashInternImage has the other arguments."""
    return FlashInternImage(L, num_classes, features_only, **arguments)
