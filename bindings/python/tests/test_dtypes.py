"""Half and bfloat16, autocast, and dtypes that differ."""

import textwrap

import pytest
import torch
from conftest import ROOT, close, random_layer

import dcnv4
import dcnv4.dcnv3
from dcnv4 import _formats, _operators, functional, reference

ROUNDING = {torch.float32: 2**-20, torch.float16: 2**-9, torch.bfloat16: 2**-6, torch.float64: 2**-40}


@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize("softmax", [False, True], ids=["plain", "softmax"])
def test_dtype(dtype, softmax):
    """Compared with float64 on the rounded inputs, there is only one rounding, at the end."""
    value, offset_mask, arguments = random_layer(dtype=dtype, softmax=softmax)
    results = []
    for operator, kind in ((functional.dcnv4, dtype), (reference.dcnv4, torch.float64)):
        tensors = [tensor.to(kind).requires_grad_() for tensor in (value, offset_mask)]
        output = operator(*tensors, **arguments)
        results.append((output, *torch.autograd.grad(output, tensors, torch.ones_like(output))))
    for found, expected in zip(*results):
        assert found.dtype == dtype
        close(found, expected, ROUNDING[dtype])


@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize("positions", ROUNDING)
def test_mixed_dtypes(dtype, positions):
    """offset_mask is converted to value's dtype, or used as float32 beside 16 bits; gradients have their tensors'
    dtypes."""
    value, offset_mask, arguments = random_layer(dtype=dtype)
    if positions == torch.float32 and dtype in (torch.float16, torch.bfloat16):
        return
    offset_mask = offset_mask.to(positions)
    mixed = value.clone().requires_grad_(), offset_mask.clone().requires_grad_()
    same = value.clone().requires_grad_(), offset_mask.to(dtype).requires_grad_()
    outputs = [functional.dcnv4(*tensors, **arguments) for tensors in (mixed, same)]
    assert outputs[0].dtype == dtype and torch.equal(*outputs)
    for output in outputs:
        output.sum().backward()
    assert mixed[1].grad.dtype == positions
    assert torch.equal(mixed[0].grad, same[0].grad) and torch.equal(mixed[1].grad, same[1].grad.to(positions))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("softmax", [False, True], ids=["plain", "softmax"])
def test_float32_offsets(dtype, softmax):
    """Beside 16 bits neither a float32 offset_mask nor its gradient is rounded, in eager mode, dispatched or
    compiled."""
    value, offset_mask, arguments = random_layer(dtype=dtype, softmax=softmax)
    offset_mask = offset_mask.float() * 1.0009765625 + 0.001  # not representable in 16 bits
    tensors = value.requires_grad_(), offset_mask.requires_grad_()
    wide = [tensor.detach().double().requires_grad_() for tensor in tensors]
    expected = reference.dcnv4(*wide, **arguments)
    grad_output = torch.ones_like(expected)
    compiled = [torch.compile(functional.dcnv4, backend="eager")] if hasattr(torch, "compile") else []
    for call in (functional.dcnv4, *compiled):
        output = call(*tensors, **arguments)
        assert output.dtype == dtype
        found = torch.autograd.grad(output, tensors, grad_output.to(dtype))
        assert found[0].dtype == dtype and found[1].dtype == torch.float32
        right = torch.autograd.grad(expected, wide, grad_output, retain_graph=True)
        close(output, expected, ROUNDING[dtype])
        close(found[0], right[0], ROUNDING[dtype])
        close(found[1], right[1], 2**-18)


def test_float32_offsets_far_away():
    """The gradient by a weight is the value at the point, here its x: with bfloat16 offsets it would be off by 0.2."""
    value = torch.arange(128.0).bfloat16().reshape(1, 1, 128, 1)
    offset_mask = torch.zeros(1, 1, 128, 8)
    offset_mask[..., 0], offset_mask[..., 2] = 43.3, 1
    offset_mask.requires_grad_()
    functional.dcnv4(value, offset_mask, 1, 1, 0, group=1).sum().backward()
    found = offset_mask.grad[0, 0, :80, 2]
    assert (found - (torch.arange(80.0) + 43.3)).abs().max() < 1e-4


def test_reference_keeps_the_dtype():
    value, offset_mask, arguments = random_layer(dtype=torch.bfloat16)
    assert reference.dcnv4(value, offset_mask.float(), **arguments).dtype == torch.bfloat16


@pytest.mark.parametrize(
    "arguments", [{}, dict(without_pointwise=True), dict(center_feature_scale=True, dw_kernel_size=3)]
)
def test_autocast(arguments):
    """The operator runs in its inputs' dtype: autocast's after a linear layer, the module's input's without one."""
    layer = dcnv4.DCNv4(8, group=2, **arguments)
    torch.nn.init.normal_(layer.offset_mask.weight, std=0.3)
    x = torch.randn(2, 36, 8, requires_grad=True)
    seen = []

    def operator(value, offset_mask, *rest):
        seen.append(value.dtype)
        return functional.dcnv4(value, offset_mask, *rest)

    layer.operator = operator
    with torch.autocast("cpu", torch.bfloat16):
        output = layer(x)
    assert seen == [torch.float32 if layer.without_pointwise else torch.bfloat16]
    output.float().square().mean().backward()
    assert x.grad.dtype == torch.float32 and x.grad.abs().max() > 0
    assert all(p.grad.dtype == torch.float32 for p in layer.parameters())
    close(output, layer(x), 0.05)


def test_half_module():
    layer = dcnv4.DCNv4(8, group=2).bfloat16()
    torch.nn.init.normal_(layer.offset_mask.weight, std=0.3)
    layer(torch.randn(2, 36, 8, dtype=torch.bfloat16)).sum().backward()
    assert layer.value_proj.weight.grad.dtype == torch.bfloat16


def offsets_in_float32(network, dtype):
    """Runs the README's code as it is printed there."""
    text = (ROOT / "bindings" / "python" / "README.md").read_text()
    code = textwrap.dedent(text.split("**A 16-bit module with float32 offsets:**")[1].split("```python\n")[1].split("```")[0])
    exec(code if dtype == torch.bfloat16 else code.replace("bfloat16", "half"), {"network": network, "dcnv4": dcnv4})
    return network


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize(
    "make",
    [
        lambda: dcnv4.DCNv4Conv2d(8, 8, group=2, stride=2),
        lambda: dcnv4.DCNv4Conv2d(8, 8, group=2, dw_kernel_size=3, center_feature_scale=True),
    ],
    ids=["plain", "all"],
)
def test_a_module_with_float32_offsets(make, dtype):
    """Offsets of 40 and more pixels, which 16 bits round by up to 0.125 pixels."""
    if dtype == torch.float16 and not hasattr(torch, "compile"):
        pytest.skip(f"PyTorch {torch.__version__} has no linear layers in float16 on the CPU")
    layer = make()
    offsets = 40 + torch.rand(18)
    with torch.no_grad():
        layer.offset_mask.weight.zero_()
        layer.offset_mask.bias[:18] = offsets
    given, operator = [], layer.operator
    layer.operator = lambda *arguments: given.extend(arguments) or operator(*arguments)
    y = offsets_in_float32(torch.nn.Sequential(layer), dtype)(torch.randn(2, 8, 61, 61).to(dtype))
    assert (given[0].dtype, given[1].dtype, y.dtype) == (dtype, torch.float32, dtype)
    assert torch.equal(given[1][..., :18], offsets.expand(*given[1].shape[:3], 18))
    y.sum().backward()
    assert {name: p.grad.dtype for name, p in layer.named_parameters() if p.grad.dtype != dtype} == {
        "offset_mask.weight": torch.float32, "offset_mask.bias": torch.float32
    }  # fmt: skip


def test_dcnv3_with_float32_offsets():
    layer = dcnv4.dcnv3.DCNv3(8, group=2, center_feature_scale=True).bfloat16()
    layer.offset.float(), layer.mask.float()
    torch.nn.init.constant_(layer.offset.bias, 40.07)
    given, operator = [], layer.operator
    layer.operator = lambda *arguments: given.extend(arguments) or operator(*arguments)
    assert layer(torch.randn(2, 6, 7, 8).bfloat16()).dtype == torch.bfloat16
    assert given[1].dtype == torch.float32 and given[1][..., :18].eq(layer.offset.bias[0]).all()


def test_float32_offsets_traced_compiled_and_under_autocast():
    network = offsets_in_float32(torch.nn.Sequential(dcnv4.DCNv4Conv2d(8, 8, group=2, dw_kernel_size=3)), torch.bfloat16)
    x = torch.randn(2, 8, 6, 7).bfloat16()
    expected = network(x)
    assert torch.equal(torch.fx.symbolic_trace(network)(x), expected)
    if hasattr(torch, "compile"):
        torch._dynamo.reset()
        assert torch.equal(torch.compile(network, backend="eager", fullgraph=_operators.available)(x), expected)
    seen = []
    network[0].offset_mask.register_forward_hook(lambda layer, given, output: seen.append((given[0].dtype, output.dtype)))
    with torch.autocast("cpu", torch.bfloat16):
        network(x)
    assert seen == [(torch.bfloat16, torch.bfloat16)]  # not converted to float32 and back


def test_layers_whose_weight_is_no_tensor():
    """PyTorch's quantized ones have a method of that name."""
    layer = torch.nn.Linear(8, 8)
    layer.weight = None
    layer.__dict__["weight"] = lambda: None
    x = torch.randn(2, 8).bfloat16()
    assert _formats.for_layer(layer, x) is x and _formats.for_layer(torch.nn.Identity(), x) is x
