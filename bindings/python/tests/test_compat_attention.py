"""`import dcnv4.compat`, and the names from which code imports multi-scale deformable attention."""

import importlib
import pickle
import sys
import warnings

import pytest
import torch
from conftest import close
from torch import nn

import dcnv4
from dcnv4 import _operators, functional, mmcv, reference
from dcnv4.ms_deform_attn_function import FlashDeformAttnFunction, MSDeformAttnFunction

SHAPES, POINTS = torch.tensor([[5, 4], [2, 3]]), 3
STARTS = torch.tensor([8, 1])  # in another order, with gaps


def forget():
    for name in list(sys.modules):
        if name.split(".")[0] in ("DCNv4", "MultiScaleDeformableAttention", "mmcv") or name == "dcnv4.compat":
            del sys.modules[name]
    vars(dcnv4).pop("compat", None)
    importlib.invalidate_caches()


@pytest.fixture(autouse=True)
def forgotten():
    forget()
    yield
    forget()


def import_compat():
    return importlib.import_module("dcnv4.compat")


def inputs(dtype=torch.float64, packed=False):
    """(value, locations, weights) with a batch of 3, or (value, locations and logits in rows)."""
    value = torch.randn(3, 30, 2, 4, dtype=dtype)
    locations = torch.rand(3, 7, 2, 2, POINTS, 2, dtype=dtype) * 1.2 - 0.1
    weights = torch.randn(3, 7, 2, 2, POINTS, dtype=dtype)
    if packed:
        return value, torch.cat((locations.flatten(3), weights.flatten(3)), -1)
    return value, locations, weights


class Derived(MSDeformAttnFunction):
    """Runs forward and backward in the way of autograd.Function."""


class DerivedFlash(FlashDeformAttnFunction):
    """Likewise."""


def ways(function, derived):
    yield function.apply
    yield derived.apply
    if _operators.available:
        torch._dynamo.reset()
        yield torch.compile(lambda *a: function.apply(*a), backend="aot_eager", fullgraph=True)


def check(way, tensors, arguments, expected, grad):
    leaves = [tensor.requires_grad_() for tensor in tensors]
    output, right = way(*arguments(leaves)), expected(leaves)
    close(output, right, 1e-12)
    found = torch.autograd.grad(output, leaves, grad)
    for one, other in zip(found, torch.autograd.grad(right, leaves, grad)):
        close(one, other, 1e-12)


def test_function():
    tensors, grad = inputs(), torch.randn(3, 7, 8, dtype=torch.float64)
    for way in ways(MSDeformAttnFunction, Derived):
        check(
            way,
            tensors,
            lambda leaves: (leaves[0], SHAPES, STARTS, *leaves[1:], 2),  # an im2col_step that does not divide 3
            lambda leaves: reference.ms_deform_attn(leaves[0], SHAPES, *leaves[1:], STARTS),
            grad,
        )


def test_flash_function():
    tensors, grad = inputs(packed=True), torch.randn(3, 7, 8, dtype=torch.float64)
    for way in ways(FlashDeformAttnFunction, DerivedFlash):
        check(
            way,
            tensors,
            lambda leaves: (leaves[0], SHAPES, STARTS, leaves[1], 64, POINTS),
            lambda leaves: reference.flash_deform_attn(leaves[0], SHAPES, STARTS, leaves[1], POINTS),
            grad,
        )


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_extension(dtype):
    """Also with float32 locations beside a 16-bit value."""
    import_compat()
    import MultiScaleDeformableAttention as MSDA

    value, locations, weights = inputs(dtype)
    locations = locations.float() if dtype is torch.bfloat16 else locations
    output = MSDA.ms_deform_attn_forward(value, SHAPES, STARTS, locations, weights, 2)
    leaves = [tensor.clone().requires_grad_() for tensor in (value, locations, weights)]
    expected = functional.ms_deform_attn(leaves[0], SHAPES, *leaves[1:], STARTS)
    assert torch.equal(output, expected)
    grad = torch.randn_like(output)
    found = MSDA.ms_deform_attn_backward(value, SHAPES, STARTS, locations, weights, grad, 2)
    for one, other, leaf in zip(found, torch.autograd.grad(expected, leaves, grad), leaves):
        assert torch.equal(one, other) and one.dtype is leaf.dtype and one.shape == leaf.shape


def test_names():
    compat = import_compat()
    import DCNv4.functions.flash_deform_attn_func
    import DCNv4.modules.flash_deform_attn
    from mmcv.ops import multi_scale_deform_attn
    from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttention, MultiScaleDeformableAttnFunction

    for module in (DCNv4, DCNv4.modules, DCNv4.modules.flash_deform_attn):
        assert module.FlashDeformAttn is dcnv4.FlashDeformAttn
    for module in (DCNv4, DCNv4.functions, DCNv4.functions.flash_deform_attn_func):
        assert module.FlashDeformAttnFunction is FlashDeformAttnFunction
    assert MultiScaleDeformableAttention is mmcv.MultiScaleDeformableAttention
    assert issubclass(MultiScaleDeformableAttnFunction, torch.autograd.Function)
    tensors, shapes = inputs(), torch.tensor([[5, 4], [2, 5]])  # that fill value
    output = multi_scale_deform_attn.multi_scale_deformable_attn_pytorch(tensors[0], shapes, *tensors[1:])
    close(output, reference.ms_deform_attn(tensors[0], shapes, *tensors[1:]), 1e-12)
    importlib.reload(compat)
    assert importlib.import_module("mmcv.ops").MultiScaleDeformableAttention is MultiScaleDeformableAttention


def as_in_mmcv(module, query, value, query_pos, mask, boxes, shapes, starts):
    """mmcv's module, written out; [Q, N, C] and [S, N, C]."""
    heads, levels, points = module.num_heads, module.num_levels, module.num_points
    x, value = (query + query_pos).transpose(0, 1), module.value_proj(value.transpose(0, 1))
    value = value.masked_fill(mask[..., None], 0.0).unflatten(-1, (heads, -1))
    offsets = module.sampling_offsets(x).unflatten(-1, (heads, levels, points, 2))
    weights = module.attention_weights(x).unflatten(-1, (heads, levels * points)).softmax(-1)
    weights = weights.unflatten(-1, (levels, points))
    boxes = boxes[:, :, None, :, None]
    if boxes.shape[-1] == 2:
        locations = boxes + offsets / shapes.flip(1)[:, None]
    else:
        locations = boxes[..., :2] + offsets / points * boxes[..., 2:] * 0.5
    output = reference.ms_deform_attn(value, shapes, locations, weights, starts)
    return module.output_proj(output).transpose(0, 1) + query


@pytest.mark.parametrize("numbers", [2, 4])
def test_mmcv_module(numbers):
    module = mmcv.MultiScaleDeformableAttention(16, 4, 2, POINTS).double().eval()
    parameters = ("sampling_offsets", "attention_weights", "value_proj", "output_proj")
    assert list(module.state_dict()) == [f"{name}.{kind}" for name in parameters for kind in ("weight", "bias")]
    first = module.sampling_offsets.bias.detach().reshape(4, 2, POINTS, 2)[1, 1]
    close(first, torch.tensor([[0.0, 1.0], [0.0, 2.0], [0.0, 3.0]]), 1e-6)  # head 1 of 4 looks down
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    query, query_pos = torch.randn(2, 7, 3, 16, dtype=torch.float64)
    value = torch.randn(30, 3, 16, dtype=torch.float64)
    mask, boxes = torch.rand(3, 30) < 0.3, torch.rand(3, 7, 2, numbers, dtype=torch.float64)
    expected = as_in_mmcv(module, query, value, query_pos, mask, boxes, SHAPES, STARTS)
    named = dict(key_padding_mask=mask, reference_points=boxes, spatial_shapes=SHAPES, level_start_index=STARTS)
    close(module(query, None, value, query_pos=query_pos, **named), expected, 1e-12)
    module.batch_first = True
    rows = (query.transpose(0, 1), None, value.transpose(0, 1))
    found = module(*rows, query_pos=query_pos.transpose(0, 1), **named)
    close(found.transpose(0, 1), expected, 1e-12)
    with pytest.raises(ValueError, match="value_proj_ratio is 0.5, only 1 is possible"):
        mmcv.MultiScaleDeformableAttention(value_proj_ratio=0.5)


def test_pickles():
    """With the original's and mmcv's names in them."""
    import_compat()
    for name, module in (("DCNv4.modules.flash_deform_attn FlashDeformAttn", dcnv4.FlashDeformAttn(16, 2, 4, 3)),
                         ("mmcv.ops.multi_scale_deform_attn MultiScaleDeformableAttention",
                          mmcv.MultiScaleDeformableAttention(16, 4, 2, 3))):  # fmt: skip
        ours = f"{type(module).__module__} {type(module).__name__}"
        theirs = pickle.dumps(module, 0).replace(ours.replace(" ", "\n").encode(), name.replace(" ", "\n").encode())
        assert name.split()[0].encode() in theirs
        loaded = pickle.loads(theirs)
        assert type(loaded) is type(module)
        for found, expected in zip(loaded.parameters(), module.parameters()):
            assert torch.equal(found, expected)


def package(folder, name):
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text("mark = 1")


def test_an_installed_mmcv_stays(tmp_path, monkeypatch):
    package(tmp_path, "mmcv")
    monkeypatch.syspath_prepend(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        import_compat()
    assert importlib.import_module("mmcv").mark == 1
    with pytest.raises(ImportError):
        importlib.import_module("mmcv.ops")


def test_takes_over_from_an_installed_extension(tmp_path, monkeypatch):
    package(tmp_path, "MultiScaleDeformableAttention")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.warns(RuntimeWarning, match="importing MultiScaleDeformableAttention gives libdcnv4's"):
        import_compat()
    module = importlib.import_module("MultiScaleDeformableAttention")
    assert not hasattr(module, "mark") and module.ms_deform_attn_forward
