#!/bin/sh
# onnx 1.23.2: its ReferenceEvaluator, against which backends are checked, computes DeformConv of doubles with
# positions in single precision, and refuses images that are one pixel high or wide.
#
# DeformConv (opset 19 and 22) with a 1×1 kernel of weight 1 and an offset of (0.1, 0.3) on random doubles of 3×3
# pixels is a bilinear mean of four pixels. The answer is of type double, and off by 1.5e-8 where double precision
# gives 1e-16: a backend that is right in all its digits seems wrong. For valid images of 1×4 and 4×1 pixels, it
# raises ValueError "cannot convert float NaN to integer": it divides by the height, or width, less one.
#
# Expected: a mean to double precision; and the image itself for offsets of 0.
# Seen: errors of 1.5e-08, dtype float64; ValueError twice.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --no-compile onnx==1.23.2 numpy==2.4.6
"$folder/bin/python" -W ignore - <<'END'
import numpy as np
import onnx
from onnx import TensorProto, checker, helper
from onnx.reference import ReferenceEvaluator


def evaluator(opset):
    names = ("x", "w", "offset", "y")
    tensors = [helper.make_tensor_value_info(name, TensorProto.DOUBLE, [None] * 4) for name in names]
    node = helper.make_node("DeformConv", ["x", "w", "offset"], ["y"], kernel_shape=[1, 1])
    graph = helper.make_graph([node], "deform", tensors[:3], tensors[3:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    checker.check_model(model, full_check=True)
    return ReferenceEvaluator(model)


def run(opset, x, dy, dx):
    offset = np.empty((1, 2, *x.shape[2:]))
    offset[:, 0], offset[:, 1] = dy, dx
    return evaluator(opset).run(None, {"x": x, "w": np.ones((1, 1, 1, 1)), "offset": offset})[0]


print("onnx", onnx.__version__)
x, dy, dx = np.random.default_rng(0).random((1, 1, 3, 3)), 0.1, 0.3
p = x[0, 0]
right = (1 - dy) * ((1 - dx) * p[0, 0] + dx * p[0, 1]) + dy * ((1 - dx) * p[1, 0] + dx * p[1, 1])
for opset in (19, 22):
    y = run(opset, x, dy, dx)
    error = abs(y[0, 0, 0, 0] - right)
    refused = []
    for size in ((1, 4), (4, 1)):
        try:
            run(opset, np.ones((1, 1, *size)), 0, 0)
        except ValueError as refusal:
            refused.append(f"{size}: {refusal}")
    print(f"opset {opset}: {y.dtype}, error {error:.1e}; refused {refused}")
    if not 1e-10 < error < 1e-6 or y.dtype != np.float64 or len(refused) != 2:
        raise SystemExit("changed: the error was 1.5e-08, and both images of one row or column were refused")
END
