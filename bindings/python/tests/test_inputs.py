"""Slices without a copy, empty tensors, and errors that name the argument."""

import pytest
import torch
from conftest import close, random_layer

import dcnv4
from dcnv4 import functional, reference


def forbid_copies(monkeypatch):
    def contiguous(self, **_):
        raise AssertionError("a tensor was copied")

    monkeypatch.setattr(torch.Tensor, "contiguous", contiguous)


def sliced(tensor, front=3, behind=5):
    """The same numbers as a slice of a wider tensor."""
    wide = torch.randn(*tensor.shape[:3], front + tensor.shape[3] + behind, dtype=tensor.dtype)
    wide[..., front : front + tensor.shape[3]] = tensor
    return wide[..., front : front + tensor.shape[3]]


def test_slices_are_not_copied(monkeypatch):
    value, offset_mask, arguments = random_layer()
    grad_output = torch.randn_like(value)
    expected = functional.dcnv4(value.requires_grad_(), offset_mask.requires_grad_(), **arguments)
    gradients = torch.autograd.grad(expected, (value, offset_mask), grad_output)
    value, offset_mask = (sliced(t.detach()).requires_grad_() for t in (value, offset_mask))
    assert not value.is_contiguous() and not offset_mask.is_contiguous()
    forbid_copies(monkeypatch)
    output = functional.dcnv4(value, offset_mask, **arguments)
    found = torch.autograd.grad(output, (value, offset_mask), sliced(grad_output))
    assert torch.equal(output, expected)
    assert all(map(torch.equal, found, gradients))


def test_channels_last_images_are_not_copied(monkeypatch):
    value, offset_mask, arguments = random_layer()
    expected = functional.dcnv4(value, offset_mask, **arguments)
    image = value.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
    forbid_copies(monkeypatch)
    assert torch.equal(functional.dcnv4(image.permute(0, 2, 3, 1), offset_mask, **arguments), expected)


@pytest.mark.parametrize(
    "view",
    [
        lambda t: t.flip(0).flip(0).transpose(1, 2).contiguous().transpose(1, 2),
        lambda t: t.permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1),
        lambda t: t.repeat_interleave(2, 2)[:, :, ::2],
        lambda t: torch.cat((t, t))[: t.shape[0]],
        lambda t: torch.stack((t, t), 1).flatten(0, 1)[::2],
        lambda t: t.repeat_interleave(2, 3)[..., ::2],
    ],
    ids=["transposed", "channels_first", "wide_pixels", "some_images", "every_second_image", "strided_channels"],
)
def test_any_layout_is_right(view):
    value, offset_mask, arguments = random_layer()
    value.requires_grad_(), offset_mask.requires_grad_()
    expected = functional.dcnv4(value, offset_mask, **arguments)
    found = functional.dcnv4(view(value), view(offset_mask), **arguments)
    assert torch.equal(view(value), value) and torch.equal(found, expected)
    grad_output = torch.randn_like(expected)
    gradients = torch.autograd.grad(expected, (value, offset_mask), grad_output)
    again = torch.autograd.grad(found, (value, offset_mask), view(grad_output))
    assert all(map(torch.equal, again, gradients))


def test_expanded_inputs():
    value, offset_mask, arguments = random_layer(batch=1)
    many = functional.dcnv4(value.expand(3, -1, -1, -1), offset_mask.expand(3, -1, -1, -1), **arguments)
    assert torch.equal(many, functional.dcnv4(value, offset_mask, **arguments).expand(3, -1, -1, -1))


@pytest.mark.parametrize("operator", [functional.dcnv4, reference.dcnv4], ids=["library", "reference"])
@pytest.mark.parametrize("shape", [(0, 7, 9), (2, 0, 9), (2, 7, 0)])
def test_empty(operator, shape):
    value = torch.randn(*shape, 8, requires_grad=True)
    batch, height, width = shape
    offset_mask = torch.randn(*shape, 56, requires_grad=True)
    output = operator(value, offset_mask, group=2)
    assert output.shape == value.shape
    output.sum().backward()
    assert value.grad.shape == value.shape and offset_mask.grad.shape == offset_mask.shape


@pytest.mark.parametrize("operator", [functional.dcnv4, reference.dcnv4], ids=["library", "reference"])
@pytest.mark.parametrize("number", [1.0, float("nan"), float("inf")])
def test_empty_image_with_output(operator, number):
    """All output pixels come from the padding: they are 0, and so are the gradients, whatever offset_mask has."""
    value = torch.randn(2, 0, 9, 8, requires_grad=True)
    offset_mask = torch.full((2, 2, 9, 56), number, requires_grad=True)
    output = operator(value, offset_mask, padding=(2, 1), group=2)
    output.sum().backward()
    assert output.shape == (2, 2, 9, 8) and output.eq(0).all() and offset_mask.grad.eq(0).all()
    assert value.grad.shape == value.shape


def test_pairs_may_be_lists():
    value, offset_mask, arguments = random_layer(kernel_size=(3, 1), padding=(1, 0))
    expected = functional.dcnv4(value, offset_mask, **arguments)
    arguments.update(kernel_size=[3, 1], padding=[1, 0])
    assert torch.equal(functional.dcnv4(value, offset_mask, **arguments), expected)


VALUE, OFFSET_MASK = torch.zeros(2, 7, 9, 8), torch.zeros(2, 7, 9, 56)
WRONG = {
    "value is of type": dict(value=None),
    "offset_mask is of type list": dict(offset_mask=[1]),
    "value is of torch.int64": dict(value=VALUE.long()),
    "offset_mask is of torch.complex64": dict(offset_mask=OFFSET_MASK.cfloat()),
    "value has shape .7, 9, 8., four axes": dict(value=VALUE[0]),
    "offset_mask has shape .9, 56., four axes": dict(offset_mask=OFFSET_MASK[0, 0]),
    "value has 8 channels, which 3 groups": dict(group=3),
    "offset_mask has shape .2, 7, 9, 53., .* at least 54": dict(offset_mask=OFFSET_MASK[..., :53]),
    "offset_mask has shape .1, 7, 9, 56., .*.2, 7, 9, P.": dict(offset_mask=OFFSET_MASK[:1]),
    "offset_mask has shape .2, 7, 9, 56., .*.2, 4, 5, P.": dict(stride=2),
    "kernel_size 13 with dilation 1 spans 13 pixels, but value has H = 7, with padding 9": dict(kernel_size=13),
    "kernel_size is 0": dict(kernel_size=0),
    "kernel_size is .1, 2, 3.": dict(kernel_size=(1, 2, 3)),
    "stride is .1, 0.": dict(stride=(1, 0)),
    "padding is -1": dict(padding=-1),
    "dilation is 1.5": dict(dilation=1.5),
    "group is 0": dict(group=0),
    "group is 2.5": dict(group=2.5),
    "offset_scale is 'wide'": dict(offset_scale="wide"),
    "remove_center is 2": dict(remove_center=2),
    "softmax is None": dict(softmax=None),
    "value is on meta and offset_mask on cpu": dict(value=VALUE.to("meta")),
}


@pytest.mark.parametrize("operator", [functional.dcnv4, reference.dcnv4], ids=["library", "reference"])
@pytest.mark.parametrize("message", WRONG)
def test_wrong_arguments_are_named(operator, message):
    arguments = {"value": VALUE, "offset_mask": OFFSET_MASK, "group": 2, **WRONG[message]}
    with pytest.raises((TypeError, ValueError), match=f"^dcnv4: {message}"):
        operator(**arguments)


def test_the_librarys_own_refusal():
    value, offset_mask = torch.zeros(1, 1, 1, 1), torch.zeros(1, 1, 1, 27)
    with pytest.raises(dcnv4.Error, match="spans too many rows") as caught:
        functional.dcnv4(value, offset_mask, padding=2**62, dilation=2**62, group=1)
    assert caught.value.status == 2


def test_inputs_are_not_written():
    value, offset_mask, arguments = random_layer()
    before = value.clone(), offset_mask.clone()
    value.requires_grad_(), offset_mask.requires_grad_()
    functional.dcnv4(value, offset_mask, **arguments).sum().backward()
    assert torch.equal(value, before[0]) and torch.equal(offset_mask, before[1])


@pytest.mark.parametrize("operator", [functional.dcnv4, reference.dcnv4], ids=["library", "reference"])
def test_positions_that_are_not_numbers_do_not_count(operator):
    value, offset_mask, arguments = random_layer()
    for lane, number in ((0, float("nan")), (3, float("inf")), (4, 1e30)):
        offset_mask[0, 3, 4, lane] = number
    offset_mask.requires_grad_(), value.requires_grad_()
    output = operator(value, offset_mask, **arguments)
    without = offset_mask.detach().clone()
    without[0, 3, 4, :6] = 0
    without[0, 3, 4, 18:21] = 0
    close(output, functional.dcnv4(value, without, **arguments), 1e-6)
    output.sum().backward()
    assert value.grad.isfinite().all() and offset_mask.grad[0, 3, 4, 18:21].eq(0).all()
