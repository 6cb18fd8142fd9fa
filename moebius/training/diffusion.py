"""The noise schedule and one training sample's noise, drawn from a seed of its own."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

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

    def to(self, device: torch.device) -> Draws:
        return Draws(**{name: tensor.to(device, non_blocking=True) for name, tensor in vars(self).items()})


class Schedule:
    """Forward noising x_t = √ᾱ_t x_0 + √(1 - ᾱ_t) ε with the schedule that the pipeline samples with."""

    def __init__(self, device: torch.device | str = "cpu"):
        from moebius.pipeline import make_scheduler

        alphas = make_scheduler().alphas_cumprod.to(device)
        self.signal, self.sigma = alphas.sqrt(), (1 - alphas).sqrt()

    def noised(self, latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """(B, C, h, w), (B, C, h, w), (B,) -> x_t."""
        return _wide(self.signal[timesteps]) * latents + _wide(self.sigma[timesteps]) * noise

    def denoised(self, noised: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """x_0 that x_t and a prediction of its noise imply."""
        return (noised - _wide(self.sigma[timesteps]) * noise) / _wide(self.signal[timesteps])


def draw(seeds: list[int], shape: tuple[int, int, int], config: Noise) -> Draws:
    """Random numbers of samples, each from its own seed, on the CPU: they depend on neither batch nor machine.

    Order within a sample: timestep, posteriors, noise, offset. shape: (C, h, w) of the latents.
    """
    posteriors, noises, timesteps = [], [], []
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        level = config.timestep_mean + config.timestep_std * torch.randn((), generator=generator)
        timesteps.append((1000 * torch.sigmoid(level)).long().clamp(max=999))
        posteriors.append(torch.randn((2, *shape), generator=generator))
        noise = torch.randn(shape, generator=generator)
        noises.append(noise + config.offset * torch.randn((shape[0], 1, 1), generator=generator))
    return Draws(posterior=torch.stack(posteriors), noise=torch.stack(noises), timesteps=torch.stack(timesteps))


def _wide(values: Tensor) -> Tensor:
    return values[:, None, None, None]
