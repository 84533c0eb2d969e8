"""`pip install ./bindings/python`: the wheel's contents, and that it works by itself."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import zipfile

import pytest
from conftest import ROOT
from test_without_torch import NO_TORCH

SOURCE = pathlib.Path(__file__).resolve().parents[1]


def pip(*arguments, **environment):
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *map(str, arguments)]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built as pip builds it, but the build backend is fetched in a separate step, to detect a missing network."""
    if not shutil.which("cmake"):
        pytest.skip("building the wheel needs cmake")
    folder = tmp_path_factory.mktemp("wheel")
    backend = pip("install", "--target", folder / "backend", "scikit-build-core>=1.0")
    if backend.returncode != 0:
        pytest.skip(f"scikit-build-core cannot be had: {backend.stderr.strip()[-200:]}")
    environment = {"PYTHONPATH": str(folder / "backend")}
    faster = "--config-settings=cmake.define.CMAKE_C_FLAGS_RELEASE=-O0"  # to compile
    built = pip("wheel", "--no-deps", "--no-build-isolation", faster, "-w", folder, SOURCE, **environment)
    assert built.returncode == 0, built.stderr
    (path,) = folder.glob("*.whl")
    return path


def test_wheel(wheel):
    header = (ROOT / "include" / "dcnv4" / "runtime.h").read_text()
    version = ".".join(re.search(rf"VERSION_{part} (\d+)", header).group(1) for part in ("MAJOR", "MINOR", "PATCH"))
    assert re.fullmatch(rf"dcnv4-{re.escape(version)}-py3-none-(?!any)\w+\.whl", wheel.name)
    names = zipfile.ZipFile(wheel).namelist()
    modules = {str(path.relative_to(SOURCE)) for path in (SOURCE / "dcnv4").rglob("*.py")} | {"dcnv4/py.typed"}
    rest = {name for name in names if ".dist-info/" not in name} - modules
    libraries = {name.split(".")[0] for name in rest}
    own = {"", "_bindings", "_onnxruntime"} | ({"_libtorch"} if sys.platform == "linux" else set())
    assert modules <= set(names) and len(rest) == len(own)
    assert libraries == {f"dcnv4/libdcnv4{name}" for name in own}
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_frameworks_are_extras(wheel):
    archive = zipfile.ZipFile(wheel)
    (metadata,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
    needed = [line for line in archive.read(metadata).decode().splitlines() if line.startswith("Requires-Dist:")]
    extras = {re.search(r"extra == ['\"](\w+)", line).group(1) for line in needed}  # fails for one without an extra
    assert {"torch", "numpy", "jax", "onnx", "models"} <= extras
    assert not [line for line in needed if "torch" in line and re.search("numpy|jax|onnx", line.split("extra")[1])]


def test_wheel_works_alone(wheel, tmp_path):
    installed = pip("install", "--no-deps", "--target", tmp_path / "site", wheel)
    assert installed.returncode == 0, installed.stderr
    code = (
        "import torch, dcnv4; x = torch.randn(1, 64, 64, requires_grad=True); m = dcnv4.DCNv4()\n"
        "torch.nn.init.normal_(m.offset_mask.weight); m(x).sum().backward(); print(dcnv4.__file__, dcnv4.__version__)"
    )
    environment = {name: text for name, text in os.environ.items() if name != "DCNV4_LIBRARY"}
    environment["PYTHONPATH"] = str(tmp_path / "site")
    ran = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith(str(tmp_path / "site")) and wheel.name.split("-")[1] in ran.stdout


@pytest.mark.parametrize("framework", ["numpy", "jax"])
def test_wheel_works_without_torch(wheel, tmp_path, framework):
    pytest.importorskip(framework)
    assert pip("install", "--no-deps", "--target", tmp_path / "site", wheel).returncode == 0
    code = (
        f"{NO_TORCH}\nimport numpy, dcnv4.{framework} as d; x = numpy.ones((1, 4, 4, 8), 'float32')\n"
        "print(d.dcnv4(x, numpy.ones((1, 4, 4, 56), 'float32'), group=2).shape, 'torch' in sys.modules)"
    )
    environment = {name: text for name, text in os.environ.items() if name != "DCNV4_LIBRARY"}
    environment["PYTHONPATH"] = f"{tmp_path / 'site'}{os.pathsep}{environment.get('PYTHONPATH', '')}"
    ran = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert ran.stdout.strip() == "(1, 4, 4, 8) False", ran.stderr


KERNEL = """
import pathlib, sys, kernels, torch
from unittest import mock
first, folder = sys.argv[1], pathlib.Path(sys.argv[2])
if first == "wheel":
    import dcnv4.functional
kernel = kernels.get_local_kernel(folder)
assert kernel.__file__.startswith(str(folder)), kernel.__file__
if first == "kernel":
    import dcnv4.functional
    assert dcnv4.__file__ != kernel.__file__
x, points = torch.randn(1, 6, 2, 8, requires_grad=True), torch.rand(1, 3, 2, 1, 4, 2)
weights, layer = torch.rand(1, 3, 2, 1, 4), kernel.layers.MultiScaleDeformableAttention()
expected = kernel.reference.ms_deform_attn(x, [(2, 3)], points, weights)
found = layer(x, torch.tensor([[2, 3]]), [(2, 3)], torch.tensor([0]), points, weights, 64)
torch.testing.assert_close(found, expected)
found.sum().backward()
compiled = torch.ops.dcnv4.ms_deform_attn(x, points, weights, None, None, None, [2, 3], [0], [4], 0, False, 0.5)
torch.testing.assert_close(compiled, expected)

@kernels.use_kernel_forward_from_hub("MultiScaleDeformableAttention")
class Stock(torch.nn.Module):
    def forward(self, value, value_spatial_shapes, value_spatial_shapes_list, level_start_index, sampling_locations,
                attention_weights, im2col_step):
        raise AssertionError("the stock forward ran")

repository = kernels.LocalLayerRepository(repo_path=folder, layer_name="MultiScaleDeformableAttention")
with kernels.use_kernel_mapping({"MultiScaleDeformableAttention": {"cpu": repository}}):
    model = kernels.kernelize(torch.nn.Sequential(Stock()), mode=kernels.Mode.TRAINING, device="cpu")
found = model[0](x, torch.tensor([[2, 3]]), [(2, 3)], torch.tensor([0]), points, weights, 64)
torch.testing.assert_close(found, expected)
print("loaded")
"""


@pytest.mark.parametrize("first", ["wheel", "kernel", "alone"])
def test_kernels_loads_the_package(wheel, tmp_path, first):
    pytest.importorskip("kernels")
    made = subprocess.run(
        [sys.executable, SOURCE / "make_kernel.py", wheel, tmp_path / "kernel"], capture_output=True, text=True, timeout=60
    )
    assert made.returncode == 0, made.stderr
    environment = {name: text for name, text in os.environ.items() if name != "DCNV4_LIBRARY"}
    environment["HF_HUB_OFFLINE"] = "1"
    if first != "alone":
        assert pip("install", "--no-deps", "--target", tmp_path / "site", wheel).returncode == 0
        environment["PYTHONPATH"] = f"{tmp_path / 'site'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    ran = subprocess.run(
        [sys.executable, "-c", KERNEL, first, str(tmp_path / "kernel")],
        env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert ran.returncode == 0 and ran.stdout.strip() == "loaded", ran.stderr


def test_without_its_library(tmp_path):
    shutil.copytree(SOURCE / "dcnv4", tmp_path / "dcnv4", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    environment.pop("DCNV4_LIBRARY", None)
    ran = subprocess.run(
        [sys.executable, "-c", "import dcnv4"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 1 and "ImportError: dcnv4 cannot load its library" in ran.stderr
