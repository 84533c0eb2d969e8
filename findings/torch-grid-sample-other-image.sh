#!/bin/sh
# PyTorch 2.13.0, on a CPU: torch.nn.functional.grid_sample in float16 or bfloat16 takes pixels of another image of
# the batch, where one image has more than 32,767 elements.
#
# Two images of one colour each, 1 and 2. Whatever a grid inside the images looks at, image 1's output is 2. It is 2
# for 128×128 pixels; for 256×256 pixels it is 2 for the upper half and 1, image 0's colour, for the lower half. No
# rounding can do that: neither colour lies between the two. The same grid in float32 gives 2 everywhere. Without a
# word. (Image 0 is only looked at in its upper half here.)
#
# Expected: 2 everywhere, as documented for every dtype that the call accepts.
# Seen, both dtypes, mode "bilinear" and "nearest": 128: [2, 2, 2, 2]; 256: [2, 2, 1, 1].
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --no-compile torch==2.13.0 numpy==2.4.6
"$folder/bin/python" - <<'END'
import torch
from torch.nn.functional import grid_sample

print("torch", torch.__version__)
places = torch.tensor([-0.75, -0.25, 0.25, 0.75])  # exact in every dtype, and none is near the middle
rows = torch.stack([-places.abs(), places])  # image 0: the upper half twice; image 1: from its top to its bottom
grid = torch.stack([torch.zeros(2, 4), rows], -1)[:, :, None]  # [2, 4, 1, 2]
claimed = {128: [2, 2, 2, 2], 256: [2, 2, 1, 1]}
for side, expected in claimed.items():
    images = torch.tensor([1.0, 2.0]).reshape(2, 1, 1, 1).repeat(1, 1, side, side)
    for mode in ("bilinear", "nearest"):
        right = grid_sample(images, grid, mode=mode, align_corners=False)[1, 0, :, 0].tolist()
        assert right == [2, 2, 2, 2], right
        for dtype in (torch.float16, torch.bfloat16):
            found = grid_sample(images.to(dtype), grid.to(dtype), mode=mode, align_corners=False)[1, 0, :, 0].tolist()
            print(f"{side}×{side} {mode} {dtype}: image 1 gives {found}, in float32 {right}")
            if found != expected:
                raise SystemExit(f"changed: it was {expected}")
END
