"""Imported first by every module for PyTorch: an ImportError that names the extra, unless PyTorch is installed."""

from ._needs import need

need("torch", "This part of dcnv4", "torch")
