"""`import dcnv4.compat` makes this package available as the original authors' package DCNv4, for code and pickles.

    import dcnv4.compat
    from DCNv4.modules.dcnv4 import DCNv4  # the class dcnv4.DCNv4 itself
    model = torch.load("whole_model.pt", weights_only=False)

It replaces the modules in MODULES. If the original is installed too, it can no longer be imported, and a warning says
so. If it has been imported already, its classes may be in use: an ImportError prevents having two of each.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
import types
import warnings

import torch

from . import _grid, _problem, functional, modules
from .function import DCNv4Function
from .modules import DCNv4


class CenterFeatureScaleModule(torch.nn.Module):
    """A part of the original's module, without parameters. Pickles name it; dcnv4.DCNv4 does not use it."""

    def forward(self, query, center_feature_scale_proj_weight, center_feature_scale_proj_bias):
        return torch.nn.functional.linear(
            query, center_feature_scale_proj_weight, center_feature_scale_proj_bias
        ).sigmoid()


# The contents of each module of the original.
MODULES = {
    "DCNv4": (DCNv4, DCNv4Function),
    "DCNv4.functions": (DCNv4Function,),
    "DCNv4.functions.dcnv4_func": (DCNv4Function,),
    "DCNv4.modules": (DCNv4,),
    "DCNv4.modules.dcnv4": (DCNv4, CenterFeatureScaleModule),
}

# For torch.serialization.safe_globals, so that torch.load(…, weights_only=True) reads pickles of the original's module
# and of ours, with the layers in it.
SAFE_GLOBALS = [
    (DCNv4, "DCNv4.modules.dcnv4.DCNv4"),
    (CenterFeatureScaleModule, "DCNv4.modules.dcnv4.CenterFeatureScaleModule"),
    modules.DCNv4,
    modules.DCNv4Conv2d,
    _grid.Middle,
    _problem.Layer,
    functional.dcnv4,
    torch.nn.Conv2d,
    torch.nn.Linear,
]


def _look_for_the_original() -> None:
    loaded = [name for name in sys.modules if name == "DCNv4" or name.startswith("DCNv4.")]
    ours = (__file__, sys.modules[__package__].__file__)  # this module imported again, or an alias in sys.modules
    foreign = [name for name in loaded if getattr(sys.modules[name], "__file__", None) not in ours]
    if foreign:
        first = min(foreign)
        where = getattr(sys.modules[first], "__file__", None) or "memory"
        raise ImportError(
            f"dcnv4.compat: the module {first} is loaded already, from {where}; import dcnv4.compat before it, so "
            "that there is one copy of each class"
        )
    found = None if loaded else importlib.util.find_spec("DCNv4")
    if found is not None and found.origin is not None:
        warnings.warn(
            f"dcnv4.compat: the original's package is installed in {found.origin}; from here on, importing DCNv4 gives "
            "libdcnv4's classes instead. Uninstall it, or leave out `import dcnv4.compat`",
            RuntimeWarning,
            stacklevel=3,
        )


def _install() -> None:
    made = {}
    for name, contents in MODULES.items():
        module = types.ModuleType(name, __doc__)
        module.__file__ = __file__
        module.__spec__ = importlib.machinery.ModuleSpec(name, None, origin=__file__, is_package=True)
        module.__path__ = []  # nothing more can be imported from it
        for thing in contents:
            setattr(module, thing.__name__, thing)
        package, _, own = name.rpartition(".")
        if package:
            setattr(made[package], own, module)
        made[name] = module
    sys.modules.update(made)


_look_for_the_original()
_install()
