"""dcnv4::ms_deform_attn: opcheck, torch.compile, export, ONNX, and tools that observe calls."""

import inspect
import io
import typing
import warnings

import pytest
import torch
from attention_cases import UNITS, Call
from conftest import close
from test_attention_modules import SIZES, filled, inputs

import dcnv4
from dcnv4 import _operators, functional, reference

operators_only = pytest.mark.skipif(not _operators.available, reason=f"PyTorch {torch.__version__} has no operators")


def arguments(call):
    """Of the registered operator: its tensors, with None, and the rest."""
    value, *others = call.inputs()
    locations, weights = (others[0], None) if call.packed else others[:2]
    sizes = [number for pair in call.sizes for number in pair]
    rest = (sizes, call.starts, list(call.points), UNITS.index(call.unit), call.softmax, 0.5)
    return (value, locations, weights, call.references, None, None), rest


@operators_only
@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_opcheck(unit, packed, dtype):
    call = Call(unit, packed=packed, dtype=dtype, softmax=packed)
    tensors, rest = arguments(call)
    grad_output = torch.randn(2, 3, 6, dtype=dtype)
    torch.library.opcheck(torch.ops.dcnv4.ms_deform_attn_backward.default, (grad_output, *tensors, *rest))
    for tensor in call.inputs()[:1] + [tensors[1]]:
        tensor.requires_grad_()
    torch.library.opcheck(torch.ops.dcnv4.ms_deform_attn.default, (*tensors, *rest))


@operators_only
def test_opcheck_with_tables():
    call = Call(dtype=torch.float32)
    (*tensors, _, _), (_, _, *rest) = arguments(call)
    tables = torch.tensor(call.sizes), torch.tensor(call.starts)
    torch.library.opcheck(torch.ops.dcnv4.ms_deform_attn.default, (*tensors, *tables, [], [], *rest))


def gradients(run, module, given):
    module.zero_grad()
    output = run(*given)
    output.square().mean().backward()
    return [output.detach(), *(parameter.grad.clone() for parameter in module.parameters())]


@operators_only
@pytest.mark.parametrize("tables", ["tensors", "lists"])
@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_compile_is_eager(tables, backend):
    module, given = filled(dcnv4.MSDeformAttn(16, 4, 2)), inputs()
    if tables == "lists":
        given = (*given[:3], SIZES, None)
    torch._dynamo.reset()
    compiled = torch.compile(module, backend=backend, fullgraph=True)
    for found, expected in zip(gradients(compiled, module, given), gradients(module, module, given)):
        close(found, expected, 1e-5)


@operators_only
def test_compile_dynamic():
    """One graph for every batch, number of queries, and size of the levels."""
    graphs = []

    def backend(graph, given):
        graphs.append(graph)
        return graph

    def run(maps, locations, weights):
        value = torch.cat([each.flatten(2).transpose(1, 2) for each in maps], 1).unflatten(-1, (2, 4))
        return functional.ms_deform_attn(value, [tuple(each.shape[2:]) for each in maps], locations, weights)

    torch._dynamo.reset()
    compiled = torch.compile(run, backend=backend, fullgraph=True, dynamic=True)
    for batch, queries, side in ((5, 7, 11), (3, 8, 9), (4, 5, 12)):  # no two alike: PyTorch treats those as one
        maps = [torch.randn(batch, 8, side + 1, side), torch.randn(batch, 8, side - 2, side - 1)]
        given = maps, torch.rand(batch, queries, 2, 2, 3, 2), torch.rand(batch, queries, 2, 2, 3)
        assert torch.equal(compiled(*given), run(*given))
    assert len(graphs) == 1


@operators_only
def test_compile_names_what_is_wrong():
    call = Call()
    torch._dynamo.reset()
    compiled = torch.compile(functional.ms_deform_attn, backend="eager", fullgraph=True)
    with pytest.raises(Exception, match="attention_weights has shape"):
        compiled(call.value, call.sizes, call.locations, call.weights[:1], points=list(call.points))


def dimensions():
    Dim = torch.export.Dim
    n, q = Dim("n", min=1, max=64), Dim("q", min=2, max=4096)
    return {0: n, 1: q}, {0: n, 1: q}, {0: n}


@operators_only
@pytest.mark.parametrize("tables", ["tensors", "lists"])
@pytest.mark.parametrize("strict", [False, True])
def test_export_with_any_batch_and_queries(tables, strict):
    module, (query, references, memory, shapes, starts) = filled(dcnv4.MSDeformAttn(16, 4, 2)), inputs()
    levels = (shapes, starts) if tables == "tensors" else (list(SIZES), None)
    axes = (*dimensions(), *((None, None) if tables == "tensors" else ([None] * 4, None)))
    axes = tuple([(None, None)] * 4 if each == [None] * 4 else each for each in axes)
    program = torch.export.export(module, (query, references, memory, *levels), dynamic_shapes=axes, strict=strict)
    assert torch.ops.dcnv4.ms_deform_attn.default in [node.target for node in program.graph.nodes]
    for batch, queries in ((1, 4), (3, 9)):
        given = (*inputs(batch=batch, queries=queries)[:3], *levels)
        close(program.module()(*given), module(*given), 1e-6)


@operators_only
def test_export_reads_tables_in_every_run():
    """The program has no sizes in it, if they came in a tensor."""
    call = Call(dtype=torch.float32)

    class Around(torch.nn.Module):
        def forward(self, value, shapes, locations, weights):
            return functional.ms_deform_attn(value, shapes, locations, weights, points=[2, 3])

    given = call.value, torch.tensor(call.sizes), call.locations, call.weights
    program = torch.export.export(Around(), given)
    other = torch.tensor([(3, 2), (4, 5)])
    found = program.module()(given[0], other, *given[2:])
    assert torch.equal(found, Around()(given[0], other, *given[2:]))
    assert not torch.equal(found, Around()(*given))
    with pytest.raises(ValueError, match="spatial_shapes.1. is .40, 5. and begins at 6"):
        program.module()(given[0], torch.tensor([(3, 2), (40, 5)]), *given[2:])


def onnx_file(module, given, dynamo):
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dynamo:
            program = torch.onnx.export(
                module, given, dynamo=True, verbose=False, dynamic_shapes=dimensions(), input_names=["q", "r", "m"]
            )
            program.save(file)
        else:
            more = {} if torch.__version__ < "2.5" else {"dynamo": False}
            axes = {"q": {0: "n", 1: "q"}, "r": {0: "n", 1: "q"}, "m": {0: "n"}}
            torch.onnx.export(
                module, given, file, opset_version=16, input_names=["q", "r", "m"], output_names=["y"],
                dynamic_axes=axes, **more,
            )  # fmt: skip
    return file.getvalue()


@operators_only
@pytest.mark.parametrize("numbers, dynamo", [(2, False), (4, False), (4, True)])
def test_onnx(numbers, dynamo):
    """Both of PyTorch's exporters; ONNX Runtime runs another batch and other queries than the example's, with points far
    away and at NaN, which do not count."""
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime, which runs the files, is not installed")
    pytest.importorskip("onnx", reason="onnx, which PyTorch's exporters need, is not installed")
    if dynamo:
        pytest.importorskip("onnxscript", reason="onnxscript, which torch.onnx's exporter needs, is not installed")
    module = filled(dcnv4.MSDeformAttn(16, 4, 2)).eval()
    library, module.operator = module.operator, reference.ms_deform_attn

    class Around(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inside = module

        def forward(self, query, references, memory):
            return self.inside(query, references, memory, SIZES)

    data = onnx_file(Around().eval(), inputs(numbers=numbers)[:3], dynamo)
    module.operator = library
    session = runtime.InferenceSession(data, providers=["CPUExecutionProvider"])
    for batch, queries in ((1, 4), (3, 9)):
        given = list(inputs(numbers=numbers, batch=batch, queries=queries)[:3])
        given[1][0, 0, 0, 0], given[1][0, 1, 1, 1], given[1][0, 2, 2, 0] = float("nan"), float("inf"), 1e30
        names = [each.name for each in session.get_inputs()]
        (found,) = session.run(None, {name: tensor.numpy() for name, tensor in zip(names, given)})
        close(torch.from_numpy(found), module(*given, SIZES), 1e-5)


@operators_only
def test_trace_keeps_the_operator():
    module, given, other = filled(dcnv4.MSDeformAttn(16, 4, 2)), inputs(), inputs()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(module, given)
    assert "dcnv4::ms_deform_attn" in str(traced.inlined_graph)
    close(traced(*other), module(*other), 1e-6)


@operators_only
def test_fake_and_meta_tensors():
    from torch._subclasses.fake_tensor import FakeTensorMode

    for make in (lambda: FakeTensorMode(), lambda: torch.device("meta")):
        with make():
            value, locations, weights = torch.empty(2, 24, 2, 3), torch.empty(2, 5, 2, 3, 2), torch.empty(2, 5, 2, 3)
            for shapes in ([(4, 5), (2, 2)], torch.empty(2, 2, dtype=torch.int64)):
                y = functional.ms_deform_attn(value, shapes, locations, weights, points=[2, 1])
                assert y.shape == (2, 5, 6)


def counts(events):
    return {event.key: event.count for event in events if event.key.startswith("dcnv4::")}


@pytest.mark.parametrize("requires_grad", [False, True])
def test_profilers_see_calls(requires_grad):
    call = Call(packed=True)
    call.value.requires_grad_(requires_grad)
    given, run = call.inputs(), call.run()
    run(*given)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as seen:
        output = run(*given)
        if requires_grad:
            output.sum().backward()
    expected = {"dcnv4::ms_deform_attn": 1, **({"dcnv4::ms_deform_attn_backward": 1} if requires_grad else {})}
    assert counts(seen.key_averages()) == expected


@operators_only
@pytest.mark.parametrize("packed", [False, True])
def test_arithmetic_is_counted(packed):
    """Four places per point, with a multiply-add, two operations, per channel. Backward takes twice as many."""
    from torch.utils.flop_counter import FlopCounterMode

    call = Call(packed=packed, points=(2, 3), batch=2, queries=3, heads=2, channels=3)
    given, run = call.inputs(), call.run()
    given[0].requires_grad_()
    forward = 2 * 4 * (2 + 3) * (2 * 3) * (2 * 3)
    with FlopCounterMode(display=False) as seen:
        run(*given).sum().backward()
    found = seen.get_flop_counts()["Global"]
    assert found[torch.ops.dcnv4.ms_deform_attn] == forward
    assert found[torch.ops.dcnv4.ms_deform_attn_backward] == 2 * forward


@pytest.mark.parametrize("module", [functional, reference], ids=["library", "reference"])
@pytest.mark.parametrize("packed", [False, True])
def test_symbolic_trace_of_the_function(module, packed):
    """One node for the whole call."""
    call = Call("offsets", packed=packed)
    given, run = call.inputs(), call.run(module)
    traced = torch.fx.symbolic_trace(
        (lambda v, l, r: run(v, l, r)) if packed else (lambda v, l, w, r: run(v, l, w, r))
    )  # fmt: skip
    operator = module.flash_deform_attn if packed else module.ms_deform_attn
    assert [node.target for node in traced.graph.nodes if node.op == "call_function"] == [operator]
    assert torch.equal(traced(*given), run(*given))


def test_functions_are_typed():
    for module in (functional, reference):
        for function in (module.ms_deform_attn, module.flash_deform_attn):
            hints = typing.get_type_hints(function)
            assert {"return", *inspect.signature(function).parameters} == set(hints), function
