"""What the rest of this package has to know about one of libdcnv4's operators."""

from __future__ import annotations

from typing import NamedTuple, Optional

from . import _library as lib


class Input(NamedTuple):
    """An input tensor of an operator, which may be None if it is optional."""

    name: str
    stride: Optional[str]  # the field of its stride in the library's problem
    row: int  # its first axis that belongs to a row; rows are contiguous, and their distance is the stride
    optional: bool = False


class Operator:
    """The base of _deform_conv.DeformConv and _attention.Attention. Tensors are passed as a tuple with one entry for
    each input, and all other arguments as a tuple, in the order of `arguments`."""

    name: str  # of the operator dcnv4::name in PyTorch
    backward_name: str
    arguments: str  # the arguments after the tensors, in the language of PyTorch's schemas
    inputs: tuple  # Inputs; value is the first one
    differentiable: int  # how many of them have gradients: the first ones
    output_row: int  # as Input.row, for the output and its gradient
    library: lib.Operator

    def make_layer(self, *arguments) -> tuple:
        """The arguments, checked, as a NamedTuple in the same order."""
        raise NotImplementedError

    def check_dtypes(self, tensors) -> None:
        """Raises an error for anything but dense tensors of floating point on one device."""
        raise NotImplementedError

    def convert(self, tensors) -> tuple:
        """The tensors in dtypes that the library takes together."""
        raise NotImplementedError

    def check_call(self, tensors, layer, grad_output=None) -> tuple:
        """Checks all that the library relies on. Returns the output's shape; sizes may be symbolic."""
        raise NotImplementedError

    def fill(self, problem, layer, tensors) -> None:
        """Fills in the library's problem, but for `deterministic`, `forward_only` and the strides."""
        raise NotImplementedError

    def on_host(self, tensors, arguments) -> tuple:
        """The tensors and arguments of a dispatched call as _runtime takes them."""
        return tensors, arguments

    def tangent(self, layer, tensors, tangents):
        """The output's tangent, as runs of the operator."""
        raise NotImplementedError

    def flops(self, shapes, arguments) -> int:
        """The operations of a forward run; backward takes twice as many."""
        raise NotImplementedError
