"""FlashInternImage for torchvision's BackboneWithFPN, and so for its Faster, Mask and Keypoint R-CNN and RetinaNet.

from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.backbone_utils import BackboneWithFPN

backbone = flash_internimage_t(features_only=True)
pyramid = BackboneWithFPN(stages(backbone), STAGES, backbone.channels, 256)
model = MaskRCNN(pyramid, num_classes=91)
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

from .flash_internimage import FlashInternImage, Stage, _image, _pixels

STAGES = {f"stage_{place}": str(place) for place in range(4)}  # BackboneWithFPN's return_layers


class _Stem(nn.Module):
    """[N, 3, H, W] → the first stage's feature map, [N, C, H, W]."""

    def __init__(self, patch_embed: nn.Module, stage: Stage):
        super().__init__()
        self.patch_embed, self.stage = patch_embed, stage

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return _image(self.stage(self.patch_embed(x)))


class _Next(nn.Module):
    """A stage's feature map [N, C, H, W] → the next one's."""

    def __init__(self, downsample: nn.Module, stage: Stage):
        super().__init__()
        self.downsample, self.stage = downsample, stage

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return _image(self.stage(self.downsample(_pixels(x))))


def stages(backbone: FlashInternImage) -> nn.Sequential:
    """The backbone's stages as children that can be called one after another, named stage_0 to stage_3: BackboneWithFPN calls a
    module's children, and takes their outputs by name. They are moved out of the backbone, which
    then works no longer, and have other names in the state dict: load weights into the backbone first."""
    parts = OrderedDict(stage_0=_Stem(backbone.patch_embed, backbone.levels[0]))
    for place in range(1, 4):
        parts[f"stage_{place}"] = _Next(backbone.levels[place - 1].downsample, backbone.levels[place])
        backbone.levels[place - 1].downsample = nn.Identity()  # it has one name in a state dict
    return nn.Sequential(parts)
