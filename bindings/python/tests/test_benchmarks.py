"""benchmarks/compare.py, on the CPU: with grid_sample, and with functions in place of the original's extension."""

import json
import runpy

import pytest
import torch
from conftest import ROOT

from dcnv4 import reference

SCRIPT = runpy.run_path(str(ROOT / "bindings" / "python" / "benchmarks" / "compare.py"))


def arguments(layer):
    kernel_h, kernel_w, *strides, pad_h, pad_w, _, _, group, _, _, _ = layer
    assert strides == [1, 1]
    return dict(kernel_size=(kernel_h, kernel_w), padding=(pad_h, pad_w), group=group)


def forward(value, offset_mask, *rest):
    *layer, remove_center, _, _, softmax = rest
    assert (remove_center, softmax) == (0, False)
    return reference.dcnv4(value, offset_mask, **arguments(layer))


def backward(value, offset_mask, *rest):
    *layer, grad_output, _, _, _, _ = rest
    inputs = tuple(tensor.detach().requires_grad_() for tensor in (value, offset_mask))
    with torch.enable_grad():
        output = reference.dcnv4(*inputs, **arguments(layer))
    return torch.autograd.grad(output, inputs, grad_output)


@pytest.fixture(autouse=True)
def settings():
    """The settings that the script changes in its process."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.set_grad_enabled(True)


@pytest.fixture
def original():
    made = object.__new__(SCRIPT["Original"])
    made.run_forward, made.run_backward = forward, backward
    made.tables = ({"64x56x56x4x16": [8, 448, 56]}, {})
    return made


def problem(batch, height, width, groups, depth, kernel=3):
    return {"dtype": "f32", "size": [batch, height, width], "groups": groups, "group_channels": depth,
            "kernel": [kernel, kernel]}  # fmt: skip


def test_launches(original):
    assert original.launch(problem(64, 56, 56, 4, 16), False) == (8, 448)
    assert original.launch(problem(1, 200, 320, 4, 16), False) == (8, 512)
    assert original.launch(problem(1, 25, 40, 32, 16), False) == (8, 512)
    assert original.launch(problem(1, 7, 7, 64, 16), False) == (8, 128)
    assert original.launch(problem(1, 200, 320, 4, 16), True) == (1, 256)
    assert original.launch(problem(1, 7, 7, 8, 64), True) == (2, 256)
    with pytest.raises(RuntimeError, match="8 channels a group, and these are 12"):
        original.launch(problem(1, 7, 7, 8, 12), False)


@pytest.mark.parametrize("peer", ["original", "grid_sample"])
def test_comparison(peer, original, tmp_path, capsys):
    file = tmp_path / "problems.json"
    file.write_text(json.dumps({"problems": [problem(2, 7, 5, 2, 8), problem(1, 6, 8, 1, 16, 5)]}))
    SCRIPT["main"]([str(file), "--runs", "3", "--device", "cpu"], original if peer == "original" else None)
    rows = [line.split("|")[1:-1] for line in capsys.readouterr().out.splitlines() if line.startswith("| ")][1:]
    assert [(row[0].strip(), row[2].strip()) for row in rows] == [
        (shape, pass_) for shape in ("2×7×5 · 2×8", "1×6×8 · 1×16") for pass_ in ("forward", "backward")
    ]
    assert all(float(row[6]) <= 1e-4 for row in rows), rows


def test_refused(original, tmp_path, capsys):
    def refuse(*_):
        raise RuntimeError("not supported\nmore words")

    original.run_backward = refuse
    file = tmp_path / "problems.json"
    file.write_text(json.dumps({"problems": [problem(1, 4, 4, 1, 8)]}))
    SCRIPT["main"]([str(file), "--runs", "1", "--device", "cpu"], original)
    out = capsys.readouterr().out
    assert "| backward | | | | not supported |" in out
    assert "- f32, forward" in out and "- f32, backward" not in out
