"""The longer examples, and those that need the Python of ci/hosts, with fewer steps than by default."""

import importlib.util
import re

import pytest
import torch
from conftest import ROOT
from PIL import Image
from test_example import before_and_after, run

pytest.importorskip("segmentation_models_pytorch", reason="ci/hosts install makes a Python that has it")


def test_segment(tmp_path):
    output = run("segment", 40, tmp_path)
    loss, overlap = (before_and_after(output, word) for word in ("loss", "mIoU"))
    assert loss[1] <= 0.9 * loss[0] and overlap[1] > overlap[0]
    assert Image.open(tmp_path / "picture.png").size == (1024, 384)


def test_diffuse(tmp_path):
    output = run("diffuse", 25, tmp_path)
    for name in ("DCNv4", "convolutions"):
        loss = before_and_after(output, f"loss of {name}")
        assert loss[1] <= 0.6 * loss[0]
    assert "16 layers: 489280 → 256736 parameters" in output
    assert Image.open(tmp_path / "picture.png").size == (942, 468)


def test_diffuse_saves_and_loads(tmp_path):
    """diffusers builds the class's network in memory that holds anything, and then loads the weights."""
    path = ROOT / "examples" / "diffuse" / "diffuse.py"
    diffuse = importlib.util.module_from_spec(spec := importlib.util.spec_from_file_location("diffuse", path))
    spec.loader.exec_module(diffuse)
    unet = diffuse.make(diffuse.DeformableUNet).eval()
    with torch.no_grad():
        for parameter in unet.parameters():
            parameter.normal_(0, 0.1)
    unet.save_pretrained(tmp_path)
    loaded = diffuse.DeformableUNet.from_pretrained(tmp_path)
    pictures, times = torch.randn(2, 1, 8, 8), torch.tensor([3, 500])
    assert torch.equal(loaded(pictures, times).sample, unet(pictures, times).sample)


def test_birdseye(tmp_path):
    output = run("birdseye", 25, tmp_path)
    loss = before_and_after(output, "loss")
    assert loss[1] <= 0.7 * loss[0]
    assert re.search(r"^error  2.000 m before, [\d.]+ m after; 1\.[789]\d+ m with the solids of another", output, re.M)
    assert Image.open(tmp_path / "picture.png").size == (1084, 854)


def test_instances(tmp_path):
    output = run("instances", 25, tmp_path)
    loss = before_and_after(output, "loss")
    assert loss[1] <= 0.8 * loss[0]
    for name in ("boxes", "masks"):
        precision = before_and_after(output, f"AP of {name}")
        assert precision[1] > precision[0] + 0.02
    assert Image.open(tmp_path / "picture.png").size == (1020, 540)
