"""Muon on views of convolutions, the learning rate, the average of weights."""

import copy
import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from moebius.training.config import Optimizer
from moebius.training.optimizers import EMA, Optimizers, learning_rate, split
from tests.helpers.deterministic import fill_, normal


def network() -> nn.Sequential:
    return fill_(
        nn.Sequential(
            nn.Conv2d(6, 8, 1), nn.Conv2d(8, 8, 3, groups=8), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8, 4)
        )
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
    """Closed form: Σ_k w_k Π_{j>k} d_j (1 - d_k), d_0 = 0, d_k = min(decay, (1 + k) / (10 + k))."""
    values = [2.0, 3.0, 5.0, 7.0, 11.0, 13.0, 17.0, 19.0, 23.0, 29.0]
    net = nn.BatchNorm1d(1)
    ema = EMA(net, decay=0.5)
    for value in values:
        with torch.no_grad():
            net.weight.fill_(value)
            net.running_mean.fill_(-value)
            net.num_batches_tracked += 1
        ema.update()
    decays = [0.0] + [min(0.5, (1 + k) / (10 + k)) for k in range(1, len(values))]
    shares = [math.prod(decays[k + 1 :]) * (1 - decays[k]) for k in range(len(values))]
    expected = sum(share * value for share, value in zip(shares, values, strict=True))
    average = ema.copy_to(copy.deepcopy(net))
    assert average.weight.item() == pytest.approx(expected, rel=1e-6)
    assert average.running_mean.item() == pytest.approx(-expected, rel=1e-6)
    assert average.num_batches_tracked.item() == 10
    assert net.weight.item() == 29  # the network itself stays


def test_an_average_that_was_put_back_continues_bit_for_bit():
    def steps(ema: EMA, net: nn.Module, numbers: range) -> None:
        for number in numbers:
            with torch.no_grad():
                net[0].weight.copy_(normal(number, 8, 6, 1, 1))
                net[2].running_var.fill_(number)
            ema.update()

    straight, parts = network(), network()
    whole, first = EMA(straight, 0.9), EMA(parts, 0.9)
    steps(whole, straight, range(6))
    steps(first, parts, range(3))
    again = EMA(network(), 0.9)
    again.load_state_dict(first.state_dict())
    with pytest.raises(AssertionError):  # not yet
        torch.testing.assert_close(again.copy_to(network())[0].weight, whole.copy_to(network())[0].weight)
    resumed = network()
    second = EMA(resumed, 0.9)
    second.load_state_dict(first.state_dict())
    steps(second, resumed, range(3, 6))
    averages = [ema.copy_to(network()).state_dict() for ema in (whole, second)]
    assert all(torch.equal(averages[0][name], tensor) for name, tensor in averages[1].items())
