"""DCNv4Function as the autograd.Function that it was in the original."""

import pytest
import torch
from conftest import close, random_layer

import dcnv4
from dcnv4 import _operators

ARGUMENTS = (3, 5, 2, 1, 1, 2, 1, 1, 2, 4, 1.5, 256, 1)  # kernel to remove_center
NAMED = dict(kernel_size=(3, 5), stride=(2, 1), padding=(1, 2), group=2, offset_scale=1.5, remove_center=True)


class Derived(dcnv4.DCNv4Function):
    """Runs forward and backward in the way of autograd.Function."""


def compiled(*arguments):
    torch._dynamo.reset()
    return torch.compile(lambda *a: dcnv4.DCNv4Function.apply(*a), backend="aot_eager", fullgraph=True)(*arguments)


def ways():
    yield dcnv4.DCNv4Function.apply
    yield Derived.apply
    if _operators.available:
        yield compiled


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("mask_dtype", [torch.float32, torch.bfloat16])
def test_gradients(dtype, mask_dtype):
    value, offset_mask, given = random_layer(**NAMED, dtype=dtype)
    offset_mask = offset_mask.to(mask_dtype)
    leaves = value.requires_grad_(), offset_mask.requires_grad_()
    expected = dcnv4.functional.dcnv4(value, offset_mask.to(dtype), **given)
    weights = torch.randn_like(expected)
    gradients = torch.autograd.grad(expected, leaves, weights)
    for way in ways():
        output = way(*leaves, *ARGUMENTS)
        assert torch.equal(output, expected)
        for found, right, leaf in zip(torch.autograd.grad(output, leaves, weights), gradients, leaves):
            assert found.dtype == leaf.dtype
            close(found, right, 1e-6)


def test_it_is_an_autograd_function():
    assert issubclass(dcnv4.DCNv4Function, torch.autograd.Function)
    value, offset_mask, _ = random_layer(**NAMED)
    for function in (dcnv4.DCNv4Function, Derived):
        with pytest.raises(ValueError, match="input has 8 channels, but group 2 times group_channels 5 is 10"):
            function.apply(value, offset_mask, *ARGUMENTS[:9], 5, *ARGUMENTS[10:])
        with pytest.raises(TypeError, match="positional arguments"):
            function.apply(value, offset_mask, *ARGUMENTS, 1, 2)
