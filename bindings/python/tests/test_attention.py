"""Multi-scale deformable attention: the golden cases, every unit and layout, first derivatives, and dtypes."""

import pytest
import torch
from attention_cases import UNITS, Call, Golden, golden_names
from conftest import close

from dcnv4 import functional, reference

MODULES = pytest.mark.parametrize("module", [functional, reference], ids=["library", "reference"])


@MODULES
@pytest.mark.parametrize("dtype, bound", [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize("tables", ["tensors", "lists"])
@pytest.mark.parametrize("name", golden_names())
def test_golden(name, tables, dtype, bound, module):
    case = Golden(name)
    shapes, starts = case.spatial_shapes, case.level_start_index
    if tables == "lists":
        shapes, starts = [tuple(pair) for pair in shapes.tolist()], starts.tolist()
    tensors = [tensor.to(dtype).requires_grad_() for tensor in case.tensors]
    output = case.run(module, tensors, shapes, starts)
    assert case.output.abs().max() > 0
    close(output, case.output, bound)
    gradients = torch.autograd.grad(output, tensors, case.grad_output.to(dtype))
    for index, (found, expected) in enumerate(zip(gradients, case.gradients)):
        # At exactly −1 grid_sample has a gradient by location.
        if (module, name, index) != (reference, "classic_exact_borders", 1):
            close(found, expected, bound)


CALLS = {
    **{unit: dict(unit=unit) for unit in UNITS},
    "one_reference": dict(unit="offsets", references=1, softmax=True),
    "one_box": dict(unit="box_offsets", references=1, packed=True, softmax=True),
    "packed": dict(packed=True, gap=2),
    "levels": dict(sizes=((2, 3), (0, 4), (1, 1), (3, 1)), points=(1, 2, 3, 0), gap=1, softmax=True),
}


@MODULES
@pytest.mark.parametrize("name", CALLS)
def test_formula_and_gradients(name, module):
    call = Call(**CALLS[name])
    inputs = [tensor.requires_grad_() for tensor in call.inputs()]
    results = []
    for run in (call.run(module), call.formula()):
        output = run(*inputs)
        results.append((output, *torch.autograd.grad(output, inputs, torch.ones_like(output) + output.detach())))
    assert results[1][0].abs().max() > 0
    for found, expected in zip(*results):
        close(found, expected, 1e-12)


@pytest.mark.parametrize("name", CALLS)
def test_gradcheck(name):
    call = Call(**{**CALLS[name], "batch": 1, "queries": 2})
    inputs = [tensor.requires_grad_() for tensor in call.inputs()]
    assert torch.autograd.gradcheck(call.run(), inputs, eps=1e-6, atol=1e-6)
