"""The examples that need the Python of ci/hosts, with fewer steps than by default."""

import pytest
from PIL import Image
from test_example import before_and_after, run

pytest.importorskip("segmentation_models_pytorch", reason="ci/hosts install makes a Python that has it")


def test_segment(tmp_path):
    output = run("segment", 40, tmp_path)
    loss, overlap = (before_and_after(output, word) for word in ("loss", "mIoU"))
    assert loss[1] <= 0.9 * loss[0] and overlap[1] > overlap[0]
    assert Image.open(tmp_path / "picture.png").size == (1024, 384)
