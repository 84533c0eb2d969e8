"""Attention's inputs: slices without a copy, dtypes, numbers that are not finite, batch borders, and errors that name the
argument."""

import pytest
import torch
from attention_cases import Call
from conftest import close

import dcnv4
from dcnv4 import _operators, _runtime, functional, reference

MODULES = pytest.mark.parametrize("module", [functional, reference], ids=["library", "reference"])
operators_only = pytest.mark.skipif(not _operators.available, reason=f"PyTorch {torch.__version__} has no operators")


def fused(call):
    """The call's tensors as slices of one linear layer's result, and of a wider one for value."""
    row = [t.flatten(2) for t in (call.locations, call.weights)]
    wide = torch.cat((torch.randn_like(row[0][..., :3]), *row), -1)
    value = torch.cat((call.value.flatten(2), torch.randn_like(call.value.flatten(2)[..., :5])), -1)
    first, second = 3 + row[0].shape[-1], wide.shape[-1]
    return (
        value[..., : call.value[0, 0].numel()].view(call.value.shape),
        wide[..., 3:first].view(call.locations.shape),
        wide[..., first:second].view(call.weights.shape),
    )


def test_slices_are_not_copied(monkeypatch):
    call = Call()
    given = [tensor.requires_grad_() for tensor in call.inputs()]
    grad_output = torch.randn(2, 3, 6, dtype=torch.float64)
    expected = call.run()(*given)
    gradients = torch.autograd.grad(expected, given, grad_output)
    slices = [tensor.detach().requires_grad_() for tensor in fused(call)]
    assert not any(tensor.is_contiguous() for tensor in slices)

    def contiguous(self, **_):
        raise AssertionError("a tensor was copied")

    monkeypatch.setattr(torch.Tensor, "contiguous", contiguous)
    output = call.run()(*slices)
    assert torch.equal(output, expected)
    assert all(map(torch.equal, torch.autograd.grad(output, slices, grad_output), gradients))


@pytest.mark.parametrize(
    "view",
    [
        lambda t: t.transpose(1, 2).contiguous().transpose(1, 2),
        lambda t: torch.stack((t, t), 1).flatten(0, 1)[::2],
        lambda t: torch.stack((t, t), -1)[..., 0],
        lambda t: torch.stack((t, t), 2)[:, :, 0],
        lambda t: torch._neg_view(-t),
    ],
    ids=["heads_first", "every_second_image", "strided_channels", "every_second_row", "negated"],
)
def test_any_layout_is_right(view):
    call = Call(unit="offsets")
    given = [tensor.requires_grad_() for tensor in call.inputs()]
    expected, found = call.run()(*given), call.run()(*map(view, given))
    assert torch.equal(found, expected)
    grad_output = torch.randn_like(expected)
    gradients = torch.autograd.grad(expected, given, grad_output)
    assert all(map(torch.equal, torch.autograd.grad(found, given, view(grad_output[..., None])[..., 0]), gradients))


@MODULES
def test_shapes_of_points(module):
    """A level's points in an axis of their own, or all points in one; points as a number, a list, or left out."""
    call = Call(points=(2, 2), dtype=torch.float32)
    expected = call.run(module)(*call.inputs())
    value, locations, weights = call.inputs()
    split = locations.unflatten(3, (2, 2)), weights.unflatten(3, (2, 2))
    given = dict(level_start_index=call.starts)
    for points in (None, 2, [2, 2]):
        for pair in (split, (locations, weights), (split[0], weights), (locations, split[1])):
            assert torch.equal(module.ms_deform_attn(value, call.sizes, *pair, points=points, **given), expected)
    packed = torch.cat((locations.flatten(3), weights), -1)
    for points in (None, 2, (2, 2)):
        found = module.flash_deform_attn(value, call.sizes, call.starts, packed, points, softmax=False)
        assert torch.equal(found, expected)


@pytest.mark.parametrize("shapes", ["list", "table"])
@pytest.mark.parametrize("starts", ["none", "list", "table", "int32"])
def test_forms_of_levels(shapes, starts):
    call = Call(dtype=torch.float32)
    expected = call.run()(*call.inputs())
    given = {
        "spatial_shapes": torch.tensor(call.sizes) if shapes == "table" else [list(pair) for pair in call.sizes],
        "level_start_index": {
            "none": None, "list": call.starts, "table": torch.tensor(call.starts),
            "int32": torch.tensor(call.starts).int(),
        }[starts],
    }  # fmt: skip
    assert torch.equal(call.run(**given)(*call.inputs()), expected)


ROUNDING = {torch.float32: 2**-20, torch.float16: 2**-9, torch.bfloat16: 2**-6, torch.float64: 2**-40}


@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("packed", [False, True])
def test_dtypes(dtype, wide, packed):
    """Compared with float64 on the rounded inputs, there is only one rounding, at the end; with locations in float32 beside
    16 bits as well, and they and their gradient are not rounded."""
    call = Call(unit="box_offsets", packed=packed, softmax=True, dtype=dtype)
    given = call.inputs()
    if wide:
        given[1:] = [tensor.float() * 1.0009765625 for tensor in given[1:]]
    if wide and dtype is torch.float64:
        given[1:] = [tensor.double() for tensor in given[1:]]
    narrow = [tensor.clone().requires_grad_() for tensor in given]
    exact = [tensor.double().requires_grad_() for tensor in given]
    results = []
    for run, tensors in ((call.run(), narrow), (call.formula(), exact)):
        output = run(*tensors)
        results.append((output, *torch.autograd.grad(output, tensors, torch.ones_like(output))))
    for found, expected, tensor in zip(results[0], results[1], [narrow[0], *narrow]):
        assert found.dtype == tensor.dtype
        close(found, expected, ROUNDING[tensor.dtype])


@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize("other", ROUNDING)
def test_mixed_dtypes(dtype, other):
    """Converted to value's dtype, or to float32 beside 16 bits; gradients have their tensors' dtypes."""
    call = Call(unit="offsets", dtype=dtype)
    given = [call.value, *(tensor.to(other) for tensor in call.inputs()[1:])]
    kept = torch.float32 if dtype in (torch.float16, torch.bfloat16) and dtype != other else dtype
    same = [call.value, *(tensor.to(kept) for tensor in given[1:])]
    outputs, gradients = [], []
    for tensors in (given, same):
        tensors = [tensor.clone().requires_grad_() for tensor in tensors]
        outputs.append(call.run()(*tensors))
        gradients.append(torch.autograd.grad(outputs[-1].sum(), tensors))
    assert outputs[0].dtype == dtype and torch.equal(*outputs)
    for tensor, found, expected in zip(given, *gradients):
        assert found.dtype == tensor.dtype and torch.equal(found, expected.to(tensor.dtype))


FAR = [float("nan"), float("inf"), -float("inf"), 3e38, -3e38, 2.0**31]


@MODULES
@pytest.mark.parametrize("unit", ["normalized", "offsets"])
@pytest.mark.parametrize("softmax", [False, True])
def test_points_that_do_not_count(module, unit, softmax):
    """Locations that are not finite or far away: as if their weight was 0, and no gradient for them. A NaN weight of such a
    point does not matter without softmax."""
    call = Call(unit=unit, softmax=softmax, points=(4, 4), queries=6)
    for index, number in enumerate(FAR):
        call.locations[0, index, 1, 2, index % 2] = number
    value, locations, weights, *references = call.inputs()
    finite, zeroed = locations.clone(), (weights.softmax(-1) if softmax else weights).clone()
    finite[0, :, 1, 2], zeroed[0, :, 1, 2] = 0, 0
    expected = functional.ms_deform_attn(
        value, call.sizes, finite, zeroed, points=[4, 4], reference_points=references[0] if references else None
    )  # fmt: skip
    if not softmax:
        weights[0, 0, 1, 2] = float("nan")
    given = [tensor.requires_grad_() for tensor in (value, locations, weights, *references)]
    output = call.run(module)(*given)
    close(output, expected, 1e-12)
    gradients = torch.autograd.grad(output.sin().sum(), given)
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert gradients[1][0, :, 1, 2].eq(0).all() and (softmax or gradients[2][0, :, 1, 2].eq(0).all())


def test_logits_that_are_not_finite():
    call = Call(softmax=True, queries=3)
    call.weights[0, 0, 0, 1], call.weights[0, 1, 0], call.weights[0, 2, 1, 0] = -float("inf"), -float("inf"), float("nan")
    output = call.run()(*call.inputs()).unflatten(-1, (2, 3))
    bad = torch.zeros(2, 3, 2, dtype=torch.bool)
    bad[0, 1, 0] = bad[0, 2, 1] = True
    assert torch.equal(output.isnan().all(-1), bad) and torch.equal(output.isnan().any(-1), bad)


@pytest.mark.parametrize("batch", [4, 16, 64])
@pytest.mark.parametrize("packed", [False, True])
def test_batch_borders(batch, packed):
    """Each image's queries see their own image: 300 queries, as no power of two divides them."""
    call = Call(sizes=((5, 4), (2, 3)), points=(2, 2), batch=batch, queries=300, heads=8, channels=8, packed=packed,
                softmax=packed, dtype=torch.float32)  # fmt: skip
    output = call.run()(*call.inputs())
    for image in range(batch):
        alone = call.run()(*(tensor[image : image + 1] for tensor in call.inputs()))
        assert torch.equal(output[image : image + 1], alone)


@MODULES
@pytest.mark.parametrize(
    "change", [dict(batch=0), dict(queries=0), dict(points=(0, 0)), dict(sizes=((0, 3), (0, 0)), gap=1)], ids=str
)
def test_empty(module, change):
    call = Call(**change)
    given = [tensor.requires_grad_() for tensor in call.inputs()]
    output = call.run(module)(*given)
    assert output.shape == (change.get("batch", 2), change.get("queries", 3), 6) and output.eq(0).all()
    for tensor, gradient in zip(given, torch.autograd.grad(output.sum(), given)):
        assert gradient.shape == tensor.shape and gradient.eq(0).all()


def test_threads_give_the_same_bits():
    call = Call(queries=200, dtype=torch.float32)
    threads, results = torch.get_num_threads(), []
    try:
        for number in (1, 3):
            torch.set_num_threads(number)
            given = [tensor.requires_grad_() for tensor in call.inputs()]
            output = call.run()(*given)
            results.append([output, *torch.autograd.grad(output.sin().sum(), given)])
    finally:
        torch.set_num_threads(threads)
    assert all(map(torch.equal, *results))


def test_plans_are_kept():
    """One for each set of arguments, tensors' shapes, strides and dtypes, and for the flag of deterministic algorithms."""
    call, plans = Call(dtype=torch.float32), _runtime._plans
    run, given = call.run(), call.inputs()
    for _ in range(2):
        run(*given)
    assert len(plans) == 1
    try:
        torch.use_deterministic_algorithms(True)
        run(*given)
    finally:
        torch.use_deterministic_algorithms(False)
    assert [key[3] for key in plans] == [False, True]
    same = dict(spatial_shapes=call.sizes, level_start_index=call.starts, points=call.points)
    for more in (dict(points=[3, 2]), dict(softmax=True), dict(unit="places"), dict(spatial_shapes=[(5, 4), (3, 2)])):
        value, *others = given
        functional.ms_deform_attn(
            value, sampling_locations=others[0], attention_weights=others[1], **{**same, **more}
        )  # fmt: skip
    assert len(plans) == 6


def test_one_gradient_alone():
    call = Call(unit="box_offsets")
    given = call.inputs()
    both = torch.autograd.grad(call.run()(*[t.requires_grad_() for t in given]).sum(), given)
    for index in range(4):
        tensors = [tensor.detach().requires_grad_(k == index) for k, tensor in enumerate(given)]
        call.run()(*tensors).sum().backward()
        assert [tensor.grad is not None for tensor in tensors] == [k == index for k in range(4)]
        assert torch.equal(tensors[index].grad, both[index])


def test_inputs_are_not_written():
    call = Call(unit="offsets")
    before = [tensor.clone() for tensor in call.inputs()]
    call.run()(*[tensor.requires_grad_() for tensor in call.inputs()]).sum().backward()
    assert all(map(torch.equal, before, call.inputs()))


CALL = dict(
    value=torch.zeros(2, 26, 2, 3), spatial_shapes=[(4, 5), (3, 2)], sampling_locations=torch.zeros(2, 3, 2, 5, 2),
    attention_weights=torch.zeros(2, 3, 2, 5), points=[2, 3],
)  # fmt: skip
REFERENCES = torch.zeros(2, 3, 2, 2)
WRONG = {
    "value is of type NoneType": dict(value=None),
    "sampling_locations is of type list": dict(sampling_locations=[1]),
    "attention_weights is of type NoneType": dict(attention_weights=None),
    "attention_weights is of torch.int64": dict(attention_weights=CALL["attention_weights"].long()),
    "value is of torch.complex64": dict(value=CALL["value"].cfloat()),
    "value is on cpu and sampling_locations on meta": dict(sampling_locations=CALL["sampling_locations"].to("meta")),
    "value is on cpu and reference_points on meta": dict(reference_points=REFERENCES.to("meta")),
    "value has shape .2, 26, 6., four axes": dict(value=CALL["value"].flatten(2)),
    "sampling_locations has shape .2, 3, 2, 4, 2., .2, Q, 2, P, 2. with P = 5": dict(
        sampling_locations=CALL["sampling_locations"][:, :, :, :4]
    ),
    "sampling_locations has shape .1, 3, 2, 5, 2., .2, Q": dict(sampling_locations=CALL["sampling_locations"][:1]),
    "sampling_locations has shape .2, 3, 2, 5., ": dict(sampling_locations=CALL["attention_weights"]),
    "sampling_locations has shape .2, 3, 2, 5, 2., whose axis 3 2 levels do not divide": dict(points=None),
    "attention_weights has shape .2, 3, 2, 4., .2, 3, 2, P. with P = 5": dict(
        attention_weights=CALL["attention_weights"][..., :4]
    ),
    "attention_weights has shape .2, 1, 2, 5., ": dict(attention_weights=CALL["attention_weights"][:, :1]),
    "spatial_shapes.1. is .3, 3. and begins at 20: 9 places, but value has 26": dict(spatial_shapes=[(4, 5), (3, 3)]),
    "spatial_shapes.0. is .4294967296, 4294967296. and begins at 0: 18446744073709551616 places, but value has 26": dict(
        spatial_shapes=[(2**32, 2**32), (3, 2)]
    ),
    "spatial_shapes.1., which begins at 19 .level_start_index., overlaps spatial_shapes.0., which begins at 0 and ends "
    "at 20": dict(level_start_index=[0, 19]),
    "spatial_shapes.1. is .3, 2. and begins at 21: 6 places, but value has 26": dict(level_start_index=[0, 21]),
    "spatial_shapes has -1, possible are 0": dict(spatial_shapes=[(-1, 5), (3, 2)]),
    "spatial_shapes has 36893488147419103232": dict(spatial_shapes=[(2**65, 5), (3, 2)]),
    "spatial_shapes has 2.0, it must have whole numbers": dict(spatial_shapes=[(2.0, 5), (3, 2)]),
    "spatial_shapes has .4, 5, 6., pairs": dict(spatial_shapes=[(4, 5, 6), (3, 2)]),
    "spatial_shapes has no level": dict(spatial_shapes=[], points=[]),
    "spatial_shapes is of torch.float32, int64": dict(spatial_shapes=torch.ones(2, 2)),
    "spatial_shapes has shape .4., .L, 2.": dict(spatial_shapes=torch.ones(4, dtype=torch.int64)),
    "level_start_index has shape .2, 1., .L.": dict(level_start_index=torch.zeros(2, 1, dtype=torch.int64)),
    "level_start_index has 3 levels, but spatial_shapes has 2": dict(level_start_index=[0, 20, 26]),
    "level_start_index has -1": dict(level_start_index=torch.tensor([-1, 20])),
    "points has 3 levels, but spatial_shapes has 2": dict(points=[2, 2, 1]),
    "points has -1": dict(points=[6, -1]),
    "points is 2.5": dict(points=2.5),
    "points has 2.5": dict(points=[2.5, 2.5]),
    "softmax is None": dict(softmax=None),
    "unit is 'pixels', possible are normalized, places, offsets, box_offsets": dict(unit="pixels"),
    "unit is 'offsets', which needs reference_points": dict(unit="offsets"),
    "reference_points are given, but unit is 'places'": dict(unit="places", reference_points=REFERENCES),
    "reference_points has shape .2, 3, 2, 2., .2, 3, 1 or 2, 4.": dict(unit="box_offsets", reference_points=REFERENCES),
    "reference_points has shape .2, 3, 3, 2., ": dict(reference_points=REFERENCES[:, :, [0, 0, 1]]),
    "reference_points has shape .2, 3, 2., ": dict(reference_points=REFERENCES[:, :, 0]),
    "box_scale is 'wide'": dict(box_scale="wide"),
    "box_scale is inf, a finite": dict(box_scale=float("inf")),
    "box_scale is 1000": dict(box_scale=10**400),
}


@MODULES
@pytest.mark.parametrize("message", WRONG)
def test_wrong_arguments_are_named(module, message):
    for _ in range(2):
        with pytest.raises((TypeError, ValueError), match=f"^dcnv4: {message}"):
            module.ms_deform_attn(**{**CALL, **WRONG[message]})
        module.ms_deform_attn(**CALL)


@pytest.mark.parametrize("shape", [(2, 3, 2, 14), (2, 3, 1, 15), (2, 3, 30)])
def test_wrong_packed_rows_are_named(shape):
    with pytest.raises(ValueError, match="^dcnv4: sampling_loc_attn has shape .*, .2, Q, 2, 3·P. with P = 5"):
        functional.flash_deform_attn(CALL["value"], CALL["spatial_shapes"], None, torch.zeros(shape), [2, 3])


@operators_only
@pytest.mark.parametrize("where", ["cpu", "meta"])
def test_operators_check_their_arguments(where):
    """Called directly, without dcnv4.functional."""
    tensors = {name: CALL[name].to(where) for name in ("value", "sampling_locations", "attention_weights")}
    rest = ([4, 5, 3, 2], [], [2, 3], 0, False, 0.5)

    def call(operator=torch.ops.dcnv4.ms_deform_attn, references=None, rest=rest, first=(), **changes):
        return operator(*first, *{**tensors, **changes}.values(), references, None, None, *rest)

    assert call().shape == (2, 3, 6)
    with pytest.raises(TypeError, match="value is of torch.float32 and attention_weights of torch.float64, one is needed"):
        call(attention_weights=tensors["attention_weights"].double())
    with pytest.raises(ValueError, match="attention_weights has shape"):
        call(attention_weights=tensors["attention_weights"][:1])
    with pytest.raises(ValueError, match="begins at 20: 9 places, but value has 26"):
        call(rest=([4, 5, 3, 3], *rest[1:]))
    with pytest.raises(ValueError, match="spatial_shapes has 0 levels, points has 2"):
        call(rest=([], *rest[1:]))
    with pytest.raises(ValueError, match="unit is 7, possible are 0 to 3"):
        call(rest=(*rest[:3], 7, *rest[4:]))
    back = torch.ops.dcnv4.ms_deform_attn_backward
    with pytest.raises(ValueError, match="grad_output is torch.float32, .2, 3, 5. on"):
        call(back, first=(torch.zeros(2, 3, 5, device=where),))
    found = call(back, first=(torch.zeros(2, 3, 6, device=where),))
    assert [tuple(t.shape) for t in found] == [*(tuple(t.shape) for t in tensors.values()), (0,)]


def test_the_librarys_own_refusal():
    many = [(1, 1)] * 65
    value, locations = torch.zeros(1, 65, 1, 1), torch.zeros(1, 1, 1, 65, 2)
    with pytest.raises(dcnv4.Error, match="level_count is 65, up to 64"):
        functional.ms_deform_attn(value, many, locations, locations[..., 0])
