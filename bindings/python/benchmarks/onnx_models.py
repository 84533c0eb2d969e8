#!/usr/bin/env python3
"""Times FlashInternImage-T in ONNX Runtime: with the library, with the functions in the file instead, and beside timm's
convnext_tiny where timm is installed; in turn in one run, on the same picture. Prints Markdown.

    python3 bindings/python/benchmarks/onnx_models.py [--threads N] [--runs 9] [--size 224]

A ratio is the median, over the runs, of the other's time over ours in the same run. Times are the processor's with one thread, and
the clock's otherwise.
"""

import argparse
import pathlib
import statistics
import tempfile
import time

import dcnv4.onnx
import numpy
import onnxruntime
import torch
from dcnv4 import models


def session(path, threads: int, library: bool):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    if library:
        options.register_custom_ops_library(dcnv4.onnx.library())
        options.add_session_config_entry("dcnv4.threads", str(threads))
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def sessions(folder: pathlib.Path, size: int, threads: int) -> dict:
    picture = torch.randn(1, 3, size, size)
    ours, other = str(folder / "flash_internimage_t.onnx"), str(folder / "convnext_tiny.onnx")
    dcnv4.onnx.export(models.flash_internimage_t().eval(), (picture,), ours)
    made = {"with the library": session(ours, threads, True), "with functions": session(ours, threads, False)}
    try:
        import timm
    except ImportError:
        return made
    torch.onnx.export(timm.create_model("convnext_tiny").eval(), (picture,), other, dynamo=True, external_data=False)
    return {**made, "convnext_tiny": session(other, threads, False)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--size", type=int, default=224)
    given = parser.parse_args()
    clock = time.process_time if given.threads == 1 else time.perf_counter
    picture = numpy.random.default_rng(0).standard_normal((1, 3, given.size, given.size), dtype=numpy.float32)
    with tempfile.TemporaryDirectory() as folder:
        made = sessions(pathlib.Path(folder), given.size, given.threads)
    times = {name: [] for name in made}
    for run in range(given.runs + 1):  # the first is left out
        for name, one in made.items():
            begin = clock()
            one.run(None, {one.get_inputs()[0].name: picture})
            if run:
                times[name].append(1e3 * (clock() - begin))
    print(f"ONNX Runtime {onnxruntime.__version__}, FlashInternImage-T at {given.size}², {given.threads} threads\n")
    print("| | ms, median | over ours |\n|---|---:|---:|")
    for name, found in times.items():
        ratio = statistics.median(a / b for a, b in zip(found, times["with the library"]))
        print(f"| {name} | {statistics.median(found):.1f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
