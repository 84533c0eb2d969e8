"""`import dcnv4.compat` makes this package available as the original authors' package DCNv4, for code and pickles, and
as the packages from which code imports multi-scale deformable attention.

    import dcnv4.compat
    from DCNv4.modules.dcnv4 import DCNv4  # the class dcnv4.DCNv4 itself
    model = torch.load("whole_model.pt", weights_only=False)

    import MultiScaleDeformableAttention  # Deformable DETR's extension, with forward and backward
    from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttnFunction

It replaces the modules in MODULES. If the original is installed too, it can no longer be imported, and a warning says
so. If it has been imported already, its classes may be in use: an ImportError prevents having two of each. An installed
mmcv is left as it is.
"""

from __future__ import annotations

from . import _needs_torch  # noqa: F401
import importlib.machinery
import importlib.util
import sys
import types
import warnings

import torch

from . import _grid, _problem, functional, mmcv, modules
from .function import DCNv4Function
from .modules import DCNv4
from .ms_deform_attn import FlashDeformAttn, MSDeformAttn
from .ms_deform_attn_function import FlashDeformAttnFunction, ms_deform_attn_backward, ms_deform_attn_forward


def _named(*things) -> dict:
    return {thing.__name__: thing for thing in things}


class CenterFeatureScaleModule(torch.nn.Module):
    """A part of the original's module, without parameters. Pickles name it; dcnv4.DCNv4 does not use it."""

    def forward(self, query, center_feature_scale_proj_weight, center_feature_scale_proj_bias):
        return torch.nn.functional.linear(
            query, center_feature_scale_proj_weight, center_feature_scale_proj_bias
        ).sigmoid()


_MMCV = {
    "MultiScaleDeformableAttention": mmcv.MultiScaleDeformableAttention,
    "MultiScaleDeformableAttnFunction": mmcv.MultiScaleDeformableAttnFunction,
    "multi_scale_deformable_attn_pytorch": mmcv.multi_scale_deformable_attn_pytorch,
}

# The contents of each module, by name.
MODULES = {
    "DCNv4": _named(DCNv4, FlashDeformAttn, DCNv4Function, FlashDeformAttnFunction),
    "DCNv4.functions": _named(DCNv4Function, FlashDeformAttnFunction),
    "DCNv4.functions.dcnv4_func": _named(DCNv4Function),
    "DCNv4.functions.flash_deform_attn_func": _named(FlashDeformAttnFunction),
    "DCNv4.modules": _named(DCNv4, FlashDeformAttn),
    "DCNv4.modules.dcnv4": _named(DCNv4, CenterFeatureScaleModule),
    "DCNv4.modules.flash_deform_attn": _named(FlashDeformAttn),
    "MultiScaleDeformableAttention": _named(ms_deform_attn_forward, ms_deform_attn_backward),
    "mmcv": {},
    "mmcv.ops": _MMCV,
    "mmcv.ops.multi_scale_deform_attn": _MMCV,
}

# For torch.serialization.safe_globals, so that torch.load(…, weights_only=True) reads pickles of the original's module
# and of ours, with the layers in it.
SAFE_GLOBALS = [
    (DCNv4, "DCNv4.modules.dcnv4.DCNv4"),
    (CenterFeatureScaleModule, "DCNv4.modules.dcnv4.CenterFeatureScaleModule"),
    (FlashDeformAttn, "DCNv4.modules.flash_deform_attn.FlashDeformAttn"),
    (mmcv.MultiScaleDeformableAttention, "mmcv.ops.multi_scale_deform_attn.MultiScaleDeformableAttention"),
    FlashDeformAttn,
    MSDeformAttn,
    mmcv.MultiScaleDeformableAttention,
    modules.DCNv4,
    modules.DCNv4Conv2d,
    _grid.Middle,
    _problem.Layer,
    functional.dcnv4,
    functional.ms_deform_attn,
    torch.nn.Dropout,
    torch.nn.Conv2d,
    torch.nn.Linear,
]


def _loaded(package: str) -> list:
    """The names of its modules that are loaded and not from here."""
    names = [name for name in sys.modules if name == package or name.startswith(f"{package}.")]
    ours = (__file__, sys.modules[__package__].__file__)  # this module imported again, or an alias in sys.modules
    return [name for name in names if getattr(sys.modules[name], "__file__", None) not in ours]


def _installed(package: str):
    """The file from which it would be imported, or None."""
    if package in sys.modules:
        return None
    found = importlib.util.find_spec(package)
    return None if found is None else found.origin


def _look_for_the_original() -> None:
    foreign = _loaded("DCNv4")
    if foreign:
        first = min(foreign)
        where = getattr(sys.modules[first], "__file__", None) or "memory"
        raise ImportError(
            f"dcnv4.compat: the module {first} is loaded already, from {where}; import dcnv4.compat before it, so "
            "that there is one copy of each class"
        )
    # Deformable DETR's extension has only functions: two copies of those do no harm.
    for package in ("DCNv4", "MultiScaleDeformableAttention"):
        where = _installed(package)
        if where is not None:
            warnings.warn(
                f"dcnv4.compat: the original's package is installed in {where}; from here on, importing {package} "
                "gives libdcnv4's classes and functions instead. Uninstall it, or leave out `import dcnv4.compat`",
                RuntimeWarning,
                stacklevel=3,
            )


def _install(packages: tuple) -> None:
    made = {}
    for name, contents in MODULES.items():
        if name.partition(".")[0] not in packages:
            continue
        module = types.ModuleType(name, __doc__)
        module.__file__ = __file__
        module.__spec__ = importlib.machinery.ModuleSpec(name, None, origin=__file__, is_package=True)
        module.__path__ = []  # nothing more can be imported from it
        for thing, value in contents.items():
            setattr(module, thing, value)
        package, _, own = name.rpartition(".")
        if package:
            setattr(made[package], own, module)
        made[name] = module
    sys.modules.update(made)


_look_for_the_original()
_mmcv = () if _loaded("mmcv") or _installed("mmcv") else ("mmcv",)
_install(("DCNv4", "MultiScaleDeformableAttention", *_mmcv))
