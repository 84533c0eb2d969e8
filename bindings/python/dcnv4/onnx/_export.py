"""Models of PyTorch as ONNX files with the operators of the domain dcnv4."""

from __future__ import annotations

import warnings

import onnx
import onnx.inliner
import torch

from ._translate import translations
from .functions import DOMAIN, OLDEST_OPSET, add_functions

_LARGEST = 2**31 - 2**20  # bytes of a file without external data


def _automatic(args: tuple):
    """The axes that may have other sizes than the example's: the batch, and height and width of images."""
    auto = torch.export.Dim.AUTO
    axes = {4: (0, 2, 3)}

    def of(argument):
        if isinstance(argument, torch.Tensor):
            return {axis: auto for axis in axes.get(argument.dim(), (0,)) if axis < argument.dim()}
        if isinstance(argument, (list, tuple)):
            return type(argument)(of(each) for each in argument)
        return None

    return tuple(of(each) for each in args)


def export(
    module: torch.nn.Module,
    args: tuple,
    path=None,
    *,
    dynamic_shapes="auto",
    opset: int = 20,
    functions: bool = True,
    inline: bool = False,
    **options,
) -> onnx.ModelProto:
    """Exports a module with PyTorch's exporter (dynamo), writes the model to path unless that is None, and returns it.

    args: a tuple of example inputs. dynamic_shapes: as for torch.onnx.export; "auto" makes the first axis of every input
    and the axes H and W of images [N, C, H, W] dynamic where the module allows it, None nothing.
    opset: of ONNX's own operators, 16 or newer; ONNX Runtime 1.16 knows 19.
    functions: put the operators as functions of ONNX's own operators beside their nodes. The file then runs in runtimes
    without libdcnv4_onnxruntime, more slowly. inline: have those in the nodes' place, for runtimes that know no functions
    (openvino); such a file never uses the library.
    options: further ones of torch.onnx.export: kwargs, input_names, output_names, …"""
    if opset < OLDEST_OPSET:
        raise ValueError(f"dcnv4: opset is {opset}, at least {OLDEST_OPSET} is needed")
    if isinstance(args, torch.Tensor):
        args = (args,)
    if isinstance(dynamic_shapes, str):
        if dynamic_shapes != "auto":
            raise ValueError(f"dcnv4: dynamic_shapes is {dynamic_shapes!r}, a string must be 'auto'")
        dynamic_shapes = _automatic(args) if not options.get("kwargs") else None
    table = {**translations(), **options.pop("custom_translation_table", {})}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning)
        program = torch.onnx.export(
            module,
            args,
            dynamo=True,
            opset_version=opset,
            dynamic_shapes=dynamic_shapes,
            custom_translation_table=table,
            **{"verbose": False, **options},
        )
    model = program.model_proto
    if opset <= 20:
        model.ir_version = min(model.ir_version, 9)  # what came with opset 20
    if functions or inline:
        add_functions(model)
    if inline:
        model = onnx.inliner.inline_local_functions(model)
        kept = [each for each in model.opset_import if each.domain != DOMAIN]
        del model.opset_import[:]
        model.opset_import.extend(kept)
    large = model.ByteSize() > _LARGEST
    if not large:
        onnx.checker.check_model(model)
    if path is not None:
        onnx.save(model, path, save_as_external_data=large)
    return model
