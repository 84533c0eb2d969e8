"""Models of one node, and sessions that run them."""

import numpy
import onnx
import onnxruntime
from onnx import helper

import dcnv4

FLOATS = {"float32": 1, "float16": 10, "float64": 11, "bfloat16": 16}


def node_model(name, inputs, output_type, opset=17, version=1, functions=(), **attributes):
    """inputs is (name, element type, shape); shapes may have symbols, and None stands for an absent input."""
    names = [each[0] if each else "" for each in inputs]
    node = helper.make_node(name, names, ["output"], name="here", domain="dcnv4", **attributes)
    graph = helper.make_graph(
        [node],
        "graph",
        [helper.make_tensor_value_info(*each) for each in inputs if each],
        [helper.make_tensor_value_info("output", output_type, [None] * (4 if name == "DCNv4" else 3))],
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("dcnv4", version)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9, functions=functions)


def session(model, library=True, providers=("CPUExecutionProvider",), **entries):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    for key, entry in entries.items():
        options.add_session_config_entry(key.replace("_", "."), entry)
    if library:
        options.register_custom_ops_library(dcnv4.onnx.library())
    given = model if isinstance(model, (str, bytes)) else model.SerializeToString()
    return onnxruntime.InferenceSession(given, options, providers=list(providers))


def ort_value(tensor):
    """A PyTorch tensor of any dtype as an OrtValue, and back."""
    code = FLOATS.get(str(tensor.dtype).split(".")[1], 7)
    if code == 16:
        bits = numpy.ascontiguousarray(tensor.contiguous().view(dtype=_int16()).numpy())
        return onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(bits.view(numpy.uint16), code)
    return onnxruntime.OrtValue.ortvalue_from_numpy(tensor.contiguous().numpy())


def _int16():
    import torch

    return torch.int16


def run(a_session, **inputs):
    """The first output, as a PyTorch tensor of the dtype that it has."""
    import torch

    given = {name: ort_value(tensor) for name, tensor in inputs.items()}
    (found,) = a_session.run_with_ort_values(None, given)
    if found.element_type() == 16:
        import torch.utils.dlpack

        return torch.utils.dlpack.from_dlpack(found._ortvalue.to_dlpack()).clone()
    return torch.from_numpy(found.numpy())
