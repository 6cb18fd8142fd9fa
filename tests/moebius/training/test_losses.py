"""The losses against direct formulas, the adaptive weights against gradients worked out by hand."""

import numpy as np
import pytest
import torch
from torch import nn

from moebius.training import losses
from moebius.training.config import Loss
from moebius.training.perceptual import pyramid
from tests.helpers.deterministic import normal

WEIGHTS = Loss(perceptual_kind="latent-pyramid")


def test_losses_are_means_of_squared_differences():
    a, b = normal(1, 2, 4, 3, 5), normal(2, 2, 4, 3, 5)
    direct = float(((a.numpy().astype(np.float64) - b.numpy()) ** 2).sum() / (2 * 4 * 3 * 5))
    for loss in (losses.task_loss, losses.output_loss, losses.feature_loss):
        assert loss(a, b).item() == pytest.approx(direct, rel=1e-6)
        assert loss(a.bfloat16(), b.bfloat16()).dtype == torch.float32  # differences of halves would lose digits


def test_known_latents_count_as_little_as_said():
    prediction, target = normal(1, 2, 3, 4, 4), normal(2, 2, 3, 4, 4)
    hole = torch.zeros(2, 1, 4, 4)
    hole[:, :, :1] = 1  # a quarter of it
    errors = (prediction - target).square()
    inside, outside = errors[:, :, :1].mean(), errors[:, :, 1:].mean()
    expected = (inside + 3 * 0.25 * outside) / (1 + 3 * 0.25)
    assert losses.task_loss(prediction, target, hole, 0.25).item() == pytest.approx(expected.item(), rel=1e-5)
    assert losses.task_loss(prediction, target, hole, 0.0).item() == pytest.approx(inside.item(), rel=1e-5)
    assert losses.task_loss(prediction, target, hole).item() == pytest.approx(errors.mean().item(), rel=1e-5)


def test_features_of_two_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\(2, 4\) and \(2, 1\)"):
        losses.feature_loss(torch.zeros(2, 4), torch.zeros(2, 1))


def test_latent_pyramid_of_a_step_worked_by_hand():
    # One edge of height 2 down the middle of a 4 × 4 square, against zero.
    x = torch.zeros(1, 1, 4, 4)
    x[..., 2:] = 2.0
    # s = 0: across, 4 of 12 differences are 2: mean square 16/12; down, none. s = 1 (2 × 2 means): 2 of 2 are 2: 4.
    # s = 2 would be 1 × 1: left out.
    assert pyramid(x, torch.zeros_like(x)).item() == pytest.approx(((16 / 12) / 2 + 4 / 2) / 2)
    assert pyramid(x + 3, x).item() == 0  # a constant offset is no structure


class TwoLayers(nn.Module):
    """y = b · a · x with numbers for weights: every gradient can be written down."""

    def __init__(self, a: float, b: float):
        super().__init__()
        self.a, self.b = nn.Parameter(torch.tensor([a])), nn.Parameter(torch.tensor([b]))

    def forward(self, x):
        hidden = self.a * x
        return hidden, self.b * hidden


def test_weights_by_gradient_norms_on_two_layers_worked_by_hand():
    a, b, x, noise, taught, feature = 2.0, 3.0, 1.5, 1.0, 8.0, 2.0
    network = TwoLayers(a, b)
    hidden, y = network(torch.tensor(x))  # h = 3, y = 9
    terms = losses.Terms(
        task=(y - noise) ** 2,
        output=(y - taught) ** 2,
        feature=(hidden - feature) ** 2,
        perceptual=0.1 * (y - noise).abs(),
    )
    got = losses.balance(terms, network.a, network.b)
    task_at_a = 2 * (9 - noise) * b * x  # 72
    feature_at_a = 2 * (3 - feature) * x  # 3
    task_at_b, output_at_b, perceptual_at_b = 2 * 8 * 3, 2 * 1 * 3, 0.1 * 3  # d y / d b = h = 3
    assert got.task.item() == pytest.approx(feature_at_a / (task_at_a + 1e-4), rel=1e-6)
    assert got.output.item() == pytest.approx(task_at_b / (output_at_b + 1e-6), rel=1e-6)
    assert got.perceptual.item() == pytest.approx(task_at_b / (perceptual_at_b + 1e-6), rel=1e-6)
    assert not any(weight.requires_grad for weight in vars(got).values())
    # 0.01·1 + w_c·(0.5·64 + 0.01·w_o·1 + 0.5·w_p·0.8), with w_c = 3/72, w_o = 8, w_p = 160
    by_hand = 0.01 * 1 + (3 / 72) * (0.5 * 64 + 0.01 * 8 * 1 + 0.5 * 160 * 0.8)
    assert losses.total(terms, WEIGHTS, got).item() == pytest.approx(by_hand, rel=1e-5)


def test_weights_are_clamped():
    network = TwoLayers(1.0, 1.0)
    hidden, y = network(torch.tensor(1.0))
    terms = losses.Terms(task=1e-12 * y.sum(), feature=1e6 * hidden.sum(), output=0.0 * y.sum())
    assert losses.balance(terms, network.a, network.b).task.item() == 1e4
    terms = losses.Terms(task=1e9 * y.sum(), output=1e-12 * y.sum())
    assert losses.balance(terms, network.a, network.b).output.item() == 1e6


def test_norms_are_those_of_the_mean_over_processes():
    """Half-batch gradients that point apart: the norm of their mean, not the mean of their norms."""
    network = TwoLayers(1.0, 1.0)
    hidden, y = network(torch.tensor(1.0))
    other = {id(network.a): torch.tensor([-1.0]), id(network.b): torch.tensor([4.0])}
    seen = []

    def mean(gradient):
        at = network.b if len(seen) >= 2 else network.a
        seen.append(gradient)
        return (gradient + other[id(at)]) / 2

    got = losses.balance(losses.Terms(task=2 * y, feature=3 * hidden, output=y**2), network.a, network.b, mean)
    assert got.task.item() == pytest.approx((3 - 1) / 2 / ((2 - 1) / 2 + 1e-4))
    assert got.output.item() == pytest.approx((2 + 4) / 2 / ((2 + 4) / 2 + 1e-6))


@pytest.mark.parametrize("off", ["output", "feature", "perceptual"])
def test_each_term_can_be_off(off):
    network = TwoLayers(2.0, 3.0)
    hidden, y = network(torch.tensor(1.0))
    all_terms = {"output": (y - 1) ** 2, "feature": (hidden - 1) ** 2, "perceptual": y.abs()}
    terms = losses.Terms(task=y**2, **{name: term for name, term in all_terms.items() if name != off})
    adaptive = losses.balance(terms, network.a, network.b)
    loss = losses.total(terms, WEIGHTS, adaptive)
    # y = 6, h = 2; at b dy = 2: task 24, output 20, perceptual 2; at a: task 36, feature 2
    expected = 0.5 * 36
    expected += 0 if off == "output" else 0.01 * (24 / 20) * 25
    expected += 0 if off == "perceptual" else 0.5 * (24 / 2) * 6
    expected = expected if off == "feature" else 2 / 36 * expected + 0.01 * 1
    assert loss.item() == pytest.approx(expected, rel=1e-4)
    weights = {"feature": ("task", 2 / 36), "output": ("output", 24 / 20), "perceptual": ("perceptual", 24 / 2)}
    for term, (name, by_hand) in weights.items():
        assert float(getattr(adaptive, name)) == pytest.approx(1.0 if term == off else by_hand, rel=1e-4), name
