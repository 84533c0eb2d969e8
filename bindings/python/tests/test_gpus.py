"""CUDA and HIP tensors, on libraries that stand in for the drivers, if a build has put them in the loader's path.

PyTorch has no such tensors without a GPU, so these objects only have a tensor's methods; all else is as on a GPU.
"""

import ctypes

import pytest
import torch
from attention_cases import UNITS, Call
from conftest import close, random_layer

import dcnv4
from dcnv4 import _attention_problem, _devices, _library, _problem, _runtime, reference
from dcnv4._attention import ms_deform_attn
from dcnv4._attention_problem import make_levels
from dcnv4._deform_conv import deform_conv


class Buffer(ctypes.Structure):
    _fields_ = [("handle", ctypes.c_void_p), ("offset", ctypes.c_size_t), ("length", ctypes.c_size_t)]


class OnGpu:
    """A tensor's numbers in a device's memory."""

    context = None
    device = torch.device("cuda", 0)

    def __init__(self, host):
        self.host, self.buffer = host, Buffer()
        self.shape, self.dtype = host.shape, host.dtype
        self.stride, self.dim, self.numel, self.is_contiguous = host.stride, host.dim, host.numel, host.is_contiguous
        self.storage = host.as_strided((host.untyped_storage().nbytes() // host.element_size(),), (1,), 0)
        self.length = self.storage.numel() * host.element_size()
        library = _library.library
        _library.check(
            library.dcnv4_buffer_create(self.context.handle, ctypes.c_size_t(self.length), self.at(self.buffer))
        )
        self.copy(library.dcnv4_upload)

    @staticmethod
    def at(buffer):
        return ctypes.byref(buffer)

    def copy(self, function):
        pointer = ctypes.c_void_p(self.storage.data_ptr())
        _library.check(function(self.context.handle, self.at(self.buffer), pointer, ctypes.c_size_t(self.length)))

    def is_neg(self):
        return False

    def data_ptr(self):
        return self.buffer.handle + self.host.storage_offset() * self.host.element_size()

    def back(self):
        self.copy(_library.library.dcnv4_download)
        return self.host

    def __del__(self):
        _library.library.dcnv4_buffer_destroy(self.context.handle, self.at(self.buffer))


class Stream:
    cuda_stream = 0  # the default stream


@pytest.fixture(params=["cuda", "hip"])
def gpu(request, monkeypatch):
    found = {device["name"]: device for device in dcnv4.devices()}.get(f"{request.param}:0", {"description": ""})
    if not found["description"].startswith("fake "):
        pytest.skip(f"nothing stands in for {request.param} here")
    hip = request.param == "hip"
    monkeypatch.setattr(_devices, "name_of", lambda device, name_of=_devices.name_of: name_of(device, hip))
    monkeypatch.setattr(_runtime, "_contexts", {})
    for module in (_problem, _attention_problem):
        monkeypatch.setattr(module, "check_tensor", lambda *_: None)
    monkeypatch.setattr(_runtime, "_empty", lambda shape, dtype, device: OnGpu(torch.full(flat(shape), 7, dtype=dtype)))
    monkeypatch.setattr(_runtime, "_empty_like", lambda like: OnGpu(torch.full_like(like.host, 7)))
    monkeypatch.setattr(torch.cuda, "device", lambda device: torch.no_grad())
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    monkeypatch.setattr(OnGpu, "context", _library.Context(f"{request.param}:0", 0))


def flat(shape):
    return (shape,) if isinstance(shape, int) else shape


def test_forward_and_backward(gpu):
    value, offset_mask, arguments = random_layer()
    wide = torch.randn(*value.shape[:3], 13)  # value is a slice of it
    wide[..., 2:10] = value
    value = wide[..., 2:10]
    grad_output = torch.randn_like(value, memory_format=torch.contiguous_format)
    for tensor in (value, offset_mask):
        tensor.requires_grad_()
    expected = reference.dcnv4(value, offset_mask, **arguments)
    gradients = torch.autograd.grad(expected, (value, offset_mask), grad_output)
    parameters = tuple(arguments[name] for name in ("kernel_size", "stride", "padding", "dilation", "group"))
    parameters += (1.0, False, False)
    on_gpu = [OnGpu(tensor.detach()) for tensor in (value, offset_mask, grad_output)]
    output = _runtime.forward(deform_conv, on_gpu[:2], parameters)
    close(output.back(), expected.detach(), 1e-6)
    found = _runtime.backward(deform_conv, on_gpu[2], on_gpu[:2], parameters)
    for ours, theirs in zip(found, gradients):
        close(ours.back(), theirs, 1e-5)
    assert [str(key[0]) for key in _runtime._contexts] == ["cuda:0"]


def test_float64_is_refused(gpu):
    value, offset_mask, _ = random_layer(dtype=torch.float64)
    with pytest.raises(dcnv4.Error, match="float64"):
        _runtime.forward(deform_conv, (OnGpu(value), OnGpu(offset_mask)), (3, 1, 1, 1, 2, 1.0, False, False))


@pytest.mark.parametrize(
    "unit, packed, tables",
    [("normalized", False, "numbers"), ("offsets", True, "in_memory"), ("box_offsets", False, "in_memory")],
)
def test_attention(gpu, unit, packed, tables):
    """The levels' sizes as numbers, or in the device's memory, where nothing else reads them."""
    call = Call(unit, packed=packed, softmax=packed, dtype=torch.float32, gap=1)
    given = [tensor.requires_grad_() for tensor in call.inputs()]
    expected = call.run(reference)(*given)
    grad_output = torch.randn_like(expected)
    gradients = torch.autograd.grad(expected, given, grad_output)
    places = [tensor.detach() for tensor in given]
    tensors = [places[0], places[1], None if packed else places[2], None if unit == "normalized" else places[-1]]
    sizes, starts = tuple(number for pair in call.sizes for number in pair), tuple(call.starts)
    if tables == "in_memory":
        tensors += [torch.tensor(call.sizes), torch.tensor(starts)]
        sizes, starts = (), ()
    else:
        tensors += [None, None]
    arguments = tuple(make_levels(sizes, starts, call.points, UNITS.index(unit), packed, 0.5))
    on_gpu = tuple(None if tensor is None else OnGpu(tensor) for tensor in tensors)
    output = _runtime.forward(ms_deform_attn, on_gpu, arguments)
    close(output.back(), expected.detach(), 1e-5)
    found = _runtime.backward(ms_deform_attn, OnGpu(grad_output), on_gpu, arguments)
    assert [gradient is None for gradient in found] == [tensor is None for tensor in tensors[:4]]
    for ours, theirs in zip((gradient for gradient in found if gradient is not None), gradients):
        close(ours.back(), theirs, 1e-5)


def test_tables_in_memory_are_not_read():
    """Tensors on a device go to the operator as they are; where each level begins is computed there."""
    from dcnv4._attention_call import find_levels

    shapes, device = torch.empty(2, 2, dtype=torch.int64, device="meta"), torch.device("cuda")
    for starts in (None, torch.empty(2, dtype=torch.int64, device="meta")):
        found = find_levels(shapes, starts, device, True)
        assert found[0] is shapes and found[1].is_meta and found[1].shape == (2,) and found[2:] == ((), (), 2)
    assert find_levels(torch.tensor([(4, 5), (2, 3)]), None, device, False)[1].tolist() == [0, 20]
