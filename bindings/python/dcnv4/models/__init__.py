"""Networks of DCNv4 layers.

from dcnv4.models import flash_internimage_t, load_checkpoint

model = flash_internimage_t()
print(load_checkpoint(model, "flash_intern_image_t_1k_224.pth"))
"""

from .. import _needs_torch  # noqa: F401
from .checkpoints import CheckpointError, Loaded, load_checkpoint
from .flash_internimage import (
    STRIDES,
    FlashInternImage,
    Variant,
    flash_internimage_b,
    flash_internimage_l,
    flash_internimage_s,
    flash_internimage_t,
)

__all__ = [
    "STRIDES", "CheckpointError", "FlashInternImage", "Loaded", "Variant", "flash_internimage_b", "flash_internimage_l",
    "flash_internimage_s", "flash_internimage_t", "load_checkpoint",
]  # fmt: skip
