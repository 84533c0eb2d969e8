#!/usr/bin/env python3
"""Trains a small RT-DETR of transformers, whose decoder runs on dcnv4's multi-scale deformable attention, to detect
shapes that the script draws, on the CPU, and draws the boxes that it finds in unseen images.

    python3 examples/detect/detect.py [--steps 500] [--output detect.png]
"""

import argparse
import random
import sys
import time

import dcnv4
import torch
from transformers import RTDetrConfig, RTDetrForObjectDetection, RTDetrResNetConfig

import shapes

BATCH, UNSEEN, RATE = 16, 64, 2e-3


def make_model() -> RTDetrForObjectDetection:
    """From a config, with random weights; RTDetrForObjectDetection.from_pretrained(…) would read a checkpoint."""
    backbone = RTDetrResNetConfig(
        embedding_size=16, hidden_sizes=[16, 32, 48, 64], depths=[1, 1, 1, 1], layer_type="basic", out_indices=[2, 3, 4]
    )
    config = RTDetrConfig(
        backbone_config=backbone, freeze_backbone_batch_norms=False, encoder_in_channels=[32, 48, 64],
        encoder_hidden_dim=64, encoder_ffn_dim=128, encoder_attention_heads=4, hidden_expansion=0.5, d_model=64,
        decoder_in_channels=[64, 64, 64], decoder_ffn_dim=128, decoder_attention_heads=4, decoder_layers=2,
        num_queries=20, num_denoising=20, num_labels=len(shapes.NAMES),
    )  # fmt: skip
    return RTDetrForObjectDetection(config)


def batch(chance: random.Random, count: int) -> tuple:
    """(images, pixel_values, labels)"""
    images, *rest = zip(*(shapes.draw_image(chance) for _ in range(count)))
    return images, torch.stack([shapes.to_tensor(i) for i in images]), [shapes.to_target(*one) for one in zip(*rest)]


def train(model, steps: int, rate: float) -> list:
    """Returns the loss of each step."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.1)
    chance, losses, start = random.Random(1), [], time.perf_counter()
    model.train()
    for step in range(1, steps + 1):
        _, pixel_values, labels = batch(chance, BATCH)
        loss = model(pixel_values=pixel_values, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        if step % 50 == 0 or step == steps:
            recent = losses[-20:]
            seconds = time.perf_counter() - start
            print(f"step {step:4}  loss {sum(recent) / len(recent):6.3f}  {seconds:4.0f} s", flush=True)
    return losses


@torch.no_grad()
def detect(model, pixel_values, least: float = 0.3) -> list:
    """For each image a list of (label, score, box in pixels)."""
    outputs = model.eval()(pixel_values=pixel_values)
    scores, labels = outputs.logits.sigmoid().max(-1)
    centres, sizes = outputs.pred_boxes[..., :2], outputs.pred_boxes[..., 2:]
    boxes = torch.cat((centres - sizes / 2, centres + sizes / 2), -1) * shapes.SIZE
    rows = zip(labels.tolist(), scores.tolist(), boxes.tolist())
    return [best_of_overlapping(found for found in zip(*row) if found[1] >= least) for row in rows]


def best_of_overlapping(detections) -> list:
    """A trained DETR has one box for a shape; after minutes of training there are often several."""
    kept = []
    for one in sorted(detections, key=lambda found: -found[1]):
        if all(overlap(one[2], other[2]) < 0.5 for other in kept):
            kept.append(one)
    return kept


def overlap(one, other) -> float:
    """Area of the intersection over that of the union."""
    width, height = (max(0.0, min(one[i + 2], other[i + 2]) - max(one[i], other[i])) for i in (0, 1))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return width * height / (sum(areas) - width * height)


def count_found(found: list, truth: list) -> tuple:
    """(shapes with a detection of their kind that overlaps by half, shapes, detections)"""
    hits = total = 0
    for detections, target in zip(found, truth):
        for label, (x, y, w, h) in zip(target["class_labels"].tolist(), (target["boxes"] * shapes.SIZE).tolist()):
            box = (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
            hits += any(label == kind and overlap(box, other) >= 0.5 for kind, _, other in detections)
            total += 1
    return hits, total, sum(map(len, found))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--steps", type=int, default=500, help="500 take about three minutes")
    parser.add_argument("--threads", type=int, default=1, help="for so small a network more are hardly quicker")
    parser.add_argument("--output", default="detect.png", help="where the picture goes")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    model = make_model()
    print(dcnv4.integrations.use(model))
    print(f"{sum(parameter.numel() for parameter in model.parameters())} parameters")

    losses = train(model, arguments.steps, RATE)
    images, pixel_values, truth = batch(random.Random(2), UNSEEN)
    found = detect(model, pixel_values)
    few = max(1, min(20, len(losses) // 4))
    first, last = sum(losses[:few]) / few, sum(losses[-few:]) / few
    print(f"loss  {first:.3f} before, {last:.3f} after")
    hits, total, detections = count_found(found, truth)
    print(f"{hits} of {total} shapes in {UNSEEN} unseen images found, with {detections} boxes")
    shapes.draw_picture(images[:8], found[:8], arguments.output)
    print(f"The boxes in eight of them: {arguments.output}")
    return 0 if last < first else 1


if __name__ == "__main__":
    sys.exit(main())
