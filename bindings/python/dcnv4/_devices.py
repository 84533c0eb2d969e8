"""The device of libdcnv4 for a tensor's device, and the run-time compilers for GPUs in PyTorch's packages."""

from __future__ import annotations

import ctypes
import glob
import os
import re

import torch


def name_of(device: torch.device, hip: bool = bool(torch.version.hip)) -> str:
    """dcnv4_context_create's name of this device. PyTorch calls AMD's GPUs cuda, too."""
    if device.type == "cpu":
        return "cpu"
    if device.type != "cuda":
        raise ValueError(
            f"dcnv4: value is on {device}, possible are cpu and cuda; dcnv4.reference.dcnv4 runs on every device"
        )
    preload_compiler(hip)
    return f"{'hip' if hip else 'cuda'}:{torch.cuda.current_device() if device.index is None else device.index}"


def compilers(hip: bool, torch_folder: str = os.path.dirname(torch.__file__)) -> list[str]:
    """The files of NVRTC or hipRTC in PyTorch's own packages, in the order in which they have to be loaded."""
    folders = [os.path.join(torch_folder, "lib")]
    if not hip:
        nvidia = os.path.join(os.path.dirname(torch_folder), "nvidia")
        folders += [os.path.join(nvidia, "cuda_nvrtc", "lib"), *sorted(glob.glob(os.path.join(nvidia, "cu1*", "lib")))]
    kinds = ("libhiprtc-builtins", "libhiprtc") if hip else ("libnvrtc-builtins", "libnvrtc")
    return [
        path
        for kind in kinds
        for folder in folders
        for path in sorted(glob.glob(os.path.join(folder, kind + "*")))
        if re.match(kind + r"(-[0-9a-f]{8})?\.so", os.path.basename(path))
    ]


def preload_compiler(hip: bool) -> None:
    """Loads the compiler in PyTorch's packages, if any. libdcnv4 loads it by its plain name, for which the loader
    returns a library of that name that is already loaded: so no compiler has to be installed on the system."""
    for path in compilers(hip):
        try:
            ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
        except OSError:
            pass  # if this was the only one, libdcnv4 reports what is missing
