"""Linear layers without gradients on the CPU: an MLP in pieces, and two layers of the same input as one.

An MLP's hidden activations are the network's largest tensors. Written to memory and read again by GELU and fc2, they take as
much time as the arithmetic in the first stages. So it runs in pieces of rows whose hidden activations stay in the cache.
"""

from __future__ import annotations

from typing import Optional, Tuple

import torch
from torch import nn

from .._formats import _autocasts
from .._operators import is_plain_call

_HIDDEN = 1 << 18  # numbers in the hidden activations of a piece and thread: an L2 cache's size
_ROWS = 512  # of a piece and thread at least: each piece reads the weights again


def _is_plain(module: nn.Module, kind: type) -> bool:
    """Whether calling the module only computes: it is no subclass, and no hook observes it."""
    hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks)
    return type(module) is kind and not any(hooks)


def applies(x: torch.Tensor, fc1: nn.Module, act: nn.Module, fc2: nn.Module) -> bool:
    """Whether run() gives what the three modules give: on the CPU, in eager mode, without gradients, with plain modules."""
    return (
        not torch.is_grad_enabled()
        and _is_plain(fc1, nn.Linear)
        and _is_plain(act, nn.GELU)
        and _is_plain(fc2, nn.Linear)
        and is_plain_call(x, fc1.weight)
        and is_plain_call(x, fc2.weight)
        and x.dtype == fc1.weight.dtype == fc2.weight.dtype
        and x.device.type == fc1.weight.device.type == "cpu"
        and fc1.bias is not None
        and x.numel() > 0
        and not _autocasts(x.device)
    )


def run(
    x: torch.Tensor, residual: Optional[torch.Tensor], fc1: nn.Linear, act: nn.GELU, fc2: nn.Linear
) -> torch.Tensor:
    """fc2(act(fc1(x))), plus residual if there is one."""
    rows = x.reshape(-1, x.shape[-1])
    output = x.new_empty(rows.shape[0], fc2.out_features)
    size = _rows_of_piece(rows.shape[0], fc1.out_features)
    hidden = x.new_empty(size, fc1.out_features)
    added = fc2.bias if residual is None else residual.reshape(output.shape)
    for start in range(0, rows.shape[0], size):
        piece = slice(start, start + size)
        some = rows[piece]
        inner, out = hidden[: some.shape[0]], output[piece]
        torch.addmm(fc1.bias, some, fc1.weight.t(), out=inner)
        torch.ops.aten.gelu.out(inner, approximate=act.approximate, out=inner)
        if added is None:
            torch.mm(inner, fc2.weight.t(), out=out)
        else:
            torch.addmm(added if residual is None else added[piece], inner, fc2.weight.t(), out=out)
        if residual is not None and fc2.bias is not None:
            out.add_(fc2.bias)
    return output.view(*x.shape[:-1], fc2.out_features)


def _rows_of_piece(rows: int, hidden: int) -> int:
    """Pieces of equal sizes, up to rounding."""
    most = max(_ROWS, _HIDDEN // hidden) * torch.get_num_threads()
    return -(-rows // -(-rows // most))


def join(first: nn.Linear, second: nn.Linear) -> None:
    """Moves second's parameters behind first's, without a change to their values: both stay parameters of their own, and what
    changes them in place (optimizers, load_state_dict) changes the joined matrix. Those that are not in this process's memory
    alone, or no plain tensors, stay where they are."""
    for one, other in ((first.weight, second.weight), (first.bias, second.bias)):
        plain = type(one) is type(other) is nn.Parameter and one.device == other.device and one.dtype == other.dtype
        if not plain or one.device.type != "cpu" or one.is_shared() or other.is_shared() or _are_joined(one, other):
            continue
        with torch.no_grad():
            both = torch.cat([one, other])
            one.data, other.data = both[: len(one)], both[len(one) :]


def _are_joined(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether the rows of other follow those of one in one's own memory."""
    return (
        one.data_ptr() + one.numel() * one.element_size() == other.data_ptr()
        and one.untyped_storage().data_ptr() == other.untyped_storage().data_ptr()
        and one.dtype == other.dtype
        and one.shape[1:] == other.shape[1:]
        and one.is_contiguous()
        and other.is_contiguous()
    )


def joined(x: torch.Tensor, first: nn.Module, second: nn.Module) -> Optional[Tuple[torch.Tensor, torch.Tensor]]:
    """The weight and bias of the linear layer that is both; None where it does not give what the two give."""
    if (
        torch.is_grad_enabled()
        or not (_is_plain(first, nn.Linear) and _is_plain(second, nn.Linear))
        or not (is_plain_call(x, first.weight) and is_plain_call(x, second.weight))
        or first.weight.device.type != "cpu"
        or not (_are_joined(first.weight, second.weight) and _are_joined(first.bias, second.bias))
    ):
        return None
    rows = first.out_features + second.out_features
    weight = first.weight.as_strided((rows, first.in_features), (first.in_features, 1))
    return weight, first.bias.as_strided((rows,), (1,))
