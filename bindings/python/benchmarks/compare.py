#!/usr/bin/env python3
"""Times the operator against another implementation: the same problems on the same device, in turn in one run, and compares
the results. Prints Markdown.

    dcnv4 bench --list --preset paper,detection --dtype f16 --format json > problems.json
    python3 bindings/python/benchmarks/compare.py problems.json…                     # grid_sample, on the CPU
    python3 bindings/python/benchmarks/compare.py --original FOLDER problems.json…   # the original, on a GPU

Without FOLDER the other is dcnv4.reference, what PyTorch can do by itself. FOLDER is a checkout of the original, or of a fork
that registers torch.ops.dcnv4_C, with the extension built in place (python3 setup.py build_ext --inplace); it launches with
its own tuned table. Times on the CPU are the processor's with one thread, and the clock's with more. On a GPU they are those
of a call without its host code: many calls are captured in a graph, and the graph is replayed.
"""

import argparse
import importlib.util
import json
import math
import pathlib
import runpy
import statistics
import time

import torch
from dcnv4 import _runtime, reference
from dcnv4._deform_conv import deform_conv

DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}
CALLS = 20  # in a graph: enough that a replay's own cost does not matter
SAMPLE = 5e-3  # seconds on the CPU, at least


def largest_divisor(number: int, most: float) -> int:
    return max(d for d in range(1, min(64, number) + 1) if number % d == 0 and (d <= most or d == 1))


def kernel_of(problem: dict) -> tuple:
    """The kernel's size, and the padding that keeps the image's size."""
    return tuple(problem["kernel"]), tuple(k // 2 for k in problem["kernel"])


class Ours:
    """An implementation: forward and backward return the timed functions, without arguments, which return a tuple."""

    @staticmethod
    def layer(problem: dict) -> tuple:
        kernel, padding = kernel_of(problem)
        return kernel, 1, padding, 1, problem["groups"], 1.0, False, False

    def forward(self, problem, value, offset_mask):
        layer = self.layer(problem)
        return lambda: (_runtime.forward(deform_conv, (value, offset_mask), layer),)

    def backward(self, problem, value, offset_mask, grad_output):
        layer = self.layer(problem)
        return lambda: _runtime.backward(deform_conv, grad_output, (value, offset_mask), layer)


class GridSample:
    @staticmethod
    def output(problem, value, offset_mask):
        kernel, padding = kernel_of(problem)
        return reference.dcnv4(value, offset_mask, kernel_size=kernel, padding=padding, group=problem["groups"])

    def forward(self, problem, value, offset_mask):
        return lambda: (self.output(problem, value, offset_mask),)

    def backward(self, problem, value, offset_mask, grad_output):
        inputs = tuple(tensor.detach().requires_grad_() for tensor in (value, offset_mask))
        with torch.enable_grad():
            output = self.output(problem, *inputs)
        return lambda: torch.autograd.grad(output, inputs, grad_output, retain_graph=True)


class Original:
    """The extension's two functions, and its launch parameters."""

    def __init__(self, folder: pathlib.Path):
        found = sorted(folder.rglob("dcnv4_C*.so")) + sorted(folder.rglob("ext*.so"))
        if not found:
            raise SystemExit(f"{folder}: there is no ext*.so and no dcnv4_C*.so; build it in place")
        if found[0].name.startswith("dcnv4_C"):
            torch.ops.load_library(str(found[0]))
            extension = torch.ops.dcnv4_C
        else:
            spec = importlib.util.spec_from_file_location("ext", found[0])
            extension = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(extension)
        self.run_forward, self.run_backward = extension.dcnv4_forward, extension.dcnv4_backward
        tables = runpy.run_path(str(next(folder.rglob("functions/table.py"))))
        self.tables = (tables["TABLE"], tables["BWDTABLE"])

    def launch(self, problem: dict, backward: bool) -> tuple:
        """Channels per thread and threads per block: from its table, or as it computes them for other shapes."""
        batch, height, width = problem["size"]
        groups, depth = problem["groups"], problem["group_channels"]
        known = self.tables[backward].get(f"{batch}x{height}x{width}x{groups}x{depth}")
        if known:
            return known[0], known[1]
        stride = (2 if depth >= 64 else 1) if backward else 8
        if depth % stride:  # the extension would end the process
            raise RuntimeError(f"the original takes multiples of {stride} channels a group, and these are {depth}")
        threads = groups * depth // stride
        return stride, threads * largest_divisor(batch * height * width, (256 if backward else 512) // threads)

    @staticmethod
    def layer(problem: dict) -> tuple:
        kernel, padding = kernel_of(problem)
        return *kernel, 1, 1, *padding, 1, 1, problem["groups"], problem["group_channels"], 1.0, 256

    def forward(self, problem, value, offset_mask):
        arguments = (value, offset_mask, *self.layer(problem), 0, *self.launch(problem, False), False)
        return lambda: (self.run_forward(*arguments),)

    def backward(self, problem, value, offset_mask, grad_output):
        launch = self.launch(problem, True)
        arguments = (value, offset_mask, *self.layer(problem), grad_output, 0, *launch, False)
        return lambda: self.run_backward(*arguments)


def tensors(problem: dict, device: str) -> tuple:
    """value, offset_mask, whose offsets are normal with a deviation of one pixel, and grad_output."""
    batch, height, width = problem["size"]
    channels = problem["groups"] * problem["group_channels"]
    row = (3 * math.prod(problem["kernel"]) * problem["groups"] + 7) // 8 * 8
    made = [torch.randn(batch, height, width, size, device=device) for size in (channels, row, channels)]
    return tuple(tensor.to(DTYPES[problem["dtype"]]) for tensor in made)


def timer(run, device: str):
    """A function that makes a call, or several, and returns the milliseconds of one."""
    if device == "cpu":
        clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter

        def timed():
            run()  # warms up the caches, which the other implementation used last
            calls, start = 0, clock()
            while (taken := clock() - start) < SAMPLE:
                run()
                calls += 1
            return 1e3 * taken / calls

        return timed
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(CALLS):
            run()
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))

    def replayed():
        start.record()
        graph.replay()
        end.record()
        end.synchronize()
        return start.elapsed_time(end) / CALLS

    return replayed


def apart(ours, theirs) -> float:
    """The largest normwise difference of the results."""
    return max(((a.float() - b.float()).norm() / b.float().norm()).item() for a, b in zip(ours, theirs))


def compare(candidates: list, device: str, runs: int) -> tuple:
    """The median milliseconds of each, and the difference of the results."""
    results = [run() for run in candidates]  # also compiles the kernels
    timers = [timer(run, device) for run in candidates]
    times = [[] for _ in candidates]
    for _ in range(runs):
        for timed, found in zip(timers, times):
            found.append(timed())
    return [statistics.median(found) for found in times], apart(*results)


def row_of(problem: dict, pass_: str, other, device: str, runs: int):
    """Prints one row; the other's time over ours, or None if there is none."""
    value, offset_mask, grad_output = tensors(problem, device)
    arguments = (problem, value, offset_mask) + ((grad_output,) if pass_ == "backward" else ())
    size, dtype = "×".join(map(str, problem["size"])), problem["dtype"]
    row = f"| {size} · {problem['groups']}×{problem['group_channels']} | {dtype} | {pass_} |"
    try:
        candidates = [getattr(operator, pass_)(*arguments) for operator in (Ours(), other)]
        (ours, theirs), difference = compare(candidates, device, runs)
    except RuntimeError as error:
        print(f"{row} | | | {str(error).splitlines()[0]} |", flush=True)
        return None
    print(f"{row} {1e3 * ours:.1f} | {1e3 * theirs:.1f} | {theirs / ours:.2f} | {difference:.1e} |", flush=True)
    return theirs / ours


def main(arguments=None, other=None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("problems", nargs="+", type=pathlib.Path, help="what dcnv4 bench --list --format json printed")
    parser.add_argument("--original", type=pathlib.Path, metavar="FOLDER")
    parser.add_argument("--device", help="of PyTorch; cpu if left out, cuda with --original")
    parser.add_argument("--threads", type=int, default=1, help="of the CPU; 1 if left out")
    parser.add_argument("--runs", type=int, default=15, help="samples of each; 15 if left out")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    torch.set_grad_enabled(False)
    other = other or (Original(options.original) if options.original else GridSample())
    device = options.device or ("cuda" if options.original else "cpu")
    problems = [problem for path in options.problems for problem in json.loads(path.read_text())["problems"]]
    print("| N×H×W · G×D | dtype | pass | ours µs | theirs µs | ratio | apart |\n|---|---|---|---:|---:|---:|---:|")
    ratios: dict = {}
    for problem in problems:
        for pass_ in ("forward", "backward"):
            ratio = row_of(problem, pass_, other, device, options.runs)
            if ratio is not None:
                ratios.setdefault((problem["dtype"], pass_), []).append(ratio)
    print()
    for (dtype, pass_), found in ratios.items():
        mean = statistics.geometric_mean(found)
        print(f"- {dtype}, {pass_}: {mean:.2f} times as fast, {min(found):.2f} to {max(found):.2f}")


if __name__ == "__main__":
    main()
