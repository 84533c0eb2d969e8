"""Attention's derivatives of every order and mode, and batched, against those of a formula that PyTorch differentiates."""

import warnings

import pytest
import torch
from attention_cases import Call
from conftest import close

from dcnv4 import _operators

pytestmark = pytest.mark.skipif(not _operators.available, reason=f"PyTorch {torch.__version__} has first ones only")

SMALL = dict(batch=1, queries=2, sizes=((3, 4), (2, 2)), points=(2, 1), channels=2)
CALLS = {
    "normalized": dict(gap=1),
    "softmax": dict(softmax=True, unit="places"),
    "offsets": dict(unit="offsets", references=1),
    "boxes": dict(unit="box_offsets", softmax=True),
    "packed": dict(packed=True, softmax=True),
}
FLAT = torch.utils._pytree.tree_flatten


@pytest.fixture(params=CALLS)
def call(request):
    return Call(**{**SMALL, **CALLS[request.param]})


def same(call, transform, inputs=None, bound=1e-10, **more):
    """Compares transform's results for the operator and for the formula."""
    inputs = call.inputs() if inputs is None else inputs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        found, expected = (transform(run)(*inputs) for run in (call.run(**more), call.formula()))
    pairs = list(zip(FLAT(found)[0], FLAT(expected)[0]))
    assert pairs and any(tensor.abs().max() > 0 for _, tensor in pairs)
    for ours, theirs in pairs:
        close(ours, theirs, bound)


def curved(run):
    """A scalar with second derivatives by all inputs."""
    return lambda *inputs: run(*inputs).sin().sum()


def every(inputs):
    return tuple(range(len(inputs)))


def jvp(run):
    return lambda *inputs: torch.func.jvp(run, inputs, tuple(t.cos() for t in inputs))


def gradient(run):
    return lambda *inputs: torch.func.grad(curved(run), every(inputs))(*inputs)


def hessian_product(run):
    return lambda *inputs: torch.func.jvp(gradient(run), inputs, tuple(t.cos() for t in inputs))


def gradient_of_tangent(run):
    def transform(*inputs):
        tangent = lambda *i: jvp(run)(*i)[1].sin().sum()  # noqa: E731
        return torch.func.grad(tangent, every(inputs))(*inputs)

    return transform


def tangent_of_tangent(run):
    def transform(*inputs):
        return torch.func.jvp(lambda *i: jvp(run)(*i)[1], inputs, tuple(t.sin() for t in inputs))

    return transform


def gradient_of_gradient(run):
    def transform(*inputs):
        first = lambda *i: sum(t.sin().sum() for t in gradient(run)(*i))  # noqa: E731
        return torch.func.grad(first, every(inputs))(*inputs)

    return transform


TRANSFORMS = (jvp, gradient, hessian_product, gradient_of_tangent, tangent_of_tangent, gradient_of_gradient)


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_transforms(call, transform):
    same(call, transform)


@pytest.mark.parametrize("transform", [jvp, gradient_of_gradient])
def test_transforms_with_tables(transform):
    """spatial_shapes and level_start_index as tensors."""
    call = Call(**SMALL, gap=1)
    tables = dict(spatial_shapes=torch.tensor(call.sizes), level_start_index=torch.tensor(call.starts))
    same(call, transform, **tables)


@pytest.mark.parametrize("moving", [0, 1, 2, 3])
def test_one_tangent(moving):
    call = Call(**SMALL, unit="box_offsets")
    inputs = call.inputs()

    def transform(run):
        def along(tensor):
            alone = lambda moved: run(*inputs[:moving], moved, *inputs[moving + 1 :])  # noqa: E731
            return torch.func.jvp(alone, (tensor,), (tensor.cos(),)), torch.func.grad(curved(alone))(tensor)

        return along

    same(call, transform, [inputs[moving]])


def test_vmap(call):
    inputs = call.inputs()
    many = [torch.stack((t, t + 0.01), 1) for t in inputs]
    same(call, lambda run: torch.vmap(run, 1), many)
    same(call, lambda run: torch.vmap(gradient(run), 1), many)
    same(call, lambda run: torch.vmap(run, (1, *[None] * (len(inputs) - 1))), [many[0], *inputs[1:]])
    same(call, lambda run: torch.vmap(jvp(run), (None, 1, *[None] * (len(inputs) - 2))), [inputs[0], many[1], *inputs[2:]])


def test_vmap_over_levels_is_refused():
    call = Call(**SMALL)
    run, inputs = call.run(), call.inputs()
    with pytest.raises(RuntimeError, match="vmap over level_shapes is not possible"):
        torch.vmap(lambda shapes: call.run(spatial_shapes=shapes)(*inputs))(torch.tensor([call.sizes, call.sizes]))
    assert run(*inputs).isfinite().all()


def test_jacobians(call):
    count = every(call.inputs())
    same(call, lambda run: torch.func.jacrev(run, count))
    same(call, lambda run: torch.func.jacfwd(run, count))


def test_gradgradcheck(call):
    inputs = [tensor.requires_grad_() for tensor in call.inputs()]
    run = call.run()
    torch.autograd.gradcheck(run, inputs, fast_mode=True, check_forward_ad=True, check_batched_grad=True)
    torch.autograd.gradgradcheck(run, inputs, fast_mode=True, check_fwd_over_rev=True, check_batched_grad=True)


@pytest.mark.parametrize("strategy", ["reverse-mode", "forward-mode"])
def test_vectorized_jacobian(call, strategy):
    jacobian = torch.autograd.functional.jacobian
    same(call, lambda run: lambda *inputs: jacobian(run, inputs, vectorize=True, strategy=strategy))


def test_graph_of_gradients_alone(call):
    """create_graph without a second derivative gives the same bits."""
    inputs = [tensor.requires_grad_() for tensor in call.inputs()]
    output = call.run()(*inputs).sin().sum()
    plain = torch.autograd.grad(output, inputs, retain_graph=True)
    assert all(map(torch.equal, plain, torch.autograd.grad(output, inputs, create_graph=True)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("wide", [False, True])
def test_tangents_of_other_dtypes(dtype, wide):
    call = Call(**SMALL, dtype=dtype)
    if wide:
        call.locations = call.locations.float()
    inputs = tuple(call.inputs())
    tangents = tuple(torch.randn_like(t) for t in inputs)
    found = torch.func.jvp(call.run(), inputs, tangents)[1]
    expected = torch.func.jvp(
        call.formula(), tuple(t.double() for t in inputs), tuple(t.double() for t in tangents)
    )[1]  # fmt: skip
    assert found.dtype is dtype
    close(found, expected, 4 * torch.finfo(dtype).eps if dtype is not torch.float32 else 1e-5)


@pytest.mark.parametrize("unit", ["normalized", "offsets"])
def test_points_that_do_not_count_have_no_derivatives(unit):
    call = Call(**SMALL, unit=unit)
    for index, number in enumerate((float("nan"), float("inf"), 1e38)):
        call.locations[0, index % 2, index // 2, index, 0] = number
    inputs = tuple(call.inputs())
    run = call.run()
    for tensor in FLAT(torch.func.jvp(run, inputs, tuple(torch.ones_like(t) for t in inputs)))[0]:
        assert tensor.isfinite().all()
    tangent = lambda *i: torch.func.jvp(run, i, tuple(torch.ones_like(t) for t in i))[1].sin().sum()  # noqa: E731
    assert all(tensor.isfinite().all() for tensor in torch.func.grad(tangent, every(inputs))(*inputs))


def test_empty():
    for batch, queries in ((0, 2), (2, 0)):
        call = Call(**{**SMALL, "batch": batch, "queries": queries})
        inputs = tuple(call.inputs())
        output, tangent = torch.func.jvp(call.run(), inputs, inputs)
        assert output.shape == tangent.shape == (batch, queries, 4)
        for tensor, found in zip(inputs, torch.func.grad(curved(call.run()), every(inputs))(*inputs)):
            assert found.shape == tensor.shape and found.eq(0).all()


@pytest.mark.parametrize("transform", [gradient, hessian_product])
def test_compiled(transform):
    if transform is hessian_product and torch.__version__ < "2.6":
        pytest.skip("PyTorch 2.4 does not compile forward mode")
    call = Call(**SMALL, unit="offsets")
    torch._dynamo.reset()
    compiled = torch.compile(transform(call.run()), backend="aot_eager", fullgraph=True)
    for found, expected in zip(FLAT(compiled(*call.inputs()))[0], FLAT(transform(call.run())(*call.inputs()))[0]):
        close(found, expected, 1e-12)


def test_functionalize():
    call = Call(**SMALL, packed=True)
    run, inputs = call.run(), call.inputs()
    assert torch.equal(torch.func.functionalize(run)(*inputs), run(*inputs))
