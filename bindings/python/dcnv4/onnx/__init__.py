"""ONNX: the library of operators for ONNX Runtime, and models with them.

library() needs neither onnx nor onnxruntime nor torch; export needs torch, onnx and onnxscript."""

from __future__ import annotations

import os

from .. import _library


def library() -> str:
    """The path of the library with the operators DCNv4 and MSDeformAttn of the domain dcnv4, for
    SessionOptions.register_custom_ops_library. It stands beside libdcnv4, or $DCNV4_ONNXRUNTIME_LIBRARY names it."""
    path = os.environ.get("DCNV4_ONNXRUNTIME_LIBRARY") or _library.path_beside("dcnv4_onnxruntime")
    if not os.path.exists(path):
        raise FileNotFoundError(f"dcnv4: there is no {path}, the library of operators for ONNX Runtime")
    return path


def export(*arguments, **options):
    """dcnv4.onnx.export(module, args, path, …): see _export.export."""
    from ._export import export

    return export(*arguments, **options)


def translations() -> dict:
    """The translations of our operators, for torch.onnx.export(…, dynamo=True, custom_translation_table=…)."""
    from ._translate import translations

    return translations()


def add_functions(model) -> None:
    """Adds the function of each operator of ours that an onnx.ModelProto has, so that any runtime can run it."""
    from .functions import add_functions

    add_functions(model)
