"""DCNv4, deformable convolution v4, for PyTorch: no compiler, no GPU needed, any shape."""

from . import functional, reference
from ._library import Error, devices
from ._library import version as _version
from .function import DCNv4Function
from .modules import DCNv4, DCNv4Conv2d

__version__ = _version()
__all__ = ["DCNv4", "DCNv4Conv2d", "DCNv4Function", "Error", "devices", "functional", "reference"]
