"""Checks before the library reads memory: dtypes, shapes and numbers, for any caller and order of calls; and tensors
whose numbers are not those in their memory."""

import fractions

import numpy
import pytest
import torch
from conftest import close, random_layer

import dcnv4
from dcnv4 import _operators, functional, reference

operators_only = pytest.mark.skipif(not _operators.available, reason=f"PyTorch {torch.__version__} has no operators")

LAYER = ((3, 3), (1, 1), (1, 1), (1, 1), 2, 1.0, False, False)
DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


# The operators, which can be called without dcnv4.functional.


def given():
    value, offset_mask, _ = random_layer()
    return {"grad_output": torch.randn_like(value), "value": value, "offset_mask": offset_mask}


def call(operator, tensors, layer=LAYER):
    names = ("value", "offset_mask") if operator == "forward" else ("grad_output", "value", "offset_mask")
    return getattr(torch.ops.dcnv4, operator)(*(tensors[name] for name in names), *layer)


@operators_only
@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize("operator", ["forward", "backward"])
@pytest.mark.parametrize("first", DTYPES)
@pytest.mark.parametrize("second", DTYPES)
def test_operators_take_one_dtype(operator, first, second, warm):
    """Or float32 beside 16 bits, which test_dtypes.py tests."""
    if first is second or (second is torch.float32 and first in (torch.float16, torch.bfloat16)):
        return
    tensors = given()
    if warm:
        for dtype in (first, second):
            call(operator, {name: tensor.to(dtype) for name, tensor in tensors.items()})
    tensors.update(value=tensors["value"].to(first), offset_mask=tensors["offset_mask"].to(second))
    tensors["grad_output"] = tensors["grad_output"].to(first)
    with pytest.raises(TypeError, match=f"value is of {first} and offset_mask of {second}, one is needed"):
        call(operator, tensors)


WRONG = {
    "value is of torch.int64": dict(value=lambda t: t.long()),
    "offset_mask is of torch.complex64": dict(offset_mask=lambda t: t.cfloat()),
    "value has shape .7, 9, 8., four axes": dict(value=lambda t: t[0]),
    "offset_mask has shape .2, 7, 9, 53., ": dict(offset_mask=lambda t: t[..., :53]),
    "offset_mask has shape .1, 7, 9, 56., ": dict(offset_mask=lambda t: t[:1]),
}
WRONG_GRADIENTS = {
    "grad_output is torch.float64, .2, 7, 9, 8. on cpu; torch.float32, .2, 7, 9, 8. on cpu": lambda t: t.double(),
    "grad_output is torch.float32, .2, 7, 9, 7. on cpu": lambda t: t[..., :7],
    "grad_output is torch.float32, .1, 7, 9, 8. on cpu": lambda t: t[:1],
    "grad_output is torch.float32, .2, 9, 8. on cpu": lambda t: t[:, 0],
    "grad_output is of torch.int32": lambda t: t.int(),
}


@operators_only
@pytest.mark.parametrize("where", ["cpu", "meta", "grad"])
@pytest.mark.parametrize("operator", ["forward", "backward"])
@pytest.mark.parametrize("message", [*WRONG, *WRONG_GRADIENTS])
def test_operators_check_tensors(operator, message, where):
    if message in WRONG_GRADIENTS and operator == "forward":
        return
    tensors = given()
    call(operator, tensors)
    changes = WRONG.get(message) or {"grad_output": WRONG_GRADIENTS[message]}
    for name, change in changes.items():
        tensors[name] = change(tensors[name])
    if where == "meta":
        tensors = {name: tensor.to("meta") for name, tensor in tensors.items()}
        message = message.replace("cpu", "meta")
    if where == "grad" and tensors["value"].is_floating_point():
        tensors["value"].requires_grad_()
    with pytest.raises((TypeError, ValueError), match=f"^dcnv4: {message}"):
        call(operator, tensors)


@operators_only
@pytest.mark.parametrize("operator", ["forward", "backward"])
@pytest.mark.parametrize(
    "index, number, message",
    [
        (0, (0, 3), "kernel_size is .0, 3."),
        (1, (0, 1), "stride is .0, 1."),
        (2, (-1, 1), "padding is .-1, 1."),
        (3, (1, -5), "dilation is .1, -5."),
        (4, 0, "group is 0"),
        (4, 3, "value has 8 channels, which 3 groups"),
    ],
)
def test_operators_check_numbers(operator, index, number, message):
    layer = [*LAYER]
    layer[index] = number
    with pytest.raises(ValueError, match=f"^dcnv4: {message}"):
        call(operator, given(), layer)


@operators_only
def test_operators_check_devices():
    tensors = given()
    tensors["offset_mask"] = tensors["offset_mask"].to("meta")
    with pytest.raises((ValueError, RuntimeError), match="meta"):
        call("forward", tensors)


def random_module(kind=dcnv4.DCNv4Conv2d, *arguments, **named):
    module = kind(*arguments, **named)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return module


@operators_only
@pytest.mark.parametrize("stride", [1, 2])
def test_a_trace_moves(stride):
    """Recorded in float32 and run in another dtype or under autocast, a trace computes what the module itself does."""
    module = random_module(dcnv4.DCNv4Conv2d, 8, 8, group=2, stride=stride).eval()
    image = torch.randn(1, 8, 9, 11)
    with pytest.warns(torch.jit.TracerWarning):
        traced = torch.jit.trace(module, (image,), check_trace=False)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(traced(image), module(image))
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        traced.to(dtype), module.to(dtype)
        assert torch.equal(traced(image.to(dtype)), module(image.to(dtype)))


@operators_only
def test_a_trace_of_two_dtypes_moves():
    """The trace converts offset_mask to the dtype that value has when it runs, not when it was recorded."""
    value, offset_mask, arguments = random_layer()
    run = lambda v, o: functional.dcnv4(v, o, **arguments)  # noqa: E731
    traced = torch.jit.trace(run, (value, offset_mask.double()), check_trace=False)
    for dtype in DTYPES:
        assert torch.equal(traced(value.to(dtype), offset_mask), run(value.to(dtype), offset_mask.to(dtype)))


# Numbers.


def plain_call(**arguments):
    torch.manual_seed(5)
    value, offset_mask, _ = random_layer()
    return functional.dcnv4(value, offset_mask, **{"group": 2, **arguments})


SENTENCES = {
    "kernel_size": "dcnv4: kernel_size {number} with dilation 1 spans {number} pixels, but value has H = 7",
    "padding": r"dcnv4: offset_mask has shape .1, 1, 1, 56., but value .* needs .1, {pixels}, ",
    "dilation": "dcnv4: kernel_size 3 with dilation {number} spans ",
    "group": r"dcnv4: value has 8 channels, which {number} groups .group. do not divide",
}
LARGE = [2**31, 2**32 + 1, 2**63 - 1, 2**63, 2**64, 2**64 + 1, 2**64 + 3, 2**65 + 1, 10**30]


@pytest.mark.parametrize("number", LARGE)
@pytest.mark.parametrize("name", ["kernel_size", "stride", "padding", "dilation", "group"])
@pytest.mark.parametrize("operator", [functional.dcnv4, reference.dcnv4], ids=["library", "reference"])
def test_large_numbers_do_not_wrap(operator, name, number):
    """The output has one pixel, since the stride is larger than the image."""
    if operator is reference.dcnv4 and number < 2**63:
        return
    value, offset_mask = torch.randn(1, 7, 9, 8), torch.randn(1, 1, 1, 56)
    if name == "stride" and number < 2**63:
        found = operator(value, offset_mask, stride=number, group=2)
        close(found, reference.dcnv4(value, offset_mask, stride=1000, group=2), 1e-6)
        return
    message = f"dcnv4: {name} is {number}, at most" if number >= 2**63 else SENTENCES[name]
    with pytest.raises(ValueError, match=message.format(number=number, pixels=5 + 2 * number)):
        operator(value, offset_mask, **{"group": 2, name: number})
    if name != "group" and number >= 2**63:
        with pytest.raises(ValueError, match=f"dcnv4: {name} is .1, {number}., at most"):
            operator(value, offset_mask, **{"group": 2, name: (1, number)})


def test_an_offset_scale_that_no_double_holds():
    with pytest.raises(ValueError, match="dcnv4: offset_scale is 1000.*, which no float holds"):
        plain_call(offset_scale=10**400)
    assert plain_call(offset_scale=1e308).isfinite().all()


class Whole(int):
    pass


EQUALS = [
    ("kernel_size", 3, [3.0, (3.0, 3.0), (3, 3.0), numpy.float64(3), torch.tensor(3), "3", 3j, numpy.array([3, 3])]),
    ("stride", 1, [1.0, (1.0, 1), torch.tensor(1), numpy.float32(1), b"\1", fractions.Fraction(1), {1, 1.5}]),
    ("padding", 1, [1.0, (1, 1.0), numpy.ones(1, int)]),
    ("dilation", 1, [1.0, (1.0, 1.0)]),
    ("group", 2, [2.0, (2,), torch.tensor(2), numpy.float64(2)]),
    ("remove_center", False, [0.0, numpy.float64(0), b"\0"]),
    ("softmax", False, [0.0, None]),
]


@pytest.mark.parametrize("name, number, equal", [(name, number, e) for name, number, es in EQUALS for e in es], ids=str)
def test_equal_numbers_of_other_types_are_refused_every_time(name, number, equal):
    for _ in range(2):
        with pytest.raises(TypeError, match=f"dcnv4: {name} is "):
            plain_call(**{name: equal})
        plain_call(**{name: number})


@pytest.mark.parametrize(
    "name, numbers",
    [
        ("kernel_size", [numpy.int64(3), (numpy.int32(3), 3), [3, 3], (3, 3), Whole(3), numpy.uint8(3)]),
        ("stride", [numpy.int64(1), True, numpy.bool_(True) if isinstance(numpy.bool_(True), int) else 1]),
        ("offset_scale", [1, True, numpy.float32(1), numpy.float64(1), fractions.Fraction(1), numpy.int64(1)]),
        ("remove_center", [0, numpy.int64(0)]),
    ],
)
def test_equal_numbers_of_other_types_are_one(name, numbers):
    expected = plain_call()
    for number in numbers * 2:
        assert torch.equal(plain_call(**{name: number}), expected)


def test_bytes_are_no_number_because_a_number_had_them():
    """marshal, which makes the keys of plans, gives the same bytes for numpy's 3 and for these objects."""
    for number in (numpy.int64(3), numpy.int8(3)):
        plain_call(kernel_size=number)
        for other in (number.tobytes(), bytearray(number.tobytes()), memoryview(number.tobytes())):
            with pytest.raises(TypeError, match="kernel_size is "):
                plain_call(kernel_size=other)


# Tensors whose numbers are not those in their memory.


def negated(tensor):
    """The same numbers, negated in memory."""
    return torch._neg_view(-tensor)


def imaginary(tensor):
    """The same numbers, as the imaginary part of a conjugate: negated in memory, with a stride of two."""
    found = torch.complex(torch.zeros_like(tensor), -tensor).conj().imag
    assert found.is_neg() and torch.equal(found, tensor)
    return found


@pytest.mark.parametrize("view", [negated, imaginary])
@pytest.mark.parametrize("which", [(0,), (1,), (2,), (0, 1, 2)], ids=str)
@pytest.mark.parametrize("requires_grad", [False, True])
def test_negative_tensors(view, which, requires_grad):
    value, offset_mask, arguments = random_layer(channels=2)
    tensors = [value, offset_mask, torch.randn_like(value)]
    seen = [view(tensor) if index in which else tensor for index, tensor in enumerate(tensors)]
    results = []
    for value, offset_mask, grad_output in (tensors, seen):
        if not requires_grad:
            results.append([functional.dcnv4(value, offset_mask, **arguments)])
            continue
        value, offset_mask = value.detach().requires_grad_(), offset_mask.detach().requires_grad_()
        output = functional.dcnv4(value, offset_mask, **arguments)
        results.append([output, *torch.autograd.grad(output, (value, offset_mask), grad_output)])
    assert all(map(torch.equal, *results))


def test_gradients_of_complex_numbers():
    value, offset_mask, arguments = random_layer(channels=2)
    value.requires_grad_()

    def loss(run):
        output = run(value, offset_mask, **arguments)
        numbers = torch.complex(torch.zeros_like(output), output).conj() * torch.arange(output.numel()).view_as(output)
        return torch.autograd.grad(numbers.imag.sum(), value)[0]

    close(loss(functional.dcnv4), loss(reference.dcnv4), 1e-5)


@operators_only
def test_negative_tensors_through_the_operators():
    tensors = given()
    for operator in ("forward", "backward"):
        results = [call(operator, t) for t in (tensors, {name: negated(t) for name, t in tensors.items()})]
        flat = [result if isinstance(result, tuple) else (result,) for result in results]
        assert all(map(torch.equal, *flat))


@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize("requires_grad", [False, True])
def test_zeros_without_memory(warm, requires_grad):
    value, offset_mask, arguments = random_layer()
    nothing = lambda like: torch._efficientzerotensor(like.shape)  # noqa: E731
    if warm:
        functional.dcnv4(value, offset_mask, **arguments)
    seen = value.clone().requires_grad_(requires_grad)
    assert functional.dcnv4(nothing(value), offset_mask, **arguments).eq(0).all()
    assert functional.dcnv4(seen, nothing(offset_mask), **arguments).eq(0).all()
    assert functional.dcnv4(nothing(value), nothing(offset_mask), **arguments).eq(0).all()
    if requires_grad:
        output = functional.dcnv4(seen, offset_mask, **arguments)
        assert torch.autograd.grad(output, seen, nothing(value))[0].eq(0).all()


def nested(tensor):
    return torch.nested.nested_tensor(list(tensor))


def quantized(tensor):
    return torch.quantize_per_tensor(tensor, 0.1, 0, torch.qint8)


def emptied(tensor):
    """Without storage, as sharded training leaves parameters that it has moved."""
    tensor = tensor.clone()
    tensor.storage().resize_(0)
    return tensor


STRANGE = {
    "sparse": lambda t: t.to_sparse(),
    "rows": lambda t: t.reshape(-1, t.shape[-1]).to_sparse_csr(),
    "mkldnn": lambda t: t.to_mkldnn(),
    "nested": nested,
    "quantized": quantized,
    "emptied": emptied,
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("which", [0, 1], ids=["value", "offset_mask"])
@pytest.mark.parametrize("kind", STRANGE)
def test_tensors_that_cannot_be_read_are_refused(kind, which):
    value, offset_mask, arguments = random_layer()
    functional.dcnv4(value, offset_mask, **arguments)
    if kind == "mkldnn" and not torch.backends.mkldnn.is_available():
        pytest.skip("this PyTorch has no mkldnn")
    tensors = [value, offset_mask]
    tensors[which] = STRANGE[kind](tensors[which])
    for _ in range(2):
        name = ("value", "offset_mask")[which]
        with pytest.raises((TypeError, ValueError), match=f"{name} (is of|has the layout|has no memory|has shape)"):
            functional.dcnv4(*tensors, **arguments)


@operators_only
def test_functional_tensors():
    value, offset_mask, arguments = random_layer()
    expected = functional.dcnv4(value, offset_mask, **arguments)
    wrapped = [torch._to_functional_tensor(tensor) for tensor in (value, offset_mask)]
    found = functional.dcnv4(*wrapped, **arguments)
    assert torch.equal(torch._from_functional_tensor(found), expected)


@operators_only
def test_tensors_that_left_their_transform():
    value, offset_mask, arguments = random_layer()
    expected = functional.dcnv4(value, offset_mask, **arguments)
    left = []
    torch.func.grad(lambda v: (left.append(v), v.sum())[1])(value)
    assert torch.equal(functional.dcnv4(left[0], offset_mask, **arguments), expected)
    torch.vmap(lambda v: (left.append(v), v)[1])(value[None])
    with pytest.raises(RuntimeError, match="maybe_level"):  # PyTorch's own error, as for any operator
        functional.dcnv4(left[1], offset_mask, **arguments)


class Sub(torch.Tensor):
    pass


def test_subclasses_are_kept():
    value, offset_mask, arguments = random_layer()
    found = functional.dcnv4(value.as_subclass(Sub), offset_mask, **arguments)
    assert torch.equal(found.as_subclass(torch.Tensor), functional.dcnv4(value, offset_mask, **arguments))
    negative = functional.dcnv4(negated(value).as_subclass(Sub), offset_mask, **arguments)
    assert torch.equal(negative, found)
