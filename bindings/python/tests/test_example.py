"""examples/denoise, with fewer steps than by default: the loss falls, the picture is written."""

import re
import subprocess
import sys

from conftest import ROOT
from PIL import Image


def test_denoise(tmp_path):
    script = ROOT / "examples" / "denoise" / "denoise.py"
    command = [sys.executable, "-B", str(script), "--steps", "40", "--output", "picture.png"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=500)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    loss, psnr = (
        [
            float(number)
            for number in re.search(rf"^{word} +([\d.]+).* before, ([\d.]+).* after$", ran.stdout, re.M).groups()
        ]
        for word in ("loss", "PSNR")
    )
    assert loss[1] <= 0.8 * loss[0] and psnr[1] >= psnr[0] + 2
    assert Image.open(tmp_path / "picture.png").size == (1216, 720)
