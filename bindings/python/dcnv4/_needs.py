"""Packages that a part of this one needs, and that `pip install dcnv4` alone does not bring."""

from __future__ import annotations

import importlib


def need(package: str, module: str, extra: str, version: str = ""):
    """Imports `package` for dcnv4's `module`, or says in one sentence which extra installs it."""
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package.split(".")[0]:
            raise
        raise ImportError(
            f"{module} needs {package}{version}, which is not installed: pip install 'dcnv4[{extra}]'", name=package
        ) from None
