"""BlockAutoencoder: latents that are principal components of a picture's blocks, and a small network that takes the
seams out of what they give back.

The components have a closed form (Hotelling 1933), so a training has nothing to learn there, and of all linear maps of
a block to as many numbers they lose the least. On two cores that is 7 dB more than a convolutional autoencoder of as
many latents learned in half an hour (benchmarks/mini.md).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.models.autoencoders.vae import DecoderOutput, DiagonalGaussianDistribution
from diffusers.models.modeling_outputs import AutoencoderKLOutput
from torch import Tensor, nn

UNSHUFFLED = 4
"""Pixels along a side that the seams' network takes as one position: nothing runs at a picture's full resolution."""


class BlockAutoencoder(ModelMixin, ConfigMixin):
    """Takes and gives pictures (B, 3, H, W) in [-1, 1], H and W divisible by `block_size`.

    Args:
        block_size: pixels along a side of a block, which becomes one latent; a multiple of 4.
        latent_channels: components that are kept, of 3 · block_size².
        refiner_channels: width of the seams' network.
        refiner_layers: its residual layers.
        whitening: a component of standard deviation σ becomes a latent of σ^(1 - whitening), times a common factor
            that makes the latents' mean variance 1. 0 keeps the picture's own proportions, 1 makes all alike.
        latent_std: of the noise that training mode puts on latents, so that the decoder forgives a student's errors.
        scaling_factor: times a latent is what the student sees.
        sample_size: pixels along a side of the training's squares.
    """

    @register_to_config
    def __init__(
        self,
        block_size: int = 16,
        latent_channels: int = 16,
        refiner_channels: int = 64,
        refiner_layers: int = 4,
        whitening: float = 0.5,
        latent_std: float = 0.2,
        scaling_factor: float = 1.0,
        sample_size: int = 256,
    ):
        super().__init__()
        if block_size < 1 or block_size % UNSHUFFLED:
            raise ValueError(f"block_size must be a multiple of {UNSHUFFLED}, got {block_size}")
        if not 1 <= latent_channels <= 3 * block_size**2:
            raise ValueError(f"latent_channels must be in [1, {3 * block_size**2}], got {latent_channels}")
        if not 0 <= whitening <= 1:
            raise ValueError(f"whitening must be in [0, 1], got {whitening}")
        if latent_std <= 0:
            raise ValueError(f"latent_std must be above 0, got {latent_std}")
        self.encoder = nn.Conv2d(3, latent_channels, block_size, stride=block_size)
        self.decoder = Decoder(block_size, latent_channels, refiner_channels, refiner_layers)
        self.encoder.requires_grad_(False)  # `fit` knows the best there is
        self.decoder.blocks.requires_grad_(False)

    def encode(self, x: Tensor, return_dict: bool = True) -> AutoencoderKLOutput | tuple:
        """(B, 3, H, W) in [-1, 1] -> posterior of latents (B, C, h, w): the components, without noise in eval mode."""
        mean = self.encoder(x)
        logvar = torch.full_like(mean, 2 * math.log(self.config.latent_std))
        posterior = DiagonalGaussianDistribution(torch.cat([mean, logvar], dim=1), deterministic=not self.training)
        return AutoencoderKLOutput(latent_dist=posterior) if return_dict else (posterior,)

    def decode(
        self, z: Tensor, return_dict: bool = True, generator: torch.Generator | None = None
    ) -> DecoderOutput | tuple[Tensor]:
        """(B, C, h, w) -> (B, 3, H, W)."""
        made = self.decoder(z)
        return DecoderOutput(sample=made) if return_dict else (made,)

    @torch.no_grad()
    def fit(self, pictures: Iterable[Tensor]) -> None:
        """Set the linear maps to the principal components of the blocks of pictures, each (3, H, W) in [-1, 1].

        Raises:
            ValueError: fewer blocks than numbers in one.
        """
        p, channels = self.config.block_size, self.config.latent_channels
        size = 3 * p * p
        count, total, squares = 0, torch.zeros(size, dtype=torch.float64), torch.zeros(size, size, dtype=torch.float64)
        for picture in pictures:
            blocks = F.unfold(picture[None].double().cpu(), p, stride=p)[0].T  # (blocks, 3 p²)
            count += len(blocks)
            total += blocks.sum(0)
            squares += blocks.T @ blocks
        if count < size:
            raise ValueError(f"{count} blocks are too few for the components of {size} numbers")
        mean = total / count
        variances, vectors = torch.linalg.eigh(squares / count - mean.outer(mean))
        variances, vectors = variances.flip(0)[:channels].clamp(min=1e-12), vectors.flip(1)[:, :channels].T
        vectors = torch.where(vectors.sum(1, keepdim=True) < 0, -vectors, vectors)  # eigenvectors come with either sign
        scale = variances ** (-self.config.whitening / 2)
        scale = scale / (variances * scale.square()).mean().sqrt()
        analysis, synthesis = vectors * scale[:, None], vectors / scale[:, None]
        self.encoder.weight.copy_(analysis.view(channels, 3, p, p))
        self.encoder.bias.copy_(-(analysis @ mean))
        self.decoder.blocks.weight.copy_(synthesis.view(channels, 3, p, p))
        self.decoder.mean.copy_(mean.view(1, 3, p, p))


class Decoder(nn.Module):
    """Latents -> blocks side by side -> the same without seams."""

    def __init__(self, block_size: int, latent_channels: int, width: int, layers: int):
        super().__init__()
        squares = 3 * UNSHUFFLED**2
        self.blocks = nn.ConvTranspose2d(latent_channels, 3, block_size, stride=block_size, bias=False)
        self.register_buffer("mean", torch.zeros(1, 3, block_size, block_size))
        self.conv_in = nn.Conv2d(squares, width, 3, padding=1)
        self.layers = nn.ModuleList(Layer(width) for _ in range(layers))
        self.conv_out = nn.Conv2d(width, squares, 3, padding=1)
        nn.init.zeros_(self.conv_out.weight)  # untrained, it changes nothing
        nn.init.zeros_(self.conv_out.bias)

    def forward(self, z: Tensor) -> Tensor:
        linear = self.blocks(z) + self.mean.tile(1, 1, *z.shape[-2:])
        x = self.conv_in(F.pixel_unshuffle(linear, UNSHUFFLED))
        for layer in self.layers:
            x = layer(x)
        return linear + F.pixel_shuffle(self.conv_out(F.silu(x)), UNSHUFFLED)


class Layer(nn.Module):
    """x + conv(silu(conv(silu(x)))), without a norm: what a place becomes does not depend on the far rest."""

    def __init__(self, width: int):
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.silu(self.first(F.silu(x))))


def pixels_per_latent(config: Mapping[str, Any]) -> int:
    """Pixels per latent along a side, of a configuration of this autoencoder or of diffusers' `AutoencoderKL`."""
    return config["block_size"] if "block_size" in config else 2 ** (len(config["block_out_channels"]) - 1)
