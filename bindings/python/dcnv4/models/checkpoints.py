"""Loading published weights: classification files and whole detectors or segmenters, as they are."""

from __future__ import annotations

import os
import pickle
import re
from dataclasses import dataclass, field
from typing import Dict, List, Optional, Sequence, Union

import torch


from .flash_internimage import FlashInternImage

_FIRST = "patch_embed.conv1.weight"  # what stands before it in a file's names is the network's prefix there
_HEAD = ("conv_head.", "head.")
_ENTRIES = ("model", "model_ema", "state_dict")


class CheckpointError(ValueError):
    """The file cannot be loaded into the model, which is as it was."""


@dataclass
class Loaded:
    """What load_checkpoint took from a file."""

    entry: str  # "model", "model_ema" or "state_dict", "" if the file is the state dict itself
    prefix: str  # before the network's names in the file
    changes: List[str] = field(default_factory=list)  # what was converted, in words
    ignored: List[str] = field(default_factory=list)  # names in the file that the model has no use for
    kept: List[str] = field(default_factory=list)  # the model's names that the file has nothing for

    def __str__(self) -> str:
        source = f"loaded {self.entry or 'the state dict'}" + (f", names after {self.prefix!r}" if self.prefix else "")
        rest = [f"{len(self.ignored)} tensors ignored: {_some(self.ignored)}"] if self.ignored else []
        rest += [f"kept as they were: {_some(self.kept)}"] if self.kept else []
        return "; ".join([source, *self.changes, *rest])


def load_checkpoint(
    model: FlashInternImage,
    path: Union[str, os.PathLike],
    *,
    entry: Optional[str] = None,
    classes: Union[str, os.PathLike, Sequence[int], None] = None,
    keep_head: bool = False,
) -> Loaded:
    """Loads a file of the original authors, or one with the same names, and says what it did. Only tensors are read
    (weights_only). A CheckpointError says all that does not fit, and then the model is as it was.

    entry      which state dict of the file: "model", "model_ema" or "state_dict". By default "model" for a classifier; for
               features_only "state_dict", else "model_ema", else "model", as the authors do
    classes    rows of the file's head, for a model with fewer classes: indices, or a file of one index a line, such as the
               authors' map22kto1k.txt for heads of ImageNet-22k
    keep_head  leaves the last linear layer as it is, to train it for other classes

    Found by itself: the prefix of the names in a detector's or segmenter's file; γ of 1 for a file without γ; γ multiplied into
    the weights for a model without them; zeros for the padding of offset_mask's rows where a file was saved without it.
    """
    path = os.fspath(path)
    entry, tensors = _entry(_read(path), entry, model, path)
    prefix = _prefix(tensors, path)
    loaded = Loaded(entry, prefix)
    loaded.ignored = [name for name in tensors if not name.startswith(prefix)]
    state = {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    target = model.state_dict()
    _refuse_others(state, path)
    _fit_scales(state, target, loaded)
    _fit_padding(state, target, loaded)
    _fit_head(state, target, loaded, _indices(classes), keep_head)
    _check(state, target, loaded, path)
    model.load_state_dict({name: state.get(name, tensor) for name, tensor in target.items()})
    return loaded


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _read(path: str) -> dict:
    open(path, "rb").close()  # errors of the file system are not about what the file holds
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL ([\w.]+)", str(error))
        what = f"an object of {named.group(1)}" if named else "more than tensors, or is damaged"
        raise CheckpointError(
            f"{path} holds {what}, and reading it could run code. If you trust the file, save its tensors alone, where the "
            f"packages that it names are installed: file = torch.load({path!r}, map_location='cpu', weights_only=False); "
            f"torch.save({{'model': file['model']}}, 'tensors.pth'). Then load tensors.pth"
        ) from None
    except Exception as error:  # of a damaged file torch.load may raise any
        lines = str(error).splitlines() or [type(error).__name__]
        raise CheckpointError(f"{path} is not a complete file of torch.save: {lines[0]}") from None
    if not isinstance(found, dict):
        raise CheckpointError(f"{path} holds a {type(found).__name__}, a state dict is needed")
    return found


def _entry(file: dict, entry: Optional[str], model: FlashInternImage, path: str) -> tuple:
    """The entry's name, and its tensors."""
    order = ("state_dict", "model_ema", "model") if model.features_only else ("model", "state_dict", "model_ema")
    there = [name for name in order if isinstance(file.get(name), dict)]
    if entry is not None and entry not in there:
        raise CheckpointError(f"{path} has no entry {entry!r}; it has {', '.join(there) or 'none of ' + str(_ENTRIES)}")
    entry = entry or (there[0] if there else "")
    tensors = file[entry] if entry else file
    return entry, {name: x for name, x in tensors.items() if isinstance(name, str) and isinstance(x, torch.Tensor)}


def _prefix(tensors: Dict[str, torch.Tensor], path: str) -> str:
    found = [name[: -len(_FIRST)] for name in tensors if name == _FIRST or name.endswith("." + _FIRST)]
    if not found:
        raise CheckpointError(f"{path} has no FlashInternImage: none of its {len(tensors)} tensors is named {_FIRST}")
    if len(found) > 1:
        raise CheckpointError(
            f"{path} has {len(found)} networks, named {', '.join(map(repr, found))}; save one of them"
        )
    return found[0]


def _refuse_others(state: dict, path: str) -> None:
    """Sparse, quantized, complex tensors and those without values cannot be a model's, whatever their shapes are."""
    for name, tensor in state.items():
        kind = (
            "nested" if tensor.is_nested
            else "quantized" if tensor.is_quantized
            else str(tensor.layout) if tensor.layout != torch.strided
            else "complex" if tensor.is_complex()
            else "without values" if tensor.is_meta
            else None
        )  # fmt: skip
        if kind:
            raise CheckpointError(f"{path} does not fit: the tensor {name} is {kind}")


def _fit_scales(state: dict, target: dict, loaded: Loaded) -> None:
    """γ: absent in T's classification, present in its detectors. A layer times γ is that layer with γ in its weights."""
    theirs = [name for name in state if re.search(r"\.gamma[12]$", name)]
    ours = [name for name in target if re.search(r"\.gamma[12]$", name)]
    if ours and not theirs:
        state.update((name, torch.ones_like(target[name])) for name in ours)
        loaded.changes.append(f"{len(ours)} γ set to 1, which the file has none of")
    elif theirs and not ours:
        for name in theirs:
            layer = name.replace("gamma1", "dcn.output_proj").replace("gamma2", "mlp.fc2")
            parts = [part for part in (f"{layer}.weight", f"{layer}.bias") if part in state]
            wanted = [target[part].shape if part in target else None for part in parts]
            if [state[part].shape for part in parts] != wanted or any(state[name].shape != x[:1] for x in wanted):
                continue  # γ stays, as one that is not in the model: the product may be of any size
            gamma = state.pop(name)
            for part in parts:
                state[part] = state[part] * gamma.view(-1, *[1] * (state[part].dim() - 1))
        loaded.changes.append(f"{len(theirs)} γ multiplied into the layers before them")


def _fit_padding(state: dict, target: dict, loaded: Loaded) -> None:
    padded = 0
    for name, tensor in state.items():
        wanted = target.get(name)
        if wanted is None or ".offset_mask." not in name or tensor.dim() == 0 or tensor.shape[1:] != wanted.shape[1:]:
            continue
        missing = wanted.shape[0] - tensor.shape[0]
        if 0 < missing < 8 and tensor.shape[0] % 27 == 0:
            state[name] = torch.cat([tensor, tensor.new_zeros(missing, *tensor.shape[1:])])
            padded += 1
    if padded:
        loaded.changes.append(f"{padded} tensors of offset_mask padded with rows of zeros")


def _indices(classes) -> Optional[torch.Tensor]:
    if isinstance(classes, (str, os.PathLike)):
        with open(classes, encoding="ascii") as lines:
            classes = [int(line) for line in lines if line.strip()]
    return None if classes is None else torch.as_tensor(classes)


def _fit_head(state: dict, target: dict, loaded: Loaded, classes: Optional[torch.Tensor], keep_head: bool) -> None:
    if not any(name.startswith(_HEAD) for name in target):  # features_only
        loaded.ignored += [name for name in state if name.startswith(_HEAD)]
    elif keep_head or "head.weight" not in target:
        loaded.ignored += [name for name in state if name.startswith("head.")]
        loaded.kept += [name for name in target if name.startswith("head.")]
    elif classes is not None and "head.weight" in state:
        parts = [name for name in ("head.weight", "head.bias") if name in state]
        count = min(len(state[name]) if state[name].dim() else 0 for name in parts)
        if not (0 <= int(classes.min()) and int(classes.max()) < count):
            raise CheckpointError(
                f"classes has indices from {int(classes.min())} to {int(classes.max())}, the file's head has {count} rows"
            )
        for name in parts:
            state[name] = state[name][classes]
        loaded.changes.append(f"{len(classes)} of the head's {count} classes")
    for name in loaded.ignored:
        state.pop(name, None)


def _check(state: dict, target: dict, loaded: Loaded, path: str) -> None:
    counters = [name for name in target if name.endswith("num_batches_tracked") and name not in state]
    loaded.kept += counters
    faults = []
    missing = [name for name in target if name not in state and name not in loaded.kept]
    unknown = [name for name in state if name not in target]
    shapes = [name for name in state if name in target and state[name].shape != target[name].shape]
    if missing:
        faults.append(f"{len(missing)} tensors are missing in the file: {_some(missing)}")
    if unknown:
        faults.append(f"{len(unknown)} are not in the model: {_some(unknown)}")
    if shapes:
        faults.append("shapes differ: " + _some([f"{n} is {_size(state[n])}, not {_size(target[n])}" for n in shapes]))
    if not faults:
        return
    if missing and all(name.startswith(_HEAD) for name in missing):
        faults.append("the file is of a backbone; build the model with features_only=True")
    elif shapes and all(name.startswith("head.") and state[name].dim() for name in shapes):
        rows = state[shapes[0]].shape[0]
        faults.append(
            f"build the model with num_classes={rows}, or give classes (which rows to take), or keep_head=True to train a new head"
        )
    elif shapes:
        faults.append("is it another variant?")
    raise CheckpointError(f"{path} does not fit: " + "; ".join(faults))


def _size(tensor: torch.Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "a single number"
