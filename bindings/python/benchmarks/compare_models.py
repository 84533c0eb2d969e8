#!/usr/bin/env python3
"""Times models of transformers before and after dcnv4.integrations.use, in turn in one run, with random weights,
float32, on the CPU. Prints Markdown: the shortest times, their ratio, the largest memory that a run adds to the
process's, and the normwise difference of the results.

    python3 bindings/python/benchmarks/compare_models.py [--size 800 1066] [--threads 1 2] [--runs 5] [MODEL…]
"""

import argparse
import time

import torch
import transformers
from dcnv4 import integrations


def deformable_detr(height: int, width: int) -> tuple:
    """With ResNet-50."""
    backbone = transformers.ResNetConfig(out_indices=[2, 3, 4])
    model = transformers.DeformableDetrForObjectDetection(transformers.DeformableDetrConfig(backbone_config=backbone))
    return model, (torch.randn(1, 3, height, width),)


def mask2former_pixel_decoder(height: int, width: int) -> tuple:
    """On random maps in place of its Swin-T's."""
    model = transformers.Mask2FormerModel(transformers.Mask2FormerConfig()).pixel_level_module
    sizes = zip(model.encoder.channels, (4, 8, 16, 32))
    maps = [torch.randn(1, count, -(-height // stride), -(-width // stride)) for count, stride in sizes]
    return model.decoder, (maps,)


def rt_detr(height: int, width: int) -> tuple:
    """With ResNet-50, and 640×640 images, whatever the size given."""
    return transformers.RTDetrForObjectDetection(transformers.RTDetrConfig()), (torch.randn(1, 3, 640, 640),)


MODELS = {each.__name__: each for each in (deformable_detr, mask2former_pixel_decoder, rt_detr)}


def spread(model) -> None:
    """Offsets of about a place, as trained models have: initially some are 0, and all queries look alike."""
    for name, parameter in model.named_parameters():
        if "sampling_offsets.weight" in name:
            torch.nn.init.normal_(parameter, std=parameter.shape[1] ** -0.5)


def resident(peak: bool) -> float:
    """MiB of the process now, or at most since reset."""
    key = "VmHWM:" if peak else "VmRSS:"
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith(key))


def measure(model, inputs) -> tuple:
    """(milliseconds, MiB, outputs)"""
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # resets the peak
    memory = resident(False)
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    start = clock()
    outputs = model(*inputs)
    taken = clock() - start
    return 1e3 * taken, resident(True) - memory, outputs


def tensors(outputs) -> list:
    if isinstance(outputs, torch.Tensor):
        return [outputs]
    if isinstance(outputs, dict):
        outputs = list(outputs.values())
    return [found for each in outputs for found in tensors(each)] if isinstance(outputs, (list, tuple)) else []


def apart(ours, theirs) -> float:
    pairs = [(a, b) for a, b in zip(tensors(ours), tensors(theirs)) if a.is_floating_point()]
    return max(((a - b).norm() / b.norm()).item() for a, b in pairs)


def row_of(name: str, size, threads: int, runs: int) -> None:
    torch.manual_seed(0)
    torch.set_num_threads(threads)
    model, inputs = MODELS[name](*size)
    spread(model.eval())
    found = {"before": [], "after": []}
    for _ in range(runs + 1):  # the first warms up
        integrations.restore(model)
        found["before"].append(measure(model, inputs))
        integrations.use(model)
        found["after"].append(measure(model, inputs))
    difference = apart(found["after"][-1][2], found["before"][-1][2])
    (before, old), (after, new) = ([min(r[k] for r in found[w][1:]) for k in (0, 1)] for w in ("before", "after"))
    print(
        f"| {name} | {threads} | {before:.0f} | {after:.0f} | {before / after:.2f} | {old:.0f} | {new:.0f} | "
        f"{difference:.1e} |",
        flush=True,
    )


@torch.no_grad()
def main(arguments=None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"all if left out: {', '.join(MODELS)}")
    parser.add_argument("--size", nargs=2, type=int, default=(800, 1066), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--runs", type=int, default=5, help="of each; 5 if left out")
    options = parser.parse_args(arguments)
    unknown = set(options.models) - set(MODELS)
    if unknown:
        parser.error(f"{unknown.pop()} is not among {', '.join(MODELS)}")
    print("| model | threads | before ms | after ms | ratio | before MiB | after MiB | apart |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for name in options.models or MODELS:
        for threads in options.threads:
            row_of(name, options.size, threads, options.runs)


if __name__ == "__main__":
    main()
