"""The package where PyTorch is not installed, or not imported yet."""

import subprocess
import sys

import pytest

# PyTorch as if it were not installed: this Python finds none.
NO_TORCH = """
import sys
class Without:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torch":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Without())
"""


def run(code, **more):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, **more)


def printed(code):
    ran = run(code)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def test_importing_loads_no_framework():
    heavy = ("torch", "numpy", "jax", "onnx", "onnxruntime", "tvm_ffi")
    code = f"import sys, dcnv4; dcnv4.devices(), dcnv4.__version__; print([m for m in {heavy} if m in sys.modules])"
    assert printed(code) == "[]"


@pytest.mark.parametrize(
    "use", ["import dcnv4.functional", "dcnv4.DCNv4", "from dcnv4 import models", "import dcnv4.compat", "dcnv4.reference"]
)
def test_what_needs_torch_says_so(use):
    ran = run(f"{NO_TORCH}\nimport dcnv4\n{use}")
    said = ran.stderr.strip().splitlines()[-1]
    assert said == "ImportError: This part of dcnv4 needs torch, which is not installed: pip install 'dcnv4[torch]'"


@pytest.mark.parametrize("imports", ["import torch, dcnv4", "import dcnv4, torch"])
def test_pytorch_knows_the_operators_after_both_imports(imports):
    looks = "import importlib.util, sys; " + imports.split(",")[0] + "; importlib.util.find_spec('torch')\n"
    code = f"{looks}{imports}; print(torch.ops.dcnv4.forward, torch.ops.dcnv4.ms_deform_attn)"
    assert printed(code) == "dcnv4.forward dcnv4.ms_deform_attn"


def test_names_are_there_as_before():
    import dcnv4

    assert dcnv4.DCNv4.__module__ == "dcnv4.modules" and dcnv4.convert is dcnv4.conversion.convert
    assert {*dcnv4.__all__, "functional", "models"} <= set(dir(dcnv4))
    for name in dcnv4.__all__:
        getattr(dcnv4, name)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        dcnv4.nothing
