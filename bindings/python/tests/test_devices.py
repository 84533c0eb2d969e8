"""The code for GPUs, as far as it can be tested without one."""

import ctypes

import pytest
import torch
from conftest import ROOT, random_layer

import dcnv4
from dcnv4 import _devices, _library, _runtime, functional


def test_names():
    assert _devices.name_of(torch.device("cpu")) == "cpu"
    assert _devices.name_of(torch.device("cuda", 3), hip=False) == "cuda:3"
    assert _devices.name_of(torch.device("cuda", 1), hip=True) == "hip:1"


def test_other_devices_are_refused():
    with pytest.raises(ValueError, match="value is on xpu:0, possible are cpu and cuda; dcnv4.reference.dcnv4 runs"):
        _devices.name_of(torch.device("xpu", 0))


CUDA_12 = [
    "torch/lib/libtorch_cuda.so",
    "nvidia/cuda_nvrtc/lib/libnvrtc.so.12",
    "nvidia/cuda_nvrtc/lib/libnvrtc-builtins.so.12.4",
    "nvidia/cuda_nvrtc/lib/libnvrtc.alt.so.12",
]
CUDA_13 = [
    "torch/lib/libtorch_cuda.so",
    "nvidia/cu13/lib/libnvrtc.so.13",
    "nvidia/cu13/lib/libnvrtc-builtins.so.13.0",
    "nvidia/cu13/lib/libcublas.so.13",
]
ROCM = ["torch/lib/libhiprtc.so", "torch/lib/libhiprtc-builtins.so", "torch/lib/libamdhip64.so"]


@pytest.mark.parametrize(
    "hip, files, found",
    [
        (False, CUDA_12, ["libnvrtc-builtins.so.12.4", "libnvrtc.so.12"]),
        (False, CUDA_13, ["libnvrtc-builtins.so.13.0", "libnvrtc.so.13"]),
        (True, ROCM, ["libhiprtc-builtins.so", "libhiprtc.so"]),
        (True, CUDA_12, []),
        (False, ROCM, []),
    ],
    ids=["cuda12", "cuda13", "rocm", "hip_without", "cuda_without"],
)
def test_compilers_of_pytorchs_packages(tmp_path, hip, files, found):
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_bytes(b"")
    paths = _devices.compilers(hip, str(tmp_path / "torch"))
    assert [path.rsplit("/", 1)[1] for path in paths] == found


def test_a_compiler_that_does_not_load_is_passed_over(tmp_path, monkeypatch):
    broken = tmp_path / "libnvrtc.so.12"
    broken.write_bytes(b"not a library")
    monkeypatch.setattr(_devices, "compilers", lambda hip: [str(broken)])
    _devices.preload_compiler(False)


class Stream:
    cuda_stream = 4711


class Guard:
    entered = []

    def __init__(self, device):
        self.device = device

    def __enter__(self):
        Guard.entered.append(self.device)

    def __exit__(self, *_):
        pass


def test_gpus_get_the_current_stream_and_a_workspace(monkeypatch):
    """The code path of CUDA tensors, with a cpu's plan that needs a workspace."""
    value, offset_mask, arguments = random_layer()
    expected = functional.dcnv4(value, offset_mask, **arguments)
    run = next(reversed(_runtime._plans.values()))
    monkeypatch.setattr(torch.cuda, "device", Guard)
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    seen = []

    def record(address, buffers, stream):
        seen.append((stream, list(buffers)))
        return _library.DEFORM_CONV.forward(address, buffers, None)

    monkeypatch.setattr(run, "on_host", False)
    monkeypatch.setattr(run, "workspace", 100)
    buffers = run.plan.buffers()
    output = torch.empty_like(expected)
    for tensor, data in enumerate((value, offset_mask, output)):
        buffers[_library.handle_of(tensor)] = data.data_ptr()
    run.call(record, buffers, value.device)
    assert torch.equal(output, expected)
    assert Guard.entered == [value.device]
    stream, words = seen[0]
    assert stream == 4711 and words[_library.DEFORM_CONV.workspace] != 0


def test_failures_of_a_run_are_errors(monkeypatch):
    value, offset_mask, arguments = random_layer()
    functional.dcnv4(value, offset_mask, **arguments)
    run = next(reversed(_runtime._plans.values()))
    with pytest.raises(dcnv4.Error, match="value has no buffer, [0-9]+ bytes are needed") as caught:
        run.call(_library.DEFORM_CONV.forward, run.plan.buffers(), value.device)
    assert caught.value.status == 1


def test_structs_are_the_headers():
    """The fields of the header's structs, by name and in order."""
    import re

    header = "".join(path.read_text() for path in (ROOT / "include" / "dcnv4").glob("*.h"))
    for name, struct in (
        ("problem", _library.Problem),
        ("sizes", _library.Sizes),
        ("device_info", _library.DeviceInfo),
        ("msda_level", _library.MsdaLevel),
        ("msda_problem", _library.MsdaProblem),
        ("msda_sizes", _library.MsdaSizes),
    ):
        body = re.search(rf"typedef struct dcnv4_{name} {{(.*?)}} dcnv4_{name};", header, re.S).group(1)
        body = re.sub(r"/\*.*?\*/", "", body, flags=re.S)
        fields = [
            re.sub(r"\[.*", "", word.strip().split()[-1]).lstrip("*")
            for line in body.split(";")
            if line.strip()
            for word in line.split(",")
        ]
        assert fields == [field[0] for field in struct._fields_], name
    for name, operator in (("buffers", _library.DEFORM_CONV), ("msda_buffers", _library.MS_DEFORM_ATTN)):
        order = re.search(rf"typedef struct dcnv4_{name} {{(.*?)}}", header, re.S).group(1)
        order = [word for line in re.findall(r"dcnv4_buffer ([^;]*);", order) for word in line.split(", ")]
        assert order == [*operator.tensors, "workspace"]
        assert ctypes.sizeof(operator.Buffers) == ctypes.sizeof(ctypes.c_size_t) * (1 + 3 * len(order))
    numbers = dict(re.findall(r"DCNV4_(?:MSDA_)?(\w+) = (\d+)", header))
    for constant in ("FLOAT32", "FLOAT16", "BFLOAT16", "FLOAT64", "OUT_OF_MEMORY", "PLACES", "OFFSETS", "BOX_OFFSETS"):
        assert int(numbers[constant]) == getattr(_library, constant)
    for prototype in _library.PROTOTYPES:
        assert re.search(rf"\b{prototype}\(", header)
