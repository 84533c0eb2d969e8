"""python -m dcnv4.onnx on files of one node."""

import numpy
import pytest

pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")

from onnx_files import node_model  # noqa: E402

from dcnv4.onnx._command import main  # noqa: E402


@pytest.fixture
def file(tmp_path):
    shapes = [("value", 1, ["N", "H", "W", 16]), ("offset_mask", 1, ["N", "H", "W", 56])]
    attributes = dict(kernel_size=[3, 3], stride=[1, 1], padding=[1, 1], dilation=[1, 1], group=2, offset_scale=1.0)
    model = node_model("DCNv4", shapes, 1, **attributes, remove_center=0, softmax=0)
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return str(path)


def test_inspect(file, capsys):
    assert main(["inspect", file]) == 0
    text = capsys.readouterr().out
    assert "DCNv4 'here'" in text and "group=2" in text and "1 nodes of dcnv4" in text and "none" in text


def test_inspect_finds_what_the_runtime_ignores(file, tmp_path, capsys):
    path, model = tmp_path / "other.onnx", onnx.load(file)
    model.opset_import[1].version = 2
    model.graph.node[0].attribute.append(onnx.helper.make_attribute("scale", 2.0))
    model.graph.node.append(onnx.helper.make_node("DCNv3", ["value"], ["other"], domain="dcnv4"))
    onnx.save(model, path)
    assert main(["inspect", str(path)]) == 1
    assert capsys.readouterr().out.splitlines()[-3:] == [
        "wrong: DCNv4 'here' has the attribute scale, which is not read",
        "wrong: there is no operator DCNv3, but DCNv4 and MSDeformAttn",
        "wrong: the model asks for version 2 of dcnv4, the library has version 1",
    ]


def test_verify(file, capsys):
    assert main(["verify", file, "--dim", "H=9", "--dim", "W=7", "--threads", "1"]) == 0
    assert "[1, 9, 7, 16]: error" in capsys.readouterr().out


def test_verify_finds_a_difference(file, capsys):
    assert main(["verify", file, "--dim", "H=9", "--dim", "W=7", "--bound", "0"]) == 1
    assert "above 0" in capsys.readouterr().out


def test_bench(file, capsys):
    assert main(["bench", file, "--dim", "H=9", "--dim", "W=7", "--runs", "2"]) == 0
    assert "times faster" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--dim", "Z=3"], "--dim names 'Z'; the model has H, N, W"),
        (["--dim", "H"], "--dim is 'H', NAME=… is needed"),
        (["--dim", "H=few"], "the size 'few'"),
        (["--input", "value=none.npy"], "cannot read none.npy"),
    ],
)
def test_bad_usage(file, capsys, arguments, message):
    assert main(["verify", file, *arguments]) == 2
    assert message in capsys.readouterr().err


def test_bad_input(file, tmp_path, capsys):
    assert main(["inspect", str(tmp_path / "none.onnx")]) == 2
    assert "cannot read" in capsys.readouterr().err
    (tmp_path / "text.onnx").write_text("no model")
    assert main(["inspect", str(tmp_path / "text.onnx")]) == 2
    assert "is not an ONNX model" in capsys.readouterr().err
    numpy.save(tmp_path / "value.npy", numpy.zeros((1, 9, 8, 16), numpy.float32))
    arguments = ["verify", file, "--input", f"value={tmp_path / 'value.npy'}", "--dim", "H=9", "--dim", "W=7"]
    assert main(arguments) == 1
    assert "offset_mask" in capsys.readouterr().err
