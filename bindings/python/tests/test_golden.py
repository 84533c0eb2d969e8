"""The operator, its gradients and the formula in plain PyTorch against the original authors' kernels in float64."""

import pytest
import torch
from conftest import close

import dcnv4
from dcnv4 import functional, reference


@pytest.mark.parametrize("operator", [functional.dcnv4, reference.dcnv4], ids=["library", "reference"])
def test_golden(golden, operator):
    value = golden.value.clone().requires_grad_()
    offset_mask = golden.offset_mask.clone().requires_grad_()
    output = operator(value, offset_mask, **golden.arguments)
    output.backward(golden.grad_output)
    assert golden.output.abs().max() > 0
    close(output, golden.output, 1e-12)
    close(value.grad, golden.grad_value, 1e-12)
    close(offset_mask.grad, golden.grad_offset_mask, 1e-12)


def test_golden_function(golden):
    """DCNv4Function has no softmax; it takes the other arguments one by one."""
    a = golden.arguments
    if a["softmax"]:
        pytest.skip("the original function has no softmax")
    pairs = [number for name in ("kernel_size", "stride", "padding", "dilation") for number in a[name]]
    channels = golden.value.shape[-1] // a["group"]
    given = (*pairs, a["group"], channels, a["offset_scale"], 256, int(a["remove_center"]))
    output = dcnv4.DCNv4Function.apply(golden.value, golden.offset_mask, *given)
    close(output, golden.output, 1e-12)


def test_threads_give_the_same_bits(golden):
    value, offset_mask = golden.value.float(), golden.offset_mask.float()
    threads = torch.get_num_threads()
    try:
        results = []
        for number in (1, 3):
            torch.set_num_threads(number)
            results.append(functional.dcnv4(value, offset_mask, **golden.arguments))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(*results)
    close(results[0], golden.output, 1e-5)
