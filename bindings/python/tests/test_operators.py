"""dcnv4::forward and dcnv4::backward: opcheck, torch.compile, export, and modes that see the calls."""

import pytest
import torch
from conftest import close, random_layer

import dcnv4
from dcnv4 import _operators, functional

pytestmark = pytest.mark.skipif(
    not _operators.available, reason=f"PyTorch {torch.__version__} has no register_autograd"
)

LAYER = ((3, 3), (1, 1), (1, 1), (1, 1), 2, 1.0, False, False)


def module(**arguments):
    layer = dcnv4.DCNv4(8, group=2, **arguments)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return layer


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_opcheck(dtype):
    value, offset_mask, _ = random_layer(height=4, width=5, dtype=dtype)
    grad_output = torch.randn_like(value)
    torch.library.opcheck(torch.ops.dcnv4.backward.default, (grad_output, value, offset_mask, *LAYER))
    value.requires_grad_(), offset_mask.requires_grad_()
    torch.library.opcheck(torch.ops.dcnv4.forward.default, (value, offset_mask, *LAYER))


def gradients(run, layer, x):
    layer.zero_grad()
    output = run(x)
    output.square().mean().backward()
    return [output.detach(), *(parameter.grad.clone() for parameter in layer.parameters())]


@pytest.mark.parametrize(
    "arguments", [{}, dict(stride=2, dw_kernel_size=3, center_feature_scale=True)], ids=["plain", "all"]
)
def test_compile_is_eager(arguments):
    layer, x = module(**arguments), torch.randn(2, 36, 8)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    for found, expected in zip(gradients(compiled, layer, x), gradients(layer, layer, x)):
        close(found, expected, 1e-5)


def test_compile_with_code():
    """The default backend, which generates code around the operator."""
    layer, x = module(), torch.randn(2, 36, 8)
    compiled = torch.compile(layer, fullgraph=True)
    for found, expected in zip(gradients(compiled, layer, x), gradients(layer, layer, x)):
        close(found, expected, 1e-5)


@pytest.mark.parametrize("stride", [1, 2])
def test_compile_dynamic(stride):
    """One graph for every image size."""
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph

    def run(value, offset_mask):
        return functional.dcnv4(value, offset_mask, stride=stride, group=2)

    torch._dynamo.reset()
    compiled = torch.compile(run, backend=backend, fullgraph=True, dynamic=True)
    for size in ((2, 7, 9), (3, 12, 10), (4, 33, 17)):
        value, offset_mask, _ = random_layer(*size, stride=stride)
        assert torch.equal(compiled(value, offset_mask), run(value, offset_mask))
    assert len(graphs) == 1


def test_compile_mixed_dtypes_and_lists():
    value, offset_mask, _ = random_layer()
    run = lambda v, o: functional.dcnv4(v, o, kernel_size=[3, 3], group=2)  # noqa: E731
    compiled = torch.compile(run, backend="aot_eager", fullgraph=True)
    assert torch.equal(compiled(value.half(), offset_mask), run(value.half(), offset_mask))


def test_compile_names_what_is_wrong():
    value, offset_mask, _ = random_layer()
    compiled = torch.compile(functional.dcnv4, backend="eager", fullgraph=True)
    with pytest.raises(Exception, match="offset_mask has shape"):
        compiled(value, offset_mask[:1], group=2)


def test_export():
    layer, x = module(dw_kernel_size=3), torch.randn(2, 36, 8)
    program = torch.export.export(layer, (x,), strict=False)
    assert torch.ops.dcnv4.forward.default in [node.target for node in program.graph.nodes]
    close(program.module()(x), layer(x), 1e-6)


def test_export_of_the_reference():
    """The program has no operator of ours: any runtime with grid_sample can run it."""
    layer, x = module(), torch.randn(2, 36, 8)
    layer.operator = dcnv4.reference.dcnv4
    program = torch.export.export(layer, (x,), strict=False)
    assert "dcnv4" not in str([node.target for node in program.graph.nodes])
    close(program.module()(x), layer(x), 1e-6)


def test_trace_keeps_the_operator():
    layer, x, other = module(), torch.randn(2, 36, 8), torch.randn(2, 36, 8)
    with pytest.warns(torch.jit.TracerWarning):
        traced = torch.jit.trace(layer, (x,))
    assert "dcnv4::forward" in str(traced.inlined_graph)
    close(traced(other), layer(other), 1e-6)


def test_fake_and_meta_tensors():
    from torch._subclasses.fake_tensor import FakeTensorMode

    for make in (lambda: FakeTensorMode(), lambda: torch.device("meta")):
        with make():
            value, offset_mask = torch.empty(2, 9, 11, 8), torch.empty(2, 5, 6, 56)
            assert functional.dcnv4(value, offset_mask, stride=2, group=2).shape == (2, 5, 6, 8)
    layer = dcnv4.DCNv4(8, group=2).to("meta")
    assert layer(torch.empty(2, 36, 8, device="meta")).shape == (2, 36, 8)


def test_modes_see_the_call():
    from torch.utils._python_dispatch import TorchDispatchMode

    class Names(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            names.append(str(function))
            return function(*args, **(kwargs or {}))

    names = []
    value, offset_mask, arguments = random_layer()
    with Names():
        seen = functional.dcnv4(value, offset_mask, **arguments)
    assert "dcnv4.forward.default" in names and torch.equal(seen, functional.dcnv4(value, offset_mask, **arguments))
