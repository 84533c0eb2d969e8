"""FlashInternImage and MSDeformAttn in two processes, by the engines that people train with: equal to one process."""

import copy

import pytest
import torch
from conftest import close
from test_distributed import WORLD, distributed, has_tensors, in_two_processes, whole
from torch import nn

import dcnv4
from dcnv4.models.flash_internimage import FlashInternImage, Variant

STEPS = 3
SMALL = Variant(channels=16, depths=(1, 1, 2, 1), drop_path_rate=0.0)
SIZES = [(6, 5), (3, 2)]


class Attend(nn.Module):
    """Queries that look at the places of two levels."""

    def __init__(self):
        super().__init__()
        self.attention = dcnv4.MSDeformAttn(d_model=16, n_levels=2, n_heads=4, n_points=2)
        self.head = nn.Linear(16, 5)

    def forward(self, maps):
        queries = maps[:, :7]
        middles = torch.full((len(maps), 7, 2, 2), 0.4)
        return self.head(self.attention(queries, middles, maps, SIZES))


def small_network(**settings):
    torch.manual_seed(3)
    net = FlashInternImage(SMALL, num_classes=5, **settings)
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if "offset_mask" in name:
                nn.init.normal_(parameter, std=0.1)
    net.conv_head[1].eval()  # a process has other batch statistics than all of them together
    return net


def small_attention():
    torch.manual_seed(3)
    return Attend()


NETS = {
    "network": (small_network, (3, 40, 36)),
    "checkpointing": (lambda: small_network(grad_checkpointing=True), (3, 40, 36)),
    "attention": (small_attention, (36, 16)),
}


def trained(net, batches, share):
    """The parameters after some steps on `share` of each batch."""
    optimizer = torch.optim.SGD(net.parameters(), 0.5, momentum=0.9)
    for batch in batches:
        optimizer.zero_grad()
        net(batch[share]).square().mean().backward()
        optimizer.step()
    return net.parameters()


def batches_of(shape):
    torch.manual_seed(11)
    return [torch.randn(2 * WORLD, *shape) for _ in range(STEPS)]


def compare(net, shape, engine, rank):
    batches, before = batches_of(shape), copy.deepcopy(net)
    expected = list(trained(copy.deepcopy(net), batches, slice(None)))
    found = [whole(each) for each in trained(engine(net), batches, slice(rank, None, WORLD))]
    for one, right, start in zip(found, expected, before.parameters(), strict=True):
        close(one - start, right - start, 1e-5)
    assert sum(float((right - start).abs().max()) > 1e-2 for right, start in zip(expected, before.parameters())) > 4


def data_parallel(rank):
    for make, shape in NETS.values():
        compare(make(), shape, nn.parallel.DistributedDataParallel, rank)


def fully_sharded(rank):
    from torch.distributed.fsdp import fully_shard

    def by_blocks(net):
        for stage in getattr(net, "levels", []):
            for block in stage.blocks:
                fully_shard(block)
        return fully_shard(net)

    for make, shape in NETS.values():
        compare(make(), shape, by_blocks, rank)


def pipelined(rank):
    from torch.distributed.pipelining import ScheduleGPipe, SplitPoint, pipeline

    net, batch, parts = small_network(), batches_of((3, 40, 36))[0], 2
    alone = copy.deepcopy(net)
    torch.nn.functional.mse_loss(alone(batch), torch.zeros(len(batch), 5)).backward()
    split = pipeline(net, (batch.chunk(parts)[0],), split_spec={"levels.2": SplitPoint.BEGINNING})
    schedule = ScheduleGPipe(split.build_stage(rank, "cpu"), parts, loss_fn=nn.functional.mse_loss)
    if rank == 0:
        schedule.step(batch)
    else:
        close(schedule.step(target=torch.zeros(len(batch), 5)), alone(batch), 1e-5)
    gradients = {name: parameter.grad for name, parameter in split.get_stage_module(rank).named_parameters()}
    found = {name: grad for name, grad in gradients.items() if grad is not None}
    assert any(name.startswith("levels.3" if rank else "patch_embed") for name in found)
    for name, right in alone.named_parameters():
        if name in found:
            close(found[name], right.grad, 1e-4)


def test_data_parallel(tmp_path):
    in_two_processes(data_parallel, tmp_path)


@pytest.mark.skipif(not has_tensors(), reason=f"PyTorch {torch.__version__} has no torch.distributed.tensor")
def test_fully_sharded(tmp_path):
    in_two_processes(fully_sharded, tmp_path)


@pytest.mark.skipif(not has_tensors(), reason=f"PyTorch {torch.__version__} has no torch.distributed.tensor")
def test_pipelined(tmp_path):
    pytest.importorskip("torch.distributed.pipelining")
    in_two_processes(pipelined, tmp_path)
