"""The operators of libdcnv4_onnxruntime in ONNX Runtime, against PyTorch's."""

import os
import pathlib
import shutil
import subprocess
import sys
import threading

import pytest
import torch

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

from onnx import helper  # noqa: E402
from onnx_files import FLOATS, node_model, run, session  # noqa: E402

import dcnv4 as dcnv4_package  # noqa: E402
from dcnv4.functional import dcnv4, flash_deform_attn, ms_deform_attn  # noqa: E402

PAIRS = (
    ("float32", "float32"), ("float16", "float16"), ("float16", "float32"), ("bfloat16", "bfloat16"),
    ("bfloat16", "float32"), ("float64", "float64"),
)  # fmt: skip


def conv_model(value="float32", offset_mask="float32", channels=16, row=56, version=1, **attributes):
    inputs = [
        ("value", FLOATS[value], ["N", "H", "W", channels]),
        ("offset_mask", FLOATS[offset_mask], ["N", "Ho", "Wo", row]),
    ]
    return node_model("DCNv4", inputs, FLOATS[value], version=version, **{"group": 2, **attributes})


def conv_tensors(value="float32", offset_mask="float32"):
    return (
        torch.randn(2, 9, 10, 16).to(getattr(torch, value)),
        torch.randn(2, 5, 10, 56).to(getattr(torch, offset_mask)),
    )


@pytest.mark.parametrize("value, offset_mask", PAIRS)
def test_dtypes(value, offset_mask):
    """The same bits as in PyTorch, and the output's type and shape known when the model is loaded."""
    found = session(conv_model(value, offset_mask, stride=[2, 1], softmax=1))
    tensors = conv_tensors(value, offset_mask)
    output = run(found, value=tensors[0], offset_mask=tensors[1])
    assert torch.equal(output, dcnv4(*tensors, stride=(2, 1), group=2, softmax=True))
    (declared,) = found.get_outputs()
    assert declared.shape == ["N", "Ho", "Wo", 16]
    assert declared.type == f"tensor({ {'float32': 'float', 'float64': 'double'}.get(value, value) })"


def test_golden(golden):
    arguments = golden.arguments
    attributes = {
        name: list(given) if isinstance(given, tuple) else given if name == "offset_scale" else int(given)
        for name, given in arguments.items()
    }
    tensors = golden.value, golden.offset_mask
    model = conv_model("float64", "float64", tensors[0].shape[3], tensors[1].shape[3], **attributes)
    output = run(session(model), value=tensors[0], offset_mask=tensors[1])
    arguments["offset_scale"] = torch.tensor(arguments["offset_scale"], dtype=torch.float32).item()
    assert torch.equal(output, dcnv4(*tensors, **arguments))


def test_defaults_are_those_of_the_function():
    value, offset_mask = torch.randn(1, 6, 7, 8), torch.randn(1, 6, 7, 112)
    inputs = [("value", 1, list(value.shape)), ("offset_mask", 1, list(offset_mask.shape))]
    output = run(session(node_model("DCNv4", inputs, 1, group=4)), value=value, offset_mask=offset_mask)
    assert torch.equal(output, dcnv4(value, offset_mask))


def test_shape_without_symbols():
    """A stride-2 layer's output does not get the sizes of value."""
    inputs = [("value", 1, ["N", "H", "W", 16]), ("offset_mask", 1, [None, None, None, 56])]
    (declared,) = session(node_model("DCNv4", inputs, 1, group=2, stride=2)).get_outputs()
    assert declared.shape[3] == 16 and not {"H", "W"} & set(declared.shape)


def test_group_has_no_default():
    with pytest.raises(Exception, match="DCNv4 node 'here' lacks the attribute group"):
        session(node_model("DCNv4", [("value", 1, None), ("offset_mask", 1, None)], 1))


ATTRIBUTES = [
    (dict(kernel_size=[3, 3, 3]), "kernel_size of DCNv4 node 'here' has 3 numbers, 1 or 2"),
    (dict(kernel_size="3"), "kernel_size of DCNv4 node 'here' is not one or more whole numbers"),
    (dict(kernel_size=[3.0, 3.0]), "kernel_size of DCNv4 node 'here' is not one or more whole numbers"),
    (dict(stride=0), "stride of DCNv4 node 'here' is 0, at least 1"),
    (dict(padding=[-1, 0]), "padding of DCNv4 node 'here' is -1, at least 0"),
    (dict(group=0), "group of DCNv4 node 'here' is 0, at least 1"),
    (dict(softmax=2), "softmax of DCNv4 node 'here' is 2, it must be 0 or 1"),
    (dict(offset_scale=2), "offset_scale of DCNv4 node 'here' is not a float"),
    (dict(dilation=list(range(1, 9))), "dilation of DCNv4 node 'here' has 8 numbers"),
    (dict(group="2"), "group of DCNv4 node 'here' is not one or more whole numbers"),
    (dict(softmax=1.0), "softmax of DCNv4 node 'here' is not one or more whole numbers"),
    (dict(padding=["1", "1"]), "padding of DCNv4 node 'here' is not one or more whole numbers"),
    (dict(stride=helper.make_tensor("pair", 7, [2], [2, 1])), "stride of DCNv4 node 'here' is not one or more whole numbers"),
    (dict(offset_scale=[1.0]), "offset_scale of DCNv4 node 'here' is not a float"),
    (dict(strides=[2, 1]), "DCNv4 node 'here' has the attribute strides, which DCNv4 lacks"),
    (dict(dilation_w=2), "DCNv4 node 'here' has the attribute dilation_w, which DCNv4 lacks"),
    (dict(deform_groups="two"), "DCNv4 node 'here' has the attribute deform_groups, which DCNv4 lacks"),
]


@pytest.mark.parametrize("attributes, message", ATTRIBUTES)
def test_wrong_attributes(attributes, message):
    with pytest.raises(Exception) as raised:
        session(conv_model(**attributes))
    assert message in str(raised.value)


SHAPES = [
    ((2, 9, 10, 16), (2, 5, 9, 56), {}, "offset_mask"),
    ((2, 9, 10, 16), (1, 5, 10, 56), {}, "offset_mask"),
    ((2, 9, 10, 16), (2, 5, 10, 40), {}, "offset_mask"),
    ((2, 9, 10, 15), (2, 5, 10, 56), {}, "15"),
    ((2, 1, 10, 16), (2, 1, 10, 240), dict(kernel_size=[3, 13]), "kernel"),
    ((2, 9, 16), (2, 5, 10, 56), {}, "value"),
    ((2, 1, 1, 1, 1, 1, 9, 10, 16), (2, 5, 10, 56), {}, "value"),
    ((), (2, 5, 10, 56), {}, "scalar"),
]


@pytest.mark.parametrize("value, offset_mask, attributes, message", SHAPES)
def test_wrong_shapes(value, offset_mask, attributes, message):
    inputs = [("value", 1, [None] * len(value)), ("offset_mask", 1, [None] * len(offset_mask))]
    found = session(node_model("DCNv4", inputs, 1, **{"group": 2, "stride": [2, 1], **attributes}))
    with pytest.raises(Exception) as raised:
        run(found, value=torch.zeros(value), offset_mask=torch.zeros(offset_mask))
    assert message in str(raised.value) and "DCNv4 node 'here'" in str(raised.value)


@pytest.mark.parametrize("value, offset_mask", [("float32", "float64"), ("float64", "float32"), ("float32", "float16")])
def test_mixed_dtypes(value, offset_mask):
    with pytest.raises(Exception) as raised:
        session(conv_model(value, offset_mask))
    assert "DCNv4" in str(raised.value)


@pytest.mark.parametrize("pair", [("float32", "float64"), ("float16", "float64"), ("float16", "bfloat16")])
def test_mixed_dtypes_of_attention(pair):
    with pytest.raises(Exception, match="MSDeformAttn"):
        session(attention_model(attention_tensors(*pair))[0])


def test_without_the_library():
    with pytest.raises(Exception) as raised:
        session(conv_model(), library=False)
    assert "dcnv4" in str(raised.value) and "DCNv4" in str(raised.value)


def test_a_missing_library(tmp_path, monkeypatch):
    path = str(tmp_path / "libdcnv4_onnxruntime.so")
    with pytest.raises(Exception, match=f"{path}: cannot open"):
        onnxruntime.SessionOptions().register_custom_ops_library(path)
    monkeypatch.setenv("DCNV4_ONNXRUNTIME_LIBRARY", path)
    with pytest.raises(FileNotFoundError, match=f"dcnv4: there is no {path}"):
        dcnv4_package.onnx.library()


def test_later_versions_of_the_domain():
    """They have the operators of version 1, as ONNX has it for versions that change nothing."""
    tensors = conv_tensors()
    for version in (2, 1000):
        found = run(session(conv_model(version=version, stride=[2, 1])), value=tensors[0], offset_mask=tensors[1])
        assert torch.equal(found, dcnv4(*tensors, stride=(2, 1), group=2))


@pytest.mark.parametrize("version", [-1, 0, 2**31])
def test_no_version_of_the_domain(version):
    with pytest.raises(Exception, match="dcnv4"):
        session(conv_model(version=version))


@pytest.mark.parametrize("opset", [16, 18, 20, 22, 24])
def test_other_versions_of_onnx(opset):
    tensors = conv_tensors()
    inputs = [("value", 1, list(tensors[0].shape)), ("offset_mask", 1, list(tensors[1].shape))]
    found = session(node_model("DCNv4", inputs, 1, opset=opset, group=2, stride=[2, 1]))
    assert torch.equal(run(found, value=tensors[0], offset_mask=tensors[1]), dcnv4(*tensors, stride=(2, 1), group=2))


@pytest.mark.parametrize("given", ["many", "-1", "1025", "2.5", " 2", "99999999999999999999"])
def test_wrong_threads(given):
    with pytest.raises(Exception) as raised:
        session(conv_model(), dcnv4_threads=given)
    assert "dcnv4.threads is '" in str(raised.value) and "0 (all processors) to 1024" in str(raised.value)


def test_threads(monkeypatch):
    tensors = conv_tensors()
    expected = dcnv4(*tensors, stride=(2, 1), group=2)
    model = conv_model(stride=[2, 1])
    for threads in ("0", "1", "3"):
        assert torch.equal(run(session(model, dcnv4_threads=threads), value=tensors[0], offset_mask=tensors[1]), expected)
    monkeypatch.setenv("DCNV4_THREADS", "none")
    session(model, dcnv4_threads="2")
    with pytest.raises(Exception, match="DCNV4_THREADS is 'none'"):
        session(model)


def test_two_sessions_and_two_threads():
    """Each session called from two threads, with changing sizes."""
    sessions = [session(conv_model(stride=[2, 1], softmax=k), dcnv4_threads="1") for k in (0, 1)]
    wrong = []

    def work(softmax):
        for height in range(5, 25):
            value, offset_mask = torch.randn(1, height, 6, 16), torch.randn(1, (height - 1) // 2 + 1, 6, 56)
            expected = dcnv4(value, offset_mask, stride=(2, 1), group=2, softmax=bool(softmax))
            if not torch.equal(run(sessions[softmax], value=value, offset_mask=offset_mask), expected):
                wrong.append(height)

    threads = [threading.Thread(target=work, args=(k % 2,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


# ---- MSDeformAttn ----

LEVELS = torch.tensor([[5, 6], [3, 2]])
STARTS = torch.tensor([0, 30])


def attention_tensors(dtype="float32", locations="float32", points=6):
    kinds = getattr(torch, dtype), getattr(torch, locations)
    return (
        torch.randn(2, 36, 4, 8).to(kinds[0]),
        (torch.rand(2, 7, 4, points, 2) * 1.2 - 0.1).to(kinds[1]),
        torch.randn(2, 7, 4, points).to(kinds[0]),
    )


def attention_model(tensors, references=None, **attributes):
    value, locations, weights = tensors
    inputs = [("value", value, ["N", "S", 4, 8]), ("spatial_shapes", LEVELS, [2, 2]), ("level_start_index", STARTS, [2])]
    inputs.append(("sampling_locations", locations, ["N", "Q", *locations.shape[2:]]))
    for name, tensor in (("attention_weights", weights), ("reference_points", references)):
        inputs.append(None if tensor is None else (name, tensor, ["N", "Q", *tensor.shape[2:]]))
    while inputs[-1] is None:
        inputs.pop()
    types = {str(torch.int64): 7, **{f"torch.{name}": code for name, code in FLOATS.items()}}
    declared = [each and (each[0], types[str(each[1].dtype)], each[2]) for each in inputs]
    model = node_model("MSDeformAttn", declared, types[str(value.dtype)], **attributes)
    return model, {each[0]: each[1] for each in inputs if each}


@pytest.mark.parametrize("value, locations", PAIRS)
def test_attention_dtypes(value, locations):
    tensors = attention_tensors(value, locations)
    model, given = attention_model(tensors, softmax=1)
    found = session(model)
    assert torch.equal(run(found, **given), ms_deform_attn(tensors[0], LEVELS, *tensors[1:], softmax=True))
    assert found.get_outputs()[0].shape == ["N", "Q", 32]


def test_attention_points_of_levels():
    tensors = attention_tensors()
    model, given = attention_model(tensors, points=[4, 2])
    assert torch.equal(run(session(model), **given), ms_deform_attn(tensors[0], LEVELS, *tensors[1:], points=(4, 2)))


def test_attention_axis_of_levels():
    value, locations, weights = attention_tensors()
    tensors = value, locations.unflatten(3, (2, 3)), weights.unflatten(3, (2, 3))
    model, given = attention_model(tensors)
    assert torch.equal(run(session(model), **given), ms_deform_attn(value, LEVELS, *tensors[1:]))


def test_attention_packed():
    value = attention_tensors()[0]
    packed = torch.randn(2, 7, 4, 18)
    model, given = attention_model((value, packed, None), softmax=1)
    assert torch.equal(run(session(model), **given), flash_deform_attn(value, LEVELS, STARTS, packed))


@pytest.mark.parametrize("unit, numbers, levels", [(2, 2, 1), (2, 2, 2), (3, 4, 1)])
def test_attention_references(unit, numbers, levels):
    tensors = attention_tensors()
    references = torch.rand(2, 7, levels, numbers)
    model, given = attention_model(tensors, references, unit=unit)
    expected = ms_deform_attn(tensors[0], LEVELS, *tensors[1:], reference_points=references)
    assert torch.equal(run(session(model), **given), expected)


ATTENTION = [
    (dict(unit=4), {}, "unit"),
    (dict(points=[2, 2, 2]), {}, "spatial_shapes"),
    (dict(points=[-3, 9]), {}, "points"),
    (dict(points=[2, 3]), {}, "sampling_locations"),
    (dict(points=[1] * 65), {}, "65"),
    (dict(unit=2), {}, "reference_points"),
    (dict(unit="pixels"), {}, "unit of MSDeformAttn node 'here' is not one or more whole numbers"),
    (dict(points=[2.0, 4.0]), {}, "points of MSDeformAttn node 'here' is not one or more whole numbers"),
    (dict(box_scale=1), {}, "box_scale of MSDeformAttn node 'here' is not a float"),
    (dict(num_points=3), {}, "MSDeformAttn node 'here' has the attribute num_points, which MSDeformAttn lacks"),
    (dict(points=[2**62, 2**62]), {}, "level 0 has 4611686018427387904 points, possible are 0 to"),
    (dict(points=[3, 2**62, 2**62, 2**62, 2**62]), {}, "level 1 has 4611686018427387904 points, possible are 0 to"),
    ({}, dict(spatial_shapes=torch.tensor([[7, 6], [3, 2]])), "42"),
    ({}, dict(spatial_shapes=torch.tensor([[-5, -6], [3, 2]])), "-5"),
    ({}, dict(level_start_index=torch.tensor([0, 2**62])), "value"),
]


@pytest.mark.parametrize("attributes, tables, message", ATTENTION)
def test_wrong_attention(attributes, tables, message):
    model, given = attention_model(attention_tensors(), **attributes)
    with pytest.raises(Exception) as raised:
        run(session(model), **{**given, **tables})
    assert message in str(raised.value) and "dcnv4: " in str(raised.value)


def test_the_example_in_c(tmp_path):
    """examples/onnxruntime on the wheel's runtime, where its header is."""
    include, compiler = os.environ.get("DCNV4_ONNXRUNTIME_INCLUDE"), shutil.which("cc")
    folder = pathlib.Path(onnxruntime.__file__).parent / "capi"
    libraries = sorted(folder.glob("libonnxruntime.so.*"))
    if not include or not compiler or not libraries:
        pytest.skip("there is no onnxruntime_c_api.h, compiler or libonnxruntime.so")
    source = pathlib.Path(__file__).parents[3] / "examples" / "onnxruntime" / "run.c"
    (tmp_path / "libonnxruntime.so.1").symlink_to(libraries[0])
    build = [compiler, "-Wall", "-Wextra", "-Werror", "-isystem", include, source, libraries[0], "-o", tmp_path / "run"]
    subprocess.run(build, check=True)
    inputs = [("value", 1, ["N", 5, 6, 16]), ("offset_mask", 1, ["N", 5, 6, 56])]
    (tmp_path / "model.onnx").write_bytes(node_model("DCNv4", inputs, 1, group=2).SerializeToString())
    command = [tmp_path / "run", tmp_path / "model.onnx", dcnv4_package.onnx.library()]
    environment = {**os.environ, "LD_LIBRARY_PATH": str(tmp_path)}
    text = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    first = dcnv4(torch.ones(1, 5, 6, 16), torch.ones(1, 5, 6, 56), group=2).flatten()[0].item()
    assert text == f"output [1, 5, 6, 16], first number {first:g}\n"


ALONE = """
import gc, sys, time
import numpy, onnxruntime

options = onnxruntime.SessionOptions()
options.register_custom_ops_library(sys.argv[1])
session = onnxruntime.InferenceSession(sys.argv[2], options, providers=["CPUExecutionProvider"])
inputs = {"value": numpy.ones((1, 40, 60, 16), "f"), "offset_mask": numpy.ones((1, 40, 60, 56), "f")}
before = session.run(None, inputs)[0].sum()
del session, options
gc.collect()
time.sleep(0.3)
options = onnxruntime.SessionOptions()
options.register_custom_ops_library(sys.argv[1])
session = onnxruntime.InferenceSession(sys.argv[2], options, providers=["CPUExecutionProvider"])
print(bool(session.run(None, inputs)[0].sum() == before), "dcnv4" in sys.modules)
"""


def test_alone_and_twice(tmp_path):
    """In a process without this package. The runtime unloads the library after its last session, which leaves it be."""
    inputs = [("value", 1, ["N", 40, 60, 16]), ("offset_mask", 1, ["N", 40, 60, 56])]
    (tmp_path / "model.onnx").write_bytes(node_model("DCNv4", inputs, 1, group=2).SerializeToString())
    command = [sys.executable, "-c", ALONE, dcnv4_package.onnx.library(), str(tmp_path / "model.onnx")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stdout) == (0, "True False\n"), done.stderr
