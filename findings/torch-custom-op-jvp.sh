#!/bin/sh
# PyTorch 2.13.0: forward-mode derivatives through an operator of torch.library.custom_op are 0, without a word.
#
# An operator for x³ with its gradient registered by register_autograd. Reverse mode gives 12 at x = 2. torch.func.jvp
# gives a tangent of 0, torch.func.jacfwd and torch.func.linearize too, and in torch.autograd.forward_ad the output
# has no tangent (None). A torch.autograd.Function without jvp raises an error in the same place.
#
# Expected: an error that says that forward mode is not implemented for the operator.
# Seen: reverse 12.0; jvp 0.0, jacfwd 0.0, linearize 0.0, forward_ad None; the Function: NotImplementedError.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --no-compile torch==2.13.0 numpy==2.4.6
"$folder/bin/python" -W ignore - <<'END'
import torch
from torch.autograd import forward_ad


class Cube(torch.autograd.Function):
    @staticmethod
    def forward(x):
        return x**3

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass


@torch.library.custom_op("finding::cube", mutates_args=())
def cube(x: torch.Tensor) -> torch.Tensor:
    return x**3


@cube.register_fake
def _(x):
    return torch.empty_like(x)


def keep(ctx, inputs, output):
    ctx.save_for_backward(*inputs)


cube.register_autograd(lambda ctx, grad: grad * 3 * ctx.saved_tensors[0] ** 2, setup_context=keep)

print("torch", torch.__version__)
x, one = torch.tensor(2.0), torch.tensor(1.0)
leaf = x.clone().requires_grad_()
cube(leaf).backward()
found = {
    "reverse": leaf.grad.item(),
    "jvp": torch.func.jvp(cube, (x,), (one,))[1].item(),
    "jacfwd": torch.func.jacfwd(cube)(x).item(),
    "linearize": torch.func.linearize(cube, x)[1](one).item(),
}
with forward_ad.dual_level():
    found["forward_ad"] = forward_ad.unpack_dual(cube(forward_ad.make_dual(x, one))).tangent
try:
    torch.func.jvp(Cube.apply, (x,), (one,))
except NotImplementedError as error:
    found["Function"] = type(error).__name__
print("derivative of x³ at 2, which is 12:", found)
if list(found.values()) != [12, 0, 0, 0, None, "NotImplementedError"]:
    raise SystemExit("changed: it was 12 in reverse mode, 0 or None in forward mode, and an error for the Function")
END
