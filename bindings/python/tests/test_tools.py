"""Tools that observe calls work in eager mode, too: profilers, FLOP counters, torch.fx, and type checkers."""

import inspect
import pathlib
import typing

import pytest
import torch
from conftest import close, random_layer

import dcnv4
from dcnv4 import _operators, functional, reference

operators_only = pytest.mark.skipif(not _operators.available, reason=f"PyTorch {torch.__version__} has no operators")


def layer(requires_grad=False):
    value, offset_mask, arguments = random_layer()
    return value.requires_grad_(requires_grad), offset_mask.requires_grad_(requires_grad), arguments


def counts(events):
    return {event.key: event.count for event in events if event.key.startswith("dcnv4::")}


def profilers():
    from torch.profiler import ProfilerActivity, profile

    yield "torch.profiler", lambda: profile(activities=[ProfilerActivity.CPU], record_shapes=True)
    yield "autograd.profiler", lambda: torch.autograd.profiler.profile(record_shapes=True)


@pytest.mark.parametrize("make", [make for _, make in profilers()], ids=[name for name, _ in profilers()])
@pytest.mark.parametrize("requires_grad", [False, True])
def test_profilers_see_calls(make, requires_grad):
    value, offset_mask, arguments = layer(requires_grad)
    functional.dcnv4(value, offset_mask, **arguments)
    with make() as seen:
        for _ in range(3):
            output = functional.dcnv4(value, offset_mask, **arguments)
        if requires_grad:
            output.sum().backward()
    expected = {"dcnv4::forward": 3, "dcnv4::backward": 1}
    assert counts(seen.key_averages()) == {k: n for k, n in expected.items() if requires_grad or "forward" in k}
    if _operators.available:
        events = seen.events() if hasattr(seen, "events") else seen.function_events
        shapes = [event.input_shapes for event in events if event.name == "dcnv4::forward"]
        assert shapes and all(shape[:2] == [list(value.shape), list(offset_mask.shape)] for shape in shapes)


def test_a_profiler_that_begins_after_forward():
    output = functional.dcnv4(*layer(True)[:2], group=2)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as seen:
        output.sum().backward()
    assert counts(seen.key_averages()) == {"dcnv4::backward": 1}


@operators_only
def test_profilers_see_the_operators_once():
    value, offset_mask, arguments = layer(True)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as seen:
        torch.func.grad(lambda v: functional.dcnv4(v, offset_mask.detach(), **arguments).sum())(value.detach())
    found = counts(seen.key_averages())
    assert set(found) == {"dcnv4::forward", "dcnv4::backward"}


LAYERS = [
    {},
    dict(kernel_size=(2, 3), stride=2, remove_center=True, group=4, softmax=True),
    dict(batch=3, channels=6, kernel_size=1, padding=0),
]


@operators_only
@pytest.mark.parametrize("arguments", LAYERS, ids=str)
@pytest.mark.parametrize("forward_inside", [True, False])
def test_arithmetic_is_counted(arguments, forward_inside):
    """Four pixels per point, with a multiply-add, two operations, per channel. Backward takes twice as many."""
    from torch.utils.flop_counter import FlopCounterMode

    value, offset_mask, arguments = random_layer(**arguments)
    points = dcnv4._problem.make_layer(**arguments).points
    pixels = offset_mask.shape[0] * offset_mask.shape[1] * offset_mask.shape[2]
    forward = 2 * 4 * points * pixels * value.shape[3]
    with FlopCounterMode(display=False) as seen:
        functional.dcnv4(value, offset_mask, **arguments)
    assert seen.get_total_flops() == forward
    value.requires_grad_(), offset_mask.requires_grad_()
    output = functional.dcnv4(value, offset_mask, **arguments)
    with FlopCounterMode(display=False) as seen:
        if forward_inside:
            output = functional.dcnv4(value, offset_mask, **arguments)
        output.backward(torch.ones_like(output))
    total = (3 if forward_inside else 2) * forward
    assert seen.get_total_flops() == total
    found = seen.get_flop_counts()["Global"]
    assert found[torch.ops.dcnv4.backward] == 2 * forward


@operators_only
def test_arithmetic_of_a_module_is_counted():
    from torch.utils.flop_counter import FlopCounterMode

    module, image = dcnv4.DCNv4Conv2d(8, 16, group=2), torch.randn(1, 8, 6, 7)
    with FlopCounterMode(display=False) as seen:
        module(image).sum().backward()
    linears = 2 * 42 * 8 * (8 + 16 + 56)  # value_proj, output_proj, offset_mask
    assert seen.get_total_flops() > linears + 3 * 8 * 9 * 42 * 8


@pytest.mark.parametrize("operator", [functional.dcnv4, reference.dcnv4], ids=["library", "reference"])
def test_symbolic_trace_of_the_function(operator):
    """One node for the whole call, with its arguments."""
    value, offset_mask, arguments = layer()

    class Around(torch.nn.Module):
        def forward(self, value, offset_mask):
            return operator(value + 1, offset_mask=offset_mask, **arguments).relu()

    traced = torch.fx.symbolic_trace(Around())
    targets = [node.target for node in traced.graph.nodes if node.op == "call_function"]
    assert operator in targets and len(targets) == 2
    traced.recompile()
    expected = operator(value + 1, offset_mask, **arguments).relu()
    assert torch.equal(traced(value, offset_mask), expected)
    only_one = torch.fx.symbolic_trace(lambda row: operator(value + 1, row, **arguments).relu())
    assert torch.equal(only_one(offset_mask), expected)


def test_symbolic_trace_retraces():
    value, offset_mask, arguments = layer(True)
    traced = torch.fx.symbolic_trace(lambda v, o: functional.dcnv4(v, o, **arguments))
    again = torch.fx.symbolic_trace(traced)
    close(again(value, offset_mask), functional.dcnv4(value, offset_mask, **arguments), 0)
    again(value, offset_mask).sum().backward()
    assert value.grad is not None


def test_the_package_is_typed():
    folder = pathlib.Path(dcnv4.__file__).parent
    assert (folder / "py.typed").exists()
    for function in (functional.dcnv4, reference.dcnv4, dcnv4.devices):
        hints = typing.get_type_hints(function)
        assert {"return", *inspect.signature(function).parameters} == set(hints), function


@pytest.mark.parametrize(
    "make, shapes",
    [
        (lambda: dcnv4.DCNv4(8, group=2), [(2, 36, 8), (1, 81, 8)]),
        (lambda: dcnv4.DCNv4(8, group=2, stride=2, dw_kernel_size=3, center_feature_scale=True), [(2, 36, 8), (1, 81, 8)]),
        (lambda: dcnv4.DCNv4Conv2d(8, 6), [(2, 8, 5, 7), (1, 8, 9, 4)]),
        (lambda: dcnv4.DCNv4Conv2d(8, 6, 4, padding="same", softmax=True), [(2, 8, 5, 7), (1, 8, 9, 4)]),
        (lambda: torch.nn.Sequential(dcnv4.DCNv4Conv2d(8, 8, stride=2, padding=0), torch.nn.ReLU()), [(2, 8, 6, 7)]),
    ],
)
def test_fx_takes_the_modules(make, shapes):
    """Traced once, with the operator as one node and the module's parameters; run at other sizes."""
    module = make()
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    traced = torch.fx.symbolic_trace(module)
    assert sum(node.target is functional.dcnv4 for node in traced.graph.nodes) == 1
    for shape in shapes:
        image = torch.randn(shape)
        assert torch.equal(traced(image), module(image))
