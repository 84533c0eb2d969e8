#!/usr/bin/env python3
"""Trains UPerNet of segmentation-models-pytorch on a small FlashInternImage to tell textures apart, in images that the script
draws, on the CPU, and draws the maps that it finds in unseen ones.

    python3 examples/segment/segment.py [--steps 300] [--output segment.png]
"""

import argparse
import math
import sys
import time

import dcnv4.models.timm
import segmentation_models_pytorch as smp
import torch
import torch.nn.functional as F
from dcnv4.models import Variant
from PIL import Image

SIDE, BATCH, UNSEEN = 64, 8, 32
NAMES = ["background", "stripes", "checks", "dots"]
COLORS = torch.tensor([[40, 44, 52], [255, 90, 95], [46, 196, 255], [255, 194, 51]], dtype=torch.uint8)


def make_model():
    """smp builds encoders by timm's names: "tu-flash_internimage_t" would be the published network."""
    dcnv4.models.timm._VARIANTS["t"] = Variant(channels=16, depths=(1, 1, 2, 1), drop_path_rate=0.0)
    return smp.UPerNet("tu-flash_internimage_t", encoder_weights=None, classes=len(NAMES), decoder_channels=32)


def texture(kind: int) -> torch.Tensor:
    """[3, 64, 64], of random direction, size and colours: only its structure tells its kind."""
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    angle, period = math.pi * torch.rand(()).item(), 5 + 4 * torch.rand(()).item()
    u = (x * math.cos(angle) + y * math.sin(angle)) * (2 * math.pi / period)
    v = (y * math.cos(angle) - x * math.sin(angle)) * (2 * math.pi / period)
    waves = [u / (12 * math.pi), u.sin(), (u.sin() * v.sin()).sign(), ((u.sin() + v.sin()) > 0.9) * 2.0 - 1]
    dark, light = torch.rand(2, 3, 1, 1)
    light = (dark + 0.5 + 0.3 * light).where(dark < 0.5, dark - 0.5 - 0.3 * light)  # far enough apart to be seen
    return dark + (light - dark) * (waves[kind] * 0.5 + 0.5)


def draw_image() -> tuple:
    """A picture [3, 64, 64] with two or three discs and bars of texture, and its map [64, 64]."""
    picture, kinds = texture(0), torch.zeros(SIDE, SIDE, dtype=torch.long)
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    for _ in range(int(torch.randint(2, 4, ()))):
        kind = int(torch.randint(1, len(NAMES), ()))
        centre_x, centre_y = (8 + (SIDE - 16) * torch.rand(2)).tolist()
        half_x, half_y = (10 + 10 * torch.rand(2)).tolist()
        power = 2 if torch.rand(()) < 0.5 else 20  # an ellipse or a rectangle
        inside = ((x - centre_x) / half_x).abs() ** power + ((y - centre_y) / half_y).abs() ** power < 1
        picture = torch.where(inside, texture(kind), picture)
        kinds[inside] = kind
    return (picture + 0.05 * torch.randn(3, SIDE, SIDE)) * 2 - 1, kinds


def batch(count: int) -> tuple:
    pictures, maps = zip(*(draw_image() for _ in range(count)))
    return torch.stack(pictures), torch.stack(maps)


def train(model, steps: int, rate: float = 3e-3) -> list:
    """Returns the loss of each step."""
    optimizer = torch.optim.AdamW(model.parameters(), rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.2)
    losses, start = [], time.perf_counter()
    model.train()
    for step in range(1, steps + 1):
        pictures, maps = batch(BATCH)
        loss = F.cross_entropy(model(pictures), maps)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        if step % 50 == 0 or step == steps:
            print(f"step {step:4}  loss {losses[-1]:6.3f}  {time.perf_counter() - start:4.0f} s", flush=True)
    return losses


@torch.no_grad()
def segment(model, pictures) -> torch.Tensor:
    return torch.cat([model.eval()(some).argmax(1) for some in pictures.split(BATCH)])


def mean_overlap(found: torch.Tensor, maps: torch.Tensor) -> float:
    """mIoU: the mean, over the classes, of the intersection over the union of all images."""
    shares = []
    for kind in range(len(NAMES)):
        one, other = found == kind, maps == kind
        shares.append(((one & other).sum() / (one | other).sum().clamp(min=1)).item())
    return sum(shares) / len(shares)


def draw(pictures, maps, found, path: str) -> None:
    """Three rows: the pictures, their maps, and the maps that were found."""
    rows = [((pictures + 1) * 127.5).clamp(0, 255).byte().permute(0, 2, 3, 1), COLORS[maps], COLORS[found]]
    sheet = torch.cat([torch.cat(list(row), 1) for row in rows])
    image = Image.frombytes("RGB", (sheet.shape[1], sheet.shape[0]), bytes(sheet.flatten().tolist()))
    image.resize((image.width * 2, image.height * 2), Image.NEAREST).save(path)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--steps", type=int, default=300, help="300 take about a minute")
    parser.add_argument("--threads", type=int, default=1, help="for so small a network more are hardly quicker")
    parser.add_argument("--output", default="segment.png", help="where the picture goes")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(1)
    pictures, maps = batch(UNSEEN)
    model = make_model()
    print(f"{sum(parameter.numel() for parameter in model.parameters())} parameters")
    before = mean_overlap(segment(model, pictures), maps)
    losses = train(model, arguments.steps)
    few = max(1, min(20, len(losses) // 4))
    print(f"loss  {sum(losses[:few]) / few:.3f} before, {sum(losses[-few:]) / few:.3f} after")
    found = segment(model, pictures)
    after = mean_overlap(found, maps)
    print(f"mIoU  {before:.3f} before, {after:.3f} after, on {UNSEEN} unseen images")
    draw(pictures[:8], maps[:8], found[:8], arguments.output)
    print(f"Eight of them, their maps, and below the maps that were found: {arguments.output}")
    return 0 if after > before else 1


if __name__ == "__main__":
    sys.exit(main())
