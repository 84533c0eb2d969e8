"""dcnv4.tvm_ffi: tensors of PyTorch, NumPy and JAX as functions' arguments."""

import threading

import attention_cases
import conftest
import numpy as np
import pytest
import torch

from dcnv4 import functional

pytest.importorskip("tvm_ffi")
import dcnv4.tvm_ffi as ours  # noqa: E402


def layer(kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), dilation=(1, 1), group=4, offset_scale=1.0,
          remove_center=False, softmax=False):  # fmt: skip
    return (*kernel_size, *stride, *padding, *dilation, group, offset_scale, remove_center, softmax)


@pytest.mark.parametrize("name", conftest.golden_names())
def test_golden(name):
    case, close = conftest.Golden(name), dict(rtol=1e-11, atol=1e-11)
    output = torch.full_like(case.output, torch.nan)
    ours.dcnv4_forward(case.value, case.offset_mask, output, *layer(**case.arguments))
    torch.testing.assert_close(output, case.output, **close)
    gradients = torch.full_like(case.value, torch.nan), torch.full_like(case.offset_mask, torch.nan)
    ours.dcnv4_backward(case.value, case.offset_mask, case.grad_output, *gradients, *layer(**case.arguments))
    torch.testing.assert_close(gradients[0], case.grad_value, **close)
    torch.testing.assert_close(gradients[1], case.grad_offset_mask, **close)


@pytest.mark.parametrize("in_tables", [False, True])
@pytest.mark.parametrize("name", attention_cases.golden_names())
def test_golden_attention(name, in_tables):
    case, close = attention_cases.Golden(name), dict(rtol=1e-11, atol=1e-11)
    tensors = [*case.tensors, None, None][:4] if case.packed else [*case.tensors, None]
    tables = (case.spatial_shapes, case.level_start_index) if in_tables else (None, None)
    points = ours.levels(None if in_tables else case.spatial_shapes, case.points, case.level_start_index)
    options = (points, 0, case.packed, 0.5)
    output = torch.full_like(case.output, torch.nan)
    ours.ms_deform_attn_forward(*tensors, *tables, output, *options)
    torch.testing.assert_close(output, case.output, **close)
    gradients = [None if tensor is None else torch.full_like(tensor, torch.nan) for tensor in tensors]
    ours.ms_deform_attn_backward(*tensors, *tables, case.grad_output, *gradients, *options)
    for found, expected in zip(gradients, case.gradients):
        torch.testing.assert_close(found, expected, **close)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_dtypes_and_slices_as_torch(dtype):
    fused = torch.randn(2, 6, 7, 80).to(dtype)
    value, offset_mask = fused[..., :8], fused[..., 8:64]
    output = torch.empty(2, 6, 7, 12, dtype=dtype)[..., 2:10]
    ours.dcnv4_forward(value, offset_mask, output, *layer(group=2))
    assert torch.equal(output, functional.dcnv4(value, offset_mask, group=2))


def test_numpy_and_jax():
    value, offset_mask = torch.randn(1, 5, 5, 8), torch.randn(1, 5, 5, 56)
    expected, output = functional.dcnv4(value, offset_mask, group=2), np.empty((1, 5, 5, 8), np.float32)
    ours.dcnv4_forward(value.numpy(), offset_mask.numpy(), output, *layer(group=2))
    np.testing.assert_array_equal(output, expected)
    jnp = pytest.importorskip("jax.numpy")
    output[:] = 0
    ours.dcnv4_forward(jnp.asarray(value.numpy()), jnp.asarray(offset_mask.numpy()), output, *layer(group=2))
    np.testing.assert_array_equal(output, expected)


def test_bad_calls():
    value, offset_mask, output = torch.randn(1, 5, 5, 8), torch.randn(1, 5, 5, 56), torch.empty(1, 5, 5, 8)
    good = [value, offset_mask, output, *layer(group=2)]
    for index, wrong, kind, text in (
        (0, 3, TypeError, "value must be a tensor"),
        (0, value[0], ValueError, r"value has shape \[5, 5, 8\], \[N, H, W, C\] is needed"),
        (0, value.int(), ValueError, "value is of another dtype"),
        (0, torch.randn(1, 5, 8, 5).transpose(2, 3), RuntimeError, "the rows of value"),
        (0, torch.randn(()), TypeError, "value must be a tensor with axes"),
        (0, torch.randn(1, 1, 1, 1, 1, 1, 8), ValueError, "value has 7 axes"),
        (1, offset_mask.double(), ValueError, "offset_mask_dtype"),
        (2, output[:, 1:], ValueError, "output has shape"),
        (2, value, RuntimeError, "overlap"),
        (3, 3.5, TypeError, "kernel_h must be a whole number"),
        (3, -1, ValueError, "kernel_h"),
        (11, 3, ValueError, "8 channels, which 3 groups do not divide"),
        (13, 7, TypeError, "remove_center must be True or False"),
        (12, None, TypeError, "offset_scale must be a number"),
    ):
        with pytest.raises(kind, match=text):
            ours.dcnv4_forward(*good[:index], wrong, *good[index + 1 :])
    for call in (good[:-1], [*good, 1], []):
        with pytest.raises(TypeError, match="must be"):
            ours.dcnv4_forward(*call)
    with pytest.raises(TypeError, match="levels must be a tvm_ffi.Shape"):
        ours.ms_deform_attn_forward(value, value, value, None, None, None, output, 3, 0, False, 0.5)
    with pytest.raises(TypeError, match="unit must be 0 to 3"):
        ours.ms_deform_attn_forward(
            value, value, value, None, None, None, output, ours.levels([(5, 1)], 1), 2**33, False, 0.5
        )


def test_two_threads():
    value, offset_mask = torch.randn(1, 5, 5, 8), torch.randn(1, 5, 5, 56)
    expected, wrong = functional.dcnv4(value, offset_mask, group=2), []

    def call():
        output = torch.empty_like(value)
        for _ in range(300):
            ours.dcnv4_forward(value, offset_mask, output.zero_(), *layer(group=2))
            if not torch.equal(output, expected):
                wrong.append(1)

    threads = [threading.Thread(target=call) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not wrong
