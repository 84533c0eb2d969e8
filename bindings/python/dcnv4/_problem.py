"""The tensors of a call, checked. Every error names the argument."""

from __future__ import annotations

import torch
from torch.overrides import has_torch_function

from ._layer import MOST, Layer, Pair, check_flag, check_shapes, is_plain, make_layer, pair  # noqa: F401

DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64)  # in the order of dcnv4_dtype
HALVES = (torch.float16, torch.bfloat16)


def stand_in(value, offset_mask) -> bool:
    """Whether one of them is not a tensor but has __torch_function__, such as a proxy of torch.fx."""
    return not (isinstance(value, torch.Tensor) and isinstance(offset_mask, torch.Tensor)) and has_torch_function(
        (value, offset_mask)
    )


def check_tensor(name: str, tensor) -> None:
    if not isinstance(tensor, torch.Tensor):
        raise TypeError(f"dcnv4: {name} is of type {type(tensor).__name__}, it must be a tensor")
    if tensor.dtype not in DTYPES:
        raise TypeError(f"dcnv4: {name} is of {tensor.dtype}, possible are float32, float16, bfloat16 and float64")
    if tensor.layout is not torch.strided or tensor.is_nested:
        layout = "nested" if tensor.is_nested else str(tensor.layout)
        raise TypeError(f"dcnv4: {name} has the layout {layout}, a dense tensor (torch.strided) is needed")


def check_dtypes(value: torch.Tensor, offset_mask: torch.Tensor) -> None:
    check_tensor("value", value)
    check_tensor("offset_mask", offset_mask)
    if value.device != offset_mask.device:
        raise ValueError(f"dcnv4: value is on {value.device} and offset_mask on {offset_mask.device}, one is needed")


def go_together(value_dtype, offset_mask_dtype) -> bool:
    """Whether the library takes this pair of dtypes: the same one, or a float32 offset_mask beside a 16-bit value."""
    return value_dtype == offset_mask_dtype or (offset_mask_dtype == torch.float32 and value_dtype in HALVES)


def check_call(value, offset_mask, layer: Layer, grad_output=None) -> tuple:
    """Checks all that the operators rely on. Returns the output's shape."""
    check_dtypes(value, offset_mask)
    if not go_together(value.dtype, offset_mask.dtype):
        raise TypeError(
            f"dcnv4: value is of {value.dtype} and offset_mask of {offset_mask.dtype}, one is needed, or float32 for "
            f"offset_mask beside 16 bits"
        )
    shape = check_shapes(value, offset_mask, layer)
    if grad_output is not None:
        check_tensor("grad_output", grad_output)
        if (
            grad_output.dtype != value.dtype
            or grad_output.device != value.device
            or tuple(grad_output.shape) != tuple(shape)
        ):
            raise ValueError(
                f"dcnv4: grad_output is {grad_output.dtype}, {list(grad_output.shape)} on {grad_output.device}; "
                f"{value.dtype}, {list(shape)} on {value.device} is needed"
            )
    return shape
