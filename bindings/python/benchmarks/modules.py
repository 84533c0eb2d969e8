#!/usr/bin/env python3
"""Times the DCNv4 module, projections included, against the same module on grid_sample (dcnv4.reference), and a call of
dcnv4.functional.dcnv4 against the library's own call that it makes. Prints Markdown. With --calls only the calls, on
a device; on a GPU that is what a call takes on the host.

    python3 bindings/python/benchmarks/modules.py [--threads N] [--runs 9]
    python3 bindings/python/benchmarks/modules.py --calls cuda
"""

import argparse
import functools
import statistics
import time

import dcnv4
import torch
from dcnv4 import _library, _runtime, functional, reference

SHAPES = [(1, 64, 64, 4), (8, 64, 64, 4), (1, 56, 128, 8), (8, 56, 128, 8)]  # batch, H = W, channels, group


def seconds(run) -> float:
    """CPU time with one thread, which other work on the machine hardly changes; wall-clock time with more."""
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    start = clock()
    run()
    return clock() - start


def alternate(candidates: list, runs: int) -> list:
    """The median time of each, measured in turn, so that other work on the machine affects all of them."""
    for run in candidates:
        run()
    times = [[] for _ in candidates]
    for _ in range(runs):
        for run, found in zip(candidates, times):
            found.append(seconds(run))
    return [statistics.median(found) for found in times]


def modules(batch: int, size: int, channels: int, group: int, runs: int) -> None:
    """Offsets are normal with a deviation of one pixel."""
    layer = dcnv4.DCNv4(channels, group=group)
    torch.nn.init.normal_(layer.offset_mask.weight, std=channels**-0.5)
    x = torch.randn(batch, size * size, channels, requires_grad=True)
    grad_output = torch.randn(batch, size * size, channels)

    def forward(operator):
        layer.operator = operator
        with torch.no_grad():
            return layer(x)

    def step(operator):
        layer.operator = operator
        layer.zero_grad()
        x.grad = None
        layer(x).backward(grad_output)
        return x.grad

    shape = f"{batch}×{size}×{size} · {group}×{channels // group}"
    for name, run in (("forward", forward), ("training step", step)):
        # A few gradients differ: of points that rounding puts on the other side of a row of pixels.
        expected = run(reference.dcnv4)
        error = ((run(functional.dcnv4) - expected).norm() / expected.norm()).item()
        if not error <= 1e-2:
            raise SystemExit(f"{shape}, {name}: the results differ by {error:.1e} of their norm")
        ours, theirs = alternate(
            [functools.partial(run, functional.dcnv4), functools.partial(run, reference.dcnv4)], runs
        )
        print(f"| {shape} | {name} | {1e3 * ours:.2f} | {1e3 * theirs:.1f} | {theirs / ours:.1f} |", flush=True)


def call_overhead(device: str) -> None:
    """On one pixel, so that the kernel takes almost no time: the least of many short runs, in µs."""
    value, offset_mask = torch.randn(1, 1, 1, 16, device=device), torch.randn(1, 1, 1, 112, device=device)
    output = functional.dcnv4(value, offset_mask)
    made = next(reversed(_runtime._plans.values()))
    buffers = made.plan.buffers()
    for tensor, data in enumerate((value, offset_mask, output)):
        buffers[_library.handle_of(tensor)] = data.data_ptr()
    with_gradient = value.clone().requires_grad_()
    stream = torch.cuda.current_stream().cuda_stream if device != "cpu" else None
    candidates = {
        "the library through ctypes": lambda: _library.DEFORM_CONV.forward(made.address, buffers, stream),
        "dcnv4.functional.dcnv4": lambda: functional.dcnv4(value, offset_mask),
        "the same, recording for backward": lambda: functional.dcnv4(with_gradient, offset_mask),
    }
    least = dict.fromkeys(candidates, float("inf"))
    for _ in range(300):
        for name, run in candidates.items():
            least[name] = min(least[name], seconds(lambda: [run() for _ in range(50)]) / 50)  # noqa: B023
            if device != "cpu":
                torch.cuda.synchronize()  # so that no call waits for room in the queue
    print(f"\n| one call on one pixel, {device} | µs of the host |\n|---|---:|")
    for name, time_of_one in least.items():
        print(f"| {name} | {1e6 * time_of_one:.1f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--calls", metavar="DEVICE", help="only the calls, on cpu or cuda")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    if arguments.calls:
        return call_overhead(arguments.calls)
    print(f"PyTorch {torch.__version__}, {arguments.threads} threads, medians of {arguments.runs}\n")
    print("| N×H×W · G×D | | DCNv4 ms | grid_sample ms | ratio |\n|---|---|---:|---:|---:|")
    for shape in SHAPES:
        modules(*shape, arguments.runs)
    torch.set_num_threads(1)
    call_overhead("cpu")


if __name__ == "__main__":
    main()
