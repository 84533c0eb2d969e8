"""MSDeformAttn and FlashDeformAttn, against a plain restatement of Deformable DETR's module with grid_sample."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from conftest import close

import dcnv4
from dcnv4 import _operators, functional, reference

SIZES = ((6, 8), (3, 4), (2, 2), (1, 1))
MODULES = (dcnv4.MSDeformAttn, dcnv4.FlashDeformAttn)


def filled(module, std=0.3):
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=std)
    return module


def inputs(d_model=16, numbers=2, levels=4, batch=2, queries=5, dtype=torch.float32):
    sizes = SIZES[:levels]
    query = torch.randn(batch, queries, d_model, dtype=dtype)
    references = 0.1 + 0.8 * torch.rand(batch, queries, levels, numbers, dtype=dtype)
    memory = torch.randn(batch, sum(h * w for h, w in sizes), d_model, dtype=dtype)
    return query, references, memory, torch.tensor(sizes), torch.tensor(starts(sizes))


def starts(sizes):
    return [sum(h * w for h, w in sizes[:level]) for level in range(len(sizes))]


def plain(module, query, references, memory, shapes, _=None, mask=None):
    """The module in the terms of grid_sample: locations in [−1, 1], a softmax over all levels, and each level's part."""
    batch, queries, _ = query.shape
    heads, points, width = module.n_heads, module.points, module.d_model // module.n_heads
    value = F.linear(memory, module.value_proj.weight, module.value_proj.bias)
    if mask is not None:
        value = value * (~mask).unsqueeze(-1)
    offsets = F.linear(query, module.sampling_offsets.weight, module.sampling_offsets.bias)
    offsets = offsets.view(batch, queries, heads, sum(points), 2)
    weights = F.linear(query, module.attention_weights.weight, module.attention_weights.bias)
    weights = weights.view(batch, queries, heads, sum(points)).softmax(-1)
    output, begin, start = 0, 0, 0
    for level, ((h, w), count) in enumerate(zip(shapes.tolist(), points)):
        some, reference_point = slice(begin, begin + count), references[:, :, level, None, None]
        if references.shape[-1] == 2:
            where = reference_point + offsets[..., some, :] / torch.tensor([w, h], dtype=query.dtype)
        else:
            where = reference_point[..., :2] + offsets[..., some, :] / count * reference_point[..., 2:] * module.box_scale
        image = value[:, start : start + h * w].view(batch, h, w, heads, width).permute(0, 3, 4, 1, 2).flatten(0, 1)
        grid = (2 * where - 1).transpose(1, 2).flatten(0, 1)
        samples = F.grid_sample(image, grid, align_corners=False)  # [N·M, D, Q, K]
        share = weights[..., some].transpose(1, 2).flatten(0, 1).unsqueeze(1)
        output = output + (samples * share).sum(-1)
        begin, start = begin + count, start + h * w
    output = output.view(batch, heads * width, queries).transpose(1, 2)
    return F.linear(output, module.output_proj.weight, module.output_proj.bias)


@pytest.mark.parametrize("kind", MODULES)
@pytest.mark.parametrize("numbers", [2, 4])
@pytest.mark.parametrize("points", [4, (3, 6, 3, 1)], ids=str)
@pytest.mark.parametrize("masked", [False, True])
def test_is_the_plain_restatement(kind, numbers, points, masked):
    module = filled(kind(16, 4, 2, points).double())
    given = inputs(numbers=numbers, dtype=torch.float64)
    mask = torch.rand(given[2].shape[:2]) < 0.3 if masked else None
    results = []
    for run in (module, lambda *arguments: plain(module, *arguments)):
        module.zero_grad()
        tensors = [tensor.clone().requires_grad_() for tensor in given[:3]]
        output = run(*tensors, *given[3:], mask)
        output.sin().sum().backward()
        results.append([output, *(t.grad for t in tensors), *(p.grad.clone() for p in module.parameters())])
    for found, expected in zip(*results):
        close(found, expected, 1e-12)


def test_parameters_are_deformable_detrs():
    module = dcnv4.MSDeformAttn()
    shapes = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    assert shapes == {
        "sampling_offsets.weight": (256, 256), "sampling_offsets.bias": (256,),
        "attention_weights.weight": (128, 256), "attention_weights.bias": (128,),
        "value_proj.weight": (256, 256), "value_proj.bias": (256,),
        "output_proj.weight": (256, 256), "output_proj.bias": (256,),
    }  # fmt: skip
    other = dcnv4.FlashDeformAttn()
    assert list(other.state_dict()) == list(shapes)
    other.load_state_dict(module.state_dict(), strict=True)


@pytest.mark.parametrize("points", [4, (3, 6, 3, 0)], ids=str)
def test_initial_values(points):
    """A star: head m in direction 2πm/M, point i at i + 1 places in the larger of the two axes."""
    module = dcnv4.MSDeformAttn(16, 4, 8, points)
    star = module.sampling_offsets.bias.detach().view(8, -1, 2)
    counts = module.points
    begins = [sum(counts[:level]) for level in range(4)]
    for head in range(8):
        angle = 2 * math.pi * head / 8
        direction = torch.tensor([math.cos(angle), math.sin(angle)])
        for begin, count in zip(begins, counts):
            for index in range(count):
                close(star[head, begin + index], (index + 1) * direction / direction.abs().max(), 1e-6)
    for name in ("sampling_offsets.weight", "attention_weights.weight", "attention_weights.bias", "value_proj.bias"):
        assert module.state_dict()[name].eq(0).all()
    bound = math.sqrt(6 / 32)
    assert 0.8 * bound < module.value_proj.weight.abs().max() <= bound


def test_a_seed_gives_the_originals_initial_values():
    """The linear layers draw in the original's order, then the projections again."""
    torch.manual_seed(11)
    module = dcnv4.MSDeformAttn(16, 2, 2, 3)
    torch.manual_seed(11)
    for outputs in (24, 12, 16, 16):
        torch.nn.Linear(16, outputs)
    expected = [torch.nn.init.xavier_uniform_(torch.empty(16, 16)) for _ in range(2)]
    assert torch.equal(module.value_proj.weight, expected[0]) and torch.equal(module.output_proj.weight, expected[1])


def test_no_tensor_of_locations(monkeypatch):
    """The operator gets the linear layers' results themselves."""
    module = filled(dcnv4.MSDeformAttn(16, 4, 2))
    seen, operator = [], module.operator
    module.operator = lambda *arguments, **named: seen.append((arguments, named)) or operator(*arguments, **named)
    made = []
    for layer in (module.sampling_offsets, module.attention_weights, module.value_proj):
        layer.register_forward_hook(lambda layer, given, output: made.append(output.data_ptr()))
    given = inputs()
    module(*given)
    (value, _, offsets, weights, *_), named = seen[0]
    assert {value.data_ptr(), offsets.data_ptr(), weights.data_ptr()} == set(made)
    assert named["reference_points"] is given[1]


@pytest.mark.parametrize("numbers", [2, 4])
def test_lists_tables_and_no_starts_are_the_same(numbers):
    module = filled(dcnv4.MSDeformAttn(16, 4, 2))
    query, references, memory, shapes, begins = inputs(numbers=numbers)
    expected = module(query, references, memory, shapes, begins)
    for given in ((SIZES, None), (SIZES, starts(SIZES)), (shapes, None), (shapes.int(), begins.int())):
        assert torch.equal(module(query, references, memory, *given), expected)
    one = references[:, :, :1]
    close(
        module(query, one, memory, SIZES), plain(module, query, one.expand(-1, -1, 4, -1), memory, shapes), 1e-5
    )  # fmt: skip


WRONG = {
    "d_model is 16, which n_heads 3 does not divide": dict(n_heads=3),
    "n_points has 3 levels, but n_levels is 4": dict(n_points=[1, 2, 3]),
    "n_levels is 0, at least 1": dict(n_levels=0),
    "n_points is 2.5": dict(n_points=2.5),
}


@pytest.mark.parametrize("message", WRONG)
def test_wrong_arguments_are_named(message):
    with pytest.raises((TypeError, ValueError), match=f"^FlashDeformAttn: {message}"):
        dcnv4.FlashDeformAttn(**{"d_model": 16, "n_heads": 2, **WRONG[message]})


@pytest.mark.parametrize(
    "message, change",
    [
        ("MSDeformAttn: query has shape .2, 5, 8.", lambda q, r, m, s, b: (q[..., :8], r, m, s, b)),
        ("MSDeformAttn: input_flatten has shape .2, 16.", lambda q, r, m, s, b: (q, r, m[:, 0], s, b)),
        ("MSDeformAttn: reference_points has shape .2, 5, 4, 3.", lambda q, r, m, s, b: (q, r[..., [0, 1, 1]], m, s, b)),
        ("dcnv4: reference_points has shape .2, 5, 3, 2.", lambda q, r, m, s, b: (q, r[:, :, :3], m, s, b)),
        (
            "dcnv4: spatial_shapes.3. is .1, 1. and begins at 64: 1 places, but value has 64",
            lambda q, r, m, s, b: (q, r, m[:, :64], s, b),
        ),
    ],
)  # fmt: skip
def test_wrong_tensors_are_named(message, change):
    with pytest.raises(ValueError, match=f"^{message}"):
        dcnv4.MSDeformAttn(16, 4, 2)(*change(*inputs()))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_sixteen_bits(dtype):
    """Offsets are rounded, positions are not: references stay float32."""
    if dtype is torch.float16 and not hasattr(torch, "compile"):
        pytest.skip(f"PyTorch {torch.__version__} has no linear layers in float16 on the CPU")
    module = filled(dcnv4.MSDeformAttn(16, 4, 2), 0.1)
    query, references, memory, shapes, begins = inputs()
    expected = module(query, references, memory, shapes, begins)
    found = module.to(dtype)(query.to(dtype), references, memory.to(dtype), shapes, begins)
    assert found.dtype == dtype
    close(found, expected, 0.05)


def test_autocast():
    """value and offsets in autocast's dtype, references in their own; gradients arrive."""
    module = filled(dcnv4.MSDeformAttn(16, 4, 2), 0.1)
    seen, operator = [], module.operator

    def watched(value, shapes, offsets, weights, *rest, **named):
        seen.append((value.dtype, named["reference_points"].dtype))
        return operator(value, shapes, offsets, weights, *rest, **named)

    module.operator = watched
    given = inputs()
    with torch.autocast("cpu", torch.bfloat16):
        output = module(*given)
    output.float().sum().backward()
    assert seen == [(torch.bfloat16, torch.float32)] and output.dtype == torch.bfloat16
    assert all(p.grad.dtype == torch.float32 and p.grad.isfinite().all() for p in module.parameters())
    close(output, module(*given), 0.05)


def test_float32_offsets_in_a_module_of_16_bits():
    module = filled(dcnv4.MSDeformAttn(16, 4, 2), 0.1).bfloat16()
    module.sampling_offsets.float()
    query, references, memory, *tables = inputs()
    assert module(query.bfloat16(), references, memory.bfloat16(), *tables).dtype == torch.bfloat16


def test_pickles_of_the_original():
    """They have no `operator`, `points` nor `box_scale`."""
    module = filled(dcnv4.MSDeformAttn(16, 4, 2))
    old = copy.copy(module)
    state = {name: value for name, value in vars(module).items() if name not in ("operator", "points", "box_scale")}
    old.__dict__.clear()
    old.__setstate__(state)
    given = inputs()
    assert torch.equal(old(*given), module(*given))


def test_reference_operator():
    module = filled(dcnv4.MSDeformAttn(16, 4, 2, (1, 2, 3, 4)))
    given = inputs()
    expected = module(*given)
    module.operator = reference.ms_deform_attn
    close(module(*given), expected, 1e-5)


@pytest.mark.skipif(not _operators.available, reason=f"PyTorch {torch.__version__} has no operators")
def test_fx_takes_the_module():
    module = filled(dcnv4.MSDeformAttn(16, 4, 2))
    traced = torch.fx.symbolic_trace(module, concrete_args={"input_padding_mask": None})
    assert sum(node.target is functional.ms_deform_attn for node in traced.graph.nodes) == 1
    for given in (inputs(), inputs(numbers=4, queries=9)):
        assert torch.equal(traced(*given), module(*given))
