"""Layers and operators split among processes: DCNv4's layers by groups of channels, and both operators on DTensors. Data
parallelism and FSDP do not need this."""

from __future__ import annotations

from . import _needs_torch  # noqa: F401
import torch
import torch.nn.functional as F
from torch import nn

from .modules import DCNv4


class _OwnGroups:
    """An operator on value, of which each process has its groups' channels, and offset_mask, which all have whole."""

    def __init__(self, operator, mesh):
        self.operator, self.mesh = operator, mesh

    def __call__(self, value, offset_mask, kernel_size, stride, padding, dilation, group, scale, remove_center, *more):
        from torch.distributed.tensor import DTensor, Partial, Shard

        points = kernel_size[0] * kernel_size[1] - remove_center
        groups = group // self.mesh.size()
        row = 3 * groups * points
        first = row * self.mesh.get_local_rank()
        # Each process computes the gradient of the columns of offset_mask that it uses; their sum is the whole
        # gradient.
        y = self.operator(
            value.to_local(grad_placements=[Shard(3)]),
            offset_mask.to_local(grad_placements=[Partial()])[..., first : first + row],
            kernel_size, stride, padding, dilation, groups, scale, remove_center, *more,
        )  # fmt: skip
        return DTensor.from_local(y, self.mesh, [Shard(3)], run_check=False)


class _OwnShares:
    """DCNv4._scale_center where each process has its groups' channels. The shares depend on all channels: each process
    computes its channels' part of all shares, and takes its groups' shares from the sum over the processes."""

    def __init__(self, layer: DCNv4, mesh):
        self.layer, self.mesh = layer, mesh

    def __call__(self, y, value):
        from torch.distributed.tensor import DTensor, Partial, Replicate, Shard

        layer, mesh = self.layer, self.mesh
        groups = layer.group // mesh.size()
        first = groups * mesh.get_local_rank()
        y, value = (tensor.to_local(grad_placements=[Shard(3)]) for tensor in (y, value))
        part = F.linear(y, layer.center_feature_scale_proj_weight.to_local())
        whole = DTensor.from_local(part, mesh, [Partial()], run_check=False).redistribute(mesh, [Replicate()])
        share = (whole + layer.center_feature_scale_proj_bias).to_local(grad_placements=[Partial()])
        y = layer._mix(y, value, share[..., first : first + groups].sigmoid())
        return DTensor.from_local(y, mesh, [Shard(3)], run_check=False)


_registered = False


def register_sharding() -> None:
    """Lets both operators, and so the modules, run on DTensors: replicated; split along the batch; for multi-scale deformable
    attention also by heads, the third axis of value, locations and weights; and with value, or grad_output, as parts of a
    sum, in which they are linear. Other placements are redistributed first. Needs PyTorch 2.5 or newer.

    DCNv4's groups are no axis of its tensors: for them there is parallelize.
    """
    global _registered
    if _registered:  # PyTorch keeps what it decided after the first registration
        return
    try:
        from torch.distributed.tensor import Partial, Replicate, Shard
        from torch.distributed.tensor.experimental import register_sharding as register
    except ImportError as error:
        raise RuntimeError(_needs_tensors("register_sharding")) from error
    whole, batch, heads, part = Replicate(), Shard(0), Shard(2), Partial()

    def rules(arguments, *placements):
        """Pairs (of the results, of the arguments), from (results, tensors): what is no tensor, or left out, has none."""
        return [
            (results, [None if arguments[index] is None else each for index, each in enumerate(tensors)]
             + [None] * (len(arguments) - len(tensors)))
            for results, tensors in placements
        ]  # fmt: skip

    operators = torch.ops.dcnv4

    @register(operators.forward.default)
    def _(*arguments):
        return rules(arguments, ([whole], [whole] * 2), ([batch], [batch] * 2), ([part], [part, whole]))

    @register(operators.backward.default)
    def _(*arguments):
        return rules(
            arguments, ([whole] * 2, [whole] * 3), ([batch] * 2, [batch] * 3), ([part] * 2, [part, whole, whole])
        )

    # value, locations, weights, references, which all heads share, and the levels' shapes and starts.
    @register(operators.ms_deform_attn.default)
    def _(*arguments):
        return rules(
            arguments,
            ([whole], [whole] * 6),
            ([batch], [batch] * 4 + [whole] * 2),
            ([heads], [heads] * 3 + [whole] * 3),
            ([part], [part] + [whole] * 5),
        )

    # The gradient of an input that is left out is a tensor without elements, the same everywhere.
    @register(operators.ms_deform_attn_backward.default)
    def _(*arguments):
        _, _, weights, references = (argument is not None for argument in arguments[1:5])

        def results(placement, of_references):
            return [placement, placement, placement if weights else whole, of_references if references else whole]

        return rules(
            arguments,
            ([whole] * 4, [whole] * 7),
            (results(batch, batch), [batch] * 5 + [whole] * 2),
            (results(heads, part), [heads] * 4 + [whole] * 3),
            (results(part, part), [part] + [whole] * 6),
        )

    _registered = True


def _needs_tensors(function: str) -> str:
    return (
        f"dcnv4.distributed.{function} needs torch.distributed.tensor, which PyTorch 2.5 and newer have, unless built "
        f"without distributed; this is {torch.__version__}"
    )


def _check(name: str, layer: DCNv4, mesh) -> None:
    what = f"dcnv4.distributed.parallelize: {type(layer).__name__}" + (f" {name!r}" if name else "")
    if isinstance(layer.operator, _OwnGroups):
        raise ValueError(f"{what} is split already")
    if layer.group % mesh.size() != 0:
        raise ValueError(f"{what} has group {layer.group}, which {mesh.size()} processes (mesh) do not divide")
    if layer.without_pointwise:
        raise ValueError(f"{what} has without_pointwise=True: it has no projections to split")
    if any(layer.behind):
        raise ValueError(f"{what} has padding='same' with a kernel of even span, which cannot be split; give numbers")


def parallelize(module: nn.Module, mesh) -> nn.Module:
    """Tensor parallelism: splits each DCNv4 and DCNv4Conv2d in module (or module itself) among the processes of a mesh
    with one axis, in place, and returns module. Needs PyTorch 2.5 or newer.

    Each process computes group / processes of the groups. It keeps value_proj's rows and output_proj's columns for
    them, as DTensors, and the whole layer offset_mask, of whose output it uses its groups' columns: ColwiseParallel on
    offset_mask would not split it between groups, because P has padding at its end and the number of groups is an
    argument. With center_feature_scale it computes its channels' part of every group's share. Inputs and outputs stay
    plain tensors that are the same in all processes; parameters become those of the first process.

    A ValueError names a layer that cannot be split; then no layer is split.
    """
    try:
        from torch.distributed.tensor import Replicate, Shard, distribute_module, distribute_tensor
        from torch.distributed.tensor.parallel import (
            ColwiseParallel, PrepareModuleInput, RowwiseParallel, parallelize_module,
        )  # fmt: skip
    except ImportError as error:
        raise RuntimeError(_needs_tensors("parallelize")) from error
    if mesh.ndim != 1:
        raise ValueError(
            f"dcnv4.distributed.parallelize: mesh has {mesh.ndim} axes, one is needed: take mesh[name] of the axis"
        )
    layers = {name: layer for name, layer in module.named_modules() if isinstance(layer, DCNv4)}
    for name, layer in layers.items():
        _check(name, layer, mesh)
    for layer in layers.values():
        if layer.dw_kernel_size is not None:
            for parameter in layer.offset_mask_dw.parameters():
                torch.distributed.broadcast(
                    parameter.detach(), torch.distributed.get_global_rank(mesh.get_group(), 0), mesh.get_group()
                )
        distribute_module(layer.offset_mask, mesh)
        plan = {
            "value_proj": ColwiseParallel(use_local_output=False),
            "offset_mask": PrepareModuleInput(input_layouts=Replicate(), desired_input_layouts=Replicate()),
            "output_proj": RowwiseParallel(),
        }
        parallelize_module(layer, mesh, plan)
        layer.operator = _OwnGroups(layer.operator, mesh)
        if layer.center_feature_scale:
            for name, placement in ("weight", Shard(1)), ("bias", Replicate()):
                name = f"center_feature_scale_proj_{name}"
                given = getattr(layer, name)
                split = distribute_tensor(given.detach(), mesh, [placement])
                setattr(layer, name, nn.Parameter(split, requires_grad=given.requires_grad))
            layer._scale_center = _OwnShares(layer, mesh)
    return module
