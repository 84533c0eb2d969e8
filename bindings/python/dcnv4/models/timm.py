"""Registers FlashInternImage with timm: after importing this, timm.create_model("flash_internimage_t") works, and so do hosts
that build their backbones with timm."""

from __future__ import annotations

from typing import List, Optional, Tuple, Union

import torch
from torch import nn

try:
    from timm.models import build_model_with_cfg, register_model
except ImportError as error:
    raise ImportError(f"dcnv4.models.timm needs timm: pip install timm ({error})") from None

from . import pictures
from .flash_internimage import STRIDES, B, FlashInternImage, L, S, T, Variant, _image

_VARIANTS = {"t": T, "s": S, "b": B, "l": L}


def _configuration(variant: Variant) -> dict:
    side = variant.input_size
    return {
        "url": "", "num_classes": 1000, "input_size": (3, side, side), "pool_size": (-(-side // 32),) * 2,
        "fixed_input_size": False, "crop_pct": 1.0, "crop_mode": "center", "interpolation": "bicubic",
        "mean": pictures.MEAN, "std": pictures.STD, "first_conv": "patch_embed.conv1", "classifier": "head",
        "license": "mit",
    }  # fmt: skip


default_cfgs = {f"flash_internimage_{name}": _configuration(variant) for name, variant in _VARIANTS.items()}


class TimmFlashInternImage(FlashInternImage):
    """FlashInternImage with the methods that timm expects of a classifier. Feature maps are [N, C, H, W]."""

    def __init__(self, cfg: Variant, num_classes: int = 1000, in_chans: int = 3, **arguments):
        for name in ("drop_rate", "global_pool", "output_stride"):
            value = arguments.pop(name, None)
            if value not in (None, 0, "avg", 32):
                raise ValueError(f"flash_internimage has no {name}, and {value!r} was asked for")
        super().__init__(cfg, num_classes, in_chans=in_chans, **arguments)
        self.num_features = self.channels[3]
        self.head_hidden_size = self.conv_head[0].out_channels
        self.feature_info = [
            {"num_chs": channels, "reduction": stride, "module": f"levels.{stage}"}
            for stage, (channels, stride) in enumerate(zip(self.channels, STRIDES))
        ]

    @torch.jit.ignore
    def group_matcher(self, coarse: bool = False):
        """A function from a parameter's name to its layer, for learning rates that decay with depth as in the authors'
        detectors: blocks are counted from 1, a stage's norm and downsampling belong to the next stage's first block."""
        starts = [1 + sum(self.variant.depths[:stage]) for stage in range(5)]

        def layer(name: str) -> int:
            if name.startswith("patch_embed"):
                return 0
            part = name.split(".")
            if part[0] != "levels":
                return 5 if coarse else starts[4]
            stage = int(part[1])
            if coarse:
                return 1 + stage
            if part[2] == "blocks":
                return starts[stage] + int(part[3])
            return min(starts[stage + 1], starts[4] - 1)

        return layer

    @torch.jit.ignore
    def no_weight_decay(self) -> set:
        return {name for name, _ in self.named_parameters() if name.endswith(("gamma1", "gamma2"))}

    def get_classifier(self) -> nn.Module:
        return self.head

    def reset_classifier(self, num_classes: int, global_pool: Optional[str] = None) -> None:
        self.num_classes = num_classes
        self.head = nn.Linear(self.head_hidden_size, num_classes) if num_classes else nn.Identity()

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        return _image(self.forward_stages(x)[3])

    def forward_head(self, x: torch.Tensor, pre_logits: bool = False) -> torch.Tensor:
        pooled = self.conv_head(x).mean((2, 3))
        return pooled if pre_logits else self.head(pooled)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.forward_head(self.forward_features(x))

    def forward_intermediates(
        self,
        x: torch.Tensor,
        indices: Union[int, List[int], Tuple[int, ...], None] = None,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
    ):
        """The stages' feature maps, the last ones for a number; and the last map unless intermediates_only."""
        if output_fmt not in ("NCHW", "NHWC"):
            raise ValueError(f"flash_internimage: output_fmt is {output_fmt!r}, NCHW and NHWC are there")
        stages = range(4)[-indices:] if isinstance(indices, int) else range(4) if indices is None else indices
        stages = [range(4)[index] for index in stages]
        pixels = self.forward_stages(x)
        chosen = [pixels[index] if output_fmt == "NHWC" else _image(pixels[index]) for index in stages]
        return chosen if intermediates_only else (_image(pixels[-1]), chosen)

    def prune_intermediate_layers(self, indices=1, prune_norm: bool = False, prune_head: bool = True) -> list:
        """Removes what the feature maps of these stages do not need, and returns the stages."""
        stages = list(range(4)[-indices:] if isinstance(indices, int) else [range(4)[index] for index in indices])
        self.levels = self.levels[: max(stages) + 1]
        self.levels[-1].downsample = nn.Identity()
        if prune_head:
            self.conv_head, self.head = nn.Identity(), nn.Identity()
        return stages


def _build(name: str, pretrained: bool, arguments: dict) -> nn.Module:
    if pretrained:
        raise ValueError(
            f"{name}: there are no weights to download; dcnv4.models.load_checkpoint(model, file) loads a file"
        )
    for given in ("pretrained_cfg", "pretrained_cfg_overlay", "cache_dir"):
        arguments.pop(given, None)
    if arguments.get("features_only"):
        arguments.setdefault("layer_scale", 1.0)
    features = {"out_indices": (0, 1, 2, 3), "feature_cls": "getter"}
    return build_model_with_cfg(
        TimmFlashInternImage, name, False, pretrained_cfg=default_cfgs[name], model_cfg=_VARIANTS[name[-1]],
        feature_cfg=features, **arguments,
    )  # fmt: skip


@register_model
def flash_internimage_t(pretrained: bool = False, **arguments) -> nn.Module:
    return _build("flash_internimage_t", pretrained, arguments)


@register_model
def flash_internimage_s(pretrained: bool = False, **arguments) -> nn.Module:
    return _build("flash_internimage_s", pretrained, arguments)


@register_model
def flash_internimage_b(pretrained: bool = False, **arguments) -> nn.Module:
    return _build("flash_internimage_b", pretrained, arguments)


@register_model
def flash_internimage_l(pretrained: bool = False, **arguments) -> nn.Module:
    return _build("flash_internimage_l", pretrained, arguments)
