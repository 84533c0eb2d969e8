"""benchmarks/models.py: that its networks compute the same, and that it prints its table."""

import runpy

import pytest
import torch
from conftest import ROOT, random_layer

from dcnv4.functional import dcnv4

SCRIPT = runpy.run_path(str(ROOT / "bindings" / "python" / "benchmarks" / "models.py"))


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_grid_sample():
    """Also beyond the border, and with an offset_scale."""
    value, offset_mask, arguments = random_layer(group=2, channels=8, dtype=torch.float64, offset_scale=1.5)
    arguments = [arguments[name] for name in arguments]
    found = SCRIPT["grid_sample_dcnv4"](value, offset_mask, *arguments)
    assert (found - dcnv4(value, offset_mask, *arguments)).abs().max() < 1e-9


def test_table(capsys):
    SCRIPT["main"](["--size", "64", "--batches", "1", "--step-batch", "1", "--runs", "1", "--against", "grid_sample"])
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")][1:]
    assert [row.split("|")[1].strip() for row in rows] == ["forward, batch 1"] * 2 + ["training step, batch 1"] * 2
