"""PyTorch is imported when something asks for it, not by `import dcnv4`; but where a program imports both, in either order,
PyTorch knows dcnv4's operators, so that exported programs load."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from importlib.abc import MetaPathFinder


def register() -> None:
    """Registers the operators, if this PyTorch has what they need."""
    try:
        importlib.import_module(".functional", __package__)
    except ImportError:
        pass  # said again, with the reason, when dcnv4.functional is used


class _Watch(MetaPathFinder):
    """Finds torch where the other finders do, and registers the operators once it has been imported."""

    looking = False

    def find_spec(self, name, path=None, target=None):
        if name != "torch" or self.looking:
            return None
        self.looking = True
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self.looking = False
        if spec is not None and hasattr(spec.loader, "exec_module"):
            run = spec.loader.exec_module

            def exec_module(module):
                run(module)
                if self in sys.meta_path:
                    sys.meta_path.remove(self)
                register()

            spec.loader.exec_module = exec_module
        return spec


def register_when_imported() -> None:
    if "torch" in sys.modules:
        register()
    else:
        sys.meta_path.insert(0, _Watch())
