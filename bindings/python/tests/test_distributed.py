"""Layers in two processes: with the gradients of data parallelism summed, and split by groups."""

import copy
import os

import pytest
import torch
from conftest import close
from torch import nn

import dcnv4

distributed = pytest.importorskip("torch.distributed")
if not distributed.is_available():
    pytest.skip("PyTorch is built without distributed", allow_module_level=True)

WORLD = 2


def run(rank, work, folder):
    """One of WORLD processes; no port is needed."""
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=WORLD)
    try:
        work(rank)
    finally:
        distributed.destroy_process_group()


def in_two_processes(work, folder):
    torch.multiprocessing.spawn(run, (work, folder), nprocs=WORLD)


def filled(module, seed=0):
    torch.manual_seed(seed)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.2)
    return module


DATA_PARALLEL = {
    "plain": ({}, {}),
    "find_unused_parameters": ({}, dict(find_unused_parameters=True)),
    "static_graph": ({}, dict(static_graph=True)),
    "all": (dict(center_feature_scale=True, dw_kernel_size=3, stride=2), {}),
}


def data_parallel(rank):
    for arguments, settings in DATA_PARALLEL.values():
        layer = dcnv4.DCNv4Conv2d(8, 8, group=2, **arguments)
        net = filled(nn.Sequential(nn.Conv2d(3, 8, 1), layer, nn.BatchNorm2d(8), nn.Conv2d(8, 4, 1)))
        alone = copy.deepcopy(net)
        images = torch.randn(WORLD, 2, 3, 10, 12)
        parallel = nn.parallel.DistributedDataParallel(net, **settings)
        for _ in range(2):
            parallel.zero_grad()
            parallel(images[rank]).square().mean().backward()
        sum(alone(each).square().mean() / WORLD for each in images).backward()
        for found, expected in zip(net.parameters(), alone.parameters()):
            close(found.grad, expected.grad, 1e-5)


def test_data_parallel(tmp_path):
    in_two_processes(data_parallel, tmp_path)


SPLIT = {
    "row with padding": dict(channels=32, group=4),
    "row without padding": dict(channels=32, group=8),
    "all but one point": dict(channels=16, group=2, remove_center=True, stride=2, dw_kernel_size=3, offset_scale=2.0),
    "scale": dict(channels=16, group=4, center_feature_scale=True),
    "scale in the middle": dict(channels=16, group=2, center_feature_scale=True, stride=2, pad=0, kernel_size=(3, 1)),
    "softmax": dict(channels=16, group=4, kernel_size=(1, 3), pad=(0, 1), softmax=True, output_bias=False),
}


def steps(layer, x, target, parameters):
    """The outputs of three steps, and input's gradient."""
    optimizer = torch.optim.AdamW(parameters, 1e-2)
    outputs = []
    for _ in range(3):
        optimizer.zero_grad()
        x.grad = None
        outputs.append(layer(x))
        (outputs[-1] - target).square().mean().backward()
        optimizer.step()
    return [*(y.detach() for y in outputs), x.grad]


def whole(tensor):
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def split_by_groups(rank):
    mesh = distributed.device_mesh.init_device_mesh("cpu", (WORLD,))
    for arguments in SPLIT.values():
        alone = filled(dcnv4.DCNv4(**arguments))
        x = torch.randn(2, 36, arguments["channels"], requires_grad=True)
        target = torch.randn_like(alone(x))
        layer = filled(dcnv4.DCNv4(**arguments), seed=rank)  # the first process's parameters are everyone's
        torch.manual_seed(7)
        assert dcnv4.distributed.parallelize(layer, mesh) is layer
        assert layer.value_proj.weight.to_local().shape[0] == arguments["channels"] // WORLD
        expected = steps(alone, x, target, alone.parameters())
        for found, right in zip(steps(layer, x, target, layer.parameters()), expected):
            close(found, right, 1e-5)
        for found, right in zip(layer.parameters(), alone.parameters()):
            close(whole(found), right, 1e-4)
            close(whole(found.grad), right.grad, 1e-5)


def whole_network(rank):
    mesh = distributed.device_mesh.init_device_mesh("cpu", (WORLD,))
    layers = dcnv4.DCNv4Conv2d(8, 12), nn.ReLU(), dcnv4.DCNv4Conv2d(12, 4, stride=2)
    net = filled(nn.Sequential(nn.Conv2d(3, 8, 1), *layers))
    images = torch.randn(2, 3, 8, 10)
    expected = net(images)
    close(dcnv4.distributed.parallelize(net, mesh)(images), expected, 1e-5)


def refusals(rank):
    from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

    mesh = distributed.device_mesh.init_device_mesh("cpu", (WORLD,))
    layer = dcnv4.DCNv4(32, group=4)
    parallelize_module(layer, mesh, {"value_proj": ColwiseParallel(), "output_proj": RowwiseParallel()})
    with pytest.raises(ValueError, match="value_proj gave 16 channels, of 32.*dcnv4.distributed.parallelize"):
        layer(torch.randn(1, 16, 32))
    for message, arguments in {
        "DCNv4 '1' has group 1, which 2 processes": dict(group=1),
        "DCNv4 '1' has without_pointwise=True": dict(without_pointwise=True),
    }.items():
        net = nn.Sequential(dcnv4.DCNv4(8), dcnv4.DCNv4(8, **arguments))
        with pytest.raises(ValueError, match=message):
            dcnv4.distributed.parallelize(net, mesh)
        net(torch.randn(1, 16, 8))  # nothing of it is split
    layer = dcnv4.distributed.parallelize(dcnv4.DCNv4(8), mesh)
    with pytest.raises(ValueError, match="is split already"):
        dcnv4.distributed.parallelize(layer, mesh)


def tensor_parallel(rank):
    split_by_groups(rank)
    whole_network(rank)
    refusals(rank)


def results(function, tensors, target):
    """The output, and the gradients of (output · target)."""
    tensors = [tensor.detach().clone().requires_grad_() for tensor in tensors]
    output = function(*tensors)
    (output * target).sum().backward()
    return [output.detach()] + [tensor.grad for tensor in tensors]


def on_parts(rank):
    """Both operators on DTensors, for each way to split them."""
    from torch.distributed.tensor import DTensor, Partial, Replicate, Shard, distribute_tensor

    mesh = distributed.device_mesh.init_device_mesh("cpu", (WORLD,))
    dcnv4.distributed.register_sharding()
    dcnv4.distributed.register_sharding()
    torch.manual_seed(3)
    sizes = [(5, 6), (3, 2)]
    value, offset_mask = torch.randn(4, 5, 6, 16), torch.randn(4, 5, 6, 56)
    maps, locations, weights = torch.randn(4, 36, 4, 8), torch.rand(4, 7, 4, 2, 3, 2), torch.randn(4, 7, 4, 2, 3)
    references = torch.rand(4, 7, 2, 2)

    def attend(maps, locations, weights):
        return dcnv4.functional.ms_deform_attn(maps, sizes, locations, weights, softmax=True)

    def attend_around(maps, locations, weights, references):
        return dcnv4.functional.ms_deform_attn(maps, sizes, locations, weights, reference_points=references)

    def pack(maps, packed):
        return dcnv4.functional.flash_deform_attn(maps, sizes, None, packed, 3)

    def conv(value, offset_mask):
        return dcnv4.functional.dcnv4(value, offset_mask, group=2)

    packed = torch.randn(4, 7, 4, 2 * 3 * 3)
    for function, tensors in (
        (conv, (value, offset_mask)), (attend, (maps, locations, weights)),
        (attend_around, (maps, locations - 0.5, weights, references)), (pack, (maps, packed)),
    ):  # fmt: skip
        expected = results(function, tensors, 1.5)
        ways = [[Replicate()], [Shard(0)]] + [[Shard(2)]] * (function is not conv)
        for placements in ways:
            of = [[Replicate()] if tensor is references and placements == [Shard(2)] else placements for tensor in tensors]
            parts = [distribute_tensor(tensor, mesh, each) for tensor, each in zip(tensors, of)]
            found = results(function, parts, 1.5)
            assert found[0].placements == tuple(placements), (function, found[0].placements)
            for one, right in zip(found, expected):
                close(one.full_tensor(), right, 1e-6)
        # value as parts of a sum
        first = DTensor.from_local(tensors[0] * (0.25 if rank else 0.75), mesh, [Partial()], run_check=False)
        others = [distribute_tensor(tensor, mesh, [Replicate()]) for tensor in tensors[1:]]
        output = function(first, *others)
        assert output.placements == (Partial(),)
        close(output.full_tensor(), expected[0], 1e-6)


def has_tensors():
    try:
        from torch.distributed.tensor import DTensor  # noqa: F401
    except ImportError:
        return False
    return True


@pytest.mark.skipif(not has_tensors(), reason=f"PyTorch {torch.__version__} has no torch.distributed.tensor")
def test_tensor_parallel(tmp_path):
    in_two_processes(tensor_parallel, tmp_path)


@pytest.mark.skipif(not has_tensors(), reason=f"PyTorch {torch.__version__} has no torch.distributed.tensor")
def test_sharding(tmp_path):
    in_two_processes(on_parts, tmp_path)


@pytest.mark.skipif(has_tensors(), reason="for a PyTorch without torch.distributed.tensor")
def test_tensor_parallel_is_refused_in_words():
    with pytest.raises(RuntimeError, match="needs torch.distributed.tensor, which PyTorch 2.5"):
        dcnv4.distributed.parallelize(dcnv4.DCNv4(8), None)


def test_a_layer_split_by_hand_is_refused():
    layer = dcnv4.DCNv4(32, group=4)
    layer.value_proj, layer.output_proj = nn.Linear(32, 16), nn.Linear(16, 32)
    with pytest.raises(ValueError, match="value_proj gave 16 channels, of 32"):
        layer(torch.randn(1, 16, 32))
