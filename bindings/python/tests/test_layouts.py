"""pack_offset_mask and unpack_offset_mask, number by number; test_porting.py compares with onnxruntime."""

import pytest
import torch
from conftest import close, random_layer

from dcnv4 import functional, pack_offset_mask, unpack_offset_mask

N, HO, WO, G, KH, KW = 2, 3, 4, 3, 2, 5
K = KH * KW


def numbered(*shape):
    """A different number in each element."""
    return torch.arange(torch.Size(shape).numel(), dtype=torch.float64).reshape(shape)


def test_torchvision_by_the_number():
    offset, mask = numbered(N, 2 * G * K, HO, WO), -1 - numbered(N, G * K, HO, WO)
    packed = pack_offset_mask(offset, mask, G, (KH, KW))
    assert packed.shape == (N, HO, WO, 96)  # 90, rounded up to a multiple of 8
    for g in range(G):
        for j in range(KH):
            for i in range(KW):
                ours, theirs = i * KH + j, j * KW + i
                dx, dy = packed[..., 3 * K * g + 2 * ours], packed[..., 3 * K * g + 2 * ours + 1]
                assert torch.equal(dy, offset[:, 2 * (g * K + theirs)])
                assert torch.equal(dx, offset[:, 2 * (g * K + theirs) + 1])
                assert torch.equal(packed[..., 3 * K * g + 2 * K + ours], mask[:, g * K + theirs])
    assert packed[..., 90:].abs().max() == 0
    for found, given in zip(unpack_offset_mask(packed, G, (KH, KW)), (offset, mask)):
        assert torch.equal(found, given)


@pytest.mark.parametrize("remove_center", [False, True])
def test_dcnv3_by_the_number(remove_center):
    points = K - remove_center
    offset, mask = numbered(N, HO, WO, 2 * G * points), -1 - numbered(N, HO, WO, G * points)
    packed = pack_offset_mask(offset, mask, G, (KH, KW), "dcnv3", remove_center, row=3 * G * points)
    assert packed.shape == (N, HO, WO, 3 * G * points)
    for g in range(G):
        block = packed[..., 3 * points * g : 3 * points * (g + 1)]
        assert torch.equal(block[..., : 2 * points], offset[..., 2 * points * g : 2 * points * (g + 1)])
        assert torch.equal(block[..., 2 * points :], mask[..., points * g : points * (g + 1)])
    for found, given in zip(unpack_offset_mask(packed, G, (KH, KW), "dcnv3", remove_center), (offset, mask)):
        assert torch.equal(found, given)


@pytest.mark.parametrize("layout", ["torchvision", "dcnv3"])
def test_gradients_and_dtypes(layout):
    axes = (0, 1, 2, 3) if layout == "torchvision" else (0, 2, 3, 1)
    offset = torch.randn(N, 2 * G * K, HO, WO).permute(axes).requires_grad_()
    packed = pack_offset_mask(offset, None, G, (KH, KW), layout)
    same, ones = unpack_offset_mask(packed, G, (KH, KW), layout)
    assert torch.equal(same, offset) and torch.equal(ones, torch.ones(N, G * K, HO, WO).permute(axes))
    weights = torch.randn_like(offset)
    (gradient,) = torch.autograd.grad(same, offset, weights)
    assert torch.equal(gradient, weights)
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        given = offset.detach().to(dtype)
        packed = pack_offset_mask(given, given.new_ones(()).expand(ones.shape), G, (KH, KW), layout)
        assert packed.dtype == dtype
        assert unpack_offset_mask(packed, G, (KH, KW), layout, offset_scale=1.5)[0].dtype == dtype


@pytest.mark.parametrize("kernel_size", [(3, 3), (3, 5), (4, 2)])
def test_what_torchvision_cannot_say(kernel_size):
    """A removed centre and a scaled grid, as numbers of a layer that has neither: the same output."""
    value, offset_mask, given = random_layer(
        kernel_size=kernel_size, padding=(3, 4), dilation=(2, 3), stride=(2, 1), remove_center=True, offset_scale=1.5,
        dtype=torch.float64,
    )  # fmt: skip
    expected = functional.dcnv4(value, offset_mask, **given)
    offset, mask = unpack_offset_mask(
        offset_mask, given["group"], kernel_size, remove_center=True, offset_scale=1.5, dilation=given["dilation"]
    )
    packed = pack_offset_mask(offset, mask, given["group"], kernel_size)
    plain = {**given, "remove_center": False, "offset_scale": 1.0}
    assert expected.abs().max() > 0.1
    close(functional.dcnv4(value, packed, **plain), expected, 1e-12)


def test_empty_tensors():
    packed = pack_offset_mask(torch.zeros(0, 18, 4, 5), torch.zeros(0, 9, 4, 5), 1)
    assert packed.shape == (0, 4, 5, 32)
    assert unpack_offset_mask(packed, 1)[0].shape == (0, 18, 4, 5)


def test_complaints_have_the_numbers():
    offset, mask = torch.zeros(1, 36, 4, 5), torch.zeros(1, 18, 4, 5)
    for arguments, words in (
        ((offset, mask, 3), r"offset has shape \[1, 36, 4, 5\], \[N, 54, Ho, Wo\] is needed.*group 3 and K = 9"),
        ((offset, offset, 2), r"mask has shape \[1, 36, 4, 5\], \[N, 18, Ho, Wo\] is needed"),
        ((offset, mask[..., :4], 2), r"offset has shape \[1, 36, 4, 5\] and mask \[1, 18, 4, 4\]"),
        ((offset, mask, 2, 3, "dcnv3"), r"offset has shape \[1, 36, 4, 5\], \[N, Ho, Wo, 36\] is needed"),
        ((offset, mask, 2, 3, "dcnv2"), "layout is 'dcnv2', possible are torchvision and dcnv3"),
        ((offset, mask, 2, 3, "torchvision", True), "has no remove_center"),
        ((offset, mask, 2, 3, "torchvision", False, 50), "row is 50, at least 54 = 3·group·K is needed"),
        ((offset, mask, 0), "group is 0"),
    ):
        with pytest.raises(ValueError, match=words):
            pack_offset_mask(*arguments)
    with pytest.raises(ValueError, match=r"offset_mask has shape \[1, 4, 5, 53\].*at least 54 = 3·group·K = 3·2·9"):
        unpack_offset_mask(torch.zeros(1, 4, 5, 53), 2)
