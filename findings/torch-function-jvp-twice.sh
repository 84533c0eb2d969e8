#!/bin/sh
# PyTorch 2.13.0: the tangent of a tangent is 0 through a torch.autograd.Function, whatever its jvp computes with.
#
# A Function for x³ whose jvp is 3·x²·t in PyTorch's own operations. Its second derivative at x = 2 is 12, and forward
# over reverse, reverse over forward and reverse over reverse say so. Forward over forward says 0, without a word:
# PyTorch switches forward mode off while it calls jvp. (Reported by others for nested jacfwd: pytorch/pytorch issue
# 197867.)
#
# Expected: 12, as for x**3 without the Function, or an error.
# Seen: jvp of jvp 0.0; jvp of grad, grad of jvp, grad of grad 12.0.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --no-compile torch==2.13.0 numpy==2.4.6
"$folder/bin/python" - <<'END'
import torch
from torch.func import grad


class Cube(torch.autograd.Function):
    @staticmethod
    def forward(x):
        return x**3

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output * 3 * ctx.saved_tensors[0] ** 2

    @staticmethod
    def jvp(ctx, tangent):
        return 3 * ctx.saved_tensors[0] ** 2 * tangent


def jvp(f):
    return lambda x: torch.func.jvp(f, (x,), (torch.ones_like(x),))[1]


print("torch", torch.__version__)
x, cube = torch.tensor(2.0), Cube.apply
found = {
    "x**3, jvp of jvp": jvp(jvp(lambda x: x**3))(x).item(),
    "jvp of grad": jvp(grad(cube))(x).item(),
    "grad of jvp": grad(jvp(cube))(x).item(),
    "grad of grad": grad(grad(cube))(x).item(),
    "jvp of jvp": jvp(jvp(cube))(x).item(),
}
for name, value in found.items():
    print(f"{name}: {value}")
if list(found.values()) != [12, 12, 12, 12, 0]:
    raise SystemExit("changed: all were 12 but the last, which was 0")
END
