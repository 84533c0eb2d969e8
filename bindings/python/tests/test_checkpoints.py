"""dcnv4.models.load_checkpoint, on files in the forms in which the authors published theirs."""

import collections
import dataclasses

import authors
import fuzz_checkpoints
import pytest
import torch

from dcnv4 import models
from dcnv4.models.flash_internimage import L, T

SMALL = {"channels": 32, "depths": (1, 1, 1, 1)}


def build(variant=T, **arguments):
    return models.FlashInternImage(dataclasses.replace(variant, **SMALL), **{"num_classes": 10, **arguments}).eval()


def filled(variant=T, **arguments):
    return authors.filled(lambda: build(variant, **arguments), torch.float32)


def tensors(model) -> dict:
    return {name: x.clone() for name, x in model.state_dict().items()}


def same(found: dict, expected: dict) -> bool:
    return list(found) == list(expected) and all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.pth"


def refused(model, path, match, **arguments):
    before = tensors(model)
    with pytest.raises(models.CheckpointError, match=match):
        models.load_checkpoint(model, path, **arguments)
    assert same(tensors(model), before)


@pytest.mark.parametrize("entry", ["model", "model_ema", "state_dict", ""])
def test_entries_and_prefixes(entry, path):
    model, prefix = filled(), "module." if entry == "model" else ""
    state = {prefix + name: x for name, x in model.state_dict().items()}
    torch.save({entry: state, "epoch": 3} if entry else state, path)
    fresh = build()
    loaded = models.load_checkpoint(fresh, path)
    assert (loaded.entry, loaded.prefix) == (entry, prefix)
    assert same(tensors(fresh), tensors(model))


def test_which_entry(path):
    """Classifiers take model, backbones model_ema, as in the authors' code."""
    model = filled()
    ema = {name: x + 1 for name, x in model.state_dict().items()}
    torch.save({"model": model.state_dict(), "model_ema": ema}, path)
    fresh, backbone = build(), build(features_only=True)
    assert models.load_checkpoint(fresh, path).entry == "model"
    assert same(tensors(fresh), tensors(model))
    assert models.load_checkpoint(fresh, path, entry="model_ema").entry == "model_ema"
    assert same(tensors(fresh), ema)
    assert models.load_checkpoint(backbone, path).entry == "model_ema"
    refused(fresh, path, "no entry 'state_dict'; it has model, model_ema", entry="state_dict")


def test_detector(path):
    backbone = filled(features_only=True)
    state = {f"backbone.{name}": x for name, x in backbone.state_dict().items()}
    torch.save({"meta": {}, "state_dict": {**state, "neck.conv.weight": torch.ones(3)}}, path)
    fresh = build(features_only=True)
    loaded = models.load_checkpoint(fresh, path)
    assert loaded.ignored == ["neck.conv.weight"] and loaded.prefix == "backbone."
    assert "neck.conv.weight" in str(loaded)
    assert same(tensors(fresh), tensors(backbone))
    refused(build(), path, "missing in the file: conv_head.0.weight.*features_only=True")


def test_scales(path):
    """T's classification files have no γ, its detectors have: each loads into the other."""
    x = authors.picture((1, 3, 64, 64), torch.float32)
    model, backbone = filled(), build(features_only=True)
    torch.save({"model": model.state_dict()}, path)
    loaded = models.load_checkpoint(backbone, path)
    assert "8 γ set to 1" in str(loaded) and "head.weight" in loaded.ignored
    with torch.no_grad():
        for ours, theirs in zip(backbone(x), model.forward_stages(x)):
            assert authors.difference(ours, theirs.permute(0, 3, 1, 2)) < 1e-5

        scaled, plain = filled(features_only=True), build(features_only=True, layer_scale=None)
        torch.save({"state_dict": scaled.state_dict()}, path)
        assert "8 γ multiplied" in str(models.load_checkpoint(plain, path))
        for ours, theirs in zip(plain(x), scaled(x)):
            assert authors.difference(ours, theirs) < 1e-5


def test_unpadded_offsets(path):
    model = filled(L)
    state = model.state_dict()
    rows = {name: x for name, x in state.items() if ".offset_mask." in name}
    groups = {name: x.shape[0] // 27 for name, x in rows.items()}
    torch.save({"model": {**state, **{name: x[: 27 * groups[name]] for name, x in rows.items()}}}, path)
    fresh = build(L)
    assert "offset_mask padded" in str(models.load_checkpoint(fresh, path))
    for name, x in fresh.state_dict().items():
        used = 27 * groups[name] if name in groups else None
        assert torch.equal(x[:used] if used else x, state[name][:used] if used else state[name])
        assert not used or not x[used:].any()


def test_heads(path, tmp_path):
    model = filled(num_classes=30)
    torch.save({"model": model.state_dict()}, path)
    few = build()
    refused(few, path, "head.weight is 30×384, not 10×384.*num_classes=30")
    chosen = [3, 29, 3, 0, 1, 2, 4, 5, 6, 7]
    (tmp_path / "map.txt").write_text("\n".join(map(str, chosen)) + "\n")
    for classes in (chosen, tmp_path / "map.txt"):
        fresh = build()
        assert "10 of the head's 30 classes" in str(models.load_checkpoint(fresh, path, classes=classes))
        assert torch.equal(fresh.head.weight, model.head.weight[chosen])
    refused(few, path, "indices from 0 to 30, the file's head has 30 rows", classes=[*range(9), 30])
    before = few.head.weight.clone()
    loaded = models.load_checkpoint(few, path, keep_head=True)
    assert loaded.kept == ["head.weight", "head.bias"] and torch.equal(few.head.weight, before)
    assert torch.equal(few.conv_head[0].weight, model.conv_head[0].weight)


def test_other_networks(path):
    model = build()
    torch.save({"model": filled(L).state_dict()}, path)
    refused(model, path, "are not in the model: .*offset_mask_dw")
    torch.save({"model": {"conv.weight": torch.ones(1)}}, path)
    refused(model, path, "no FlashInternImage: none of its 1 tensors")
    torch.save([1, 2], path)
    refused(model, path, "holds a list")
    state = filled().state_dict()
    torch.save({"model": {**state, "head.bias": torch.ones(3)}}, path)
    refused(model, path, "head.bias is 3, not 10")
    torch.save({f"{name}.{key}": x for key, x in state.items() for name in "ab"}, path)
    refused(model, path, "2 networks, named 'a.', 'b.'")


class Config(dict):
    """Stands for the authors' yacs.config.CfgNode."""


def test_files_with_a_config(path):
    torch.save({"model": filled().state_dict(), "config": Config(a=1)}, path)
    refused(build(), path, "Config.*If you trust the file.*weights_only=False")


def test_damaged_files(path):
    torch.save({"model": filled().state_dict()}, path)
    path.write_bytes(path.read_bytes()[:5000])
    refused(build(), path, "not a complete file|damaged")
    with pytest.raises(FileNotFoundError):
        models.load_checkpoint(build(), path.with_name("none.pth"))


def test_counter_may_be_missing(path):
    state = collections.OrderedDict(filled().state_dict())
    del state["conv_head.1.0.num_batches_tracked"]
    torch.save({"model": state}, path)
    assert models.load_checkpoint(build(), path).kept == ["conv_head.1.0.num_batches_tracked"]


@pytest.mark.parametrize(
    "name, tensor, match",
    [
        ("head.weight", torch.zeros(()), "head.weight is a single number, not 10×"),
        ("levels.0.blocks.0.dcn.offset_mask.bias", torch.zeros(()), "shapes differ"),
        ("levels.0.blocks.0.gamma1", torch.ones(3), "1 are not in the model: levels.0.blocks.0.gamma1"),
        ("levels.0.blocks.0.gamma1", torch.zeros(1).expand(1 << 40), "1 are not in the model: levels.0.blocks.0.gamma1"),
        ("patch_embed.conv1.bias", torch.eye(4).to_sparse(), "conv1.bias is torch.sparse_coo"),
        ("patch_embed.conv1.bias", torch.empty(16, device="meta"), "conv1.bias is without values"),
        ("patch_embed.conv1.bias", torch.zeros(16, dtype=torch.complex64), "conv1.bias is complex"),
    ],
)
def test_tensors_that_no_model_has(name, tensor, match, path):
    """γ beside layers of other sizes is multiplied with nothing."""
    torch.save({"model": {**filled().state_dict(), name: tensor}}, path)
    refused(build(), path, match)


@pytest.mark.parametrize("name", ["head.weight", "head.bias"])
def test_classes_of_half_a_head(name, path):
    state = filled().state_dict()
    del state[name]
    torch.save(state, path)
    refused(build(num_classes=2), path, f"tensors are missing in the file: {name}", classes=[0, 1])


def test_any_files():
    loaded, refused_files = fuzz_checkpoints.run(50, 1)
    assert loaded > 0 and refused_files > 20
