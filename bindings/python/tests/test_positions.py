"""Positions are computed in float32 for all storage dtypes, in the library and in the reference. PyTorch's own
grid_sample computes them in 16 bits on a CPU, with an error of a pixel at a width of 256 in bfloat16, and reads wrong
pixels in images of more than 32,767 elements (torch 2.13 and 2.14): so the reference must convert its inputs, not its
result."""

import pytest
import torch
import torch.nn.functional as F

from dcnv4 import functional, reference

OPERATORS = [functional.dcnv4, reference.dcnv4]
DTYPES = [torch.float16, torch.bfloat16]


def look(operator, value, dx):
    """Each pixel samples the position dx to its right."""
    offset_mask = value.new_tensor([dx, 0, 1]).expand(*value.shape[:3], 3).contiguous()
    return operator(value, offset_mask, 1, 1, 0, 1, 1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("width", [64, 256, 512])
def test_stripes(operator, dtype, width):
    """The stripes are one pixel wide, so that a value's error is its position's error in pixels. The offsets, multiples
    of 1/64, and the values are exact in both dtypes; grid_sample in float32 has an error of a few 2⁻²³ of the width
    before the one rounding."""
    value = (torch.arange(width) % 2).to(dtype).reshape(1, 1, width, 1).expand(1, 2, width, 1).contiguous()
    for step in range(64):
        dx = step / 64
        found = look(operator, value, dx)[0, 0, :-1, 0].double()
        expected = torch.where(torch.arange(width - 1) % 2 == 0, dx, 1 - dx)
        assert (found - expected).abs().max() <= 2.0**-11, (width, dx)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("channels, side", [(1, 256), (16, 64)])
def test_images_of_more_than_32767_elements(operator, dtype, channels, side):
    value = torch.randint(-128, 128, (1, side, side, channels)).to(dtype)  # exact
    assert value.numel() > 32767
    found = look(operator, value, 1.0)
    assert torch.equal(found, F.pad(value, (0, 0, 0, 1))[:, :, 1:]) or operator is reference.dcnv4
    assert (found - F.pad(value, (0, 0, 0, 1))[:, :, 1:]).abs().max() <= 0.5


def test_the_reference_hands_float32_to_grid_sample(monkeypatch):
    seen = []
    sample = F.grid_sample

    def watched(images, positions, *arguments, **named):
        seen.append((images.dtype, positions.dtype))
        return sample(images, positions, *arguments, **named)

    monkeypatch.setattr(F, "grid_sample", watched)
    for dtype in (*DTYPES, torch.float32, torch.float64):
        look(reference.dcnv4, torch.zeros(1, 2, 8, 1, dtype=dtype), 0.5)
        assert seen.pop() == ((torch.float64,) * 2 if dtype == torch.float64 else (torch.float32,) * 2)
