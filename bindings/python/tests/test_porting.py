"""docs/porting.md: its code, compared with onnxruntime's DeformConv, an independent implementation."""

import numpy
import pytest
import torch
from conftest import ROOT, close

from dcnv4.functional import dcnv4

PAGE = (ROOT / "docs" / "porting.md").read_text()


@pytest.fixture(scope="module")
def page():
    """The names that the page's Python blocks define."""
    blocks = [block.split("\n```", 1)[0] for block in PAGE.split("```python\n")[1:]]
    names = {}
    for block in blocks:
        exec(block, names)
    return names


@pytest.fixture(scope="module")
def deform_conv():
    """ONNX's DeformConv, run by onnxruntime: (input, offset, mask, weight, attributes) → output."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    helper = onnx.helper

    def run(input, offset, mask, weight, stride, padding, dilation):
        feeds = {"X": input, "W": weight, "O": offset, "M": mask}
        feeds = {name: numpy.ascontiguousarray(tensor.detach().numpy()) for name, tensor in feeds.items()}
        kind = helper.np_dtype_to_tensor_dtype(feeds["X"].dtype)
        kernel = weight.shape[2:]
        node = helper.make_node(
            "DeformConv", ["X", "W", "O", "", "M"], ["Y"], strides=stride, dilations=dilation, kernel_shape=list(kernel),
            pads=[*padding, *padding], group=input.shape[1] // weight.shape[1],
            offset_group=mask.shape[1] // kernel.numel(),
        )  # fmt: skip
        inputs = [helper.make_tensor_value_info(name, kind, array.shape) for name, array in feeds.items()]
        graph = helper.make_graph([node], "g", inputs, [helper.make_tensor_value_info("Y", kind, None)])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        return torch.from_numpy(session.run(None, feeds)[0])

    return run


# N, H, W, groups, channels per group, kernel, stride, padding, dilation, size of the offsets
LAYERS = [
    (1, 9, 11, 1, 8, (3, 3), (1, 1), (1, 1), (1, 1), 1),
    (2, 9, 11, 3, 5, (3, 3), (1, 1), (1, 1), (1, 1), 2),
    (2, 12, 17, 2, 4, (3, 5), (2, 1), (1, 2), (1, 2), 1),
    (3, 20, 15, 4, 4, (5, 3), (3, 2), (4, 0), (2, 3), 3),
    (1, 16, 16, 2, 16, (3, 3), (2, 2), (1, 1), (2, 2), 8),
    (2, 10, 10, 2, 3, (4, 2), (1, 1), (1, 1), (1, 1), 1),
    (5, 13, 7, 1, 1, (1, 1), (1, 1), (0, 0), (1, 1), 4),
    (65, 5, 6, 2, 8, (3, 3), (2, 2), (1, 1), (1, 1), 1),
]


@pytest.fixture(params=LAYERS, ids=str)
def layer(request):
    """(input, offset, mask) in torchvision's layout, group, kernel size, (stride, padding, dilation)."""
    n, h, w, group, channels, kernel, stride, padding, dilation, size = request.param
    out = [(x + 2 * p - d * (k - 1) - 1) // s + 1 for x, p, d, k, s in zip((h, w), padding, dilation, kernel, stride)]
    points = group * kernel[0] * kernel[1]
    input = torch.randn(n, group * channels, h, w, dtype=torch.float64)
    offset = size * torch.randn(n, 2 * points, *out, dtype=torch.float64)
    mask = torch.randn(n, points, *out, dtype=torch.float64)
    return (input, offset, mask), group, kernel, (stride, padding, dilation)


def ones(channels, kernel):
    return torch.ones(channels, 1, *kernel, dtype=torch.float64)


def test_from_torchvision(page, deform_conv, layer):
    tensors, group, kernel, rest = layer
    expected = deform_conv(*tensors, ones(tensors[0].shape[1], kernel), *rest)
    assert expected.abs().max() > 1
    close(page["aggregate"](*tensors, group, kernel, *rest), expected, 1e-12)
    narrow = [tensor.float() for tensor in tensors]
    expected = deform_conv(*narrow, ones(tensors[0].shape[1], kernel).float(), *rest)
    close(page["aggregate"](*narrow, group, kernel, *rest), expected, 1e-5)


def test_a_weight(page, deform_conv, layer):
    tensors, group, kernel, rest = layer
    channels = tensors[0].shape[1]
    for parts in {1, group}:
        weight = torch.randn(2 * parts, channels // parts, *kernel, dtype=torch.float64)
        bias = torch.randn(2 * parts, dtype=torch.float64)
        expected = deform_conv(*tensors, weight, *rest) + bias.reshape(-1, 1, 1)
        input, offset, mask = tensors
        close(page["deform_conv2d"](input, offset, weight, bias, *rest, mask), expected, 1e-12)


@pytest.mark.parametrize("scale, remove_center", [(1.0, False), (1.0, True), (2.0, False), (0.5, True)])
def test_to_onnx(page, deform_conv, layer, scale, remove_center):
    (input, _, mask), group, kernel, (stride, padding, dilation) = layer
    if kernel == (1, 1) and remove_center:
        pytest.skip("no point is left")
    points = kernel[0] * kernel[1] - remove_center
    offset_mask = torch.randn(mask.shape[0], *mask.shape[2:], 3 * group * points + 2, dtype=torch.float64)
    value = input.permute(0, 2, 3, 1)
    output = dcnv4(value, offset_mask, kernel, stride, padding, dilation, group, scale, remove_center)
    found = page["inputs_of_deform_conv"](offset_mask, group, kernel, dilation, scale, remove_center)
    expected = deform_conv(input, *found, ones(input.shape[1], kernel), stride, padding, dilation)
    assert expected.abs().max() > 0.5
    close(output.permute(0, 3, 1, 2), expected, 1e-12)


def test_from_dcnv3(page, deform_conv, layer):
    """DCNv3's points run down the columns, which are the rows of the transposed kernel in DeformConv."""
    (input, _, mask), group, kernel, (stride, padding, dilation) = layer
    out, points = mask.shape[2:], kernel[0] * kernel[1]
    offset = torch.randn(mask.shape[0], *out, 2 * group * points, dtype=torch.float64)
    mask = torch.randn(mask.shape[0], *out, group, points, dtype=torch.float64).softmax(-1).flatten(-2)
    value = input.permute(0, 2, 3, 1)
    found = page["dcnv3"](value, offset, mask, kernel, stride, padding, dilation, group, 1.0)
    turned = (x.permute(0, 3, 2, 1) for x in (value, mask))
    pairs = offset.unflatten(-1, (-1, 2))
    dx, dy = pairs[..., 0], pairs[..., 1]
    over = torch.stack((dx, dy), -1).flatten(-2).permute(0, 3, 2, 1)  # in a transposed image, x is y
    image, weights = turned
    weight = ones(image.shape[1], kernel[::-1])
    expected = deform_conv(image, over, weights, weight, stride[::-1], padding[::-1], dilation[::-1])
    close(found, expected.permute(0, 3, 2, 1), 1e-12)


def test_borders_and_what_is_not_a_number(deform_conv):
    """The rows of the page's table that say that onnxruntime agrees."""
    rows = torch.tensor(
        [-1, -0.999, -0.5, 0, 2.25, 3, 3.5, 3.999, 4, float("nan"), float("inf"), -float("inf"), 1e30, 3e9]
    )
    value = torch.arange(1.0, 5).reshape(1, 4, 1, 1).expand(1, 4, 14, 1).contiguous()
    offset = torch.zeros(1, 2, 4, 14)
    offset[:, 0, 0] = rows
    expected = deform_conv(
        value.permute(0, 3, 1, 2), offset, torch.ones(1, 1, 4, 14), torch.ones(1, 1, 1, 1), (1, 1), (0, 0), (1, 1)
    )[0, 0, 0]
    offset_mask = torch.zeros(1, 4, 14, 3)
    offset_mask[..., 1], offset_mask[..., 2] = offset[:, 0], 1
    found = dcnv4(value, offset_mask, 1, 1, 0, 1, 1)[0, 0, :, 0]
    assert torch.equal(expected[9:], torch.zeros(5)) and expected[2] == 0.5
    close(found, expected, 1e-6)
    assert torch.equal(found[9:], torch.zeros(5))
