"""DCNv4, deformable convolution v4, and multi-scale deformable attention: no compiler, no GPU needed, any shape.

For PyTorch, this module's classes and dcnv4.functional; dcnv4.numpy, dcnv4.jax and dcnv4.tvm_ffi for others. A framework is
imported by the first use of what needs it."""

from __future__ import annotations

import importlib
import typing

from . import _torch
from ._library import Error, devices
from ._library import version as _version

if typing.TYPE_CHECKING:
    from . import distributed, functional, integrations, reference
    from .conversion import convert
    from .function import DCNv4Function
    from .layouts import pack_offset_mask, unpack_offset_mask
    from .modules import DCNv4, DCNv4Conv2d
    from .ms_deform_attn import FlashDeformAttn, MSDeformAttn

__version__ = _version()
__all__ = [
    "DCNv4", "DCNv4Conv2d", "DCNv4Function", "Error", "FlashDeformAttn", "MSDeformAttn", "convert", "devices",
    "distributed", "functional", "integrations", "pack_offset_mask", "reference", "unpack_offset_mask",
]  # fmt: skip

# Where each name comes from; modules come as themselves.
_NAMES = {
    "DCNv4": "modules",
    "DCNv4Conv2d": "modules",
    "DCNv4Function": "function",
    "FlashDeformAttn": "ms_deform_attn",
    "MSDeformAttn": "ms_deform_attn",
    "convert": "conversion",
    "pack_offset_mask": "layouts",
    "unpack_offset_mask": "layouts",
}
_MODULES = (
    "compat", "conversion", "dcnv3", "distributed", "function", "functional", "integrations", "jax", "layers", "layouts", "mmcv",
    "models", "modules", "ms_deform_attn", "numpy", "onnx", "reference", "tvm_ffi",
)  # fmt: skip


def __getattr__(name: str):
    if name in _NAMES:
        found = getattr(importlib.import_module(f".{_NAMES[name]}", __name__), name)
    elif name in _MODULES:
        try:
            found = importlib.import_module(f".{name}", __name__)
        except ModuleNotFoundError as error:
            if error.name != f"{__name__}.{name}":
                raise
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__():
    return sorted({*globals(), *_NAMES, *_MODULES})


_torch.register_when_imported()
