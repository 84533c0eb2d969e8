"""Shared by the tests of multi-scale deformable attention: the golden cases, and random calls."""

import numpy
import torch
from conftest import ROOT

from dcnv4 import functional

CASES = ROOT / "tests" / "golden" / "attention"


def golden_names():
    return sorted(folder.name for folder in CASES.iterdir())


class Golden:
    """A case of the original authors' kernels, run in float64."""

    def __init__(self, name):
        number = dict(line.split("=") for line in (CASES / name / "problem.txt").read_text().split())
        self.packed, self.points = number["form"] == "packed", [int(text) for text in number["points"].split(",")]
        for path in (CASES / name).glob("*.npy"):
            tensor = torch.from_numpy(numpy.load(path))
            setattr(self, path.stem, tensor.double() if tensor.is_floating_point() else tensor)
        names = ("sampling_loc_attn",) if self.packed else ("sampling_locations", "attention_weights")
        self.tensors = [self.value, *(getattr(self, name) for name in names)]
        self.gradients = [self.grad_value, *(getattr(self, f"grad_{name}") for name in names)]

    def run(self, module, tensors, spatial_shapes, level_start_index):
        value, *others = tensors
        if self.packed:
            return module.flash_deform_attn(value, spatial_shapes, level_start_index, *others, self.points)
        return module.ms_deform_attn(value, spatial_shapes, *others, level_start_index, self.points)


UNITS = ("normalized", "places", "offsets", "box_offsets")


class Call:
    """A random call, with every point well inside a cell: its tensors by name, and its other arguments."""

    def __init__(self, unit="normalized", sizes=((4, 5), (3, 2)), points=(2, 3), batch=2, queries=3, heads=2, channels=3,
                 softmax=False, packed=False, references=None, dtype=torch.float64, gap=0):  # fmt: skip
        self.unit, self.sizes, self.points, self.softmax, self.packed = unit, sizes, points, softmax, packed
        self.starts, start = [], gap
        for height, width in sizes:
            self.starts.append(start)
            start += height * width + gap
        self.value = torch.randn(batch, start, heads, channels, dtype=torch.float64)
        self.weights = torch.randn(batch, queries, heads, sum(points), dtype=torch.float64)
        self.references = self._references(batch, queries, references or len(sizes))
        self.locations = self._locations(batch, queries, heads)
        for name in ("value", "weights", "references", "locations"):
            if getattr(self, name) is not None:
                setattr(self, name, getattr(self, name).to(dtype))

    def _references(self, batch, queries, count):
        if self.unit not in ("offsets", "box_offsets"):
            return None
        found = 0.2 + 0.6 * torch.rand(batch, queries, count, 2 if self.unit == "offsets" else 4, dtype=torch.float64)
        return found

    def _locations(self, batch, queries, heads):
        parts = []
        for level, ((height, width), count) in enumerate(zip(self.sizes, self.points)):
            size = torch.tensor([width, height], dtype=torch.float64)
            shape = (batch, queries, heads, count, 2)
            places = torch.floor((size + 1) * torch.rand(shape, dtype=torch.float64)) - 1
            places = places + 0.1 + 0.8 * torch.rand(shape, dtype=torch.float64)
            if self.references is not None:
                reference = self.references[:, :, min(level, self.references.shape[2] - 1)][:, :, None, None]
            if self.unit == "normalized":
                places = (places + 0.5) / size
            elif self.unit == "offsets":
                places = places + 0.5 - reference * size
            elif self.unit == "box_offsets":
                places = ((places + 0.5) / size - reference[..., :2]) / reference[..., 2:] * 2 * count
            parts.append(places)
        return torch.cat(parts, -2)

    def inputs(self):
        """The tensors that move, in the order of run's arguments."""
        if self.packed:
            found = [self.value, torch.cat((self.locations.flatten(-2), self.weights), -1), self.references]
        else:
            found = [self.value, self.locations, self.weights, self.references]
        return [tensor for tensor in found if tensor is not None]

    def run(self, module=functional, **more):
        """A function of inputs()."""
        more = {"level_start_index": self.starts, "spatial_shapes": self.sizes, "points": self.points, **more}

        def call(value, *others):
            references = others[-1] if self.references is not None else None
            arguments = dict(softmax=self.softmax, reference_points=references, unit=self.unit, **more)
            if self.packed:
                return module.flash_deform_attn(value, sampling_loc_attn=others[0], **arguments)
            return module.ms_deform_attn(
                value, sampling_locations=others[0], attention_weights=others[1], **arguments
            )  # fmt: skip

        return call

    def formula(self):
        """The same function as a sum over all places."""
        import formula

        def call(value, *others):
            total = sum(self.points)
            if self.packed:
                locations, weights = others[0][..., : 2 * total], others[0][..., 2 * total :]
            else:
                locations, weights = others[:2]
            references = others[-1] if self.references is not None else None
            return formula.ms_deform_attn(
                value, self.sizes, locations, weights, references, self.starts, self.points, self.unit, self.softmax
            )

        return call
