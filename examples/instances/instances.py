#!/usr/bin/env python3
"""Trains torchvision's Mask R-CNN on a small FlashInternImage to find the shapes in images that examples/detect
draws, and the pixels of each, on the CPU. Prints the average precision in unseen images, as COCO counts it, and draws
boxes and masks.

    python3 examples/instances/instances.py [--steps 200] [--output instances.png]
"""

import argparse
import contextlib
import io
import pathlib
import random
import sys
import time

import numpy
import torch
from dcnv4.models import FlashInternImage, Variant
from dcnv4.models.torchvision import STAGES, stages
from pycocotools import mask as coco_masks
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "detect"))
import shapes  # noqa: E402

SMALL = Variant(channels=16, depths=(1, 1, 2, 1), drop_path_rate=0.0)
BATCH, UNSEEN, CHANNELS, CLASSES = 8, 64, 64, len(shapes.NAMES) + 1  # torchvision's class 0 is the background


def make_model() -> MaskRCNN:
    """torchvision's, with fewer channels and smaller anchors than for photographs."""
    backbone = FlashInternImage(SMALL, features_only=True)
    pyramid = BackboneWithFPN(stages(backbone), STAGES, backbone.channels, CHANNELS)
    return MaskRCNN(
        pyramid, min_size=shapes.SIZE, max_size=shapes.SIZE, image_mean=[0.0] * 3, image_std=[1.0] * 3,
        rpn_anchor_generator=AnchorGenerator([[12], [18], [27], [40], [60]], [[1.0]] * 5),
        rpn_pre_nms_top_n_train=200, rpn_post_nms_top_n_train=50, rpn_pre_nms_top_n_test=100,
        rpn_post_nms_top_n_test=20, box_batch_size_per_image=24, box_detections_per_img=10,
        box_head=TwoMLPHead(CHANNELS * 7 * 7, 128), box_predictor=FastRCNNPredictor(128, CLASSES),
        mask_head=MaskRCNNHeads(CHANNELS, (CHANNELS, CHANNELS), 1),
        mask_predictor=MaskRCNNPredictor(CHANNELS, CHANNELS, CLASSES),
    )  # fmt: skip


def batch(chance: random.Random, count: int) -> tuple:
    """(images, tensors, targets as torchvision takes them)"""
    images, tensors, targets = [], [], []
    for _ in range(count):
        image, labels, boxes = shapes.draw_image(chance)
        images.append(image)
        tensors.append(shapes.to_tensor(image))
        masks = torch.stack([shapes.to_mask(label, box) for label, box in zip(labels, boxes)])
        targets.append({"boxes": torch.tensor(boxes), "labels": torch.tensor(labels) + 1, "masks": masks})
    return images, tensors, targets


def train(model: MaskRCNN, steps: int, rate: float = 2e-3) -> list:
    """Returns the loss of each step: the sum of torchvision's five."""
    optimizer = torch.optim.AdamW(model.parameters(), rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.15)
    chance, losses, start = random.Random(1), [], time.perf_counter()
    model.train()
    for step in range(1, steps + 1):
        _, tensors, targets = batch(chance, BATCH)
        loss = sum(model(tensors, targets).values())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 2.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        if step % 50 == 0 or step == steps:
            recent = losses[-20:]
            seconds = time.perf_counter() - start
            print(f"step {step:4}  loss {sum(recent) / len(recent):6.3f}  {seconds:4.0f} s", flush=True)
    return losses


@torch.no_grad()
def detect(model: MaskRCNN, tensors: list) -> list:
    """torchvision's dictionaries of boxes, labels, scores and masks [K, 1, H, W], from 0 to 1."""
    model.eval()
    return [found for first in range(0, len(tensors), BATCH) for found in model(tensors[first : first + BATCH])]


def annotations(found: list, threshold: float) -> list:
    """A list of COCO's dictionaries."""
    rows = []
    for image, each in enumerate(found):
        scores = each.get("scores", torch.ones(len(each["labels"])))
        masks = (each["masks"].view(-1, shapes.SIZE, shapes.SIZE) >= threshold).byte().numpy()
        for label, score, (left, top, right, bottom), mask in zip(
            each["labels"].tolist(), scores.tolist(), each["boxes"].tolist(), masks
        ):
            rows.append(
                {
                    "id": len(rows) + 1, "image_id": image, "category_id": label, "score": score, "iscrowd": 0,
                    "bbox": [left, top, right - left, bottom - top], "area": int(mask.sum()),
                    "segmentation": coco_masks.encode(numpy.asfortranarray(mask)),
                }  # fmt: skip
            )
    return rows


def average_precision(found: list, targets: list, kind: str) -> float:
    """COCO's AP at an overlap of one half, of "bbox" or "segm"."""
    truth = COCO()
    truth.dataset = {
        "info": {},
        "images": [{"id": image, "width": shapes.SIZE, "height": shapes.SIZE} for image in range(len(targets))],
        "categories": [{"id": label + 1, "name": name} for label, name in enumerate(shapes.NAMES)],
        "annotations": annotations(targets, 1),
    }  # fmt: skip
    results = annotations(found, 0.5)
    if not results:
        return 0.0
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints tables
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(results), kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[1])


def for_picture(found: dict, least: float = 0.5) -> list:
    """(label, score, box, mask) of each that is likely enough."""
    rows = zip(found["labels"].tolist(), found["scores"].tolist(), found["boxes"].tolist(), found["masks"][:, 0])
    return [(label - 1, score, box, (mask >= 0.5).float()) for label, score, box, mask in rows if score >= least]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--steps", type=int, default=200, help="200 take about two minutes")
    parser.add_argument("--threads", type=int, default=1, help="for so small a network more are hardly quicker")
    parser.add_argument("--output", default="instances.png", help="where the picture goes")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    images, tensors, targets = batch(random.Random(2), UNSEEN)
    model = make_model()
    print(f"{sum(parameter.numel() for parameter in model.parameters())} parameters")
    before = detect(model, tensors)
    losses = train(model, arguments.steps)
    few = max(1, min(20, len(losses) // 4))
    print(f"loss  {sum(losses[:few]) / few:.3f} before, {sum(losses[-few:]) / few:.3f} after")
    after = detect(model, tensors)
    rose = []
    for kind, name in (("bbox", "boxes"), ("segm", "masks")):
        was, now = (average_precision(found, targets, kind) for found in (before, after))
        print(f"AP of {name}  {was:.3f} before, {now:.3f} after, at an overlap of 0.5 in {UNSEEN} unseen images")
        rose.append(now > was)
    shapes.draw_picture(images[:8], [for_picture(found) for found in after[:8]], arguments.output)
    print(f"Boxes and masks in eight of them: {arguments.output}")
    return 0 if all(rose) else 1


if __name__ == "__main__":
    sys.exit(main())
