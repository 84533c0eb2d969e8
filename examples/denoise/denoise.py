#!/usr/bin/env python3
"""Trains a small network whose spatial operator is DCNv4 to take the noise off a photograph, on the CPU, and draws what
it learned: noisy, denoised, and where the operator looks.

    python3 examples/denoise/denoise.py [--steps 800] [--output denoise.png]
"""

import argparse
import math
import pathlib
import sys
import time

import dcnv4
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

import picture

PHOTOGRAPH = pathlib.Path(__file__).resolve().parents[2] / "samples" / "raccoon" / "image.png"
SIGMA = 40 / 255
PATCH, BATCH = 32, 8


class Block(nn.Module):
    """[N, L, C] → [N, L, C]: DCNv4 gathers over the image, a pair of linear layers mixes the channels."""

    def __init__(self, channels: int, group: int):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.dcn = dcnv4.DCNv4(channels, group=group, dw_kernel_size=3)
        self.mlp = nn.Sequential(nn.Linear(channels, 2 * channels), nn.GELU(), nn.Linear(2 * channels, channels))
        # The original initialises weights with 0; the mean of the kernel's points is a better start for a denoiser.
        points = self.dcn.layer.points
        with torch.no_grad():
            blocks = self.dcn.offset_mask.bias[: 3 * group * points].view(group, 3 * points)
            blocks[:, 2 * points :] = 1 / points

    def forward(self, x: torch.Tensor, shape: tuple) -> torch.Tensor:
        x = x + self.dcn(self.norm1(x), shape)
        return x + self.mlp(self.norm2(x))


class Denoiser(nn.Module):
    """[N, 3, H, W] → [N, 3, H, W]. It predicts the noise and subtracts it."""

    def __init__(self, channels: int = 32, group: int = 4, blocks: int = 3):
        super().__init__()
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.blocks = nn.ModuleList(Block(channels, group) for _ in range(blocks))
        self.tail = nn.Conv2d(channels, 3, 3, padding=1)
        nn.init.zeros_(self.tail.weight)  # initially it subtracts nothing
        nn.init.zeros_(self.tail.bias)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        shape = image.shape[-2:]
        x = self.head(image).flatten(2).transpose(1, 2)
        for block in self.blocks:
            x = block(x, shape)
        return image - self.tail(x.transpose(1, 2).unflatten(2, shape))


def load(path: pathlib.Path) -> torch.Tensor:
    """[3, H, W], from 0 to 1."""
    image = Image.open(path).convert("RGB")
    return (
        torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).view(*image.size[::-1], 3).permute(2, 0, 1)
        / 255
    )


def patches(photograph: torch.Tensor) -> torch.Tensor:
    """A batch of patches from anywhere in the photograph, mirrored at random."""
    height, width = photograph.shape[1:]
    batch = []
    for _ in range(BATCH):
        top, left = (int(torch.randint(0, size - PATCH + 1, ())) for size in (height, width))
        patch = photograph[:, top : top + PATCH, left : left + PATCH]
        batch.append(patch.flip([axis for axis in (1, 2) if torch.rand(()) < 0.5]))
    return torch.stack(batch)


def psnr(image: torch.Tensor, truth: torch.Tensor) -> float:
    """In decibels."""
    return -10 * math.log10(F.mse_loss(image.clamp(0, 1), truth).item())


def train(network: Denoiser, photograph: torch.Tensor, steps: int) -> list:
    """Returns the loss of each step."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps, pct_start=0.15)
    losses, start = [], time.perf_counter()
    for step in range(1, steps + 1):
        clean = patches(photograph)
        loss = F.mse_loss(network(clean + SIGMA * torch.randn_like(clean)), clean)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        if step % 100 == 0 or step == steps:
            recent = losses[-20:]
            print(
                f"step {step:5}  loss {sum(recent) / len(recent):.5f}  {time.perf_counter() - start:5.0f} s", flush=True
            )
    return losses


def evaluate(network: Denoiser, noisy: torch.Tensor) -> tuple:
    """The denoised image, and the offset_mask that the network's last DCNv4 predicts for it."""
    seen = {}
    layer = network.blocks[-1].dcn
    operator = layer.operator

    def record(value, offset_mask, *arguments):
        seen["offset_mask"] = offset_mask
        return operator(value, offset_mask, *arguments)

    layer.operator = record
    try:
        with torch.no_grad():
            return network(noisy[None])[0], seen["offset_mask"][0]
    finally:
        layer.operator = operator


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--steps", type=int, default=800, help="800 take about two minutes")
    parser.add_argument("--threads", type=int, default=1, help="for so small a network more are hardly quicker")
    parser.add_argument("--output", default="denoise.png", help="where the picture goes")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    photograph = load(PHOTOGRAPH)
    noisy = photograph + SIGMA * torch.randn_like(photograph)
    network = Denoiser()
    count = sum(parameter.numel() for parameter in network.parameters())
    print(f"{count} parameters, noise of {SIGMA:.3f}")

    before, _ = evaluate(network, noisy)
    losses = train(network, photograph, arguments.steps)
    after, offset_mask = evaluate(network, noisy)

    few = max(1, min(20, len(losses) // 4))
    first, last = sum(losses[:few]) / few, sum(losses[-few:]) / few
    print(f"loss  {first:.5f} before, {last:.5f} after")
    print(f"PSNR  {psnr(before, photograph):.2f} dB before, {psnr(after, photograph):.2f} dB after")
    panels = {
        f"noisy, {psnr(noisy, photograph):.1f} dB": noisy,
        f"denoised, {psnr(after, photograph):.1f} dB": after,
        "the photograph": photograph,
    }
    picture.draw(panels, offset_mask, network.blocks[-1].dcn.layer, arguments.output)
    print(f"Noisy, denoised, and where the last DCNv4 looks: {arguments.output}")
    return 0 if last < first else 1


if __name__ == "__main__":
    sys.exit(main())
