"""DCNv3, InternImage's module: its checkpoints' keys, and its formula written out."""

import pytest
import torch
import torch.nn.functional as F
from conftest import close

from dcnv4 import reference
from dcnv4.dcnv3 import DCNv3


def keys(norm="1.1", center_feature_scale=False, batch_norm=False):
    """The keys of a checkpoint of InternImage's module: 32 channels, 2 groups, 8 points, a 5×5 depthwise
    convolution."""
    names = {"center_feature_scale_proj_weight": (2, 32), "center_feature_scale_proj_bias": (2,)}
    names = names if center_feature_scale else {}
    names.update({"dw_conv.0.weight": (32, 1, 5, 5), "dw_conv.0.bias": (32,)})
    names.update({f"dw_conv.{norm}.weight": (32,), f"dw_conv.{norm}.bias": (32,)})
    if batch_norm:
        names.update({f"dw_conv.{norm}.running_{word}": (32,) for word in ("mean", "var")})
        names[f"dw_conv.{norm}.num_batches_tracked"] = ()
    for name, rows in (("offset", 32), ("mask", 16), ("input_proj", 32), ("output_proj", 32)):
        names.update({f"{name}.weight": (rows, 32), f"{name}.bias": (rows,)})
    return names


@pytest.mark.parametrize("scale", [False, True])
@pytest.mark.parametrize("norm", ["LN", "BN"])
def test_keys(norm, scale):
    module = DCNv3(32, 3, 5, group=2, norm_layer=norm, center_feature_scale=scale, remove_center=True)
    found = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    assert found == keys("1.1" if norm == "LN" else "1.0", scale, norm == "BN")
    for name, tensor in module.state_dict().items():
        if name.startswith(("offset", "mask")) or name.endswith("proj.bias"):
            assert not tensor.any(), name


def written_out(module, x, kernel, dilation, group, scale, remove_center):
    """Point by point with grid_sample, on an image with zeros around it."""
    half = dilation * (kernel - 1) // 2
    channels, size = x.shape[3], x.shape[1:3]
    value = module.input_proj(x)
    features = module.dw_conv[0](x.permute(0, 3, 1, 2))
    features = module.dw_conv[2](module.dw_conv[1][1](features.permute(0, 2, 3, 1)))
    places = [(i, j) for i in range(kernel) for j in range(kernel)]
    if remove_center:
        places.remove((kernel // 2, kernel // 2))
    offset = module.offset(features).unflatten(-1, (group, len(places), 2))
    weights = module.mask(features).unflatten(-1, (group, len(places))).softmax(-1)
    rows, columns = torch.meshgrid(*(torch.arange(n, dtype=x.dtype) for n in size), indexing="ij")
    output = torch.zeros_like(value).unflatten(-1, (group, -1))
    for g, image in enumerate(value.unflatten(-1, (group, -1)).unbind(3)):
        for k, (i, j) in enumerate(places):
            px = columns + scale * (i * dilation - half + offset[..., g, k, 0])
            py = rows + scale * (j * dilation - half + offset[..., g, k, 1])
            grid = torch.stack(((2 * px + 1) / size[1] - 1, (2 * py + 1) / size[0] - 1), -1)
            sample = F.grid_sample(image.permute(0, 3, 1, 2), grid, padding_mode="zeros", align_corners=False)
            output[..., g, :] += weights[..., g, k, None] * sample.permute(0, 2, 3, 1)
    output = output.flatten(-2)
    if module.center_feature_scale:
        weight, bias = module.center_feature_scale_proj_weight, module.center_feature_scale_proj_bias
        centre = (features @ weight.T + bias).sigmoid().repeat_interleave(channels // group, -1)
        output = output * (1 - centre) + value * centre
    return module.output_proj(output)


@pytest.mark.parametrize(
    "arguments",
    [
        dict(kernel=3, dilation=1, group=2, scale=1.0, remove_center=False),
        dict(kernel=5, dilation=2, group=4, scale=0.5, remove_center=True),
    ],
)
def test_formula(arguments):
    kernel, dilation = arguments["kernel"], arguments["dilation"]
    module = DCNv3(
        32, kernel, dw_kernel_size=5, pad=dilation * (kernel - 1) // 2, dilation=dilation, group=arguments["group"],
        offset_scale=arguments["scale"], center_feature_scale=True, remove_center=arguments["remove_center"],
    ).double()  # fmt: skip
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    x = torch.randn(2, 7, 9, 32, dtype=torch.float64)
    expected = written_out(module, x, **arguments)
    assert expected.shape == x.shape and expected.abs().max() > 1
    close(module(x), expected, 1e-12)
    module.operator = reference.dcnv4
    close(module(x), expected, 1e-12)
    module(x).sum().backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in module.parameters())


def test_complaints():
    for arguments, words in (
        (dict(channels=10), "channels is 10, which group 4 does not divide"),
        (dict(stride=2), r"stride \(2, 2\).*change the image's size"),
        (dict(pad=0), r"pad \(0, 0\).*change the image's size"),
        (dict(act_layer="Tanh"), "act_layer is 'Tanh', possible are ReLU, SiLU, GELU"),
        (dict(norm_layer="GN"), "norm_layer is 'GN', possible are LN and BN"),
    ):
        with pytest.raises(ValueError, match=words):
            DCNv3(**arguments)
    with pytest.raises(ValueError, match=r"input has shape \[1, 4, 4, 32\], \[N, H, W, 64\] is needed"):
        DCNv3()(torch.zeros(1, 4, 4, 32))
