"""Perceptual distances: between latents for the student, between pictures for the autoencoder.

Each is a callable of two batches that returns one scalar, differentiable by the first.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from moebius.training.config import AutoencoderLoss, ConfigError, Loss

Distance = Callable[[Tensor, Tensor], Tensor]


def pyramid(x: Tensor, y: Tensor, levels: int = 3) -> Tensor:
    """Ours, without learned weights: mean squared error of differences between neighbours, at halving resolutions.

    (1 / levels) Σ_s ½ (mse(∂x A_s x, ∂x A_s y) + mse(∂y A_s x, ∂y A_s y)), A_s the mean over squares of 2^s, for s = 0
    to levels - 1 while a side of 2 is left. (B, C, h, w) each. It measures structure, not constant offsets. Unlike
    E-LatentLPIPS and LPIPS it is not trained on human judgements.
    """
    difference, terms = (x - y).float(), []
    for _ in range(levels):
        if min(difference.shape[-2:]) < 2:
            break
        across, down = difference.diff(dim=-1), difference.diff(dim=-2)
        terms.append((across.square().mean() + down.square().mean()) / 2)
        difference = F.avg_pool2d(difference, 2)
    return torch.stack(terms).mean()


def for_latents(config: Loss, latent_channels: int, device: torch.device) -> Distance:
    """The latents' distance that the configuration names.

    Raises:
        ConfigError: its package or its weights are missing, or they are for other latents.
    """
    if config.perceptual_kind == "latent-pyramid":
        return pyramid
    return e_latent_lpips(config.perceptual_weights, latent_channels, device)


def e_latent_lpips(weights: Path, latent_channels: int, device: torch.device) -> Distance:
    """E-LatentLPIPS (Kang 2024, arXiv:2405.05967): encoder sdxl, augmentation bg, ensembling, as published.

    The package (CC-BY-NC) would download its weights into the working folder; here they are read from `weights`.
    """
    if find_spec("elatentlpips") is None:
        raise ConfigError(
            "loss.perceptual_kind 'e-latentlpips' needs its package (pip install --no-deps elatentlpips; CC-BY-NC); "
            "'latent-pyramid' needs none"
        )
    if latent_channels != 4:
        raise ConfigError(
            f"E-LatentLPIPS (sdxl) knows latents of 4 channels, the autoencoder has {latent_channels}; "
            "say perceptual_kind = 'latent-pyramid'"
        )
    if not weights.is_file():
        raise ConfigError(f"loss.perceptual_weights: {weights} does not exist")
    from elatentlpips import ELatentLPIPS

    model = ELatentLPIPS(pretrained=False, pnet_rand=True, verbose=False, encoder="sdxl", augment="bg")
    stored = torch.load(weights, map_location="cpu", weights_only=True)
    expected = {key for key in model.state_dict() if not key.startswith("augment.")}
    if missing := sorted(expected - set(stored)):
        raise ConfigError(f"{weights} is not E-LatentLPIPS's: {len(missing)} keys are missing, the first {missing[0]}")
    model.load_state_dict(stored, strict=False)
    model.requires_grad_(False).to(device)

    def distance(x: Tensor, y: Tensor) -> Tensor:
        with torch.autocast(device.type, enabled=False):
            return model(x.float(), y.float(), ensembling=True).mean()

    return distance


def for_pictures(config: AutoencoderLoss, device: torch.device) -> Distance:
    """The pictures' distance that the configuration names; pictures (B, 3, H, W) in [-1, 1].

    Raises:
        ConfigError: LPIPS's backbone is not in torch's hub cache and cannot be fetched.
    """
    if config.perceptual_kind == "picture-pyramid":
        return lambda x, y: pyramid(x, y, levels=4)
    import lpips

    try:
        model = lpips.LPIPS(net="vgg", verbose=False).requires_grad_(False).to(device)
    except OSError as error:
        folder = Path(torch.hub.get_dir()) / "checkpoints"
        raise ConfigError(
            f"loss.perceptual_kind 'lpips-vgg' needs vgg16-397923af.pth in {folder} ({error}); "
            "'picture-pyramid' needs nothing"
        ) from error
    return lambda x, y: model(x, y).mean()
