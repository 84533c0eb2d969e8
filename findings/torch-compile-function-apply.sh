#!/bin/sh
# PyTorch 2.13.0: torch.compile does not call the `apply` of a torch.autograd.Function that overrides it in Python.
#
# A class derived from torch.autograd.Function with a classmethod `apply`, as libraries have it that choose a way,
# fill in arguments or count calls there. Eager mode runs it, and it adds 100. Compiled code runs forward and backward
# alone, with fullgraph=True and no word about it, so that the same line gives another result, whether the input
# requires a gradient or not.
#
# Expected: 102 from both, or a refusal to compile.
# Seen: eager 102.0, compiled 2.0.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --no-compile torch==2.13.0 numpy==2.4.6
"$folder/bin/python" - <<'END'
import torch


class Twice(torch.autograd.Function):
    @classmethod
    def apply(cls, x):
        return super().apply(x) + 100

    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    def backward(ctx, grad_output):
        return 2 * grad_output


def call(x):
    return Twice.apply(x)


print("torch", torch.__version__)
for requires_grad in (False, True):
    x = torch.tensor(1.0, requires_grad=requires_grad)
    eager = call(x).item()
    compiled = torch.compile(call, backend="aot_eager", fullgraph=True)(x).item()
    print(f"requires_grad={requires_grad}: eager {eager}, compiled {compiled}")
    if (eager, compiled) != (102, 2):
        raise SystemExit("changed: it was 102 and 2")
END
