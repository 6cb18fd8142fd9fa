"""Muon on views of convolutions, the learning rate, the average of weights."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from moebius.training.config import Optimizer
from moebius.training.optimizers import Average, Optimizers, learning_rate, split
from tests.helpers.deterministic import normal


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(6, 8, 1), nn.Conv2d(8, 8, 3, groups=8), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8, 4)
    )


def test_matrices_are_linear_layers_and_pointwise_convolutions():
    net = network()
    matrices, others = split(net)
    assert {id(m) for m in matrices} == {id(net[0].weight), id(net[4].weight)}
    assert len(matrices) + len(others) == len(list(net.parameters()))


def test_muon_steps_a_pointwise_convolution_as_it_steps_the_same_linear_layer():
    convolution, linear = nn.Conv2d(6, 8, 1, bias=False), nn.Linear(6, 8, bias=False)
    with torch.no_grad():
        linear.weight.copy_(convolution.weight.flatten(1))
    config = Optimizer(learning_rate=0.02, warmup_steps=0)
    steppers = (
        Optimizers(nn.Sequential(convolution, nn.BatchNorm2d(8)), config, 5),
        torch.optim.Muon(linear.parameters(), lr=0.02, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"),
    )
    x = normal(3, 5, 6)
    for number in range(3):
        for layer, stepper in zip((convolution, linear), steppers, strict=True):
            layer.zero_grad()
            y = layer(x[..., None, None])[..., 0, 0] if layer is convolution else layer(x)
            (y**2).mean().backward()
            stepper.step(*([number] if stepper is steppers[0] else []))
    torch.testing.assert_close(convolution.weight.flatten(1), linear.weight, rtol=0, atol=1e-6)
    assert not torch.equal(convolution.weight.flatten(1), nn.Linear(6, 8).weight)


def test_adamw_alone_is_adamw():
    # eval: batch statistics would make the gradient of the bias before them zero but for rounding, which AdamW enlarges
    ours, theirs = network().eval(), network().eval()
    theirs.load_state_dict(ours.state_dict())
    stepper = Optimizers(ours, Optimizer(learning_rate=0.01, matrices="adamw", warmup_steps=0, weight_decay=0.1), 5)
    reference = torch.optim.AdamW(theirs.parameters(), lr=0.01, weight_decay=0.1)
    for number in range(2):
        for net in (ours, theirs):
            net.zero_grad()
            net(normal(number, 4, 6, 3, 3)).square().sum().backward()
        stepper.step(number)
        reference.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_the_rate_rises_in_a_line_stays_and_falls_in_a_line():
    weight = nn.Parameter(torch.tensor([1.0]))
    holder = nn.Module()
    holder.weight = weight
    config = Optimizer(learning_rate=1.0, matrices="adamw", warmup_steps=4, decay_steps=5)
    stepper = Optimizers(holder, config, steps=10)
    moved = []
    for number in range(10):
        before = weight.item()
        weight.grad = torch.ones(1)
        stepper.step(number)
        moved.append(before - weight.item())
    expected = [0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 0.8, 0.6, 0.4, 0.2]
    assert moved == pytest.approx(expected, rel=1e-4)  # AdamW: a constant gradient moves by lr
    for number, rate in ((9, 1.0), (0, 0.25)):
        assert learning_rate(replace(config, decay_steps=0), number, 10) == rate
    assert learning_rate(config, 10, 10) == learning_rate(config, 99, 10) == 0
    for number in range(10):  # a run shorter than both
        assert learning_rate(config, number, 3) == max(0, min((number + 1) / 4, (3 - number) / 5))


def test_the_average_follows_its_formula_and_copies_counters():
    net = nn.BatchNorm1d(1)
    average = Average(net, decay=0.5)
    expected = 1.0
    for step, value in enumerate([2.0, 3.0, 5.0, 7.0, 11.0, 13.0, 17.0, 19.0, 23.0, 29.0]):
        with torch.no_grad():
            net.weight.fill_(value)
            net.num_batches_tracked += 1
        average.update(step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
    target = average.copy_to(copy.deepcopy(net))
    assert target.weight.item() == pytest.approx(expected, rel=1e-6)
    assert target.num_batches_tracked.item() == 10
