"""dcnv4.models.timm: what timm, and hosts that build on it, ask of a backbone."""

import pytest
import torch

timm = pytest.importorskip("timm", reason="timm, with torchvision, takes 5.5 GB with PyTorch's own packages")

from timm.optim import param_groups_layer_decay  # noqa: E402

import dcnv4  # noqa: E402
import dcnv4.models.timm  # noqa: E402

SMALL = dcnv4.models.Variant(16, (1, 2, 1, 1), 0.1)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setitem(dcnv4.models.timm._VARIANTS, "t", SMALL)


def test_registered():
    assert set(timm.list_models("flash_internimage_*")) == {f"flash_internimage_{name}" for name in "tsbl"}
    with pytest.raises(ValueError, match="load_checkpoint"):
        timm.create_model("flash_internimage_t", pretrained=True)
    data = timm.data.resolve_model_data_config(timm.create_model("flash_internimage_t"))
    assert data["input_size"] == (3, 224, 224) and data["crop_pct"] == 1 and data["interpolation"] == "bicubic"


def test_classifier():
    model = timm.create_model("flash_internimage_t", num_classes=7, drop_path_rate=0.2)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    x, target = torch.randn(4, 3, 64, 64), torch.tensor([0, 1, 2, 3])
    losses = []
    for _ in range(3):
        optimizer.zero_grad()
        losses.append(torch.nn.functional.cross_entropy(model.eval()(x), target))
        losses[-1].backward()
        optimizer.step()
    assert losses[2] < losses[0]
    assert model(x).shape == (4, 7) and model.forward_features(x).shape == (4, 128, 2, 2)
    assert model.forward_head(model.forward_features(x), pre_logits=True).shape == (4, model.head_hidden_size)
    model.reset_classifier(3)
    assert model(x).shape == (4, 3) and model.get_classifier() is model.head
    model.reset_classifier(0)
    assert model(x).shape == (4, 192)


@pytest.mark.parametrize("indices", [(0, 1, 2, 3), (1, 2)])
def test_features(indices):
    model = timm.create_model("flash_internimage_t", features_only=True, out_indices=indices)
    maps = model(torch.randn(2, 3, 70, 33))
    assert model.feature_info.reduction() == [4 * 2**i for i in indices]
    assert [x.shape[1] for x in maps] == model.feature_info.channels() == [16 * 2**i for i in indices]
    assert [x.shape[2] for x in maps] == [-(-70 // reduction) for reduction in model.feature_info.reduction()]
    sum(x.square().mean() for x in maps).backward()
    assert all(p.grad is not None for p in model.parameters())
    assert model.model.levels[0].blocks[0].gamma1 is not None
    with pytest.raises(ValueError, match="no output_stride"):
        timm.create_model("flash_internimage_t", features_only=True, output_stride=8)


def test_layer_decay():
    model = timm.create_model("flash_internimage_t")
    groups = param_groups_layer_decay(model, layer_decay=0.5)
    scales = {id(p): group["lr_scale"] for group in groups for p in group["params"]}
    named = {name: scales[id(p)] for name, p in model.named_parameters()}
    assert named["head.weight"] == named["conv_head.0.weight"] == 1
    assert named["patch_embed.conv1.weight"] == 0.5**6
    assert named["levels.0.blocks.0.mlp.fc1.weight"] == 0.5**5
    assert named["levels.0.downsample.conv.weight"] == named["levels.1.blocks.0.mlp.fc1.weight"] == 0.5**4
