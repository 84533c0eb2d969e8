"""dcnv4.models.FlashInternImage: keys, results and gradients are those of the original authors' class."""

import copy
import dataclasses
import io

import authors
import pytest
import torch

import dcnv4
from dcnv4 import models
from dcnv4.models import _pieces, flash_internimage
from dcnv4.models.flash_internimage import L, S, T

BOUNDS = {torch.float64: 1e-9, torch.float32: 1e-4}
PRECISIONS = pytest.mark.parametrize("dtype", BOUNDS, ids=["float64", "float32"])


def small(variant=T, **arguments) -> models.FlashInternImage:
    """Two blocks in the third stage, one in the others, with weights at which every part matters."""
    variant = dataclasses.replace(variant, channels=32, depths=(1, 1, 2, 1))
    return authors.filled(lambda: models.FlashInternImage(variant, num_classes=10, **arguments))


def below(errors: dict, bound: float) -> None:
    wrong = {name: error for name, error in errors.items() if not error <= bound}
    assert not wrong, wrong


@pytest.mark.parametrize("name", ["t", "s", "b", "l"])
def test_keys(name):
    expected = authors.read("keys")
    backbone = expected.get(f"{name}_backbone") or {
        key: shape for key, shape in expected[name].items() if not key.startswith(("conv_head.", "head."))
    }
    for arguments, keys in (({}, expected[name]), ({"features_only": True}, backbone)):
        with torch.device("meta"):
            state = authors.BUILDERS[name](**arguments).state_dict()
        assert [(key, list(x.shape)) for key, x in state.items()] == list(keys.items())


def test_sizes():
    for name, parameters in (("t", 29815528), ("s", 50067496), ("b", 97448960), ("l", 223297080)):
        with torch.device("meta"):
            model = authors.BUILDERS[name]()
        assert sum(x.numel() for x in model.parameters()) == parameters


@PRECISIONS
@pytest.mark.parametrize("name", ["t", "s"])
def test_classification(name, dtype):
    oracle = authors.read(f"{name}_cls96x128")
    expected = oracle["float64"]
    model = authors.filled(authors.BUILDERS[name], dtype)
    found = {}
    model.patch_embed.register_forward_hook(lambda _, args, y: found.update(stem=y.permute(0, 3, 1, 2)))
    model.levels[0].blocks[0].register_forward_hook(lambda _, args, y: found.update(block0=y.permute(0, 3, 1, 2)))
    for i, level in enumerate(model.levels):
        level.register_forward_hook(lambda _, args, y, i=i: found.update({f"stage{i}": y.permute(0, 3, 1, 2)}))
    model.head.register_forward_hook(lambda _, args, y: found.update(pooled=args[0]))
    with torch.no_grad():
        logits = model(authors.picture(oracle["input"], dtype))
    errors = {key: authors.feature_difference(found[key], record) for key, record in expected["features"].items()}
    below({**errors, "logits": authors.difference(logits, expected["logits"])}, BOUNDS[dtype])


@PRECISIONS
def test_detection(dtype):
    oracle = authors.read("t_det224x160")
    model = authors.filled(lambda: models.flash_internimage_t(features_only=True), dtype)
    with torch.no_grad():
        maps = model(authors.picture(oracle["input"], dtype))
    below(
        {i: authors.feature_difference(x, record) for i, (x, record) in enumerate(zip(maps, oracle["float64"]))},
        BOUNDS[dtype],
    )


@PRECISIONS
def test_gradients(dtype):
    oracle = authors.read("t_grad96x64")
    expected = oracle["float64"]
    model = authors.filled(models.flash_internimage_t, dtype)
    x = authors.picture(oracle["input"], dtype).requires_grad_()
    loss = (model(x) ** 2).mean()
    loss.backward()
    grads = {name: parameter.grad for name, parameter in model.named_parameters()}
    errors = {name: abs(grads[name].double().norm().item() / norm - 1) for name, norm in expected["norms"].items()}
    assert set(errors) == set(grads)
    for name, record in expected["samples"].items() if dtype is torch.float64 else ():
        flat = grads[name].reshape(-1)
        errors[f"samples of {name}"] = authors.difference(flat[record["index"]], record["value"])
    errors["input"] = authors.feature_difference(x.grad, expected["input_grad"])
    errors["loss"] = abs(loss.item() / expected["loss"] - 1)
    below(errors, BOUNDS[dtype])


def test_gradient_checkpointing():
    """Also with drop path, whose random numbers must be the same again."""
    x = authors.picture((2, 3, 40, 33), torch.float32)
    found = []
    for enable in (False, True):
        model = small(S, drop_path_rate=0.5).float().train()
        model.set_grad_checkpointing(enable)
        torch.manual_seed(0)
        model(x).square().mean().backward()
        found.append([parameter.grad for parameter in model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*found))


@pytest.mark.parametrize("variant", [T, S, L], ids=["t", "s", "l"])
@pytest.mark.parametrize("size", [(1, 1), (33, 70), (64, 32)])
def test_any_size(variant, size):
    """The feature maps' sizes, and that pieces of the MLP, modules that observe, and grid_sample all give the same."""
    model = small(variant, features_only=True)
    x = authors.picture((2, 3, *size))
    maps = model(x)
    for y, channels, stride in zip(maps, model.channels, models.STRIDES):
        assert y.shape == (2, channels, *(-(-side // stride) for side in size))
    for layer in model.modules():
        if isinstance(layer, dcnv4.DCNv4):
            layer.operator = dcnv4.reference.dcnv4
    for y, expected in zip(model(x), maps):
        assert authors.difference(y, expected.detach()) < 1e-9
    with torch.no_grad():
        for y, expected in zip(model(x), maps):
            assert authors.difference(y, expected.detach()) < 1e-9


def test_pieces_of_the_mlp(monkeypatch):
    """Many pieces, with and without biases and residuals; and that a hook on a part sees its output."""
    monkeypatch.setattr(_pieces, "_ROWS", 1)
    monkeypatch.setattr(_pieces, "_HIDDEN", 800)
    x = authors.picture((2, 3, 44, 36))
    for variant in (T, L):
        model = small(variant)
        expected = model(x).detach()
        with torch.no_grad():
            assert authors.difference(model(x), expected) < 1e-9
            seen = []
            handle = model.levels[0].blocks[0].mlp.act.register_forward_hook(lambda *_: seen.append(1))
            assert authors.difference(model(x), expected) < 1e-9 and seen
            handle.remove()
            model(x)
            assert len(seen) == 1


@pytest.mark.skipif(not hasattr(torch, "compile"), reason="this PyTorch has no torch.compile")
@pytest.mark.parametrize("gradients", [True, False], ids=["gradients", "no_grad"])
def test_compiled_in_one_graph(gradients):
    """Also without gradients, where eager calls go other ways."""
    model, x = small(), authors.picture((1, 3, 44, 36))
    with torch.set_grad_enabled(gradients):
        compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
        assert authors.difference(compiled(x), model(x).detach()) < 1e-9


def test_channels_last():
    """Feature maps are channels-last whatever the picture is; a channels-last picture gives the same."""
    model, x = small(features_only=True), authors.picture((2, 3, 64, 64))
    for y, expected in zip(model(x.contiguous(memory_format=torch.channels_last)), model(x)):
        assert y.is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(y, expected)


def test_out_indices():
    model, x = small(features_only=True, out_indices=(2, 0)), authors.picture((1, 3, 64, 64))
    ran = []
    model.levels[3].register_forward_hook(lambda *_: ran.append(3))
    assert [y.shape[1] for y in model(x)] == [128, 32] and not ran
    with pytest.raises(ValueError, match=r"out_indices is \(4,\)"):
        small(features_only=True, out_indices=(4,))


def test_drop_path():
    """Rates rise from 0 to the given one; the mean over many draws is the branch itself."""
    model = small(drop_path_rate=0.4)
    blocks = [block for level in model.levels for block in level.blocks]
    assert [round(block.drop_path, 6) for block in blocks] == [0, 0.1, 0.2, 0.3, 0.4]
    block = blocks[-1].train()
    scale = block._scale(torch.empty(4000, 1, 1, 1), None)
    assert scale.unique().tolist() == [0, pytest.approx(1 / 0.6)] and abs(scale.mean() - 1) < 0.1
    assert block.eval()._scale(torch.empty(1), None) is None


def test_initial_values():
    """A fresh DCNv4 gives 0, so that a fresh network is one of MLPs; it learns offsets from the first step."""
    model = models.FlashInternImage(dataclasses.replace(T, channels=32, depths=(1, 1, 1, 1)), 10)
    block = model.levels[0].blocks[0]
    assert not block.dcn.offset_mask.weight.any() and block.mlp.fc1.weight.std() < 0.025
    model(torch.randn(2, 3, 64, 64)).square().mean().backward()
    assert block.dcn.offset_mask.weight.grad.any()
    pooled = models.FlashInternImage(dataclasses.replace(T, channels=32, depths=(1, 1, 1, 1)), 0)
    assert pooled(torch.randn(1, 3, 64, 64)).shape == (1, 384)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_16_bits(dtype):
    """A 16-bit network, and a float32 one under autocast."""
    model, x = small(S).float(), authors.picture((1, 3, 64, 64), torch.float32)
    with torch.no_grad():
        expected = model(x)
        with torch.autocast("cpu", dtype=dtype):
            assert authors.difference(model(x), expected.double()) < 0.2
        assert authors.difference(model.to(dtype)(x.to(dtype)), expected.double()) < 0.2


def test_joined_projections():
    """value_proj and offset_mask are one product without gradients, and two parameters for all who change them."""
    layer = flash_internimage.JoinedDCNv4(32, group=2, output_bias=False)
    x, size = torch.randn(2, 35, 32), (5, 7)

    def check(layer, joins=True):
        x_here = x.to(layer.value_proj.weight.dtype)
        with torch.no_grad():
            both = _pieces.joined(x_here, layer.value_proj, layer.offset_mask)
            assert (both is not None) == joins
            if joins:
                assert torch.equal(both[0], torch.cat([layer.value_proj.weight, layer.offset_mask.weight]))
                assert both[0].data_ptr() == layer.value_proj.weight.data_ptr()
            found = layer(x_here, size)
        assert _pieces.joined(x_here, layer.value_proj, layer.offset_mask) is None
        assert (found - layer(x_here, size)).abs().max() < 1e-5
        return found

    first = check(layer)
    optimizer = torch.optim.SGD(layer.parameters(), 1e-3)
    torch.nn.init.normal_(layer.offset_mask.weight, std=0.1)
    layer(x, size).square().sum().backward()
    optimizer.step()
    assert not torch.equal(check(layer), first)
    other = flash_internimage.JoinedDCNv4(32, group=2, output_bias=False)
    other.load_state_dict(layer.state_dict())
    assert torch.equal(check(other), check(layer))
    check(layer.double())
    check(copy.deepcopy(layer), joins=False)  # parameters are copied one by one
    check(copy.deepcopy(layer).float())
    layer.value_proj.register_forward_hook(lambda *_: None)
    check(layer, joins=False)
    buffer = io.BytesIO()
    torch.save(other.state_dict(), buffer)
    assert len(buffer.getvalue()) < 1.2 * sum(p.numel() * 4 for p in other.parameters()) + 4000
