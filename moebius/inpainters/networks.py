"""Load a checkpoint's networks onto a device, in their fused version if there is one."""

from __future__ import annotations

import torch
from diffusers import AutoencoderKL

from moebius import devices
from moebius.weights import load
from moebius.weights.denoiser import WeightFiles


def load_denoiser(files: WeightFiles, device: str, dtype: torch.dtype) -> torch.nn.Module:
    """The denoiser on its device; on a CPU in its fused version, which is faster there (benchmarks/student_cpu.md)."""
    with devices.return_freed_memory():
        unet = load.load_denoiser(files, dtype)
        if torch.device(device).type == "cpu" and hasattr(unet, "fuse"):
            return unet.fuse(release=True)
        return unet.to(device)


def load_autoencoder(files: WeightFiles, device: str, dtype: torch.dtype) -> torch.nn.Module:
    """The autoencoder on its device; never in float16, whose range its values leave."""
    with devices.return_freed_memory():
        vae = load.load_autoencoder(files, torch.float32 if dtype == torch.float16 else dtype)
        if torch.device(device).type == "cpu" and isinstance(vae, AutoencoderKL):
            from moebius.models.fused.autoencoder import fuse

            return fuse(vae)
        return vae.to(device)
