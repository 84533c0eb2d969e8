"""Shared by the tests: the golden cases, random layers, and bounds."""

import pathlib

import numpy
import pytest
import torch

from dcnv4 import _runtime
from dcnv4._problem import make_layer

ROOT = pathlib.Path(__file__).resolve().parents[3]
CASES = ROOT / "tests" / "golden" / "cases"


def golden_names():
    return sorted(folder.name for folder in CASES.iterdir())


class Golden:
    """A case of the original authors' kernels, run in float64: its tensors, and the arguments of dcnv4()."""

    def __init__(self, name):
        lines = (CASES / name / "problem.txt").read_text().split()
        number = {key: float(text) for key, text in (line.split("=") for line in lines)}
        fields = {"kernel_size": "kernel", "stride": "stride", "padding": "pad", "dilation": "dilation"}
        self.arguments = {
            **{ours: tuple(int(number[f"{field}_{axis}"]) for axis in "hw") for ours, field in fields.items()},
            "group": int(number["groups"]),
            "offset_scale": number["offset_scale"],
            "remove_center": bool(number["remove_center"]),
            "softmax": bool(number["softmax"]),
        }
        for path in (CASES / name).glob("*.npy"):
            setattr(self, path.stem, torch.from_numpy(numpy.load(path)).double())


@pytest.fixture(params=golden_names())
def golden(request):
    return Golden(request.param)


@pytest.fixture(autouse=True)
def fresh():
    """Makes random numbers and plans independent of earlier tests."""
    _runtime._plans.clear()
    torch.manual_seed(3)


def random_layer(batch=2, height=7, width=9, group=2, channels=8, dtype=torch.float32, row=None, **arguments):
    """(value, offset_mask, arguments) with every point well inside a cell, for differences and comparisons."""
    given = dict(
        kernel_size=3,
        stride=1,
        padding=1,
        dilation=1,
        group=group,
        offset_scale=1.0,
        remove_center=False,
        softmax=False,
    )
    given.update(arguments)
    layer = make_layer(**given)
    out_h, out_w = layer.output_size(height, width)
    points = layer.points
    blocks = torch.randn(batch, out_h, out_w, group, 3 * points, dtype=torch.float64)
    whole = torch.randint(-2, 3, (batch, out_h, out_w, group, 2 * points))
    blocks[..., : 2 * points] = whole + 0.1 + 0.8 * torch.rand(batch, out_h, out_w, group, 2 * points)
    used = 3 * points * group
    offset_mask = torch.randn(batch, out_h, out_w, row or -(-used // 8) * 8, dtype=torch.float64)
    offset_mask[..., :used] = blocks.flatten(-2)
    value = torch.randn(batch, height, width, channels, dtype=torch.float64)
    return value.to(dtype), offset_mask.to(dtype), given


def close(found, expected, bound):
    """found has the expected shape, and errors of at most bound, relative to the largest expected number."""
    assert found.shape == expected.shape, (found.shape, expected.shape)
    error = (found.double() - expected.double()).abs().max().item() if expected.numel() else 0.0
    scale = max(expected.double().abs().max().item(), 1.0) if expected.numel() else 1.0
    assert error <= bound * scale, f"{error} is more than {bound} of {scale}"
