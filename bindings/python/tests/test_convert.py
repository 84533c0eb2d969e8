"""dcnv4.convert: what is replaced, where the new layers start, and the report."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import dcnv4


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 32, 3, padding=1)
        self.body = nn.Sequential(
            nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1, groups=32),
            nn.Conv2d(32, 48, 3, stride=2, padding=2, dilation=2, bias=False), nn.Conv2d(48, 5, 1),
        )  # fmt: skip

    def forward(self, x):
        return self.body(self.first(x))


def separable(convolution: nn.Conv2d, group: int) -> None:
    """A kernel that a DCNv4 of this many groups can have."""
    out, channels, *size = convolution.weight.shape
    kernels = torch.randn(group, 1, *size, dtype=torch.float64).repeat_interleave(channels // group, 0)
    with torch.no_grad():
        convolution.weight.copy_(
            torch.randn(out, channels, 1, 1, dtype=torch.float64) * kernels.view(1, channels, *size)
        )


@pytest.mark.parametrize("size", [(3, 3), (3, 5)])
@pytest.mark.parametrize("stride, padding, dilation", [(1, 1, 1), (2, 0, 1), ((1, 2), (2, 1), 2), (1, "same", 2)])
def test_start_equals_the_convolution(size, stride, padding, dilation):
    """Where a kernel is the product of a matrix and one kernel for each group."""
    convolution = nn.Conv2d(32, 24, size, stride, padding, dilation, dtype=torch.float64)
    separable(convolution, 2)
    x = torch.randn(2, 32, 15, 17, dtype=torch.float64)
    made = dcnv4.convert(convolution)
    assert isinstance(made.module, dcnv4.DCNv4Conv2d) and made.layers[0].same_start and made.layers[0].group == 2
    assert (made.module(x) - convolution(x)).abs().max() < 1e-9


def test_closest_start():
    """No other kernel of the form is closer: the error is orthogonal to small changes, and smaller than that of an average."""
    convolution = nn.Conv2d(16, 16, 3, padding=1, dtype=torch.float64)
    x = torch.randn(1, 16, 20, 20, dtype=torch.float64)
    made = dcnv4.convert(convolution, group=4)
    expected = convolution(x).detach()
    error = (made.module(x) - expected).norm()
    assert not made.layers[0].same_start and error < expected.norm()
    average = dcnv4.convert(convolution, group=4, softmax=True)
    assert error < (average.module(x) - expected).norm()


def test_where_and_report():
    network = Network()
    copies = {name: x.clone() for name, x in network.state_dict().items()}
    made = dcnv4.convert(
        network, where=lambda name, convolution: name.startswith("body") and convolution.kernel_size != (1, 1)
    )
    assert made.module is network
    assert [(layer.name, layer.group) for layer in made.layers] == [("body.0", 2), ("body.3", 2)]
    assert type(network.first) is nn.Conv2d and network.body[2].groups == 32 and type(network.body[4]) is nn.Conv2d
    for name, x in network.state_dict().items():
        assert name not in copies or x.shape != copies[name].shape or torch.equal(x, copies[name])
    assert made.layers[0].parameters_before == 32 * 32 * 9 + 32
    assert made.parameters == sum(x.numel() for i in (0, 3) for x in network.body[i].parameters())
    assert "body.3, 2: 13824 → " in str(made) and "2 layers" in str(made)
    network(torch.randn(1, 3, 8, 8)).sum().backward()
    assert network.body[3].offset_mask.weight.grad.any()


def test_default_choice():
    """3×3 and larger, with odd sides; a shared convolution stays shared; the mode and the dtype stay."""
    shared = nn.Conv2d(16, 16, 3, padding=1)
    network = (
        nn.Sequential(shared, nn.Conv2d(16, 16, 1), shared, nn.Conv2d(16, 16, 2), nn.Conv2d(16, 4, 5)).double().eval()
    )
    made = dcnv4.convert(network)
    assert [layer.name for layer in made.layers] == ["0", "4"] and network[0] is network[2]
    assert not network[0].training and network[0].value_proj.weight.dtype == torch.float64
    frozen = nn.Conv2d(16, 16, 3).requires_grad_(False)
    assert not any(x.requires_grad for x in dcnv4.convert(frozen).module.parameters())


@pytest.mark.parametrize("stride", [1, 2])
def test_operations(stride):
    """The report's count against PyTorch's, which has no bias."""
    convolution = nn.Conv2d(32, 48, 3, stride, 1)
    made = dcnv4.convert(convolution)
    counts = []
    for layer in (convolution, made.module):
        with FlopCounterMode(display=False) as counter:
            layer(torch.randn(1, 32, 16, 16))
        counts.append(counter.get_total_flops())
    assert made.flops((16 // stride, 16 // stride)) == tuple(counts)


def test_a_state_dict_needs_the_same_conversion():
    """What the report says about saving."""
    first, second = Network(), Network()
    dcnv4.convert(first)
    with pytest.raises(RuntimeError, match="body.0.value_proj"):
        Network().load_state_dict(first.state_dict())
    dcnv4.convert(second)
    second.load_state_dict(first.state_dict())
    x = torch.randn(1, 3, 9, 9)
    assert torch.equal(first(x), second(x))


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_weights_to_come(device):
    """Libraries build a network in memory that holds anything, or on no device, before they load its weights."""
    network = Network()
    dcnv4.convert(network)
    late = Network().to(device)
    if device == "cpu":
        for parameter in late.parameters():
            nn.init.constant_(parameter, float("nan"))
    assert not any(layer.same_start for layer in dcnv4.convert(late).layers)
    late.load_state_dict(network.state_dict(), assign=device == "meta")
    x = torch.randn(1, 3, 9, 9)
    assert torch.equal(late(x), network(x))
