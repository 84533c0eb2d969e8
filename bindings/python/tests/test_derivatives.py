"""Derivatives of every order and mode, and batched, against those of a formula that PyTorch differentiates itself."""

import warnings

import formula
import pytest
import torch
from conftest import close, random_layer

import dcnv4
from dcnv4 import _operators, functional

pytestmark = pytest.mark.skipif(not _operators.available, reason=f"PyTorch {torch.__version__} has first ones only")

SMALL = dict(batch=2, height=3, width=4, channels=4, dtype=torch.float64)
LAYERS = {
    "plain": {},
    "odd": dict(group=3, channels=9, row=81, kernel_size=(1, 3), padding=(0, 1), batch=1),
    "stride": dict(stride=(2, 3), kernel_size=(2, 4), padding=(1, 2), remove_center=True, offset_scale=0.7),
    "softmax": dict(softmax=True, offset_scale=0.5, dilation=2, padding=2, batch=1),
}


@pytest.fixture(params=LAYERS)
def layer(request):
    return random_layer(**{**SMALL, **LAYERS[request.param]})


def operators(arguments):
    """Our operator and the formula, as functions of value and offset_mask alone."""
    return (lambda v, o: functional.dcnv4(v, o, **arguments)), (lambda v, o: formula.dcnv4(v, o, **arguments))


def same(transform, arguments, *inputs):
    """Compares transform's results for the operator and for the formula, on the same inputs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        found, expected = (transform(run)(*inputs) for run in operators(arguments))
    flat = torch.utils._pytree.tree_flatten
    pairs = list(zip(flat(found)[0], flat(expected)[0]))
    assert pairs and any(tensor.abs().max() > 0 for _, tensor in pairs)
    for ours, theirs in pairs:
        close(ours, theirs, 1e-10)


def curved(run):
    """A scalar with second derivatives by all inputs."""
    return lambda v, o: run(v, o).sin().sum()


def test_formula(layer):
    value, offset_mask, arguments = layer
    same(lambda run: run, arguments, value, offset_mask)


@pytest.mark.parametrize("moving", [(0,), (1,), (0, 1)], ids=["value", "offset_mask", "both"])
def test_jvp(layer, moving):
    value, offset_mask, arguments = layer
    inputs = (value, offset_mask)

    def transform(run):
        def along(*tangents):
            def moved(*some):
                whole = list(inputs)
                for index, tensor in zip(moving, some):
                    whole[index] = tensor
                return run(*whole)

            return torch.func.jvp(moved, tuple(inputs[i] for i in moving), tangents)

        return along

    same(transform, arguments, *(torch.randn_like(inputs[i]) for i in moving))


def linearized(run):
    def transform(value, offset_mask):
        output, push = torch.func.linearize(run, value, offset_mask)
        return output, push(value.cos(), offset_mask.cos())

    return transform


def hessian_product(run):
    def transform(value, offset_mask):
        gradient = torch.func.grad(curved(run), (0, 1))
        return torch.func.jvp(gradient, (value, offset_mask), (value.cos(), offset_mask.cos()))

    return transform


def gradient_of_tangent(run):
    def transform(value, offset_mask):
        tangent = lambda v, o: torch.func.jvp(run, (v, o), (v.cos(), o.cos()))[1].sin().sum()  # noqa: E731
        return torch.func.grad(tangent, (0, 1))(value, offset_mask)

    return transform


def tangent_of_tangent(run):
    def transform(value, offset_mask):
        tangent = lambda v, o: torch.func.jvp(run, (v, o), (v.cos(), o.cos()))[1]  # noqa: E731
        return torch.func.jvp(tangent, (value, offset_mask), (value.sin(), offset_mask.sin()))

    return transform


def third(run):
    def transform(value, offset_mask):
        def first(v, o):
            a, b = torch.func.grad(curved(run), (0, 1))(v, o)
            return a.sin().sum() + b.sin().sum()

        def second(v, o):
            a, b = torch.func.grad(first, (0, 1))(v, o)
            return a.sin().sum() + b.sin().sum()

        return torch.func.grad(second, (0, 1))(value, offset_mask)

    return transform


TRANSFORMS = {
    "grad": lambda run: torch.func.grad(curved(run), (0, 1)),
    "vjp": lambda run: lambda v, o: torch.func.vjp(run, v, o)[1](run(v, o).cos()),
    "linearize": linearized,
    "jacrev": lambda run: torch.func.jacrev(run, (0, 1)),
    "jacfwd": lambda run: torch.func.jacfwd(run, (0, 1)),
    "hessian_product": hessian_product,
    "gradient_of_tangent": gradient_of_tangent,
    "tangent_of_tangent": tangent_of_tangent,
    "third": third,
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms(layer, name):
    value, offset_mask, arguments = layer
    same(TRANSFORMS[name], arguments, value, offset_mask)


@pytest.mark.parametrize("outer, inner", [("fwd", "rev"), ("rev", "rev"), ("fwd", "fwd"), ("rev", "fwd")])
def test_hessian(outer, inner):
    value, offset_mask, arguments = random_layer(
        batch=1, height=2, width=2, group=1, channels=2, kernel_size=(1, 2), dtype=torch.float64, softmax=True,
        padding=(0, 1),
    )  # fmt: skip
    modes = {"fwd": torch.func.jacfwd, "rev": torch.func.jacrev}
    transform = lambda run: modes[outer](modes[inner](curved(run), (0, 1)), (0, 1))  # noqa: E731
    same(transform, arguments, value, offset_mask)


@pytest.mark.parametrize("dims", [(0, None), (None, 0), (1, 3), (4, 2), (0, 0)])
@pytest.mark.parametrize("of", ["forward", "gradient", "tangent"])
def test_vmap(layer, dims, of):
    value, offset_mask, arguments = layer
    inputs = [
        tensor if dim is None else torch.stack((tensor, tensor + 0.01, tensor - 0.02), dim)
        for tensor, dim in zip((value, offset_mask), dims)
    ]
    inner = {
        "forward": lambda run: run,
        "gradient": lambda run: torch.func.grad(curved(run), (0, 1)),
        "tangent": lambda run: lambda v, o: torch.func.jvp(run, (v, o), (v.cos(), o.cos())),
    }[of]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # PyTorch warns of batches that run one by one
        torch.vmap(inner(operators(arguments)[0]), dims)(*inputs)
    same(lambda run: torch.vmap(inner(run), dims, out_dims=1 if of == "forward" else 0), arguments, *inputs)


def test_vmap_twice():
    value, offset_mask, arguments = random_layer(**SMALL)
    values, rows = torch.stack((value, value + 1)), torch.stack((offset_mask, offset_mask + 0.01, offset_mask - 0.01))
    same(lambda run: torch.vmap(torch.vmap(run, (None, 0)), (0, None)), arguments, values, rows)
    same(lambda run: torch.vmap(run, chunk_size=1), arguments, values, rows[:2])


def test_gradients_of_each_sample():
    """Per-sample gradients by a module's parameters, as for differential privacy."""
    module = dcnv4.DCNv4(8, group=2).double()
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    parameters = {name: parameter.detach() for name, parameter in module.named_parameters()}
    images = torch.randn(3, 12, 8, dtype=torch.float64)

    def loss(parameters, image):
        return torch.func.functional_call(module, parameters, (image[None], (3, 4))).square().sum()

    found = torch.vmap(torch.func.grad(loss), (None, 0))(parameters, images)
    for index, image in enumerate(images):
        module.zero_grad()
        module(image[None], (3, 4)).square().sum().backward()
        for name, parameter in module.named_parameters():
            close(found[name][index], parameter.grad, 1e-10)


def leaves(layer):
    value, offset_mask, arguments = layer
    return value.requires_grad_(), offset_mask.requires_grad_(), arguments


def test_gradgradcheck(layer):
    value, offset_mask, arguments = leaves(layer)
    run = lambda v, o: functional.dcnv4(v, o, **arguments)  # noqa: E731
    torch.autograd.gradcheck(run, (value, offset_mask), fast_mode=True, check_forward_ad=True, check_batched_grad=True)
    torch.autograd.gradgradcheck(
        run, (value, offset_mask), fast_mode=True, check_fwd_over_rev=True, check_batched_grad=True
    )


def test_gradgradcheck_of_the_operators():
    value, offset_mask, arguments = leaves(random_layer(**SMALL))
    given = ((3, 3), (1, 1), (1, 1), (1, 1), 2, 1.0, False, False)
    assert tuple(arguments.values())[4:] == given[4:]
    run = lambda v, o: torch.ops.dcnv4.forward(v, o, *given)  # noqa: E731
    torch.autograd.gradgradcheck(run, (value, offset_mask), fast_mode=True, check_fwd_over_rev=True)
    back = lambda g, v, o: torch.ops.dcnv4.backward(g, v, o, *given)  # noqa: E731
    grad_output = torch.randn_like(value).requires_grad_()
    torch.autograd.gradcheck(back, (grad_output, value, offset_mask), fast_mode=True, check_forward_ad=True)


def test_graph_of_gradients_alone():
    """create_graph without a second derivative gives the same bits; third derivatives exist, too."""
    value, offset_mask, arguments = leaves(random_layer(**SMALL))
    output = functional.dcnv4(value, offset_mask, **arguments).sin().sum()
    plain = torch.autograd.grad(output, (value, offset_mask), retain_graph=True)
    graph = torch.autograd.grad(output, (value, offset_mask), create_graph=True)
    assert all(map(torch.equal, plain, graph))
    second = torch.autograd.grad(graph[0].sin().sum(), (value, offset_mask), create_graph=True)
    assert all(t.abs().max() > 0 for t in torch.autograd.grad(second[0].sum(), (value, offset_mask)))


def test_batched_gradients(layer):
    value, offset_mask, arguments = leaves(layer)
    results = []
    for run in operators(arguments):
        output = run(value, offset_mask)
        seeds = torch.stack((output.detach().cos(), output.detach().sin(), torch.ones_like(output)))
        results.append(torch.autograd.grad(output, (value, offset_mask), seeds, is_grads_batched=True))
    for found, expected in zip(*results):
        close(found, expected, 1e-10)


@pytest.mark.parametrize("strategy", ["reverse-mode", "forward-mode"])
@pytest.mark.parametrize("row", [54, 56])
def test_vectorized_jacobian(strategy, row):
    """Rows with and without padding: a slice of the whole tensor is an alias, which vmap does not batch."""
    value, offset_mask, arguments = random_layer(**{**SMALL, "batch": 1, "row": row})
    jacobian = torch.autograd.functional.jacobian
    same(
        lambda run: lambda v, o: jacobian(run, (v, o), vectorize=True, strategy=strategy),
        arguments, value, offset_mask,
    )  # fmt: skip


@pytest.mark.parametrize("strategy", ["reverse-mode", "forward-mode"])
@pytest.mark.parametrize("row", [6, 8])
def test_vectorized_hessian(strategy, row):
    value, offset_mask, arguments = random_layer(
        batch=1, height=2, width=2, group=1, channels=1, kernel_size=(1, 2), padding=(0, 1), row=row, dtype=torch.float64
    )
    hessian = torch.autograd.functional.hessian
    same(
        lambda run: lambda v, o: hessian(curved(run), (v, o), vectorize=True, outer_jacobian_strategy=strategy),
        arguments, value, offset_mask,
    )  # fmt: skip


def test_batched_gradcheck():
    value, offset_mask, arguments = random_layer(
        batch=1, height=2, width=3, group=1, channels=2, kernel_size=(1, 2), padding=0, row=6, dtype=torch.float64
    )
    inputs = value.requires_grad_(), offset_mask.requires_grad_()
    every = dict(check_forward_ad=True, check_batched_grad=True, check_batched_forward_grad=True)
    assert torch.autograd.gradcheck(lambda v, o: functional.dcnv4(v, o, **arguments), inputs, **every)


@pytest.mark.parametrize("moving", ["value", "offset_mask", "both"])
@pytest.mark.parametrize("requires_grad", [False, True])
def test_dual_numbers(moving, requires_grad):
    from torch.autograd import forward_ad

    value, offset_mask, arguments = random_layer(**SMALL)
    value.requires_grad_(requires_grad)
    tangents = torch.randn_like(value), torch.randn_like(offset_mask)
    results = []
    for run in operators(arguments):
        with forward_ad.dual_level():
            v = value if moving == "offset_mask" else forward_ad.make_dual(value, tangents[0])
            o = offset_mask if moving == "value" else forward_ad.make_dual(offset_mask, tangents[1])
            primal, tangent = forward_ad.unpack_dual(run(v, o))
            if requires_grad and moving != "value":
                primal, tangent = primal, torch.autograd.grad(tangent.sin().sum(), value)[0]
            results.append((primal, tangent))
    for found, expected in zip(*results):
        close(found, expected, 1e-10)


def test_dual_numbers_through_a_module():
    from torch.autograd import forward_ad

    module = dcnv4.DCNv4Conv2d(4, 6, group=2, stride=2).double()
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    image, tangent = torch.randn(2, 1, 4, 5, 6, dtype=torch.float64)
    with forward_ad.dual_level():
        found = forward_ad.unpack_dual(module(forward_ad.make_dual(image, tangent))).tangent
    step = 1e-6
    close(found, (module(image + step * tangent) - module(image - step * tangent)) / (2 * step), 1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_tangents_of_other_dtypes(dtype):
    """Points lie far from the origin, where a half cannot hold their positions."""
    value, offset_mask, arguments = random_layer(batch=1, height=3, width=600, channels=4, dtype=dtype)
    tangents = torch.randn_like(value), torch.randn_like(offset_mask)
    ours, theirs = operators(arguments)
    found = torch.func.jvp(ours, (value, offset_mask), tangents)[1]
    wide = torch.func.jvp(
        theirs, (value.double(), offset_mask.double()), tuple(tangent.double() for tangent in tangents)
    )[1]
    assert found.dtype is dtype
    close(found, wide, 4 * torch.finfo(dtype).eps if dtype is not torch.float32 else 1e-4)


def test_points_that_do_not_count_have_no_derivatives():
    value, offset_mask, arguments = random_layer(**SMALL)
    for lane, number in ((0, float("nan")), (3, float("inf")), (4, 1e30), (6, 50.0)):
        offset_mask[0, 1, 1, lane] = number
    ours = operators(arguments)[0]
    for tensor in hessian_product(ours)(value, offset_mask.nan_to_num(1e30, 1e30))[1]:
        assert tensor.isfinite().all()
    tangent = torch.func.jvp(ours, (value, offset_mask), (value, torch.ones_like(offset_mask)))[1]
    assert tangent.isfinite().all()
    gradients = gradient_of_tangent(lambda v, o: ours(v, o))(value, offset_mask.nan_to_num(1e30, 1e30))
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_offset_scale_of_zero_and_empty_tensors():
    value, offset_mask, arguments = random_layer(**SMALL, offset_scale=0.0)
    same(lambda run: hessian_product(run), arguments, value, offset_mask)
    for shape in ((0, 3, 4), (2, 0, 4), (2, 3, 0)):
        value, offset_mask = torch.randn(*shape, 4), torch.randn(*shape, 56)
        run = lambda v, o: functional.dcnv4(v, o, group=2)  # noqa: E731
        for tensor in torch.func.jvp(run, (value, offset_mask), (value, offset_mask)):
            assert tensor.shape == value.shape
        gradients = torch.func.grad(lambda v, o: run(v, o).sum(), (0, 1))(value, offset_mask)
        assert gradients[0].shape == value.shape and gradients[1].shape == offset_mask.shape


@pytest.mark.parametrize("name", ["grad", "hessian_product", "vmap"])
def test_compiled(name):
    if name == "hessian_product" and torch.__version__ < "2.6":
        pytest.skip("PyTorch 2.4 does not compile forward mode")
    value, offset_mask, arguments = random_layer(**SMALL)
    run = operators(arguments)[0]
    transform = {**TRANSFORMS, "vmap": lambda run: torch.vmap(torch.func.grad(curved(run)))}[name]
    inputs = (value, offset_mask) if name != "vmap" else [torch.stack((t, t)) for t in (value, offset_mask)]
    compiled = torch.compile(transform(run), backend="aot_eager", fullgraph=True)
    flat = torch.utils._pytree.tree_flatten
    for found, expected in zip(flat(compiled(*inputs))[0], flat(transform(run)(*inputs))[0]):
        close(found, expected, 1e-12)


def test_functionalize():
    value, offset_mask, arguments = random_layer(**SMALL)
    run = operators(arguments)[0]
    expected = run(value, offset_mask)
    assert torch.equal(torch.func.functionalize(run)(value, offset_mask), expected)
    many = torch.func.functionalize(torch.vmap(run))(value[None], offset_mask[None])
    assert torch.equal(many[0], expected)
