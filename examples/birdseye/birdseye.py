#!/usr/bin/env python3
"""Trains a small bird's-eye-view detector in BEVFormer's way, on the CPU: from the pictures of four cameras, with
known poses, it finds coloured solids on the plane around them. FlashInternImage reads the pictures, multi-scale
deformable attention carries what it found to the plane, and DCNv4 works there. Draws the boxes in unseen scenes, from
above and in the pictures.

    python3 examples/birdseye/birdseye.py [--steps 400] [--output birdseye.png]
"""

import argparse
import math
import random
import sys
import time

import dcnv4
import torch
import torch.nn.functional as F
from dcnv4.models import FlashInternImage, Variant
from torch import nn

import scene

SMALL = Variant(channels=16, depths=(1, 1, 2, 1), drop_path_rate=0.0)
CELLS, CHANNELS = 16, 64  # the plane has 16 × 16 cells of half a metre, each with a query
LEVELS = 3  # of the backbone: at a fourth, an eighth and a sixteenth of the picture's size
HEIGHTS = (0.1, 0.5, 1.0)  # in metres: where a query looks above its cell
BATCH, UNSEEN = 6, 64
MISSED = 2.0  # metres: the error that counts where nothing was found


def cell_centres() -> torch.Tensor:
    """[Q, 2], row by row from y = −REACH."""
    places = (torch.arange(CELLS) + 0.5) * (2 * scene.REACH / CELLS) - scene.REACH
    y, x = torch.meshgrid(places, places, indexing="ij")
    return torch.stack((x, y), -1).flatten(0, 1)


class SpatialCrossAttention(nn.Module):
    """Each cell's query samples the cameras' feature maps around the points where a pillar on the cell appears in
    them, and averages over the cameras that see it."""

    def __init__(self, channels: int, levels: int, heads: int = 4, points: int = 2):
        super().__init__()
        self.levels, self.heads, self.points = levels, heads, points
        samples = heads * levels * len(HEIGHTS) * points
        self.offsets, self.weights = nn.Linear(channels, 2 * samples), nn.Linear(channels, samples)
        self.value, self.output = nn.Linear(channels, channels), nn.Linear(channels, channels)
        for layer in (self.offsets, self.weights):
            nn.init.zeros_(layer.weight)
        nn.init.uniform_(self.offsets.bias, -0.5, 0.5)
        nn.init.normal_(self.weights.bias, std=2.0)  # each head prefers a few points: an average of all is a blur
        pillars = torch.cat([F.pad(cell_centres(), (0, 1), value=height) for height in HEIGHTS])
        places, seen = zip(*(camera.project(pillars) for camera in scene.CAMERAS))
        pillar = lambda each: torch.stack(each).unflatten(1, (len(HEIGHTS), -1)).transpose(1, 2)  # noqa: E731
        self.register_buffer("places", pillar(places))  # [cameras, Q, heights, 2], from 0 to 1 in the picture
        self.register_buffer("seen", pillar(seen).any(2, keepdim=True).float())  # [cameras, Q, 1]: 0 or 1
        self.seen /= self.seen.sum(0).clamp(min=1)[None]

    def forward(self, query: torch.Tensor, memory: torch.Tensor, shapes: list) -> torch.Tensor:
        """query [N, Q, C], memory [N·cameras, S, C] → [N, Q, C]."""
        batch, count, _ = query.shape
        cameras, heights = self.places.shape[0], len(HEIGHTS)
        sizes = query.new_tensor([(w, h) for h, w in shapes])  # offsets are in places of their level
        offsets = self.offsets(query).view(batch, 1, count, self.heads, self.levels, heights, self.points, 2)
        locations = self.places[:, :, None, None, :, None] + offsets / sizes[:, None, None]
        weights = self.weights(query).view(batch, 1, count, self.heads, -1).expand(-1, cameras, -1, -1, -1)
        found = dcnv4.functional.ms_deform_attn(
            self.value(memory).unflatten(2, (self.heads, -1)), shapes, locations.flatten(0, 1).flatten(3, 5),
            weights.flatten(0, 1), softmax=True,
        )  # fmt: skip
        return self.output((found.view(batch, cameras, count, -1) * self.seen).sum(1))


class PlaneBlock(nn.Module):
    """[N, Q, C] → [N, Q, C]: what the cameras see, what the neighbouring cells have found, and a pair of linear
    layers."""

    def __init__(self, channels: int, levels: int):
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(3))
        self.cameras = SpatialCrossAttention(channels, levels)
        self.plane = dcnv4.DCNv4(channels, group=4)
        self.mlp = nn.Sequential(nn.Linear(channels, 2 * channels), nn.GELU(), nn.Linear(2 * channels, channels))

    def forward(self, x, memory, shapes):
        x = x + self.cameras(self.norms[0](x), memory, shapes)
        x = x + self.plane(self.norms[1](x), (CELLS, CELLS))
        return x + self.mlp(self.norms[2](x))


class Detector(nn.Module):
    """[N, cameras, 3, H, W] → [N, Q, 10] for each cell: a score of each kind, and the box of what stands there."""

    def __init__(self, channels: int = CHANNELS, blocks: int = 2):
        super().__init__()
        self.backbone = FlashInternImage(SMALL, features_only=True, out_indices=range(LEVELS))
        self.project = nn.ModuleList(nn.Linear(width, channels) for width in self.backbone.channels[:LEVELS])
        self.query = nn.Parameter(torch.randn(CELLS * CELLS, channels) * 0.1)
        self.blocks = nn.ModuleList(PlaneBlock(channels, LEVELS) for _ in range(blocks))
        self.head = nn.Sequential(
            nn.LayerNorm(channels), nn.Linear(channels, channels), nn.GELU(), nn.Linear(channels, 10)
        )
        nn.init.constant_(self.head[-1].bias[:3], -4.0)  # most cells are empty

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        maps = self.backbone(pictures.flatten(0, 1) * 2 - 1)
        memory = [layer(each.flatten(2).transpose(1, 2)) for layer, each in zip(self.project, maps)]
        x, shapes = self.query.expand(len(pictures), -1, -1), [tuple(each.shape[-2:]) for each in maps]
        for block in self.blocks:
            x = block(x, torch.cat(memory, 1), shapes)
        return self.head(x)


def make_target(solids: list) -> tuple:
    """Scores [Q, 3], 1 in a solid's cell and falling around it; the solids' cells; and their boxes [solids, 8]: the
    centre in metres from the cell's, the logarithms of the sizes, and twice the angle, which has no beginning, as a
    direction."""
    centres, scores, cells, boxes = cell_centres(), torch.zeros(CELLS * CELLS, 3), [], []
    for kind, x, y, length, width, height, angle in solids:
        apart = centres - torch.tensor([x, y])
        cell = apart.square().sum(1).argmin().item()
        near = torch.exp(-(centres - centres[cell]).square().sum(1) / (2 * 0.4**2))
        scores[:, kind] = torch.maximum(scores[:, kind], near)
        cells.append(cell)
        sizes = map(math.log, (length, width, height))
        boxes.append([*(-apart[cell]).tolist(), *sizes, math.cos(2 * angle), math.sin(2 * angle), float(kind == 0)])
    return scores, torch.tensor(cells), torch.tensor(boxes)


def loss_of(output: torch.Tensor, targets: list) -> torch.Tensor:
    """CenterNet's: focal for the scores, and L1 for the boxes; the angle of a round solid does not count."""
    total = 0.0
    for found, (scores, cells, boxes) in zip(output, targets):
        logits = found[:, :3]
        p = logits.sigmoid()
        empty = (1 - scores) ** 4 * p**2 * F.softplus(logits)
        focal = torch.where(scores == 1, (1 - p) ** 2 * F.softplus(-logits), empty).sum()
        wrong = (found[cells, 3:10] - boxes[:, :7]).abs()
        total = total + (focal + wrong[:, :5].sum() + (wrong[:, 5:].sum(1) * boxes[:, 7]).sum() * 0.5) / len(cells)
    return total / len(targets)


def make_scenes(chance: random.Random, count: int, finer: int = 1) -> tuple:
    """(pictures [N, cameras, 3, H, W], solids)"""
    solids = [scene.make_solids(chance) for _ in range(count)]
    return torch.stack([scene.render(each, chance, finer) for each in solids]), solids


def train(model: Detector, steps: int, rate: float = 3e-3) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.15)
    chance, losses, start = random.Random(1), [], time.perf_counter()
    model.train()
    for step in range(1, steps + 1):
        pictures, solids = make_scenes(chance, BATCH)
        loss = loss_of(model(pictures), [make_target(each) for each in solids])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 2.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        if step % 50 == 0 or step == steps:
            recent = losses[-20:]
            seconds = time.perf_counter() - start
            print(f"step {step:4}  loss {sum(recent) / len(recent):6.3f}  {seconds:4.0f} s", flush=True)


@torch.no_grad()
def run(model: Detector, pictures: torch.Tensor) -> torch.Tensor:
    return torch.cat([model.eval()(some) for some in pictures.split(8)])


def read(output: torch.Tensor, least: float = 0.3) -> list:
    """For each scene the solids that were found, as scene.py has them: the largest scores among their neighbours."""
    scores, kinds = output[..., :3].sigmoid().max(-1)
    grid = scores.view(-1, 1, CELLS, CELLS)
    peaks = ((grid == F.max_pool2d(grid, 3, 1, 1)) & (grid >= least)).flatten(1)
    centres, scenes = cell_centres(), []
    for number, peak in enumerate(peaks):
        cells, boxes = peak.nonzero().flatten(), output[number, peak, 3:]
        found = zip(kinds[number, cells].tolist(), (centres[cells] + boxes[:, :2]).tolist(), boxes[:, 2:].tolist())
        scenes.append(
            [
                (kind, x, y, *map(math.exp, sizes), math.atan2(sine, cosine) / 2 * (kind == 0))
                for kind, (x, y), (*sizes, cosine, sine) in found
            ]
        )
    return scenes


def evaluate(found: list, truth: list, near: float = 0.5) -> tuple:
    """The mean distance from a solid to the nearest box of its kind, at most MISSED; and recall and precision, where
    a box counts that is nearer than half a metre to a solid of its kind that no other box has."""
    errors, hits = [], 0
    for boxes, solids in zip(found, truth):
        left = list(boxes)
        for kind, x, y, *_ in solids:
            apart = [(math.hypot(x - box[1], y - box[2]), box) for box in boxes if box[0] == kind]
            errors.append(min([MISSED, *(distance for distance, _ in apart)]))
            free = [pair for pair in apart if pair[1] in left and pair[0] < near]
            if free:
                left.remove(min(free)[1])
                hits += 1
    return sum(errors) / len(errors), hits / len(errors), hits / max(1, sum(map(len, found)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--steps", type=int, default=400, help="400 take about three minutes")
    parser.add_argument("--threads", type=int, default=1, help="for so small a network more are hardly quicker")
    parser.add_argument("--output", default="birdseye.png", help="where the picture goes")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    pictures, truth = make_scenes(random.Random(2), UNSEEN)
    targets = [make_target(solids) for solids in truth]
    model = Detector()
    print(f"{sum(parameter.numel() for parameter in model.parameters())} parameters")
    before = run(model, pictures)
    train(model, arguments.steps)
    after = run(model, pictures)
    was, now = (loss_of(output, targets).item() for output in (before, after))
    print(f"loss  {was:.3f} before, {now:.3f} after, on {UNSEEN} unseen scenes")
    measures = [evaluate(boxes, truth) for boxes in (read(before), read(after), truth[1:] + truth[:1])]
    for name, unit, *values in zip(("error", "recall", "precision"), (" m", "", ""), *measures):
        first, last, blind = (f"{value:.3f}{unit}" for value in values)
        print(f"{name}  {first} before, {last} after; {blind} with the solids of another scene")
    # The same random numbers again draw the same scenes, finer.
    shown, _ = make_scenes(random.Random(3), 2, scene.FINE)
    coarse, solids = make_scenes(random.Random(3), 2)
    scene.draw_picture(list(zip(shown, solids, read(run(model, coarse)))), arguments.output)
    print(f"Two other unseen scenes, and the boxes found in them: {arguments.output}")
    return 0 if now < was else 1


if __name__ == "__main__":
    sys.exit(main())
