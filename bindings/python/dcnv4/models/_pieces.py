"""An MLP without gradients on the CPU, in pieces of rows whose hidden activations stay in the cache.

The hidden activations are the network's largest tensors. Written to memory and read again by GELU and fc2, they take as much
time as the arithmetic in the first stages.
"""

from __future__ import annotations

from typing import Optional

import torch
from torch import nn

from .._formats import _autocasts
from .._operators import is_eager

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
        and is_eager(x, fc1.weight)
        and is_eager(x, fc2.weight)
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
