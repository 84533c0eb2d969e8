#!/usr/bin/env python3
"""Trains a diffusion model on scikit-learn's handwritten digits, on the CPU: diffusers' U-Net with DCNv4 in place of
the 3×3 convolutions of its residual blocks, and beside it the same U-Net with its convolutions. Draws digits that
both make up.

    python3 examples/diffuse/diffuse.py [--steps 500] [--output diffuse.png]
"""

import argparse
import functools
import sys
import time

import dcnv4
import torch
import torch.nn.functional as F
from diffusers import DDIMScheduler, UNet2DModel
from PIL import Image, ImageDraw, ImageFont
from sklearn.datasets import load_digits

SIDE, BATCH, HELD_OUT, SAMPLING_STEPS = 8, 32, 256, 50


def in_residual_block(name: str, convolution) -> bool:
    return ".resnets." in name and convolution.kernel_size == (3, 3)


class DeformableUNet(UNet2DModel):
    """A class of its own, since from_pretrained builds a network by its class before it loads the weights. Its
    arguments are UNet2DModel's: diffusers reads the names."""

    @functools.wraps(UNet2DModel.__init__)
    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.replaced = str(dcnv4.convert(self, in_residual_block))


def make(kind) -> UNet2DModel:
    torch.manual_seed(0)
    return kind(
        sample_size=SIDE, in_channels=1, out_channels=1, layers_per_block=1, block_out_channels=(32, 64),
        norm_num_groups=8, attention_head_dim=16, down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
    )  # fmt: skip


def digits() -> torch.Tensor:
    """[N, 1, 8, 8], from −1 to 1."""
    pictures = torch.from_numpy(load_digits().images).float().unsqueeze(1) / 8 - 1
    return pictures[torch.randperm(len(pictures), generator=torch.Generator().manual_seed(0))]


def loss_of(unet, scheduler, pictures, generator) -> torch.Tensor:
    """The mean squared error of the noise that the network predicts, at random times."""
    noise = torch.randn(pictures.shape, generator=generator)
    times = torch.randint(0, scheduler.config.num_train_timesteps, (len(pictures),), generator=generator)
    return F.mse_loss(unet(scheduler.add_noise(pictures, noise, times), times).sample, noise)


@torch.no_grad()
def held_out_loss(unet, scheduler, pictures) -> float:
    """The same noise and times for every network; each picture at four times."""
    generator = torch.Generator().manual_seed(1)
    parts = [loss_of(unet.eval(), scheduler, some, generator).item() for some in pictures.repeat(4, 1, 1, 1).split(64)]
    return sum(parts) / len(parts)


def train(unet, scheduler, pictures, steps: int, rate: float = 2e-3) -> None:
    optimizer = torch.optim.AdamW(unet.parameters(), rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.1)
    generator, start = torch.Generator().manual_seed(2), time.perf_counter()
    unet.train()
    for step in range(1, steps + 1):
        chosen = torch.randint(0, len(pictures), (BATCH,), generator=generator)
        loss = loss_of(unet, scheduler, pictures[chosen], generator)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(unet.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 100 == 0 or step == steps:
            print(f"  step {step:4}  loss {loss.item():6.3f}  {time.perf_counter() - start:4.0f} s", flush=True)


@torch.no_grad()
def sample(unet, scheduler, count: int) -> torch.Tensor:
    x = torch.randn(count, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(3))
    scheduler.set_timesteps(SAMPLING_STEPS)
    unet.eval()
    for moment in scheduler.timesteps:
        x = scheduler.step(unet(x, moment).sample, moment, x).prev_sample
    return x


def draw(rows: dict, path: str, columns: int = 12) -> None:
    """Pictures under each title, in rows."""
    cell, gap, head = 72, 6, 24
    lines = sum(-(-len(pictures) // columns) for pictures in rows.values())
    sheet = Image.new("L", (columns * (cell + gap) + gap, lines * (cell + gap) + len(rows) * head + gap), 255)
    pen, top = ImageDraw.Draw(sheet), 0
    try:
        font = ImageFont.load_default(14)
    except TypeError:  # Pillow before 10.1 has a single size
        font = ImageFont.load_default()
    for title, pictures in rows.items():
        pen.text((gap, top + 4), title, fill=0, font=font)
        top += head
        for place, picture in enumerate(((pictures[:, 0].clamp(-1, 1) + 1) * 127.5).byte()):
            image = Image.frombytes("L", (SIDE, SIDE), bytes(picture.flatten().tolist()))
            left = gap + place % columns * (cell + gap)
            sheet.paste(image.resize((cell, cell), Image.BICUBIC), (left, top + place // columns * (cell + gap)))
        top += -(-len(pictures) // columns) * (cell + gap)
    sheet.save(path, optimize=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--steps", type=int, default=500, help="of each network; 500 take about four minutes in all")
    parser.add_argument("--threads", type=int, default=1, help="for so small a network more are hardly quicker")
    parser.add_argument("--output", default="diffuse.png", help="where the picture goes")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    pictures = digits()
    unseen, seen = pictures[:HELD_OUT], pictures[HELD_OUT:]
    scheduler = DDIMScheduler(num_train_timesteps=1000, clip_sample=True)
    unets = {"DCNv4": make(DeformableUNet), "convolutions": make(UNet2DModel)}
    print(unets["DCNv4"].replaced)
    rows, losses = {"digits of the data": unseen[:12]}, {}
    for name, unet in unets.items():
        print(f"{name}: {sum(parameter.numel() for parameter in unet.parameters())} parameters")
        before = held_out_loss(unet, scheduler, unseen)
        train(unet, scheduler, seen, arguments.steps)
        losses[name] = (before, held_out_loss(unet, scheduler, unseen))
        rows[f"made up by the U-Net with {name}"] = sample(unet, scheduler, 24)
    for name, (before, after) in losses.items():
        print(f"loss of {name}  {before:.4f} before, {after:.4f} after, on {HELD_OUT} unseen digits")
    draw(rows, arguments.output)
    print(f"Digits that the two make up: {arguments.output}")
    return 0 if losses["DCNv4"][1] < losses["DCNv4"][0] else 1


if __name__ == "__main__":
    sys.exit(main())
