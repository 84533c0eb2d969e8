"""What the original authors' FlashInternImage gives: its keys, its results, and the numbers that these were made with."""

import functools
import json
import pathlib

import numpy
import torch

from dcnv4 import models

FOLDER = pathlib.Path(__file__).parent / "flash_internimage"
BUILDERS = {
    "t": models.flash_internimage_t,
    "s": models.flash_internimage_s,
    "b": models.flash_internimage_b,
    "l": models.flash_internimage_l,
}


def read(name: str) -> dict:
    return json.loads((FOLDER / f"{name}.json").read_text())


def numbers(name: str, shape: tuple) -> numpy.ndarray:
    """Float64 numbers in [-1, 1) that depend on the name and on the place alone: FNV-1a of the name starts MurmurHash3's
    last steps."""
    seed = 0x811C9DC5
    for byte in name.encode():
        seed = (seed ^ byte) * 0x01000193 % 2**32
    x = numpy.arange(int(numpy.prod(shape)), dtype=numpy.uint32) * numpy.uint32(0x9E3779B9) + numpy.uint32(seed)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        x = (x ^ (x >> numpy.uint32(shift))) * numpy.uint32(factor)
    return (x / 2.0**31 - 1).reshape(shape)


def weights(name: str, shape: tuple) -> torch.Tensor:
    if name.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.int64)
    x = numbers(name, shape)
    if name.endswith(("gamma1", "gamma2")):
        x = 0.5 + 0.4 * x
    elif name.endswith(("bias", "running_mean")):
        x *= 0.5 if name.endswith("offset_mask.bias") else 0.1
    elif len(shape) == 1:
        x = 1 + 0.25 * x
    else:
        x *= (3 / numpy.prod(shape[1:])) ** 0.5 * (0.5 if name.endswith("offset_mask.weight") else 1)
    return torch.from_numpy(x.astype(numpy.float32))


@functools.lru_cache(maxsize=1)
def state_of(keys: tuple) -> dict:
    return {name: weights(name, shape) for name, shape in keys}


def filled(build, dtype=torch.float64) -> torch.nn.Module:
    """The network that build() makes, without its initial values, which take long."""
    with torch.device("meta"):
        model = build()
    state = state_of(tuple((name, tuple(x.shape)) for name, x in model.state_dict().items()))
    model.load_state_dict({name: x.to(dtype) if x.is_floating_point() else x for name, x in state.items()}, assign=True)
    return model.requires_grad_().eval()


def picture(shape, dtype=torch.float64) -> torch.Tensor:
    return torch.from_numpy((3**0.5 * numbers("input", tuple(shape))).astype(numpy.float32)).to(dtype)


def difference(found: torch.Tensor, expected) -> float:
    """The relative difference in the L2 norm."""
    expected = torch.as_tensor(expected, dtype=torch.float64)
    assert found.shape == expected.shape
    return ((found.double() - expected).norm() / expected.norm()).item()


def feature_difference(found: torch.Tensor, record: dict) -> float:
    """That of the sampled numbers, or of the mean and the deviation if that is larger."""
    assert list(found.shape) == record["shape"]
    flat = found.detach().double().reshape(-1)
    sampled = difference(flat[record["index"]], record["value"])
    about = [flat.mean() - record["mean"], flat.std(correction=0) - record["std"]]
    return max(sampled, *(abs(x.item()) / record["std"] for x in about))
