#!/bin/sh
# onnx 1.23.2: its ReferenceEvaluator does not know the default values of a model-local function's attributes.
#
# FunctionProto has attribute_proto since IR version 8: attributes with a default value, which a node may leave out. Here a
# function multiplies by its attribute "factor", which is 3 by default, and a node calls it without the attribute. The checker
# accepts the model, also with full_check. onnxruntime 1.32.0 uses the default. The ReferenceEvaluator runs the function's body
# without a value for the attribute.
#
# Expected: [3, 6] from both. Seen: [3, 6] from onnxruntime, and from the evaluator ValueError "This node … has linked
# attributes but None are given".
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --no-compile onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/bin/python" -W ignore - <<'END'
import numpy as np
import onnx
import onnx.parser
import onnx.reference
import onnxruntime

model = onnx.parser.parse_model("""
    <ir_version: 10, opset_import: ["": 20, "local": 1]>
    graph (float[2] x) => (float[2] y) { y = local.scaled(x) }
    <domain: "local", opset_import: ["": 20]>
    scaled <factor: float = 3.0> (x) => (y) {
        number = Constant <value_float: float = @factor> ()
        y = Mul(x, number)
    }
""")
onnx.checker.check_model(model, full_check=True)
x = {"x": np.float32([1, 2])}
by_runtime = onnxruntime.InferenceSession(model.SerializeToString()).run(None, x)[0].tolist()
print("onnxruntime", onnxruntime.__version__, by_runtime)
try:
    by_evaluator = onnx.reference.ReferenceEvaluator(model).run(None, x)[0].tolist()
except ValueError as refusal:
    by_evaluator = f"ValueError: {refusal}"
print("onnx", onnx.__version__, by_evaluator)
if by_runtime != [3, 6] or "has linked attributes but None are given" not in str(by_evaluator):
    raise SystemExit("changed: onnxruntime computed [3, 6], the evaluator raised ValueError")
END
