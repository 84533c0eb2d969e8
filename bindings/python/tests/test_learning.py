"""Networks of DCNv4Conv2d learn from their first step on, with residual connections and without."""

import pytest
import torch
from conftest import close
from torch import nn

import dcnv4


class Shortcut(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return x + self.inner(x)


def network(layers, norm, residual, channels=16, **arguments):
    blocks = []
    for _ in range(layers):
        layer = dcnv4.DCNv4Conv2d(channels, channels, **arguments)
        block = nn.Sequential(layer, nn.BatchNorm2d(channels) if norm else nn.Identity(), nn.ReLU())
        blocks.append(Shortcut(block) if residual else block)
    return nn.Sequential(*blocks)


@pytest.mark.parametrize("norm", [False, True], ids=["bare", "norm"])
@pytest.mark.parametrize("layers", [1, 2, 4, 8])
def test_every_parameter_has_a_gradient_at_first(layers, norm):
    net = network(layers, norm, False)
    net(torch.randn(4, 16, 8, 8)).square().mean().backward()
    assert [name for name, parameter in net.named_parameters() if not parameter.grad.abs().max() > 0] == []


@pytest.mark.parametrize(
    "arguments",
    [
        dict(softmax=True),
        dict(remove_center=True),
        dict(dw_kernel_size=3, center_feature_scale=True, stride=2),
        dict(kernel_size=2, padding="same", dw_kernel_size=2),
        dict(kernel_size=(1, 3), group=2, bias=False),
    ],
    ids=str,
)
def test_every_kind_has_gradients_at_first(arguments):
    net = network(2, False, False, **arguments)
    net(torch.randn(4, 16, 8, 8)).square().mean().backward()
    assert [name for name, parameter in net.named_parameters() if not parameter.grad.abs().max() > 0] == []


@pytest.mark.parametrize("softmax", [False, True])
def test_starts_as_an_average(softmax):
    layer = dcnv4.DCNv4Conv2d(8, 12, softmax=softmax)
    x = torch.randn(2, 8, 6, 7)
    value = layer.value_proj(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    average = nn.functional.avg_pool2d(value, 3, 1, 1)
    close(layer(x), layer.output_proj(average.permute(0, 2, 3, 1)).permute(0, 3, 1, 2), 1e-6)


@pytest.mark.parametrize("out_channels", [16, 64, 256])
def test_sizes_of_outputs_are_a_convolutions(out_channels):
    """On noise an average of nine is a third as large as its input; Conv2d's outputs are 0.58 times as large."""
    x = torch.randn(4, 64, 16, 16)
    size = dcnv4.DCNv4Conv2d(64, out_channels)(x)[:, :, 1:-1, 1:-1].std().item()
    assert 0.25 <= size <= 0.45


def test_reset_parameters_draws_the_same_again():
    layer = dcnv4.DCNv4Conv2d(8, 8, dw_kernel_size=3, center_feature_scale=True)
    for parameter in layer.parameters():
        nn.init.normal_(parameter)
    layer.reset_parameters()
    weights = layer.offset_mask.bias[:108].view(4, 27)
    assert weights[:, :18].eq(0).all() and weights[:, 18:].eq(1 / 9).all() and layer.value_proj.bias.eq(0).all()
    assert layer.offset_mask_dw.weight.abs().max() <= 1 / 3
    assert layer.center_feature_scale_proj_weight.eq(0).all() and layer.center_feature_scale_proj_bias.eq(0).all()


@pytest.mark.parametrize("residual", [False, True], ids=["plain", "residual"])
def test_digits(residual):
    """The handwritten digits of scikit-learn, 8×8 pixels, in 200 steps."""
    datasets = pytest.importorskip("sklearn.datasets", reason="scikit-learn, which has the digits, is not installed")
    digits = datasets.load_digits()
    images, labels = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16, torch.tensor(digits.target)
    order = torch.randperm(len(images))
    train, test = order[:1400], order[1400:]
    body = network(2, True, residual)
    net = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), body, nn.Flatten(), nn.Linear(16 * 64, 10))
    optimizer = torch.optim.AdamW(net.parameters(), 5e-3)
    for _ in range(200):
        batch = train[torch.randint(len(train), (64,))]
        loss = nn.functional.cross_entropy(net(images[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    net.eval()
    with torch.no_grad():
        right = net(images[test]).argmax(1) == labels[test]
    assert right.float().mean() >= 0.95
