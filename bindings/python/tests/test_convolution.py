"""DCNv4Conv2d in place of a torch.nn.Conv2d: its arguments, layouts and errors; and unknown names."""

import warnings

import pytest
import torch
from conftest import close
from torch import nn

import dcnv4


def filled(layer):
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.2)
    return layer


@pytest.mark.parametrize("kernel_size, dilation", [(3, 1), (2, 1), ((4, 3), 1), (2, 3), ((3, 2), (2, 1)), (1, 1)])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_paddings_by_name(kernel_size, dilation, padding):
    """The average over the points that a convolution of equal weights samples, including the border."""
    layer = dcnv4.DCNv4Conv2d(4, 4, kernel_size, padding=padding, dilation=dilation, bias=False)
    convolution = nn.Conv2d(4, 4, kernel_size, padding=padding, dilation=dilation, groups=4, bias=False)
    with torch.no_grad():
        convolution.weight.fill_(1 / layer.layer.points)
        for projection in (layer.value_proj, layer.output_proj):
            projection.weight.copy_(torch.eye(4))
    x = torch.randn(2, 4, 9, 11)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's, about even kernels with "same"
        close(layer(x), convolution(x), 1e-6)
    assert layer.output_size(9, 11) == layer(x).shape[2:]


@pytest.mark.parametrize("arguments", [{}, dict(dw_kernel_size=2), dict(dw_kernel_size=3, center_feature_scale=True)])
def test_same_is_zeros_behind(arguments):
    """padding="same" with an even kernel equals an image with an additional row and column of zeros, also for the
    offsets."""
    layer = filled(dcnv4.DCNv4Conv2d(4, 4, 2, padding="same", **arguments))
    x = torch.randn(2, 4, 6, 7)
    wide = filled(dcnv4.DCNv4Conv2d(4, 4, 2, padding=0, **arguments))
    wide.load_state_dict(layer.state_dict())
    with torch.no_grad():  # otherwise value_proj's bias would be added to the zeros
        layer.value_proj.bias.zero_(), wide.value_proj.bias.zero_()
    close(layer(x), wide(nn.functional.pad(x, (0, 1, 0, 1))), 1e-6)


def test_without_a_batch():
    layer = filled(dcnv4.DCNv4Conv2d(8, 12, stride=2))
    x = torch.randn(8, 9, 11)
    assert torch.equal(layer(x), layer(x[None])[0]) and layer(x).shape == (12, 5, 6)


@pytest.mark.parametrize("make", [lambda **k: dcnv4.DCNv4Conv2d(8, 8, **k), lambda **k: dcnv4.DCNv4(8, **k)])
def test_device_and_dtype(make):
    arguments = dict(dw_kernel_size=3, center_feature_scale=True)
    layer = make(device="meta", dtype=torch.float64, **arguments)
    assert {(p.device.type, p.dtype) for p in layer.parameters()} == {("meta", torch.float64)}
    layer = layer.to_empty(device="cpu")
    layer.reset_parameters()
    torch.manual_seed(3)
    expected = make(dtype=torch.float64, **arguments)
    torch.manual_seed(3)
    layer.reset_parameters()
    assert [p.shape for p in layer.parameters()] == [p.shape for p in expected.parameters()]
    assert torch.equal(layer.offset_mask.bias, expected.offset_mask.bias)


@pytest.mark.parametrize("channels, group", [(64, 4), (6, 2), (3, 1), (1, 1), (12, 4)])
def test_default_group_fits(channels, group):
    layer = dcnv4.DCNv4Conv2d(channels, 8)
    assert layer.group == group and layer(torch.randn(1, channels, 5, 5)).shape == (1, 8, 5, 5)


@pytest.mark.parametrize(
    "layer, text",
    [
        (lambda: dcnv4.DCNv4Conv2d(8, 12),
         "DCNv4Conv2d(8, 12, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), group=4"),
        (lambda: dcnv4.DCNv4Conv2d(6, 12, 2, padding="same", dilation=2, bias=False, offset_scale=0.5, softmax=True),
         "DCNv4Conv2d(6, 12, kernel_size=(2, 2), stride=(1, 1), padding=same, dilation=(2, 2), group=2, "
         "offset_scale=0.5, softmax=True, bias=False"),
        (lambda: dcnv4.DCNv4(8, dw_kernel_size=3, center_feature_scale=True, remove_center=True, output_bias=False),
         "DCNv4(8, kernel_size=(3, 3), stride=(1, 1), pad=(1, 1), group=4, dw_kernel_size=3, "
         "center_feature_scale=True, remove_center=True, output_bias=False"),
        (lambda: dcnv4.DCNv4(8, without_pointwise=True),
         "DCNv4(8, kernel_size=(3, 3), stride=(1, 1), pad=(1, 1), group=4, without_pointwise=True"),
    ],
)  # fmt: skip
def test_repr(layer, text):
    assert f"{layer().__class__.__name__}({layer().extra_repr()}" == text


def conv(*arguments, **named):
    return lambda: dcnv4.DCNv4Conv2d(*arguments, **named)


def on(shape, *arguments, **named):
    return lambda: dcnv4.DCNv4Conv2d(*arguments, **named)(torch.zeros(shape))


@pytest.mark.parametrize(
    "error, message, run",
    [
        (ValueError, r"DCNv4Conv2d: stride is 0, at least 1", conv(8, 8, stride=0)),
        (ValueError, r"DCNv4Conv2d: dilation is -1, at least 1", conv(8, 8, dilation=-1)),
        (ValueError, r"DCNv4Conv2d: kernel_size is \(3, 0\), at least 1", conv(8, 8, (3, 0))),
        (ValueError, r"DCNv4Conv2d: padding is -1, at least 0", conv(8, 8, padding=-1)),
        (TypeError, r"DCNv4Conv2d: padding is \(1, 1, 1\), it must be a whole number or a pair",
         conv(8, 8, padding=(1, 1, 1))),
        (TypeError, r"DCNv4Conv2d: kernel_size is 3\.0, it must be a whole number", conv(8, 8, 3.0)),
        (ValueError, r"DCNv4Conv2d: padding is 'full', it must be 'same', 'valid', a whole number",
         conv(8, 8, padding="full")),
        (ValueError, r"DCNv4Conv2d: padding is 'same', but stride is \(2, 2\)", conv(8, 8, stride=2, padding="same")),
        (ValueError, r"DCNv4Conv2d: in_channels is 10, which group 4 does not divide; group may be 1, 2, 5, 10",
         conv(10, 8, group=4)),
        (ValueError, r"DCNv4Conv2d: in_channels is 0, at least 1", conv(0, 8)),
        (ValueError, r"DCNv4Conv2d: out_channels is 0, at least 1", conv(8, 0)),
        (TypeError, r"DCNv4Conv2d: out_channels is 8\.5, it must be a whole number", conv(8, 8.5)),
        (ValueError, r"DCNv4Conv2d: group is 0, at least 1", conv(8, 8, group=0)),
        (TypeError, r"DCNv4Conv2d has no argument kernal_size; did you mean kernel_size\?", conv(8, 8, kernal_size=5)),
        (TypeError, r"DCNv4Conv2d has no argument pad; did you mean padding\?", conv(8, 8, pad=1)),
        (TypeError, r"DCNv4Conv2d has no argument groups: channels are mixed .* Leave it out; group is",
         conv(8, 8, groups=2)),
        (ValueError, r"DCNv4Conv2d: padding_mode is 'reflect', only 'zeros' .* torch\.nn\.functional\.pad",
         conv(8, 8, padding_mode="reflect")),
        (ValueError, r"input has shape \[2, 8, 5, 5\], \[N, 64, H, W\] or \[64, H, W\] .*in_channels is 64",
         on((2, 8, 5, 5), 64, 8)),
        (ValueError, r"input has shape \[8, 5\], \[N, 8, H, W\] or \[8, H, W\]", on((8, 5), 8, 8)),
        (ValueError, r"DCNv4Conv2d: the image is 2×7 pixels with padding \(0, 0\), and the kernel spans 5×5 ",
         on((1, 8, 2, 7), 8, 8, 3, 2, 0, 2)),
        (ValueError, r"DCNv4: pad is -1, at least 0", lambda: dcnv4.DCNv4(pad=-1)),
        (TypeError, r"DCNv4: pad is 'same', it must be a whole number", lambda: dcnv4.DCNv4(pad="same")),
        (ValueError, r"DCNv4: channels is 10, which group 4 does not divide; group may be", lambda: dcnv4.DCNv4(10)),
    ],
)  # fmt: skip
def test_complaints(error, message, run):
    with pytest.raises(error, match=message):
        run()


def test_convolutions_own_default_is_taken():
    dcnv4.DCNv4Conv2d(8, 8, padding_mode="zeros")


@pytest.mark.parametrize(
    "name, message",
    [
        ("kernal_size", "DCNv4 has no argument kernal_size; did you mean kernel_size?"),
        ("padding", "DCNv4 has no argument padding; did you mean pad?"),
        ("groups", "DCNv4 has no argument groups; did you mean group?"),
        ("norm_layer", "DCNv4 has no argument norm_layer."),
    ],
)
def test_the_originals_class_warns_of_names_it_does_not_know(name, message):
    with pytest.warns(UserWarning) as seen:
        dcnv4.DCNv4(8, **{name: 5})
    assert str(seen[0].message).startswith(message) and seen[0].filename == __file__
