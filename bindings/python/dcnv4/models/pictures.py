"""Pictures for a network, as the authors' evaluation prepares them, and what a person wants to see of the results."""

from __future__ import annotations

from typing import List, Optional

import torch

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, of numbers in [0, 1]


def _image_module():
    try:
        from PIL import Image
    except ImportError:
        raise RuntimeError("reading pictures needs Pillow: pip install pillow") from None
    return Image


def load(path: str):
    """An RGB image."""
    Image = _image_module()
    with Image.open(path) as image:
        return image.convert("RGB")


def prepare(image, size: int) -> torch.Tensor:
    """[3, size, size]: the short side resized to `size` itself, bicubic, and the middle, normalised."""
    Image = _image_module()
    width, height = image.size
    scale = size / min(width, height)
    width, height = max(size, int(width * scale)), max(size, int(height * scale))
    image = image.resize((width, height), Image.Resampling.BICUBIC)
    left, top = round((width - size) / 2), round((height - size) / 2)
    image = image.crop((left, top, left + size, top + size))
    pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).view(size, size, 3)
    return ((pixels / 255 - torch.tensor(MEAN)) / torch.tensor(STD)).permute(2, 0, 1).contiguous()


def labels(path: Optional[str], count: int) -> Optional[List[str]]:
    """The classes' names: a file's lines, or those of ImageNet-1k where torchvision or timm is installed; else None."""
    if path is not None:
        with open(path, encoding="utf-8") as lines:
            names = [line.strip() for line in lines if line.strip()]
        if len(names) != count:
            raise ValueError(f"{path} has {len(names)} names, the model has {count} classes")
        return names
    if count != 1000:
        return None
    try:
        from torchvision.models._meta import _IMAGENET_CATEGORIES

        return list(_IMAGENET_CATEGORIES)
    except Exception:  # absent, or broken by another PyTorch
        pass
    try:
        from timm.data import ImageNetInfo

        info = ImageNetInfo("imagenet-1k")
        return [info.index_to_description(index) for index in range(count)]
    except Exception:
        return None


def heat_map(maps: List[torch.Tensor], size: int):
    """The norms of each map's [C, H, W] pixels, from dark (least) to bright, beside each other."""
    Image = _image_module()
    strip = Image.new("L", (size * len(maps), size))
    for place, x in enumerate(maps):
        norms = x.float().norm(dim=0)
        norms = (norms - norms.min()) / (norms.max() - norms.min()).clamp(min=1e-12)
        grey = (255 * norms).round().to(torch.uint8).cpu().contiguous()
        height, width = grey.shape
        tile = Image.frombytes("L", (width, height), bytes(grey.flatten().tolist()))
        strip.paste(tile.resize((size, size), Image.Resampling.NEAREST), (size * place, 0))
    return strip
