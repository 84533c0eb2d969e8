#!/usr/bin/env python3
"""Trains a small FlashInternImage on scikit-learn's handwritten digits, on the CPU, and draws the points that its last stage
looks at in unseen ones.

    python3 examples/classify/classify.py [--steps 500] [--output classify.png]
"""

import argparse
import sys
import time

import torch
import torch.nn.functional as F
from dcnv4.models import FlashInternImage, Variant
from PIL import Image, ImageDraw
from sklearn.datasets import load_digits

SIDE, BATCH, HELD_OUT = 64, 64, 360
SMALL = Variant(channels=16, depths=(1, 1, 2, 1), drop_path_rate=0.0)
COLORS = ["#ff5a5f", "#2ec4ff", "#ffc233", "#5be37d", "#b57bff", "#ff8ad1", "#7de2d1", "#c0c0c0"]  # of the groups


def digits() -> tuple:
    """(training pictures, their digits, held-out pictures, their digits); pictures [N, 3, 64, 64], from −1 to 1."""
    data = load_digits()
    pictures = torch.from_numpy(data.images).float().unsqueeze(1) / 8 - 1
    pictures = F.interpolate(pictures, SIDE, mode="bilinear").expand(-1, 3, -1, -1)
    order = torch.randperm(len(pictures), generator=torch.Generator().manual_seed(0))
    pictures, targets = pictures[order], torch.from_numpy(data.target).long()[order]
    return pictures[HELD_OUT:], targets[HELD_OUT:], pictures[:HELD_OUT], targets[:HELD_OUT]


def shifted(pictures: torch.Tensor) -> torch.Tensor:
    """All by the same few pixels, with the background's −1 around them."""
    x, y = torch.randint(0, 13, (2,)).tolist()
    return F.pad(pictures, (6, 6, 6, 6), value=-1.0)[..., y : y + SIDE, x : x + SIDE]


def train(model, pictures, targets, steps: int, rate: float = 4e-3) -> list:
    """Returns the loss of each step."""
    optimizer = torch.optim.AdamW(model.parameters(), rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.2)
    losses, start = [], time.perf_counter()
    model.train()
    for step in range(1, steps + 1):
        chosen = torch.randint(0, len(pictures), (BATCH,))
        loss = F.cross_entropy(model(shifted(pictures[chosen])), targets[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        if step % 50 == 0 or step == steps:
            print(f"step {step:4}  loss {losses[-1]:6.3f}  {time.perf_counter() - start:4.0f} s", flush=True)
    return losses


@torch.no_grad()
def accuracy(model, pictures, targets) -> float:
    found = torch.cat([model.eval()(some).argmax(1) for some in pictures.split(60)])
    return (found == targets).double().mean().item()


@torch.no_grad()
def points(model, picture) -> list:
    """(group, x, y, weight) of all points of the last layer, in the picture's pixels, by docs/operator.md."""
    layer, seen = model.levels[3].blocks[-1].dcn, []
    handle = layer.offset_mask.register_forward_hook(lambda _, inputs, output: seen.append(output[0]))
    model.eval()(picture.unsqueeze(0))
    handle.remove()
    found, scale = [], SIDE / seen[0].shape[1]
    for row in range(seen[0].shape[0]):
        for column in range(seen[0].shape[1]):
            for group in range(layer.group):
                block = seen[0][row, column, 27 * group : 27 * (group + 1)].tolist()
                for k in range(9):  # down the columns first
                    x = column + k // 3 - 1 + block[2 * k]
                    y = row + k % 3 - 1 + block[2 * k + 1]
                    found.append((group, (x + 0.5) * scale, (y + 0.5) * scale, block[18 + k]))
    return found


def draw(model, pictures, targets, path: str, columns: int = 6) -> None:
    """The points with the largest weights on each picture; filled for positive weights."""
    cell, gap, factor = 192, 8, 3
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * (cell + gap) + gap, rows * (cell + gap + 20) + gap), "white")
    pen = ImageDraw.Draw(sheet)
    for place, (picture, target) in enumerate(zip(pictures, targets.tolist())):
        left, top = gap + place % columns * (cell + gap), gap + place // columns * (cell + gap + 20)
        gray = ((picture[0] + 1) * 127.5).byte()
        panel = Image.frombytes("L", (SIDE, SIDE), bytes(gray.flatten().tolist())).resize((cell, cell)).convert("RGB")
        brush = ImageDraw.Draw(panel)
        largest = sorted(points(model, picture), key=lambda point: -abs(point[3]))[:48]
        for group, x, y, weight in largest:
            radius = 7 * (abs(weight) / abs(largest[0][3])) ** 0.5
            box = [x * factor - radius, y * factor - radius, x * factor + radius, y * factor + radius]
            color = COLORS[group % len(COLORS)]
            brush.ellipse(box, fill=color if weight > 0 else None, outline="#101418" if weight > 0 else color, width=2)
        sheet.paste(panel, (left, top))
        with torch.no_grad():
            found = model(picture.unsqueeze(0)).argmax().item()
        pen.text((left + 2, top + cell + 4), f"{target}, taken for a {found}", fill="black")
    sheet.save(path)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--steps", type=int, default=500, help="500 take some 100 seconds")
    parser.add_argument("--threads", type=int, default=1, help="for so small a network more are hardly quicker")
    parser.add_argument("--output", default="classify.png", help="where the picture goes")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    pictures, targets, unseen, answers = digits()
    model = FlashInternImage(SMALL, num_classes=10)
    print(f"{sum(parameter.numel() for parameter in model.parameters())} parameters")
    before = accuracy(model, unseen, answers)
    losses = train(model, pictures, targets, arguments.steps)
    few = max(1, min(20, len(losses) // 4))
    print(f"loss  {sum(losses[:few]) / few:.3f} before, {sum(losses[-few:]) / few:.3f} after")
    after = accuracy(model, unseen, answers)
    print(f"accuracy  {before:.3f} before, {after:.3f} after, on {len(unseen)} unseen digits")
    draw(model, unseen[:12], answers[:12], arguments.output)
    print(f"The points of the last layer in twelve of them: {arguments.output}")
    return 0 if after > before else 1


if __name__ == "__main__":
    sys.exit(main())
