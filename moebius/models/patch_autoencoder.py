"""PatchAutoencoder: diffusers' autoencoder on squares of p × p pixels instead of pixels, so that no layer runs at a
picture's full resolution.

On two cores a convolution at full resolution costs more than all the others of a small autoencoder together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch.nn.functional as F
from diffusers import AutoencoderKL, ModelMixin  # noqa: F401 - from_pretrained looks for the latter beside the class
from diffusers.models.autoencoders.vae import DecoderOutput
from torch import Tensor


class PatchAutoencoder(AutoencoderKL):
    """Takes and gives pictures (B, 3, H, W), H and W divisible by `pixels_per_latent`; all else as its parent.

    Its arguments are the parent's; `in_channels` and `out_channels` are 3 p², 48 for squares of 4 × 4 pixels.
    """

    def encode(self, x: Tensor, return_dict: bool = True):
        """(B, 3, H, W) in [-1, 1] -> posterior of latents (B, C, h, w)."""
        return super().encode(F.pixel_unshuffle(x, patch_size(self.config)), return_dict)

    def decode(self, z: Tensor, return_dict: bool = True, generator=None) -> DecoderOutput | tuple[Tensor]:
        """(B, C, h, w) -> (B, 3, H, W)."""
        made = F.pixel_shuffle(super().decode(z, return_dict=False)[0], patch_size(self.config))
        return DecoderOutput(sample=made) if return_dict else (made,)


def patch_size(config: Mapping[str, Any]) -> int:
    """p of an autoencoder's configuration; 1 for pixels. ValueError where its channels are no squares of RGB pixels."""
    channels = config["in_channels"]
    p = math.isqrt(channels // 3)
    if channels != 3 * p * p or config["out_channels"] != channels:
        raise ValueError(
            f"in_channels and out_channels must both be 3 p² (3, 12, 48, 192), got {channels} and "
            f"{config['out_channels']}"
        )
    return p


def pixels_per_latent(config: Mapping[str, Any]) -> int:
    """Pixels per latent along a side, of an autoencoder's configuration."""
    return 2 ** (len(config["block_out_channels"]) - 1) * patch_size(config)
