"""dcnv4.models.FlashInternImage: keys, results and gradients are those of the original authors' class."""

import dataclasses

import authors
import pytest
import torch
from torch import nn

import dcnv4
from dcnv4 import models
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
    for name, record in expected["samples"].items():
        flat = grads[name].reshape(-1)
        errors[f"samples of {name}"] = authors.difference(flat[record["index"]], record["value"])
    errors["input"] = authors.feature_difference(x.grad, expected["input_grad"])
    errors["loss"] = abs(loss.item() / expected["loss"] - 1)
    below(errors, BOUNDS[dtype])
