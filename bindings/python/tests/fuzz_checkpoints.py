"""Files of any content for dcnv4.models.load_checkpoint: each loads, or is a CheckpointError that leaves the model as it was.

python bindings/python/tests/fuzz_checkpoints.py [RUNS [SEED]]    a file for each run; the same seed makes the same files

Some files are state dicts with other names, shapes, strides, dtypes and layouts than the model's, others have bytes changed.
test_checkpoints.py does some runs of it."""

import dataclasses
import os
import random
import sys
import tempfile
import warnings

import torch

from dcnv4 import models
from dcnv4.models.flash_internimage import L, T

DTYPES = (torch.float16, torch.float64, torch.int8, torch.bool, torch.complex64, torch.bfloat16, torch.float8_e5m2)
NAMES = ("", "model", "state_dict", "model_ema", "head.weight", "head.bias", "patch_embed.conv1.weight", "backbone.",
         "x.gamma1", "levels.0.blocks.0.gamma2", "norm", "é", "\0", "head.", "a.num_batches_tracked")  # fmt: skip


def build(variant, **arguments):
    small = dataclasses.replace(variant, channels=16, depths=(1, 1, 1, 1))
    return models.FlashInternImage(small, **{"num_classes": 6, **arguments})


def odd_tensor(rng, like):
    """A tensor that differs from this one in some way."""
    shape = list(like.shape)
    way = rng.randrange(9)
    if way == 0:
        return like.to(rng.choice(DTYPES))
    if way == 1:
        return torch.zeros(rng.choice([(), (0,), (1,), (6,), (27,), (54, 1), (2, 3, 4, 5, 6)]))
    if way == 2 and shape:
        shape[rng.randrange(len(shape))] += rng.choice([-1, 1, 7, 100])
        return torch.zeros([max(0, length) for length in shape])
    if way == 3:  # huge, of one element
        return torch.zeros(1).expand([rng.choice([1 << 20, 1 << 40])] + shape[1:] if shape else [1 << 40])
    if way == 4:
        return like.to_sparse() if like.dim() else like.clone()
    if way == 5:
        return torch.empty_like(like, device="meta")
    if way == 6:
        return torch.quantize_per_tensor(like.float(), 0.1, 0, torch.qint8)
    if way == 7:
        return like.t() if like.dim() == 2 else like.flatten()
    return torch.full_like(like, rng.choice([0.0, 1.0]) if not like.is_floating_point() else rng.choice([float("nan"), 1e30]))


def odd_value(rng):
    return rng.choice([None, 3, 2.5, "text", b"bytes", [1, [2]], {}, {"model": {}}, {1: 2}, (torch.zeros(2),), torch.float16])


def odd_state(rng, state):
    """What a file holds: the state dict with some things changed, as an entry of others or not."""
    state = dict(state)
    if rng.random() < 0.3:
        prefix = rng.choice(["module.", "backbone.", "a.b.", "é."])
        state = {prefix + name: x for name, x in state.items()}
    gammas = [name for name in state if name.endswith(("gamma1", "gamma2"))]
    if gammas and rng.random() < 0.3:
        for name in gammas:
            del state[name]
    for _ in range(rng.choice([0, 1, 1, 1, 2, 5])):
        some = [name for name in state if isinstance(name, str) and ("head" in name or "offset_mask" in name)]
        name = rng.choice(rng.choice([list(state), gammas, some]) or ["x"])
        way = rng.randrange(5)
        if way == 0:
            state.pop(name, None)
        elif way == 1:
            state[rng.choice(NAMES) + rng.choice(["", name])] = state.get(name, torch.zeros(2))
        elif way == 2:
            state[rng.choice([name, 7, None])] = odd_value(rng)
        elif isinstance(state.get(name), torch.Tensor) and state[name].layout == torch.strided:
            state[name] = odd_tensor(rng, state[name]) if not state[name].is_quantized else odd_value(rng)
    if rng.random() < 0.4:
        state = {rng.choice(["model", "state_dict", "model_ema", "other"]): state, rng.choice(NAMES): odd_value(rng)}
    return odd_value(rng) if rng.random() < 0.02 else state


def odd_bytes(rng, data):
    """The bytes of a file with some of them changed; in half of the cases in pickles and directories, not in tensors."""
    data = bytearray(data)
    texts = [at for at in (data.find(b"data.pkl"), data.rfind(b"PK\x01\x02"), data.rfind(b"PK\x05\x06"), 0) if at >= 0]
    for _ in range(rng.choice([1, 1, 2, 8])):
        at = min(rng.choice(texts) + rng.randrange(4000), len(data) - 1) if rng.random() < 0.8 else rng.randrange(len(data))
        data[at] = rng.choice([data[at] ^ 1 << rng.randrange(8), 0, 255, rng.randrange(256)])
    if rng.random() < 0.2:
        del data[rng.randrange(len(data)) :]
    return bytes(data)


def run(runs, seed):
    """How many files loaded, and how many were refused. Anything else is an AssertionError that names the run."""
    ours = [build(T), build(L), build(T, features_only=True), build(L, num_classes=3)]
    states = [{name: torch.randn_like(x) if x.is_floating_point() else x for name, x in m.state_dict().items()} for m in ours]
    loaded = refused = 0
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = os.path.join(folder, "file.pth")
        for number in range(runs):
            rng = random.Random(f"{seed} {number}")
            which = rng.randrange(len(ours))
            model, state = ours[which], states[which if rng.random() < 0.7 else rng.randrange(len(ours))]
            before = {name: x.clone() for name, x in model.state_dict().items()}
            try:
                torch.save(odd_state(rng, state), path, _use_new_zipfile_serialization=rng.random() < 0.7)
            except (RuntimeError, NotImplementedError):  # of torch.save
                continue
            if rng.random() < 0.4:
                with open(path, "rb") as file:
                    data = odd_bytes(rng, file.read())
                with open(path, "wb") as file:
                    file.write(data)
            options = {"entry": rng.choice([None, None, None, "model", "state_dict"]), "keep_head": rng.random() < 0.2}
            if rng.random() < 0.2:
                options["classes"] = rng.choice([[0, 1, 2], [0], [5, 4, 3, 2, 1, 0], [99], [-1]])
            try:
                models.load_checkpoint(model, path, **options)
                loaded += 1
            except models.CheckpointError as error:
                refused += 1
                assert str(error), f"run {number} of seed {seed}"
                after = model.state_dict()
                same = all(torch.equal(x.nan_to_num(), after[name].nan_to_num()) for name, x in before.items())
                assert same, f"run {number} of seed {seed}: the model has changed, and {error}"
            except Exception as error:
                raise AssertionError(f"run {number} of seed {seed}: {type(error).__name__}: {error}") from error
    return loaded, refused


if __name__ == "__main__":
    torch.set_num_threads(1)
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    print("{} loaded, {} refused".format(*run(runs, sys.argv[2] if len(sys.argv) > 2 else "0")))
