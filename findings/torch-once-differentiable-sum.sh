#!/bin/sh
# PyTorch 2.13.0: once_differentiable, which is there to make second derivatives an error, leaves them out of a sum
# instead.
#
# A torch.autograd.Function for x³ whose backward is marked with once_differentiable. The second derivative of x³ + x²
# at x = 2 is 6x + 2 = 14. torch.autograd.grad answers 2, that of x² alone; so do backward(), unless the layer's
# grad_output requires a gradient itself (w·x³ with a trained w), and torch.autograd.functional.hessian. A penalty on
# gradients then trains a network as if the layer had no curvature. mmcv's modulated_deform_conv and InternImage's
# DCNv3 have this mark.
#
# Expected: RuntimeError, "trying to differentiate twice a function that was marked with @once_differentiable".
# Seen: grad 2.0, backward() 2.0, hessian 2.0; of w·x³ + x²: grad 2.0, backward() the error.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --no-compile torch==2.13.0 numpy==2.4.6
"$folder/bin/python" - <<'END'
import torch
from torch.autograd import grad
from torch.autograd.function import once_differentiable


class Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        return grad_output * 3 * x**2


def second(f, differentiate):
    x = torch.tensor(2.0, requires_grad=True)
    (first,) = grad(f(x), x, create_graph=True)
    return differentiate(first, x).item()


def by_grad(first, x):
    return grad(first, x)[0]


def by_backward(first, x):
    first.backward()
    return x.grad


def plain(x):
    return x**3 + x**2


def marked(x):
    return Cube.apply(x) + x**2


w = torch.tensor(1.0, requires_grad=True)
try:
    refusal = second(lambda x: w * Cube.apply(x) + x**2, by_backward)
except RuntimeError as error:
    refusal = "once_differentiable" in str(error) and "the error"
found = {
    "plain, grad": second(plain, by_grad),
    "grad": second(marked, by_grad),
    "backward()": second(marked, by_backward),
    "hessian": torch.autograd.functional.hessian(marked, torch.tensor(2.0)).item(),
    "trained w, grad": second(lambda x: w * Cube.apply(x) + x**2, by_grad),
    "trained w, backward()": refusal,
}
print("torch", torch.__version__)
print("second derivative of x³ + x² at 2, which is 14:", found)
if list(found.values()) != [14, 2, 2, 2, 2, "the error"]:
    raise SystemExit("changed: it was 14 for the plain one, 2 for the marked one, and the error last")
END
