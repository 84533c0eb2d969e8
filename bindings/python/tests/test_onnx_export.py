"""dcnv4.onnx.export: files that give PyTorch's results in ONNX Runtime with the library and without it, and in onnx's
reference evaluator."""

import logging
import warnings

import pytest
import torch
from torch import nn

pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript", reason="onnxscript, which torch.onnx's exporter needs, is not installed")

from conftest import close  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402
from onnx_files import FLOATS, node_model, session  # noqa: E402

import dcnv4  # noqa: E402
from dcnv4.functional import flash_deform_attn, ms_deform_attn  # noqa: E402
from dcnv4.models.flash_internimage import FlashInternImage, Variant  # noqa: E402
from dcnv4.onnx.functions import function  # noqa: E402

logging.getLogger("torch.onnx").setLevel(logging.ERROR)


def check_sessions(model, inputs, expected, bound=1e-5):
    given = model.SerializeToString()
    for library in (True, False):
        found = session(given, library)
        names = [each.name for each in found.get_inputs()]
        (output,) = found.run(None, {name: tensor.numpy() for name, tensor in zip(names, inputs)})
        close(torch.from_numpy(output), expected, bound)


def exported(module, args, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dcnv4.onnx.export(module.eval(), args, **options)


# ---- The functions ----

LAYERS = {
    "plain": {},
    "softmax": dict(softmax=True, stride=(2, 1)),
    "without_centre": dict(remove_center=True, offset_scale=1.7),
    "even": dict(kernel_size=(2, 4), dilation=(2, 1), padding=(0, 3), stride=(1, 2)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_conv_function(name):
    """Also points that are far away or not finite, whose weights do not matter."""
    arguments = dict(kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), dilation=(1, 1), group=2, offset_scale=1.0)
    arguments.update(dict(remove_center=False, softmax=False), **LAYERS[name])
    layer = dcnv4._problem.make_layer(**arguments)
    out_h, out_w = layer.output_size(9, 10)
    value = torch.randn(2, 9, 10, 16)
    offset_mask = 2 * torch.randn(2, out_h, out_w, 6 * layer.points + 1)
    row = offset_mask[0, 0, 0]
    row[:4] = torch.tensor([float("nan"), 4e18, -float("inf"), -1e38])
    if not arguments["softmax"]:
        row[2 * layer.points] = float("nan")
    attributes = {key: list(each) if isinstance(each, tuple) else int(each) for key, each in arguments.items()}
    attributes["offset_scale"] = arguments["offset_scale"]
    shapes = [("value", 1, ["N", "H", "W", 16]), ("offset_mask", 1, ["N", "Ho", "Wo", offset_mask.shape[3]])]
    model = node_model("DCNv4", shapes, 1, opset=20, functions=[function("DCNv4", 20)], **attributes)
    expected = dcnv4.functional.dcnv4(value, offset_mask, **{**arguments})
    assert expected.isfinite().all()
    onnx.checker.check_model(model, full_check=True)
    check_sessions(model, (value, offset_mask), expected)
    (output,) = ReferenceEvaluator(model).run(None, dict(value=value.numpy(), offset_mask=offset_mask.numpy()))
    close(torch.from_numpy(output), expected, 1e-5)


@pytest.mark.parametrize("value, offset_mask, bound", [("float16", "float32", 2e-3), ("float64", "float64", 1e-5)])
def test_conv_function_of_other_dtypes(value, offset_mask, bound):
    kinds = getattr(torch, value), getattr(torch, offset_mask)
    tensors = torch.randn(2, 9, 10, 16).to(kinds[0]), torch.randn(2, 9, 10, 56).to(kinds[1])
    shapes = [("value", FLOATS[value], ["N", "H", "W", 16]), ("offset_mask", FLOATS[offset_mask], ["N", "H", "W", 56])]
    model = node_model("DCNv4", shapes, FLOATS[value], opset=18, functions=[function("DCNv4", 18)], group=2)
    check_sessions(model, tensors, dcnv4.functional.dcnv4(*tensors, group=2), bound)


# ---- Modules ----


@pytest.mark.parametrize("arguments", [{}, dict(stride=2, center_feature_scale=True, dw_kernel_size=3)])
def test_convolution_of_every_size(arguments):
    layer = dcnv4.DCNv4Conv2d(8, 8, group=2, **arguments)
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.3)
    model = exported(layer, (torch.randn(2, 8, 16, 21),))
    assert [each.name for each in model.functions] == ["DCNv4"]
    for batch, height, width in ((2, 16, 20), (3, 17, 21), (1, 15, 18)):
        x = torch.randn(batch, 8, height, width)
        check_sessions(model, (x,), layer(x).detach())
    (output,) = ReferenceEvaluator(model).run(None, {model.graph.input[0].name: x.numpy()})
    close(torch.from_numpy(output), layer(x).detach(), 1e-5)


def test_written_and_inlined(tmp_path):
    layer = dcnv4.DCNv4Conv2d(8, 8, group=2)
    x = torch.randn(2, 8, 6, 7)
    exported(layer, (x,), path=tmp_path / "layer.onnx", dynamic_shapes=None)
    model = onnx.load(tmp_path / "layer.onnx")
    check_sessions(model, (x,), layer(x).detach())
    flat = exported(layer, (x,), inline=True)
    assert not flat.functions and {node.domain for node in flat.graph.node} == {""}
    assert {each.domain for each in flat.opset_import} == {""}
    check_sessions(flat, (x,), layer(x).detach())
    alone = exported(layer, (x,), functions=False, dynamic_shapes=None)
    assert not alone.functions
    with pytest.raises(Exception, match="DCNv4"):
        session(alone, library=False)


def test_old_opset():
    with pytest.raises(ValueError, match="opset is 15, at least 16"):
        dcnv4.onnx.export(dcnv4.DCNv4Conv2d(8, 8, group=2), (torch.randn(2, 8, 6, 7),), opset=15)


class Attend(nn.Module):
    """One call, with the levels as numbers or as tensors."""

    def __init__(self, call, **arguments):
        super().__init__()
        self.call, self.arguments = call, arguments

    def forward(self, *tensors):
        return self.call(*tensors, **self.arguments)


LEVELS = ((5, 6), (3, 2))


def weights_of_far_points(locations, weights):
    locations[0, 0, 0, 0, 0], locations[0, 1, 0, 0, 1] = float("nan"), 1e30
    weights[0, 0, 0, 0] = float("nan")


def attention_calls():
    value, locations, weights = torch.randn(2, 36, 4, 8), torch.rand(2, 7, 4, 6, 2) * 1.3 - 0.15, torch.randn(2, 7, 4, 6)
    weights_of_far_points(locations, weights)
    shapes = torch.tensor(LEVELS)
    points, boxes, packed = torch.rand(2, 7, 2, 2), torch.rand(2, 7, 1, 4), torch.randn(2, 7, 4, 18)
    wide = locations.unflatten(3, (2, 3)), weights.unflatten(3, (2, 3))
    plain = lambda value, locations, weights, **more: ms_deform_attn(value, LEVELS, locations, weights, **more)  # noqa: E731
    calls = {
        "numbers": (Attend(plain), (value, locations, weights)),
        "tensors": (Attend(lambda v, s, *more: ms_deform_attn(v, s, *more)), (value, shapes, locations, weights)),
        "points": (Attend(plain, points=(4, 2)), (value, locations, weights)),
        "axis_of_levels": (Attend(plain), (value, *wide)),
        "places": (Attend(plain, unit="places"), (value, 6 * locations, weights)),
        "starts": (Attend(plain, level_start_index=(6, 0)), (value, locations, weights)),
        "packed": (Attend(lambda v, row: flash_deform_attn(v, LEVELS, (0, 30), row)), (value, packed)),
    }
    for name, references in (("references", points), ("boxes", boxes)):
        call = lambda v, l, w, r: ms_deform_attn(v, LEVELS, l, w, reference_points=r)  # noqa: E731, E741
        calls[name] = Attend(call), (value, 3 * locations, weights, references)
    return calls


@pytest.mark.parametrize("name", attention_calls())
def test_attention(name):
    module, tensors = attention_calls()[name]
    model = exported(module, tensors, dynamic_shapes=None)
    check_sessions(model, tensors, module(*tensors))
    if name in ("numbers", "references"):
        inputs = {each.name: tensor.numpy() for each, tensor in zip(model.graph.input, tensors)}
        close(torch.from_numpy(ReferenceEvaluator(model).run(None, inputs)[0]), module(*tensors), 1e-5)


def number(size):
    return torch.scalar_tensor(size, dtype=torch.int64)


class EncoderLayer(nn.Module):
    """As Deformable DETR's: attention over feature maps of several sizes, each place at its own, then a perceptron."""

    def __init__(self, width=32, levels=2):
        super().__init__()
        self.attention = dcnv4.MSDeformAttn(width, levels, 4, 4)
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.perceptron = nn.Sequential(nn.Linear(width, 64), nn.ReLU(), nn.Linear(64, width))

    def forward(self, fine, coarse):
        maps = fine, coarse
        shapes = [each.shape[2:] for each in maps]
        x = torch.cat([each.flatten(2).transpose(1, 2) for each in maps], 1)
        references = torch.cat([self.centres(height, width) for height, width in shapes])[None, :, None]
        references = references.expand(x.shape[0], -1, len(maps), -1)
        starts, at = [], 0
        for height, width in shapes:
            starts.append(at)
            at = at + height * width
        table = torch.stack([torch.stack([number(h), number(w)]) for h, w in shapes])
        begins = torch.stack([number(each) for each in starts])
        x = self.first(x + self.attention(x, references, x, table, begins))
        return self.second(x + self.perceptron(x))

    @staticmethod
    def centres(height, width):
        y, x = torch.arange(height) + 0.5, torch.arange(width) + 0.5
        return torch.stack((x[None].expand(height, -1) / width, y[:, None].expand(-1, width) / height), -1).flatten(0, 1)


def test_encoder_layer():
    """Of Deformable DETR's form, at other sizes than the example's."""
    layer = EncoderLayer().eval()
    maps = lambda h, w, n=2: (torch.randn(n, 32, h, w), torch.randn(n, 32, h // 2, w // 2))  # noqa: E731
    model = exported(layer, maps(12, 16))
    for size in ((12, 16), (9, 14, 3)):
        x = maps(*size)
        check_sessions(model, x, layer(*x).detach())


def test_flash_internimage():
    """The whole network; of a small size, since the exporter takes a minute for the paper's."""
    torch.manual_seed(1)
    network = FlashInternImage(Variant(16, (1, 1, 1, 1), 0.0), num_classes=10).eval()
    x = torch.randn(2, 3, 64, 96)
    model = exported(network, (x,))
    for x in (x, torch.randn(1, 3, 96, 64)):
        check_sessions(model, (x,), network(x).detach())
