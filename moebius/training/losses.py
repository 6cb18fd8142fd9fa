"""The terms of the distillation and their weights, as functions of tensors.

Source: Moebius (arXiv:2606.19195), its loss of feature, output, task and perceptual terms and its published code's
weights by gradient norms. Predictions and latents are (B, C, h, w); every loss is a scalar, the mean over its elements.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from moebius.training.config import Loss

Reduce = Callable[[Tensor], Tensor]
"""The mean of a tensor over all processes."""


@dataclass(frozen=True, kw_only=True)
class Terms:
    """Losses of one batch; None: the term is off."""

    task: Tensor
    output: Tensor | None = None
    feature: Tensor | None = None
    perceptual: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class Balance:
    """Adaptive weights, detached; 1 where there is nothing to balance."""

    task: float | Tensor = 1.0
    """w_c, of task, output and perceptual terms against the feature term."""
    output: float | Tensor = 1.0
    """w_o."""
    perceptual: float | Tensor = 1.0
    """w_p."""


def task_loss(prediction: Tensor, target: Tensor, hole: Tensor | None = None, known: float = 1.0) -> Tensor:
    """L_task, the mean squared error of the prediction: of the noise as published, or of what the student predicts.

    hole: (B, 1, h, w), 1 = hole; outside it an element counts `known` times as much as one inside.
    """
    if hole is None or known == 1:
        return F.mse_loss(prediction.float(), target.float())
    weight = (hole + known * (1 - hole)).expand_as(target)
    return (weight * (prediction.float() - target.float()).square()).sum() / weight.sum()


def output_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """L_out, the mean squared difference of the two predictions."""
    return F.mse_loss(student.float(), teacher.float())


def feature_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """L_feat, the mean squared difference of features, the published ones (B, 1280, 16, 16).

    Raises:
        ValueError: shapes differ.
    """
    if student.shape != teacher.shape:
        raise ValueError(f"features must have one shape, got {tuple(student.shape)} and {tuple(teacher.shape)}")
    return F.mse_loss(student.float(), teacher.float())


def balance(terms: Terms, features_at: Tensor, output_at: Tensor, mean: Reduce = lambda tensor: tensor) -> Balance:
    """Weights by the norms of gradients.

    w_c = ‖∇L_feat‖ / (‖∇L_task‖ + 1e-4), at most 1e4, gradients at `features_at`;
    w_o = ‖∇L_task‖ / (‖∇L_out‖ + 1e-6) and w_p = ‖∇L_task‖ / (‖∇L_perc‖ + 1e-6), at most 1e6, at `output_at`.

    Args:
        features_at: the student's last weight before the features (the third down stage's last proj_out).
        output_at: the student's last weight (conv_out's pointwise).
        mean: averages a gradient over processes, so that the norms are those of the whole batch.
    """

    def norm(loss: Tensor, at: Tensor) -> Tensor:
        return mean(torch.autograd.grad(loss, at, retain_graph=True)[0].float()).norm()

    weights = {}
    if terms.feature is not None:
        weights["task"] = (norm(terms.feature, features_at) / (norm(terms.task, features_at) + 1e-4)).clamp(0, 1e4)
    if terms.output is not None or terms.perceptual is not None:
        task = norm(terms.task, output_at)
        for name in ("output", "perceptual"):
            if (loss := getattr(terms, name)) is not None:
                weights[name] = (task / (norm(loss, output_at) + 1e-6)).clamp(0, 1e6)
    return Balance(**{name: weight.detach() for name, weight in weights.items()})


def total(terms: Terms, weights: Loss, adaptive: Balance) -> Tensor:
    """L = 0.01·L_feat + w_c·(0.5·L_task + 0.01·w_o·L_out + 0.5·w_p·L_perc), the numbers from `weights`."""
    loss = weights.task * terms.task
    if terms.output is not None:
        loss = loss + weights.output * adaptive.output * terms.output
    if terms.perceptual is not None:
        loss = loss + weights.perceptual * adaptive.perceptual * terms.perceptual
    loss = adaptive.task * loss
    return loss if terms.feature is None else loss + weights.feature * terms.feature
