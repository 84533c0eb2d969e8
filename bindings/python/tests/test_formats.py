"""DCNv4Conv2d's outputs have the memory format of its inputs, as torch.nn.Conv2d's have."""

import pytest
import torch
from conftest import close
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import dcnv4
from dcnv4 import _operators

CONTIGUOUS, CHANNELS_LAST = torch.contiguous_format, torch.channels_last
FORMATS = pytest.mark.parametrize("format", [CONTIGUOUS, CHANNELS_LAST], ids=str)


def filled(layer):
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.2)
    return layer


def convolution_like(layer):
    same = layer.layer
    padding = "same" if any(layer.behind) else same.padding
    return nn.Conv2d(layer.in_channels, layer.out_channels, same.kernel_size, same.stride, padding)


@FORMATS
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    "arguments",
    [{}, dict(stride=2), dict(kernel_size=2, padding="same"), dict(dw_kernel_size=3), dict(center_feature_scale=True)],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
def test_outputs_and_gradients(arguments, dtype, format):
    layer = filled(dcnv4.DCNv4Conv2d(8, 12, **arguments))
    convolution = convolution_like(layer).to(dtype)
    image = torch.randn(2, 8, 6, 7)
    expected = image.clone().requires_grad_()
    layer(expected).square().sum().backward()
    x = image.to(dtype).to(memory_format=format).requires_grad_()
    y = layer.to(dtype)(x)
    y.square().sum().backward()
    assert y.stride() == convolution(x).stride()
    assert y.is_contiguous(memory_format=format) and x.grad.is_contiguous(memory_format=format)
    bound = 1e-5 if dtype == torch.float32 else 0.1
    close(y.detach(), layer.float()(image).detach(), bound)
    if dtype == torch.float32:  # in 16 bits a point may be in a neighbouring cell, with other derivatives
        close(x.grad, expected.grad, bound)


def images(channels):
    """In both formats and in neither: with axes of length 1, slices, transposed, and expanded from one image or
    number."""
    for height, width in ((6, 5), (1, 1), (6, 1), (1, 5)):
        for batch in (1, 2):
            for format in (CONTIGUOUS, CHANNELS_LAST):
                shape = batch, channels, height, width
                yield torch.randn(shape).contiguous(memory_format=format)
                yield torch.randn(batch, 2 * channels, height, width).contiguous(memory_format=format)[:, :channels]
                yield torch.randn(batch + 1, channels, height + 1, width + 1).contiguous(memory_format=format)[
                    1:, :, 1:, 1:
                ]
                yield torch.randn(batch, channels, 2 * height, 2 * width).contiguous(memory_format=format)[..., ::2, ::2]
                yield torch.randn(batch, channels, width, height).contiguous(memory_format=format).transpose(2, 3)
                yield torch.randn(batch, channels, height, width)[:1].expand(shape)
                yield torch.randn(batch, 1, height, width).expand(shape)
                yield torch.randn(batch, channels, 1, 1).expand(shape)
            yield torch.randn(batch, height, width, channels).permute(0, 3, 1, 2)
    yield torch.randn(6, 5, channels).permute(2, 0, 1)
    yield torch.randn(channels, 6, 5)


@pytest.mark.parametrize("channels, out_channels", [(4, 6), (1, 6), (4, 1)])
def test_as_convolutions_decide(channels, out_channels):
    layer, convolution = dcnv4.DCNv4Conv2d(channels, out_channels), nn.Conv2d(channels, out_channels, 3, padding=1)
    for x in images(channels):
        assert layer(x).stride() == convolution(x).stride(), (x.shape, x.stride())


class Copies(TorchDispatchMode):
    """Counts copies."""

    count = 0

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        name = function.overloadpacket.__name__
        self.count += name in ("clone", "copy_", "_to_copy", "_reshape_copy", "contiguous", "cat", "constant_pad_nd")
        return function(*arguments, **(keywords or {}))


@pytest.mark.parametrize("format, copies", [(CONTIGUOUS, 4), (CHANNELS_LAST, 0)], ids=str)
def test_two_in_a_row(format, copies):
    """A channels-last image is never copied; a contiguous one twice per layer: before all its projections, and
    after."""
    chain = nn.Sequential(filled(dcnv4.DCNv4Conv2d(8, 12)), nn.ReLU(), filled(dcnv4.DCNv4Conv2d(12, 8)))
    x = torch.randn(2, 8, 6, 7).to(memory_format=format)
    with torch.no_grad(), Copies() as seen:
        y = chain(x)
    assert y.is_contiguous(memory_format=format)
    assert seen.count == copies


@FORMATS
@pytest.mark.skipif(not _operators.available, reason=f"PyTorch {torch.__version__} has no register_autograd")
def test_compiled_and_exported(format):
    """The format is the example's; sizes are any, through one graph."""
    net = nn.Sequential(*(filled(dcnv4.DCNv4Conv2d(*channels)) for channels in ((8, 6), (6, 1), (1, 4))))
    graphs = []
    torch._dynamo.reset()
    compiled = torch.compile(net, backend=lambda graph, _: graphs.append(graph) or graph, fullgraph=True, dynamic=True)
    Dim = torch.export.Dim
    axes = {0: Dim("n", min=1), 2: Dim("h", min=7), 3: Dim("w", min=7)}
    example = torch.randn(2, 8, 16, 21).to(memory_format=format)
    program = torch.export.export(net, (example,), dynamic_shapes=(axes,), strict=False)
    for batch, *size in ((3, 17, 9), (2, 7, 7), (5, 8, 12)):
        x = torch.randn(batch, 8, *size).to(memory_format=format)
        expected = net(x)
        for found in (compiled(x), program.module()(x), torch.fx.symbolic_trace(net)(x)):
            close(found, expected, 1e-6)
            assert found.stride() == expected.stride()
    assert len(graphs) == 1
