"""The operations of a call, for torch.utils.flop_counter.FlopCounterMode, which counts a multiply-add as two."""

from __future__ import annotations

from torch.utils.flop_counter import flop_registry, register_flop_formula


def register(operator, forward, backward) -> None:
    """forward and backward are the registered operators. Backward takes as many operations as forward for the pixels'
    gradients, and as many for the points'."""
    count = len(operator.inputs)

    def of_forward(*arguments, out_shape=None, **kwargs) -> int:
        return operator.flops(arguments[:count], arguments[count:])

    def of_backward(grad_output, *arguments, **kwargs) -> int:
        return 2 * operator.flops(arguments[:count], arguments[count:])

    for registered, formula in ((forward, of_forward), (backward, of_backward)):
        counted = register_flop_formula(registered)(formula)
        flop_registry.setdefault(registered, counted)  # PyTorch 2.4 registers overloads, but looks up the operator
