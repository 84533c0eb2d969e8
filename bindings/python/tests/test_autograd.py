"""First derivatives: their values, refused second ones, and of single inputs."""

import pytest
import torch
from conftest import close, random_layer

from dcnv4 import _operators, functional, reference

SMALL = dict(batch=1, height=3, width=4, channels=4, dtype=torch.float64)
LAYERS = {
    "plain": {},
    "odd": dict(group=3, channels=9, row=81),
    "stride": dict(stride=(2, 3), kernel_size=(2, 4), padding=(1, 2), remove_center=True),
    "softmax": dict(softmax=True, offset_scale=0.5, dilation=2, padding=2),
}


@pytest.fixture(params=LAYERS)
def layer(request):
    value, offset_mask, arguments = random_layer(**{**SMALL, **LAYERS[request.param]})
    return value.requires_grad_(), offset_mask.requires_grad_(), arguments


def test_gradcheck(layer):
    value, offset_mask, arguments = layer
    # Differences are exact within a cell: positions are scaled by at most 1, and are at least 0.1 from a cell's edge.
    # Only softmax is curved there.
    eps, bound = (2**-16, 1e-7) if arguments["softmax"] else (2**-6, 1e-11)
    run = lambda v, o: functional.dcnv4(v, o, **arguments)  # noqa: E731
    assert torch.autograd.gradcheck(run, (value, offset_mask), eps=eps, atol=bound, rtol=0)


def test_gradients_are_the_references(layer):
    value, offset_mask, arguments = layer
    results = []
    for operator in (functional.dcnv4, reference.dcnv4):
        output = operator(value, offset_mask, **arguments)
        results.append(torch.autograd.grad(output, (value, offset_mask), torch.ones_like(output) + output.detach()))
    for found, expected in zip(*results):
        close(found, expected, 1e-12)


@pytest.mark.skipif(_operators.available, reason="test_derivatives.py has them")
def test_no_second_derivative(layer):
    value, offset_mask, arguments = layer
    with pytest.raises(RuntimeError, match="differentiate twice"):
        torch.autograd.gradgradcheck(lambda v, o: functional.dcnv4(v, o, **arguments), (value, offset_mask))


@pytest.mark.skipif(_operators.available, reason="test_derivatives.py has it")
def test_no_forward_mode():
    value, offset_mask, arguments = random_layer()
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(value, torch.ones_like(value))
        with pytest.raises(RuntimeError, match="forward mode|jvp"):
            functional.dcnv4(dual, offset_mask, **arguments)


@pytest.mark.parametrize("wanted", ["value", "offset_mask"])
def test_one_gradient_alone(wanted):
    tensors = dict(zip(("value", "offset_mask"), random_layer()[:2]))
    tensors[wanted].requires_grad_()
    functional.dcnv4(**tensors, group=2).sum().backward()
    both = [tensor.detach().requires_grad_() for tensor in tensors.values()]
    functional.dcnv4(*both, group=2).sum().backward()
    for tensor, full in zip(tensors.values(), both):
        assert (tensor.grad is None) == (not tensor.requires_grad)
        if tensor.grad is not None:
            assert torch.equal(tensor.grad, full.grad)


def test_padding_has_zero_gradient():
    value, offset_mask, arguments = random_layer(row=64)
    offset_mask.requires_grad_()
    functional.dcnv4(value, offset_mask, **arguments).sum().backward()
    assert offset_mask.grad[..., :54].abs().max() > 0
    assert offset_mask.grad[..., 54:].eq(0).all()


def test_checkpoint_and_inference_mode():
    from torch.utils.checkpoint import checkpoint

    value, offset_mask, arguments = random_layer()
    value.requires_grad_()
    run = lambda v, o: functional.dcnv4(v, o, **arguments)  # noqa: E731
    direct = torch.autograd.grad(run(value, offset_mask).sum(), value)[0]
    again = torch.autograd.grad(checkpoint(run, value, offset_mask, use_reentrant=False).sum(), value)[0]
    assert torch.equal(direct, again)
    with torch.inference_mode():
        assert torch.equal(run(value, offset_mask), run(value.detach(), offset_mask))
