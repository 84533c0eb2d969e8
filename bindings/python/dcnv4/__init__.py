"""DCNv4, deformable convolution v4, and multi-scale deformable attention, for PyTorch: no compiler, no GPU needed, any
shape."""

from . import distributed, functional, integrations, reference
from ._library import Error, devices
from ._library import version as _version
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
