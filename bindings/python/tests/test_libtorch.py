"""libdcnv4_libtorch: the operators without this package, and beside it in either order."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest
import torch

import dcnv4
from dcnv4 import _library

LIBRARY = _library.path_beside("dcnv4_libtorch")
EXAMPLE = pathlib.Path(__file__).parents[3] / "examples" / "libtorch" / "run.cpp"

pytestmark = pytest.mark.skipif(
    tuple(map(int, torch.__version__.split(".")[:2])) < (2, 10) or not os.path.exists(LIBRARY),
    reason="libdcnv4_libtorch needs PyTorch 2.10",
)


def run(code, *arguments, package=False):
    environment = dict(os.environ)
    if not package:
        environment.pop("PYTHONPATH", None)
    command = [sys.executable, "-c", code, LIBRARY, *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


CALLS = """
import sys
import torch

torch.manual_seed(0)
layer = ([3, 3], [1, 1], [1, 1], [1, 1], 2, 1.0, False, True)
levels = ([5, 6, 3, 2], [], [3, 3], 0, True, 0.5)
value, offset_mask = torch.randn(2, 10, 9, 16).transpose(1, 2), torch.randn(2, 9, 10, 64)[..., :56]
maps, locations, weights = torch.randn(2, 36, 4, 8), torch.rand(2, 7, 4, 6, 2), torch.randn(2, 7, 4, 6)
tables = torch.tensor([[5, 6], [3, 2]]), torch.tensor([0, 30])

def calls():
    ops = torch.ops.dcnv4
    found = [ops.forward(value, offset_mask, *layer)]
    found += ops.backward(found[0], value, offset_mask, *layer)
    found.append(ops.forward(value.half(), offset_mask, *layer))
    found.append(ops.ms_deform_attn(maps, locations, weights, None, None, None, *levels))
    found.append(ops.ms_deform_attn(maps, locations, weights, None, *tables, [], [], *levels[2:]))
    found += ops.ms_deform_attn_backward(found[-1], maps, locations, weights, None, None, None, *levels)
    for wrong in (lambda: ops.forward(value, offset_mask[:, :5], *layer), lambda: ops.forward(value, value, [3], *layer[1:])):
        try:
            wrong()
        except (RuntimeError, TypeError, ValueError) as error:
            assert "dcnv4: " in str(error), error
        else:
            raise AssertionError("not refused")
    return found
"""


def test_without_the_package(tmp_path):
    """The same bits as the package's, for copied and strided tensors, 16 bits and level tables."""
    code = CALLS + 'torch.ops.load_library(sys.argv[1])\ntorch.save(calls(), sys.argv[2])\nassert "dcnv4" not in sys.modules'
    run(code, tmp_path / "found.pt")
    scope = {}
    exec(CALLS, scope)
    for found, expected in zip(torch.load(tmp_path / "found.pt"), scope["calls"]()):
        assert torch.equal(found, expected) and found.dtype == expected.dtype


@pytest.mark.parametrize("first", ["library", "package"])
def test_in_either_order(first):
    steps = ["torch.ops.load_library(sys.argv[1])", "import dcnv4"]
    code = CALLS + "\n".join(steps if first == "library" else steps[::-1])
    code += """
found = calls()
other = dcnv4.functional.dcnv4(value, offset_mask, group=2, softmax=True)
assert torch.equal(found[0], other)
value.requires_grad_()
torch.compile(lambda: dcnv4.functional.dcnv4(value, offset_mask, group=2, softmax=True), backend="aot_eager")().sum().backward()
assert value.grad is not None
"""
    run(code, package=True)


class Network(torch.nn.Module):
    """Little around one layer, since AOTInductor compiles everything else for each network anew."""

    def __init__(self):
        super().__init__()
        self.stem, self.layer = torch.nn.Conv2d(3, 16, 4, stride=4), dcnv4.DCNv4(16, group=1)
        torch.nn.init.normal_(self.layer.offset_mask.weight)
        self.head = torch.nn.Linear(16, 10)

    def forward(self, x):
        x = self.stem(x)
        x = self.layer(x.flatten(2).transpose(1, 2), shape=(16, 16))
        return self.head(x.mean(1))


def network():
    torch.manual_seed(1)
    return Network().eval()


def test_programs_without_the_package(tmp_path):
    """torch.export's program, and AOTInductor's package, in Python without ours and in C++."""
    x = torch.ones(1, 3, 64, 64)
    program = torch.export.export(network(), (x,))
    torch.export.save(program, tmp_path / "program.pt2")
    expected = network()(x).flatten()[0].item()
    code = "import sys, torch\ntorch.ops.load_library(sys.argv[1])\n"
    code += "print(torch.export.load(sys.argv[2]).module()(torch.ones(1, 3, 64, 64)).flatten()[0].item())"
    assert float(run(code, tmp_path / "program.pt2")) == pytest.approx(expected, abs=1e-5)

    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("there is no g++")
    torch._inductor.aoti_compile_and_package(program, package_path=str(tmp_path / "package.pt2"))
    root = pathlib.Path(torch.__file__).parent
    include, lib = root / "include", root / "lib"
    build = [compiler, "-std=c++20", EXAMPLE, f"-I{include}", f"-I{include / 'torch/csrc/api/include'}", f"-L{lib}"]
    build += [f"-Wl,-rpath,{lib}", "-Wl,--no-as-needed", "-ltorch", "-ltorch_cpu", "-lc10", "-ldl", "-o", tmp_path / "run"]
    subprocess.run(build, check=True)
    done = subprocess.run([tmp_path / "run", tmp_path / "package.pt2", LIBRARY], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("[1, 10] ") and float(done.stdout.split()[-1]) == pytest.approx(expected, abs=1e-4)


def test_loaded_before_pytorch():
    """Registered by a call, once PyTorch is there."""
    code = """
import ctypes, sys
library = ctypes.CDLL(sys.argv[1])
library.dcnv4_libtorch_register.restype = ctypes.c_char_p
assert b"has not loaded PyTorch" in library.dcnv4_libtorch_register()
import torch
assert library.dcnv4_libtorch_register() is None
assert library.dcnv4_libtorch_register() is None
torch.ops.dcnv4.forward
"""
    run(code)
