"""dcnv4.numpy: the golden cases, PyTorch's results, and bad input."""

import re
import threading

import attention_cases
import conftest
import numpy as np
import pytest
import torch

import dcnv4.numpy as ours
from dcnv4 import Error, devices, functional

ml_dtypes = pytest.importorskip("ml_dtypes")
DTYPES = (np.float64, np.float32, np.float16, ml_dtypes.bfloat16)
BOUND = {np.float64: 1e-11, np.float32: 1e-5, np.float16: 4e-3, ml_dtypes.bfloat16: 3e-2}
DENSE = dict(rtol=0, atol=0)


def close(found, expected, dtype):
    expected = np.asarray(expected)
    assert found.dtype == dtype and found.shape == expected.shape
    scale = max(1.0, np.abs(expected).max(initial=0))
    assert np.abs(found.astype(np.float64) - expected).max(initial=0) <= BOUND[dtype] * scale


@pytest.mark.parametrize("name", conftest.golden_names())
def test_golden(name):
    case = conftest.Golden(name)
    value, offset_mask, grad_output = (getattr(case, name).numpy() for name in ("value", "offset_mask", "grad_output"))
    for device in ("auto", "reference"):
        close(ours.dcnv4(value, offset_mask, **case.arguments, device=device), case.output, np.float64)
        gradients = ours.dcnv4_backward(grad_output, value, offset_mask, **case.arguments, device=device)
        for found, expected in zip(gradients, (case.grad_value, case.grad_offset_mask)):
            close(found, expected, np.float64)


@pytest.mark.parametrize("name", attention_cases.golden_names())
def test_golden_attention(name):
    case = attention_cases.Golden(name)
    value, *others = (tensor.numpy() for tensor in case.tensors)
    grad_output, shapes, starts = (getattr(case, n).numpy() for n in ("grad_output", "spatial_shapes", "level_start_index"))
    forward, arguments = (
        (ours.flash_deform_attn, (value, shapes, starts, *others, case.points))
        if case.packed
        else (ours.ms_deform_attn, (value, shapes, *others, starts, case.points))
    )
    close(forward(*arguments), case.output, np.float64)
    backward = getattr(ours, forward.__name__ + "_backward")
    for found, expected in zip(backward(grad_output, *arguments), case.gradients):
        close(found, expected, np.float64)


def arrays(dtype=np.float32, batch=2, height=6, width=7, channels=8, group=2):
    generator = np.random.default_rng(3)
    value = generator.standard_normal((batch, height, width, channels)).astype(dtype)
    return value, (generator.standard_normal((batch, height, width, 27 * group)) * 1.5).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtypes(dtype):
    value, offset_mask = arrays(dtype)
    exact = ours.dcnv4(value.astype(np.float64), offset_mask.astype(np.float64), group=2)
    close(ours.dcnv4(value, offset_mask, group=2), exact, dtype)
    if dtype not in (np.float64, np.float32):  # float32 offsets beside 16 bits are used as they are
        close(ours.dcnv4(value, offset_mask.astype(np.float32), group=2), exact, dtype)
    gradient = ours.dcnv4_backward(np.ones_like(value), value, offset_mask.astype(np.float64), group=2)
    assert [each.dtype for each in gradient] == [dtype, dtype]


def test_the_same_bits_as_torch_on_slices():
    fused = np.random.default_rng(1).standard_normal((2, 6, 7, 80)).astype(np.float32)
    value, offset_mask = fused[..., :8], fused[..., 8:64]
    expected = functional.dcnv4(torch.from_numpy(value), torch.from_numpy(offset_mask), group=2).numpy()
    np.testing.assert_array_equal(ours.dcnv4(value, offset_mask, group=2), expected)
    for odd in (value[:, ::-1][:, ::-1], np.asfortranarray(value), np.repeat(value, 2, -1)[..., ::2]):
        np.testing.assert_array_equal(ours.dcnv4(odd, offset_mask, group=2), expected)
    flipped = functional.dcnv4(torch.from_numpy(value[:, ::-1].copy()), torch.from_numpy(offset_mask), group=2)
    np.testing.assert_array_equal(ours.dcnv4(value[:, ::-1], offset_mask, group=2), flipped.numpy())
    unaligned = np.frombuffer(b"\0" + value.tobytes(), np.uint8)[1:].view(np.float32).reshape(value.shape)
    np.testing.assert_array_equal(ours.dcnv4(unaligned, offset_mask, group=2), expected)


@pytest.mark.parametrize("unit", attention_cases.UNITS)
def test_attention_units_as_torch(unit):
    call = attention_cases.Call(unit, dtype=torch.float32, gap=1)
    tensors = {name: tensor.float().numpy() for name, tensor in vars(call).items() if isinstance(tensor, torch.Tensor)}
    references = tensors.get("references")
    arguments = (call.sizes, tensors["locations"], tensors["weights"], call.starts, list(call.points))
    expected = functional.ms_deform_attn(
        torch.from_numpy(tensors["value"]), call.sizes, *map(torch.from_numpy, arguments[1:3]), *arguments[3:],
        reference_points=None if references is None else torch.from_numpy(references), unit=unit,
    )  # fmt: skip
    found = ours.ms_deform_attn(tensors["value"], *arguments, reference_points=references, unit=unit)
    np.testing.assert_array_equal(found, expected.numpy())
    gradients = ours.ms_deform_attn_backward(
        np.ones_like(found), tensors["value"], *arguments, reference_points=references, unit=unit
    )
    assert len(gradients) == 3 + (references is not None)


def test_out():
    value, offset_mask = arrays()
    expected = ours.dcnv4(value, offset_mask, group=2)
    wide = np.full((2, 6, 7, 12), 9, np.float32)
    for out in (np.empty_like(expected), wide[..., 2:10], np.empty(expected.shape, np.float32, order="F")):
        assert ours.dcnv4(value, offset_mask, group=2, out=out) is out
        np.testing.assert_array_equal(out, expected)
    assert (wide[..., :2] == 9).all() and (wide[..., 10:] == 9).all()
    outs = np.empty_like(value), np.empty_like(offset_mask)
    for found, array in zip(ours.dcnv4_backward(expected, value, offset_mask, group=2, out=outs), outs):
        assert found is array
    expected.flags.writeable = False
    refusals = [
        (value.copy()[:, :3], ValueError, "output has shape"),
        (np.empty(expected.shape), ValueError, "output is not of the dtype"),
        (expected, ValueError, "read-only"),
        (value, Error, "overlap"),
        ([1], TypeError, "out is of type list"),
    ]
    for out, kind, text in refusals:
        with pytest.raises(kind, match=text):
            ours.dcnv4(value, offset_mask, group=2, out=out)


def test_not_a_number_stays_where_it_is():
    value, offset_mask = arrays()
    offset_mask[0, 2, 3, 0] = np.nan  # the point does not count
    value[1, 0, 0, 0] = np.nan
    expected = functional.dcnv4(torch.from_numpy(value), torch.from_numpy(offset_mask), group=2).numpy()
    found = ours.dcnv4(value, offset_mask, group=2)
    np.testing.assert_array_equal(found, expected)
    assert np.isnan(found).any() and not np.isnan(found[0]).any()


@pytest.mark.parametrize(
    "change",
    [
        dict(group=3), dict(kernel_size=(3, 3, 3)), dict(kernel_size=0), dict(stride=2), dict(group=2.0), dict(softmax=2),
        dict(offset_scale="1"), dict(kernel_size=99), dict(value=np.zeros((6, 7, 8), np.float32)),
        dict(offset_mask=np.zeros((2, 6, 7, 20), np.float32)), dict(padding=2**70), dict(padding=2**62),
    ],
)  # fmt: skip
def test_bad_calls_get_torchs_sentences(change):
    value, offset_mask = arrays()
    arguments = {"value": value, "offset_mask": offset_mask, "group": 2, **change}
    with pytest.raises((TypeError, ValueError)) as ours_said:
        ours.dcnv4(**arguments)
    for name in ("value", "offset_mask"):
        arguments[name] = torch.from_numpy(arguments[name])
    with pytest.raises(type(ours_said.value), match=re.escape(str(ours_said.value))):
        functional.dcnv4(**arguments)


def test_bad_arrays():
    value, offset_mask = arrays()
    with pytest.raises(TypeError, match="value is of int32, possible are float32"):
        ours.dcnv4(value.astype(np.int32), offset_mask, group=2)
    with pytest.raises(TypeError, match="value is of >f4"):
        ours.dcnv4(value.astype(">f4"), offset_mask, group=2)
    with pytest.raises(TypeError, match="offset_mask is of type list, it must be an array"):
        ours.dcnv4(value, offset_mask.tolist(), group=2)
    with pytest.raises(ValueError, match="value has shape"):
        ours.dcnv4(np.float32(1)[...], offset_mask, group=2)
    with pytest.raises(Error, match="toaster"):
        ours.dcnv4(value, offset_mask, group=2, device="toaster")
    with pytest.raises(ValueError, match="grad_output"):
        ours.dcnv4_backward(value[:1], value, offset_mask, group=2)
    memory = np.zeros((1, 6, 1, 4), np.float32)
    points = np.zeros((1, 2, 1, 3, 2), np.float32), np.zeros((1, 2, 1, 3), np.float32)
    for shapes, text in (
        ([(2, 4)], "8 places|value_length"), ([], "no level"), ([(2, 3, 4)], "pairs"), ([(1, 3), (1, 3)], "do not divide"),
        ([(2, -3)], "-3"), ([(2**40, 2**40)], "too large"), ([(2, 2.0)], "whole numbers"), (3, "pairs"),
    ):  # fmt: skip
        with pytest.raises((TypeError, ValueError), match=text):
            ours.ms_deform_attn(memory, shapes, *points)
    with pytest.raises(ValueError, match="unit is 'pixels'"):
        ours.ms_deform_attn(memory, [(2, 3)], *points, unit="pixels")
    with pytest.raises(ValueError, match="attention_weights has shape"):
        ours.ms_deform_attn(memory, [(2, 3)], points[0], points[1][..., :2])


def test_empty():
    value, offset_mask = arrays(batch=0)
    assert ours.dcnv4(value, offset_mask, group=2).shape == (0, 6, 7, 8)
    assert [each.size for each in ours.dcnv4_backward(value, value, offset_mask, group=2)] == [0, 0]


def test_devices_with_memory_of_their_own():
    names = [each["name"] for each in devices() if each["available"] and each["backend"] == "opencl"]
    if not names:
        pytest.skip("no OpenCL device")
    value, offset_mask = arrays()
    found = ours.dcnv4(value, offset_mask, group=2, device=names[0])
    close(found, ours.dcnv4(value.astype(np.float64), offset_mask.astype(np.float64), group=2), np.float32)


def test_two_threads():
    value, offset_mask = arrays()
    expected, wrong = ours.dcnv4(value, offset_mask, group=2), []

    def call():
        for _ in range(300):
            if not np.array_equal(ours.dcnv4(value, offset_mask, group=2), expected):
                wrong.append(1)

    threads = [threading.Thread(target=call) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not wrong
