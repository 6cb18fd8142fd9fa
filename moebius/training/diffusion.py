"""The noise schedule, and the noise of training samples, each drawn from its own seed."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from moebius.training import counter
from moebius.training.config import Noise


@dataclass(frozen=True, kw_only=True)
class Draws:
    """The random numbers of a batch, float32."""

    posterior: Tensor
    """(B, 2, C, h, w): for the picture's latents and the masked picture's."""
    noise: Tensor
    """(B, C, h, w), the offset added."""
    timesteps: Tensor
    """(B,) int64 in [0, 1000)."""


class Schedule:
    """Forward noising x_t = √ᾱ_t x_0 + √(1 - ᾱ_t) ε with the schedule that the pipeline samples with."""

    def __init__(self, device: torch.device | str = "cpu"):
        from moebius.pipeline import make_scheduler

        alphas = make_scheduler().alphas_cumprod.to(device)
        self.signal, self.sigma = alphas.sqrt(), (1 - alphas).sqrt()

    def noised(self, latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """(B, C, h, w), (B, C, h, w), (B,) -> x_t."""
        return _wide(self.signal[timesteps]) * latents + _wide(self.sigma[timesteps]) * noise

    def target(self, latents: Tensor, noise: Tensor, timesteps: Tensor, kind: str = "epsilon") -> Tensor:
        """The target of a network's prediction type `kind`: ε, x_0 ("sample"), or v = √ᾱ_t ε - √(1 - ᾱ_t) x_0 (Salimans
        & Ho 2022, arXiv:2202.00512)."""
        if kind == "epsilon":
            return noise
        if kind == "sample":
            return latents
        return _wide(self.signal[timesteps]) * noise - _wide(self.sigma[timesteps]) * latents

    def denoised(self, noised: Tensor, prediction: Tensor, timesteps: Tensor, kind: str = "epsilon") -> Tensor:
        """x_0 computed from x_t and a prediction of type `kind`."""
        signal, sigma = _wide(self.signal[timesteps]), _wide(self.sigma[timesteps])
        if kind == "sample":
            return prediction
        if kind == "v_prediction":
            return signal * noised - sigma * prediction
        return (noised - sigma * prediction) / signal


def draw(seeds: list[int], shape: tuple[int, int, int], config: Noise, device: torch.device | str = "cpu") -> Draws:
    """Random numbers of samples, each from its own seed, made on the device: they do not depend on the batch.

    Order within a sample: timestep, posteriors, noise, offset. shape: (C, h, w) of the latents.
    """
    size = math.prod(shape)
    keys = torch.tensor(seeds, device=device)
    level, posterior, noise, offset = counter.normal(keys, 1 + 3 * size + shape[0]).split(
        [1, 2 * size, size, shape[0]], 1
    )
    level = config.timestep_mean + config.timestep_std * level[:, 0]
    return Draws(
        posterior=posterior.reshape(-1, 2, *shape),
        noise=noise.reshape(-1, *shape) + config.offset * offset[:, :, None, None],
        timesteps=(1000 * torch.sigmoid(level)).long().clamp(max=999),
    )


def _wide(values: Tensor) -> Tensor:
    return values[:, None, None, None]
