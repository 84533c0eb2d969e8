"""DCNv4 as the original authors' module, and where that was wrong; DCNv4Conv2d; DCNv4Function."""

import pytest
import torch
from conftest import ROOT, close, random_layer

import dcnv4
from dcnv4 import reference


def keys(**arguments):
    return {name: tuple(tensor.shape) for name, tensor in dcnv4.DCNv4(**arguments).state_dict().items()}


PROJECTIONS = {
    "value_proj.weight": (64, 64),
    "value_proj.bias": (64,),
    "output_proj.weight": (64, 64),
    "output_proj.bias": (64,),
}


def test_parameters_are_the_originals():
    # 3·4·9 = 108 rows, rounded up to 112; 3·4·8 = 96 is a multiple of 8.
    plain = {"offset_mask.weight": (112, 64), "offset_mask.bias": (112,), **PROJECTIONS}
    assert keys() == plain
    assert keys(remove_center=True) == {**plain, "offset_mask.weight": (96, 64), "offset_mask.bias": (96,)}
    depthwise = {"offset_mask_dw.weight": (64, 1, 5, 5), "offset_mask_dw.bias": (64,)}
    assert keys(dw_kernel_size=5) == {**plain, **depthwise}
    scale = {"center_feature_scale_proj_weight": (4, 64), "center_feature_scale_proj_bias": (4,)}
    assert keys(center_feature_scale=True) == {**plain, **scale}
    assert keys(output_bias=False) == {name: shape for name, shape in plain.items() if name != "output_proj.bias"}
    assert set(keys(without_pointwise=True)) == {"offset_mask.weight", "offset_mask.bias"}
    assert keys(channels=112, group=7)["offset_mask.weight"] == (192, 112)


def test_checkpoints_load_strictly():
    shapes = {**PROJECTIONS, "offset_mask.weight": (112, 64), "offset_mask.bias": (112,),
              "offset_mask_dw.weight": (64, 1, 3, 3), "offset_mask_dw.bias": (64,),
              "center_feature_scale_proj_weight": (4, 64), "center_feature_scale_proj_bias": (4,)}  # fmt: skip
    checkpoint = {name: torch.randn(shape) for name, shape in shapes.items()}
    layer = dcnv4.DCNv4(64, 3, 1, 1, 1, 4, 1.0, 3, True, False, True, False, norm_layer="LN")
    layer.load_state_dict(checkpoint, strict=True)
    assert layer(torch.randn(2, 35, 64), shape=(5, 7)).shape == (2, 35, 64)


def test_initial_values():
    layer = dcnv4.DCNv4(64, dw_kernel_size=3, center_feature_scale=True)
    zero = ["offset_mask.weight", "offset_mask.bias", "value_proj.bias", "output_proj.bias",
            "center_feature_scale_proj_weight", "center_feature_scale_proj_bias"]  # fmt: skip
    state = layer.state_dict()
    assert all(state[name].eq(0).all() for name in zero)
    limit = (6 / 128) ** 0.5  # Xavier's
    for name in ("value_proj.weight", "output_proj.weight"):
        assert 0.95 * limit < state[name].abs().max() <= limit


def test_seed_gives_the_originals_values():
    """The layers are made and initialised in the original's order."""
    torch.manual_seed(5)
    layer = dcnv4.DCNv4(16, group=1, dw_kernel_size=3)
    torch.manual_seed(5)
    torch.nn.Conv2d(16, 16, 3, groups=16)
    torch.nn.Linear(16, 32)
    first, last = torch.nn.Linear(16, 16), torch.nn.Linear(16, 16)
    for projection in (first, last):
        torch.nn.init.xavier_uniform_(projection.weight)
    assert torch.equal(layer.value_proj.weight, first.weight) and torch.equal(layer.output_proj.weight, last.weight)


def filled(layer):
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return layer


def by_hand(layer, x):
    """The module's formula on images [N, H, W, C], each step written out."""
    image = x.permute(0, 3, 1, 2)
    value = layer.value_proj(x)
    if layer.dw_kernel_size:
        conv = layer.offset_mask_dw
        k = layer.dw_kernel_size
        # At full resolution, with enough zeros around it for every middle.
        wide = torch.nn.functional.pad(image, (8 + (k - 1) // 2, 8 + k // 2) * 2)
        image = torch.nn.functional.conv2d(wide, conv.weight, conv.bias, groups=layer.channels)
    else:
        image = torch.nn.functional.pad(image, (8, 8, 8, 8))
    (h, w), s = layer.output_size(*x.shape[1:3]), layer.layer.stride
    middles = [
        8 + d * (k - 1) // 2 - p for d, k, p in zip(layer.layer.dilation, layer.layer.kernel_size, layer.layer.padding)
    ]
    rows, columns = (m + step * torch.arange(n) for m, step, n in zip(middles, s, (h, w)))
    offset_mask = layer.offset_mask(image.permute(0, 2, 3, 1)[:, rows][:, :, columns])
    a = layer.layer
    y = reference.dcnv4(
        value, offset_mask, a.kernel_size, a.stride, a.padding, a.dilation, a.group, a.offset_scale, a.remove_center
    )
    if layer.center_feature_scale:
        scale = torch.sigmoid(y @ layer.center_feature_scale_proj_weight.T + layer.center_feature_scale_proj_bias)
        scale = scale[..., None].expand(*scale.shape, layer.group_channels).flatten(-2)
        kept = torch.nn.functional.pad(value, (0, 0, 8, 8, 8, 8))[:, rows][:, :, columns]
        y = y * (1 - scale) + kept * scale
    return layer.output_proj(y)


SHAPES = {
    "plain": {},
    "original": dict(dw_kernel_size=3, center_feature_scale=True, offset_scale=2.0, remove_center=True),
    "stride2": dict(stride=2, center_feature_scale=True),
    "stride2_depthwise": dict(stride=2, dw_kernel_size=5, center_feature_scale=True),
    "even": dict(kernel_size=4, stride=2, pad=1, dw_kernel_size=4),
    "even_kernel_odd_depthwise": dict(kernel_size=2, stride=1, pad=0, dw_kernel_size=3),
    "wide_pad": dict(pad=3, dw_kernel_size=3, center_feature_scale=True),
    "no_pad": dict(kernel_size=5, pad=0, dw_kernel_size=3, center_feature_scale=True),
    "no_pad_small_depthwise": dict(kernel_size=5, pad=0, dw_kernel_size=1),
    "pairs": dict(kernel_size=(3, 5), stride=(3, 2), pad=(0, 2), dilation=(2, 1)),
    "odd_channels": dict(channels=15, group=5, kernel_size=1, pad=0),
}


@pytest.mark.parametrize("name", SHAPES)
def test_module(name):
    arguments = {"channels": 8, "group": 2, **SHAPES[name]}
    layer = filled(dcnv4.DCNv4(**arguments)).double()
    x = torch.randn(2, 9, 12, layer.channels, dtype=torch.float64)
    expected = by_hand(layer, x)
    out_h, out_w = layer.output_size(9, 12)
    assert expected.shape == (2, out_h, out_w, layer.channels)
    close(layer(x.flatten(1, 2), shape=(9, 12)), expected.flatten(1, 2), 1e-11)


def test_square_without_shape():
    layer = filled(dcnv4.DCNv4(8, group=2))
    x = torch.randn(2, 36, 8)
    assert torch.equal(layer(x), layer(x, shape=(6, 6)))


@pytest.mark.parametrize(
    "message, run",
    [
        ("channels is 10, which group 4", lambda: dcnv4.DCNv4(10)),
        ("kernel_size is 0", lambda: dcnv4.DCNv4(kernel_size=0)),
        ("dw_kernel_size is 0", lambda: dcnv4.DCNv4(dw_kernel_size=0)),
        ("input has 35 pixels an image, shape is left out, which makes 5×5", lambda: dcnv4.DCNv4()(torch.zeros(1, 35,
        64))), ("input has 35 pixels an image, shape is .5, 8.", lambda: dcnv4.DCNv4()(torch.zeros(1, 35, 64), (5, 8))),
        ("input has shape .1, 35, 8., .N, L, 64.", lambda: dcnv4.DCNv4()(torch.zeros(1, 35, 8))),
        ("input has shape .1, 8, 5, 5., .N, 64, H, W.", lambda: dcnv4.DCNv4Conv2d(64, 8)(torch.zeros(1, 8, 5, 5))),
        ("input has 8 channels, but group 2 times group_channels 3 is 6",
         lambda: dcnv4.DCNv4Function.apply(*random_layer()[:2], 3, 3, 1, 1, 1, 1, 1, 1, 2, 3, 1.0, 256, 0)),
    ],
)  # fmt: skip
def test_wrong_inputs_are_named(message, run):
    with pytest.raises(ValueError, match=message):
        run()


@pytest.mark.parametrize(
    "arguments", [{}, dict(stride=2), dict(kernel_size=5, dilation=2, stride=2), dict(kernel_size=(1, 3))]
)
def test_conv2d_has_a_convolutions_shape(arguments):
    """As a detection framework determines its model's strides: on the CPU, from an image of zeros."""
    layer = dcnv4.DCNv4Conv2d(8, 12, **arguments)
    same = layer.layer
    convolution = torch.nn.Conv2d(8, 12, same.kernel_size, same.stride, same.padding, same.dilation)
    for size in ((32, 32), (33, 47)):
        x = torch.zeros(1, 8, *size)
        assert layer(x).shape == convolution(x).shape


def test_conv2d_is_dcnv4():
    layer = filled(dcnv4.DCNv4Conv2d(8, 8, group=2, dw_kernel_size=3))
    twin = dcnv4.DCNv4(8, group=2, dw_kernel_size=3)
    twin.load_state_dict(layer.state_dict())
    x = torch.randn(2, 8, 5, 7)
    expected = twin(x.flatten(2).transpose(1, 2), (5, 7)).transpose(1, 2).unflatten(2, (5, 7))
    close(layer(x), expected, 1e-6)


def test_module_can_be_copied_and_saved(tmp_path):
    import copy
    import pickle

    layer = filled(dcnv4.DCNv4(8, group=2))
    x = torch.randn(2, 36, 8)
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(other(x), layer(x))


def test_readme(capsys):
    """The example of the README prints what it says."""
    text = (ROOT / "bindings" / "python" / "README.md").read_text()
    code = text.split("```python\n")[1].split("```")[0]
    exec(code, {})
    promised = [line.rsplit("# ", 1)[1] for line in code.splitlines() if line.startswith("print(")]
    assert capsys.readouterr().out.splitlines() == [f"torch.Size({shape})" for shape in promised]


def test_module_trains():
    """A shift by one pixel is learned through the offsets alone."""
    layer = dcnv4.DCNv4(4, kernel_size=1, pad=0, group=1, without_pointwise=True)
    with torch.no_grad():
        layer.offset_mask.bias[2] = 1.0
        layer.offset_mask.bias[0] = 0.3
    image = torch.randn(1, 4, 12, 12)
    for _ in range(2):
        image = torch.nn.functional.avg_pool2d(image, 3, 1, 1)
    x = image.flatten(2).transpose(1, 2) * 3
    target = torch.roll(x.unflatten(1, (12, 12)), -1, 2)
    optimizer = torch.optim.Adam([layer.offset_mask.bias], 0.05)
    losses = []
    for _ in range(60):
        loss = (layer(x).unflatten(1, (12, 12)) - target)[:, :, :-1].square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] <= losses[0] / 20
    assert abs(layer.offset_mask.bias[0].item() - 1) <= 0.1
