"""Batch normalisation over processes: alone it is torch's; over two of them, two halves are the whole."""

import pytest
import torch
import torch.distributed as dist
from torch import nn

from moebius.training.batchnorm import GlobalBatchNorm, over_all_processes
from tests.helpers.deterministic import normal
from tests.helpers.forked import Command
from tests.helpers.tiny_training import environment

TWO = """
import sys, torch, torch.distributed as dist
from torch import nn
from moebius.training.batchnorm import over_all_processes

rank, folder = int(sys.argv[1]), sys.argv[2]
dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.BatchNorm2d(4))
net = over_all_processes(net, torch.device("cpu"))
given = torch.load(f"{folder}/given.pt", weights_only=True)
net.load_state_dict(given["network"])
x = given["x"][3 * rank : 3 * rank + 3]
y = net(x)
loss = (y ** 3).mean()
loss.backward()
gradients = [p.grad for p in net.parameters()]
for g in gradients: dist.all_reduce(g)
means = [net[1].running_mean, net[3].running_var]
torch.save([y.detach()] + [g / 2 for g in gradients] + means, f"{folder}/out{rank}.pt")
"""


@pytest.fixture
def alone(tmp_path):
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.parametrize("shape", [(3, 4, 5, 6), (5, 4, 7), (6, 4)])
def test_one_process_alone_is_torchs_batch_norm(alone, shape):
    theirs = nn.BatchNorm1d(4) if len(shape) < 4 else nn.BatchNorm2d(4)
    ours = GlobalBatchNorm(4)
    inputs = [normal(1, *shape).mul(3).add(2).requires_grad_() for _ in range(2)]
    outputs = [norm(x) for norm, x in zip((ours, theirs), inputs, strict=True)]
    torch.testing.assert_close(*outputs)
    for y in outputs:
        (y**3).sum().backward()
    torch.testing.assert_close(*(x.grad for x in inputs), rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(ours.running_mean, theirs.running_mean)
    torch.testing.assert_close(ours.running_var, theirs.running_var)
    torch.testing.assert_close(ours.eval()(inputs[0]), theirs.eval()(inputs[1]))


def test_statistics_rest_while_a_block_is_computed_again(alone):
    norm = GlobalBatchNorm(2)
    norm.momentum = 0.0
    norm(normal(1, 4, 2))
    assert norm.running_mean.tolist() == [0, 0] and norm.running_var.tolist() == [1, 1]


def test_names_and_numbers_survive_the_exchange():
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    after = over_all_processes(net, torch.device("cpu")).state_dict()
    assert list(before) == list(after) and all(torch.equal(before[name], after[name]) for name in before)
    assert isinstance(net[1], GlobalBatchNorm)


def test_two_halves_are_the_whole(tmp_path):
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.BatchNorm2d(4))
    for parameter in net.parameters():
        with torch.no_grad():
            parameter.copy_(normal(parameter.numel(), *parameter.shape))
    x = normal(9, 6, 3, 5, 5)
    torch.save({"network": net.state_dict(), "x": x}, tmp_path / "given.pt")
    processes = [Command("two", rank, tmp_path, environment=environment(), code=TWO) for rank in range(2)]
    y = net(x)
    (y**3).mean().backward()
    whole = [*(p.grad for p in net.parameters()), net[1].running_mean, net[3].running_var]
    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    halves = [torch.load(tmp_path / f"out{rank}.pt", weights_only=True) for rank in range(2)]
    torch.testing.assert_close(torch.cat([half[0] for half in halves]), y)
    for half in halves:
        for got, expected in zip(half[1:], whole, strict=True):
            torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)
