"""Models with random weights, made on the device itself, at their published sizes or at tiny ones, to be timed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, FluxFillPipeline, FluxTransformer2DModel

from moebius import paper
from moebius.inpainters.diffusion import DenoiserInpainter
from moebius.inpainters.flux.flux_fill import FluxFillInpainter
from moebius.inpainters.flux.memory_plans import PLANS
from moebius.models.fused import autoencoder as fused_autoencoder
from moebius.models.fused.modes import in_mode
from moebius.models.pixelhacker import PixelHackerUNet
from moebius.models.unet import MoebiusUNet
from moebius.pipeline import MoebiusInpaintPipeline, make_scheduler

MODELS = tuple(paper.TIMINGS)
KERNELS = ("torch", "fla", "triton")
SIDE = 512

_VAE = {
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "block_out_channels": (128, 256, 512, 512),
    "layers_per_block": 2,
    "latent_channels": 4,
    "scaling_factor": 0.13025,
    "sample_size": SIDE,
}
_FLUX_VAE = _VAE | {
    "latent_channels": 16,
    "scaling_factor": 0.3611,
    "shift_factor": 0.1159,
    "use_quant_conv": False,
    "use_post_quant_conv": False,
}
REAL = {
    "moebius": (MoebiusUNet, {}, _VAE),
    "pixelhacker": (PixelHackerUNet, {}, _VAE),
    "flux-fill": (
        FluxTransformer2DModel,
        {"in_channels": 384, "out_channels": 64, "guidance_embeds": True},  # the rest are diffusers' own values
        _FLUX_VAE,
    ),
}
TINY_SIDE = 64
TINY = {
    "moebius": (
        MoebiusUNet,
        {
            "sample_size": 8,
            "block_out_channels": (16, 32),
            "layers_per_block": 1,
            "num_attention_heads": 2,
            "norm_num_groups": 8,
            "cross_attention_dim": 16,
            "encoder_hid_dim": 24,
        },
        _VAE | {"block_out_channels": (32, 32, 32, 32), "sample_size": TINY_SIDE},
    ),
    "pixelhacker": (
        PixelHackerUNet,
        {"sample_size": 8, "block_out_channels": (32, 64, 64), "cross_attention_dim": 32, "encoder_hid_dim": 48},
        _VAE | {"block_out_channels": (32, 32, 32, 32), "sample_size": TINY_SIDE},
    ),
    "flux-fill": (
        FluxTransformer2DModel,
        {
            "in_channels": 384,
            "out_channels": 64,
            "guidance_embeds": True,
            "num_layers": 1,
            "num_single_layers": 1,
            "attention_head_dim": 16,
            "num_attention_heads": 2,
            "joint_attention_dim": 32,
            "pooled_projection_dim": 32,
            "axes_dims_rope": (4, 4, 8),
        },
        _FLUX_VAE | {"block_out_channels": (32, 32, 32, 32), "sample_size": TINY_SIDE},
    ),
}


def network(name: str, device: str, dtype: torch.dtype, tiny: bool) -> torch.nn.Module:
    """A model's denoiser with random weights, in eager mode."""
    kind, config, _ = (TINY if tiny else REAL)[name]
    with _made_on(device, dtype):
        return kind(**config).requires_grad_(False).eval()


def autoencoder(name: str, device: str, dtype: torch.dtype, tiny: bool) -> AutoencoderKL:
    """A model's autoencoder with random weights, in eager mode."""
    _, _, config = (TINY if tiny else REAL)[name]
    with _made_on(device, dtype):
        return AutoencoderKL(**config).requires_grad_(False).eval()


def build(
    name: str, device: str, dtype: torch.dtype, tiny: bool, kernel: str = "torch"
) -> DenoiserInpainter | FluxFillInpainter:
    """A model with random weights, through the class that fills photos.

    Args:
        kernel: `fla` of PixelHacker's attention, see `PixelHackerUNet.set_attention_kernel`; `triton` of the student's
            Local-λ, see `FusedMoebiusUNet.set_local_kernel`.
    """
    if name not in MODELS:
        raise ValueError(f"cannot measure {name!r}; choose from {', '.join(MODELS)}")
    if kernel not in KERNELS:
        raise ValueError(f"unknown kernel {kernel!r}; choose from {', '.join(KERNELS)}")
    denoiser, vae = network(name, device, dtype, tiny), autoencoder(name, device, dtype, tiny)
    if isinstance(denoiser, FluxTransformer2DModel):
        return _flux_inpainter(denoiser, vae, device, dtype)
    is_student = isinstance(denoiser, MoebiusUNet)
    if isinstance(denoiser, PixelHackerUNet) and kernel != "triton":
        denoiser.set_attention_kernel(kernel)
    if is_student and kernel == "triton":
        denoiser = in_mode(denoiser, "triton", release=True)
    if device == "cpu":  # as `DenoiserInpainter.from_files` does
        denoiser = in_mode(denoiser, "fused", release=True) if is_student else denoiser
        vae = fused_autoencoder.fuse(vae)
    return DenoiserInpainter(MoebiusInpaintPipeline(unet=denoiser, vae=vae, scheduler=make_scheduler()))


def _flux_inpainter(
    denoiser: FluxTransformer2DModel, vae: AutoencoderKL, device: str, dtype: torch.dtype
) -> FluxFillInpainter:
    """FLUX.1 Fill without text encoders: its prompt is random numbers too."""
    pipeline = FluxFillPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
        vae=vae,
        transformer=denoiser,
        text_encoder=None,
        text_encoder_2=None,
        tokenizer=None,
        tokenizer_2=None,
    )
    pipeline.set_progress_bar_config(disable=True)
    shapes = (1, 512, denoiser.config.joint_attention_dim), (1, denoiser.config.pooled_projection_dim)
    prompt = tuple(torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(dtype) for shape in shapes)
    plan = PLANS["cpu" if device == "cpu" else "bf16"]
    return FluxFillInpainter(lambda plan: pipeline, lambda text: prompt, (plan,), device, "random numbers")


@contextmanager
def _made_on(device: str, dtype: torch.dtype) -> Iterator[None]:
    """Parameters are made in this type and place at once: 12 billion would not fit as float32, nor fast on a CPU."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            yield
    finally:
        torch.set_default_dtype(before)
