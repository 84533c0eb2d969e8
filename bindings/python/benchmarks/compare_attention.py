#!/usr/bin/env python3
"""Times multi-scale deformable attention against the class of transformers that runs where no kernel is installed: the same
inputs on the CPU, in turn in one run, and compares the results. Prints Markdown. Needs transformers.

    python3 bindings/python/benchmarks/compare_attention.py [--threads 2]

Times are the processor's with one thread, and the clock's with more; of each, the least. Backward is forward and backward.
"""

import argparse
import time

import torch
from dcnv4 import functional
from transformers.models.deformable_detr.modeling_deformable_detr import MultiScaleDeformableAttention

# Levels, queries (None: one at each place) and points of a level, with 8 heads of 32 channels.
DETR = ((100, 134), (50, 67), (25, 34), (13, 17))
CASES = {
    "Deformable DETR encoder": (DETR, None, 4),
    "Deformable DETR decoder": (DETR, 300, 4),
    "RT-DETR decoder": (((80, 80), (40, 40), (20, 20)), 300, 4),
}
HEADS, DEPTH = 8, 32


def centres(levels: tuple) -> torch.Tensor:
    """[S, 2]: the normalised (x, y) of each place."""
    found = []
    for height, width in levels:
        y, x = torch.meshgrid((torch.arange(height) + 0.5) / height, (torch.arange(width) + 0.5) / width, indexing="ij")
        found.append(torch.stack((x, y), -1).reshape(-1, 2))
    return torch.cat(found)


def inputs(levels: tuple, queries: "int | None", points: int) -> tuple:
    """value, locations and weights of one image. Offsets are normal, with a deviation of two places."""
    reference = centres(levels) if queries is None else torch.rand(queries, 2)
    count, places = len(reference), sum(height * width for height, width in levels)
    sizes = torch.tensor([(width, height) for height, width in levels], dtype=torch.float32)
    offsets = 2 * torch.randn(1, count, HEADS, len(levels), points, 2)
    locations = reference[None, :, None, None, None] + offsets / sizes[:, None]
    weights = torch.rand(1, count, HEADS, len(levels) * points).softmax(-1)
    return torch.randn(1, places, HEADS, DEPTH), locations, weights.view(1, count, HEADS, len(levels), points)


def candidates(levels: tuple) -> list:
    """Ours, and the other: from value, locations and weights to output."""
    theirs, shapes = MultiScaleDeformableAttention(), torch.tensor(levels)
    starts = torch.cat((shapes.new_zeros(1), shapes.prod(1).cumsum(0)[:-1]))
    return [
        lambda value, locations, weights: functional.ms_deform_attn(value, shapes, locations, weights),
        lambda value, locations, weights: theirs(value, shapes, list(levels), starts, locations, weights, 64),
    ]


def forward(operator, tensors: tuple, grad_output: torch.Tensor) -> tuple:
    with torch.no_grad():
        return (operator(*tensors),)


def backward(operator, tensors: tuple, grad_output: torch.Tensor) -> tuple:
    leaves = tuple(tensor.detach().requires_grad_() for tensor in tensors)
    return torch.autograd.grad(operator(*leaves), leaves, grad_output)


def milliseconds(run) -> float:
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    run()  # warms up the caches, which the other implementation used last
    start = clock()
    run()
    return 1e3 * (clock() - start)


def row_of(name: str, pass_, case: tuple, runs: int) -> None:
    tensors, operators = inputs(*case), candidates(case[0])
    grad_output = torch.randn(1, tensors[1].shape[1], HEADS * DEPTH)
    results = [pass_(operator, tensors, grad_output) for operator in operators]
    apart = max(((a - b).norm() / b.norm()).item() for a, b in zip(*results))
    times: list = [[], []]
    for _ in range(runs):
        for operator, found in zip(operators, times):
            found.append(milliseconds(lambda: pass_(operator, tensors, grad_output)))  # noqa: B023
    ours, theirs = map(min, times)
    print(f"| {name} | {pass_.__name__} | {ours:.2f} | {theirs:.1f} | {theirs / ours:.1f} | {apart:.1e} |", flush=True)


def main(arguments=None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1, help="1 if left out")
    parser.add_argument("--runs", type=int, default=7, help="calls of each; 7 if left out")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    print("| case | pass | ours ms | theirs ms | ratio | apart |\n|---|---|---:|---:|---:|---:|")
    for name, case in CASES.items():
        for pass_ in (forward, backward):
            row_of(name, pass_, case, options.runs)


if __name__ == "__main__":
    main()
