"""A checkpoint's networks on their device, in their fast form where there is one."""

from __future__ import annotations

import torch
from diffusers import AutoencoderKL

from moebius import devices
from moebius.weights import load
from moebius.weights.denoiser import WeightFiles


def load_denoiser(files: WeightFiles, device: str, dtype: torch.dtype) -> torch.nn.Module:
    """The network on its device, in its fast form where there is one: on CPUs alone so far, measured there."""
    with devices.return_freed():
        unet = load.load_denoiser(files, dtype)
        if torch.device(device).type == "cpu" and hasattr(unet, "fuse"):
            return unet.fuse(release=True)
        return unet.to(device)


def load_autoencoder(files: WeightFiles, device: str, dtype: torch.dtype) -> torch.nn.Module:
    """The same for the autoencoder, which is never in float16."""
    with devices.return_freed():
        vae = load.load_autoencoder(files, torch.float32 if dtype == torch.float16 else dtype)
        if torch.device(device).type == "cpu" and isinstance(vae, AutoencoderKL):
            from moebius.models.fused.autoencoder import fuse

            return fuse(vae)
        return vae.to(device)
