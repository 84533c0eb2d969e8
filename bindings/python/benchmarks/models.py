#!/usr/bin/env python3
"""Times FlashInternImage against the same network on grid_sample, and against timm's convnext_tiny where timm is installed: in
turn in one run, on the same pictures. Prints Markdown.

    python3 bindings/python/benchmarks/models.py [--device cuda] [--dtype float16] [--threads N] [--batches 1,8] [--step-batch 2]
                                                 [--runs 9]

With another dtype than float32, forward and loss run under autocast. A ratio is the median, over the runs, of our time over the other's in the same run: other work on the machine slows both. Times
on the CPU are the processor's with one thread, and the clock's otherwise. A training step is forward, cross entropy and
backward, with no stochastic depth. The grid_sample network is what PyTorch can do by itself: every linear layer by itself, and
the images of a layer copied to [N, C, H, W] for the sampling and back.
"""

import argparse
import functools
import statistics
import time

import torch
import torch.nn.functional as F
from dcnv4 import DCNv4, models


def grid_sample_dcnv4(value, offset_mask, kernel_size, stride, padding, dilation, group, offset_scale, *_):
    """DCNv4 of a 3×3 kernel with stride, padding and dilation 1, as a few calls of PyTorch."""
    batch, height, width, channels = value.shape
    blocks = offset_mask[..., : 27 * group].reshape(batch, height, width, group, 27)
    offsets = blocks[..., :18].reshape(batch, height, width, group, 9, 2) * offset_scale
    taps = torch.arange(3, device=value.device, dtype=value.dtype) - 1
    x = torch.arange(width, device=value.device, dtype=value.dtype).view(1, 1, width, 1, 1)
    y = torch.arange(height, device=value.device, dtype=value.dtype).view(1, height, 1, 1, 1)
    x = (x + offset_scale * taps.repeat_interleave(3) + offsets[..., 0] + 0.5) * (2 / width) - 1
    y = (y + offset_scale * taps.repeat(3) + offsets[..., 1] + 0.5) * (2 / height) - 1
    grid = torch.stack((x, y), -1).permute(0, 3, 1, 2, 4, 5).reshape(batch * group, height * width, 9, 2)
    images = value.permute(0, 3, 1, 2).reshape(batch * group, channels // group, height, width)
    sampled = F.grid_sample(images, grid, align_corners=False)  # [N·G, D, H·W, 9]
    weights = blocks[..., 18:].permute(0, 3, 1, 2, 4).reshape(batch * group, 1, height * width, 9)
    return (sampled * weights).sum(-1).view(batch, channels, height, width).permute(0, 2, 3, 1).contiguous()


def network(operator=None) -> torch.nn.Module:
    """FlashInternImage-T with offsets of about a pixel."""
    torch.manual_seed(0)
    model = models.flash_internimage_t(drop_path_rate=0.0)
    for layer in model.modules():
        if isinstance(layer, DCNv4):
            torch.nn.init.normal_(layer.offset_mask.weight, std=layer.channels**-0.5)
            layer.operator = operator or layer.operator
    return model


DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def mixed(device: str, dtype: torch.dtype):
    return torch.autocast(device, dtype, enabled=dtype != torch.float32)


def forward(model, pictures, _, dtype):
    model.eval()
    with torch.no_grad(), mixed(pictures.device.type, dtype):
        return model(pictures)


def step(model, pictures, targets, dtype):
    model.train()
    model.zero_grad()
    with mixed(pictures.device.type, dtype):
        loss = F.cross_entropy(model(pictures), targets)
    loss.backward()


def seconds(run, device: str) -> float:
    clock = time.process_time if device == "cpu" and torch.get_num_threads() == 1 else time.perf_counter
    start = clock()
    run()
    if device != "cpu":
        torch.cuda.synchronize()
    return clock() - start


def compare(candidates: dict, batch: int, size: int, training: bool, options) -> None:
    pictures = torch.randn(batch, 3, size, size, device=options.device)
    targets = torch.randint(0, 1000, (batch,), device=options.device)
    calls = [
        functools.partial(step if training else forward, model, pictures, targets, DTYPES[options.dtype])
        for model in candidates.values()
    ]
    for call in calls:
        call()
    rounds = [[seconds(call, options.device) for call in calls] for _ in range(options.runs)]
    for place, name in enumerate(candidates):
        times = [each[place] for each in rounds]
        ratio = statistics.median(each[0] / each[place] for each in rounds)
        what = "training step" if training else "forward"
        middle = statistics.median(times)
        print(
            f"| {what}, batch {batch} | {name} | {1e3 * middle:.0f} | {1e3 * min(times):.0f} | {batch / middle:.2f} | {ratio:.3f} |",
            flush=True,
        )


def convnext():
    try:
        import timm
    except ImportError:
        return None
    return timm.create_model("convnext_tiny")


def main(arguments=None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=list(DTYPES), default="float32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batches", default="1,8", help="of the forward pass (default 1,8; none if empty)")
    parser.add_argument("--step-batch", type=int, default=2, help="of the training step (default 2; none if 0)")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--against", choices=["all", "grid_sample", "convnext"], default="all")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    candidates = {"FlashInternImage-T": network()}
    if options.against != "convnext":
        candidates["the same on grid_sample"] = network(grid_sample_dcnv4)
    other = convnext() if options.against != "grid_sample" else None
    if other is not None:
        candidates["convnext_tiny"] = other
    elif options.against != "grid_sample":
        print("timm is not installed: without convnext_tiny\n")
    candidates = {name: model.to(options.device) for name, model in candidates.items()}
    where = f"{options.device}, {options.threads} threads, {options.dtype}, {options.size}×{options.size}"
    print(f"PyTorch {torch.__version__}, {where}\n")
    print("| | network | median ms | least ms | pictures/s | our time over its |\n|---|---|---:|---:|---:|---:|")
    for batch in filter(None, options.batches.split(",")):
        compare(candidates, int(batch), options.size, False, options)
    if options.step_batch:
        compare(candidates, options.step_batch, options.size, True, options)


if __name__ == "__main__":
    main()
