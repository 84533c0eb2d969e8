"""The examples, with fewer steps than by default: the loss falls, the picture is written."""

import importlib.util
import re
import subprocess
import sys

import pytest
from conftest import ROOT
from PIL import Image


def run(name, steps, folder) -> str:
    script = ROOT / "examples" / name / f"{name}.py"
    command = [sys.executable, "-B", str(script), "--steps", str(steps), "--output", "picture.png"]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=500)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def before_and_after(output, word) -> tuple:
    return tuple(map(float, re.search(rf"^{word} +([\d.]+).* before, ([\d.]+).* after\b", output, re.M).groups()))


def test_denoise(tmp_path):
    output = run("denoise", 40, tmp_path)
    loss, psnr = (before_and_after(output, word) for word in ("loss", "PSNR"))
    assert loss[1] <= 0.8 * loss[0] and psnr[1] >= psnr[0] + 2
    assert Image.open(tmp_path / "picture.png").size == (1216, 720)


@pytest.mark.skipif(importlib.util.find_spec("sklearn") is None, reason="scikit-learn is not installed")
def test_classify(tmp_path):
    output = run("classify", 40, tmp_path)
    loss, accuracy = (before_and_after(output, word) for word in ("loss", "accuracy"))
    assert loss[1] <= 0.8 * loss[0] and accuracy[1] >= accuracy[0] + 0.2
    assert Image.open(tmp_path / "picture.png").size == (1208, 448)


@pytest.mark.skipif(importlib.util.find_spec("transformers") is None, reason="transformers is not installed")
def test_detect(tmp_path):
    output = run("detect", 30, tmp_path)
    assert output.count("encoder_attn.attn: dcnv4 in place of transformers.models.rt_detr.") == 2
    loss = before_and_after(output, "loss")
    assert loss[1] <= 0.8 * loss[0]
    assert Image.open(tmp_path / "picture.png").size == (1020, 540)
