"""Libraries that take FlashInternImage as the backbone of their models: each builds one, runs it, and trains two steps."""

import copy

import pytest
import torch

import dcnv4

for library in ("timm", "torchvision", "segmentation_models_pytorch", "transformers", "mmengine"):
    pytest.importorskip(library, reason=f"{library} is not installed; ci/hosts install makes a Python that has it")

import segmentation_models_pytorch as smp  # noqa: E402
import torchvision  # noqa: E402
import transformers  # noqa: E402
from torchvision.models.detection.backbone_utils import BackboneWithFPN  # noqa: E402

import dcnv4.models.timm  # noqa: E402
from dcnv4.models.torchvision import STAGES, stages  # noqa: E402

SMALL = dcnv4.models.Variant(16, (1, 1, 2, 1), 0.1)
CHANNELS = [16, 32, 64, 128]


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """flash_internimage_t with fewer channels and blocks: what hosts ask of it does not depend on them."""
    monkeypatch.setitem(dcnv4.models.timm._VARIANTS, "t", SMALL)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def train(model, loss):
    """Two steps: all of the backbone that the host uses gets gradients, and the loss falls."""
    optimizer = torch.optim.SGD(model.parameters(), 1e-3)
    losses = []
    for _ in range(3):
        torch.manual_seed(0)  # for what the host draws: boxes, points, what is dropped
        optimizer.zero_grad()
        losses.append(loss())
        losses[-1].backward()
        optimizer.step()
    assert losses[2] < losses[0]
    parts = [name for name, module in model.named_modules() if isinstance(module, dcnv4.models.flash_internimage.Block)]
    assert len(parts) == sum(SMALL.depths)
    for part in parts:
        assert all(p.grad.abs().max() > 0 for p in model.get_submodule(part).parameters()), part


@pytest.mark.parametrize("name", ["Unet", "UPerNet"])
def test_segmentation_models_pytorch(name):
    model = getattr(smp, name)("tu-flash_internimage_t", encoder_weights=None, classes=5)
    assert list(model.encoder.out_channels[2:]) == CHANNELS
    x, target = torch.randn(2, 3, 64, 96), torch.randint(0, 5, (2, 64, 96))
    assert model.eval()(x).shape == (2, 5, 64, 96)
    model.train()
    train(model, lambda: torch.nn.functional.cross_entropy(model(x), target))


def timm_backbone(*out_indices):
    return transformers.TimmBackboneConfig(backbone="flash_internimage_t", out_indices=list(out_indices))


def upernet():
    config = transformers.UperNetConfig(
        backbone_config=timm_backbone(0, 1, 2, 3), hidden_size=16, pool_scales=[1, 2], auxiliary_in_channels=64,
        auxiliary_channels=16, num_labels=5,
    )  # fmt: skip
    return transformers.UperNetForSemanticSegmentation(config), {"labels": torch.randint(0, 5, (2, 64, 96))}


def mask2former():
    config = transformers.Mask2FormerConfig(
        backbone_config=timm_backbone(0, 1, 2, 3), feature_size=32, mask_feature_size=32, hidden_dim=32,
        encoder_layers=1, encoder_feedforward_dim=32, decoder_layers=2, num_attention_heads=4, dim_feedforward=32,
        num_queries=6, num_labels=5,
    )  # fmt: skip
    masks = torch.zeros(2, 64, 96)
    masks[0, :32], masks[1, :, 48:] = 1, 1
    labels = {"mask_labels": [masks, masks], "class_labels": [torch.tensor([1, 2])] * 2}
    return transformers.Mask2FormerForUniversalSegmentation(config), labels


def deformable_detr():
    boxes = torch.tensor([[0.3, 0.4, 0.2, 0.3], [0.7, 0.6, 0.3, 0.2]])  # x, y, width, height in the picture's sides
    config = transformers.DeformableDetrConfig(
        backbone_config=timm_backbone(1, 2, 3), num_queries=6, num_labels=5, d_model=32, decoder_attention_heads=4,
        decoder_ffn_dim=32, decoder_layers=2, encoder_attention_heads=4, encoder_ffn_dim=32, encoder_layers=1,
        with_box_refine=True,
    )  # fmt: skip
    return transformers.DeformableDetrForObjectDetection(config), {
        "labels": [{"class_labels": torch.tensor([1, 2]), "boxes": boxes}] * 2
    }


@pytest.mark.parametrize("make", [upernet, mask2former, deformable_detr], ids=lambda make: make.__name__)
def test_transformers(make, tmp_path):
    torch.manual_seed(0)
    model, labels = make()
    x = torch.randn(2, 3, 64, 96)
    train(model.train(), lambda: model(pixel_values=x, **labels).loss)

    model.eval().save_pretrained(tmp_path)
    again = type(model).from_pretrained(tmp_path).eval()
    ours, theirs = model.state_dict(), again.state_dict()
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)
    with torch.no_grad():
        expected, found = model(pixel_values=x), again(pixel_values=x)
    for name, value in expected.items():
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            assert torch.equal(found[name], value), name


def pyramid():
    return BackboneWithFPN(stages(dcnv4.models.FlashInternImage(SMALL, features_only=True)), STAGES, CHANNELS, 16)


def test_torchvision_pyramid():
    backbone = dcnv4.models.FlashInternImage(SMALL, features_only=True).eval()
    x = torch.randn(2, 3, 70, 96)
    expected = backbone(x)
    body = BackboneWithFPN(stages(backbone), STAGES, CHANNELS, 16).body.eval()
    assert all(torch.equal(a, b) for a, b in zip(body(x).values(), expected))
    maps = pyramid()(x)
    assert [tuple(x.shape[1:]) for x in maps.values()] == [(16, 18, 24), (16, 9, 12), (16, 5, 6), (16, 3, 3), (16, 2, 2)]


def test_torchvision_mask_rcnn():
    options = dict(min_size=64, max_size=96, rpn_pre_nms_top_n_train=50, rpn_post_nms_top_n_train=20)
    options.update(rpn_pre_nms_top_n_test=50, rpn_post_nms_top_n_test=20, box_batch_size_per_image=16)
    model = torchvision.models.detection.MaskRCNN(pyramid(), num_classes=3, **options)
    pictures = [torch.rand(3, 64, 96), torch.rand(3, 64, 64)]
    masks = torch.zeros(1, 64, 64, dtype=torch.uint8)
    masks[:, 10:40, 8:50] = 1
    target = {"boxes": torch.tensor([[8.0, 10.0, 50.0, 40.0]]), "labels": torch.tensor([1]), "masks": masks}
    wide = {**copy.deepcopy(target), "masks": torch.nn.functional.pad(masks, (0, 32))}
    train(model.train(), lambda: sum(model(pictures, [wide, target]).values()))
    for picture, found in zip(pictures, model.eval()(pictures)):
        assert found["masks"].shape[2:] == picture.shape[1:] and found["boxes"].shape[1] == 4


# As in the authors' configurations of detectors.
AUTHORS = dict(
    core_op="DCNv4", channels=16, depths=[1, 1, 2, 1], groups=[1, 2, 4, 8], mlp_ratio=4.0, drop_path_rate=0.2,
    norm_layer="LN", layer_scale=1.0, offset_scale=1.0, post_norm=False, with_cp=True, out_indices=(1, 2, 3),
)  # fmt: skip


def test_openmmlab(tmp_path):
    from mmengine.model import BaseModule
    from mmengine.registry import MODELS, Registry

    import dcnv4.models.openmmlab  # noqa: F401

    original = dcnv4.models.FlashInternImage(SMALL, features_only=True)
    torch.save({"state_dict": {f"backbone.{name}": x for name, x in original.state_dict().items()}}, tmp_path / "a.pth")
    pretrained = dict(type="Pretrained", checkpoint=str(tmp_path / "a.pth"))
    detectors = Registry("model", parent=MODELS, scope="detectors")  # as mmdet's and mmseg's are

    class Detector(BaseModule):
        def __init__(self):
            super().__init__()
            self.backbone = detectors.build(dict(type="FlashInternImage", **AUTHORS, init_cfg=pretrained))

    detector = Detector()
    detector.init_weights()
    backbone = detector.backbone
    assert all(torch.equal(x, backbone.state_dict()[name]) for name, x in original.state_dict().items())
    assert backbone.levels[0].grad_checkpointing and backbone.levels[3].blocks[0].drop_path == pytest.approx(0.2)
    x = torch.randn(2, 3, 64, 96)
    assert [tuple(y.shape[1:]) for y in backbone(x)] == [(32, 8, 12), (64, 4, 6), (128, 2, 3)]
    train(detector, lambda: sum(y.square().mean() for y in backbone(x)))

    assert MODELS.build(dict(type="FlashInternImage", variant="t")).channels == (64, 128, 256, 512)
    for wrong in (dict(groups=[2, 4, 8, 16]), dict(mlp_ratio=3.0), dict(norm_layer="BN"), dict(core_op="DCNv3")):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            MODELS.build(dict(type="FlashInternImage", **{**AUTHORS, **wrong}))
    with pytest.raises(TypeError, match="use_clip_projector"):
        MODELS.build(dict(type="FlashInternImage", **AUTHORS, use_clip_projector=True))
