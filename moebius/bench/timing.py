"""How long a model takes for a fill. Timing needs no trained weights: the networks are built with random ones, on the
device itself, at their published sizes where there is a GPU, else at a tiny size."""

from __future__ import annotations

import platform
import time
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, FluxFillPipeline, FluxTransformer2DModel
from PIL import Image

from moebius import devices, paper
from moebius.config import SamplingConfig
from moebius.fill.scheduler import fill_photo
from moebius.inpainters.base import Inpainter
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
_REAL = {
    "moebius": (MoebiusUNet, {}, _VAE),
    "pixelhacker": (PixelHackerUNet, {}, _VAE),
    "flux-fill": (
        FluxTransformer2DModel,
        {"in_channels": 384, "out_channels": 64, "guidance_embeds": True},  # the rest are diffusers' own values
        _FLUX_VAE,
    ),
}
_TINY_SIDE = 64
_TINY = {
    "moebius": (
        MoebiusUNet,
        {"sample_size": 8, "block_out_channels": (32, 64), "cross_attention_dim": 32, "encoder_hid_dim": 48},
        _VAE | {"block_out_channels": (32, 32, 32, 32), "sample_size": _TINY_SIDE},
    ),
    "pixelhacker": (
        PixelHackerUNet,
        {"sample_size": 8, "block_out_channels": (32, 64, 64), "cross_attention_dim": 32, "encoder_hid_dim": 48},
        _VAE | {"block_out_channels": (32, 32, 32, 32), "sample_size": _TINY_SIDE},
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
        _FLUX_VAE | {"block_out_channels": (32, 32, 32, 32), "sample_size": _TINY_SIDE},
    ),
}


def network(name: str, device: str, dtype: torch.dtype, tiny: bool) -> torch.nn.Module:
    """A model's denoiser with random weights, in eager mode."""
    kind, config, _ = (_TINY if tiny else _REAL)[name]
    with _made_on(device, dtype):
        return kind(**config).requires_grad_(False).eval()


def autoencoder(name: str, device: str, dtype: torch.dtype, tiny: bool) -> AutoencoderKL:
    """A model's autoencoder with random weights, in eager mode."""
    _, _, config = (_TINY if tiny else _REAL)[name]
    with _made_on(device, dtype):
        return AutoencoderKL(**config).requires_grad_(False).eval()


def build(name: str, device: str, dtype: torch.dtype, tiny: bool, kernel: str = "torch") -> Inpainter:
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
    if name != "flux-fill":
        if name == "pixelhacker" and kernel != "triton":
            denoiser.set_attention_kernel(kernel)
        if name == "moebius" and kernel == "triton":
            denoiser = in_mode(denoiser, "triton", release=True)
        if device == "cpu":  # as `DenoiserInpainter.from_files` does
            denoiser = in_mode(denoiser, "fused", release=True) if name == "moebius" else denoiser
            vae = fused_autoencoder.fuse(vae)
        return DenoiserInpainter(MoebiusInpaintPipeline(unet=denoiser, vae=vae, scheduler=make_scheduler()))
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


def measure(inpainter: Inpainter, steps: int | None = None) -> dict[str, Any]:
    """Fill one square twice, a short one to warm up, and time the second: at the model's own steps unless told."""
    side = inpainter.size
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8))
    mask = np.zeros((side, side), bool)
    mask[side // 4 : side // 2, side // 4 : side // 2] = True
    device = inpainter.facts()["device"]

    def fill(config: SamplingConfig) -> tuple[float, float | None]:
        devices.synchronize(device)
        started = time.perf_counter()
        filled = fill_photo(inpainter, image, mask, config, torch.Generator().manual_seed(0))
        devices.synchronize(device)
        return time.perf_counter() - started, filled.step_ms

    fill(SamplingConfig(num_inference_steps=2))
    config = SamplingConfig(num_inference_steps=steps).with_defaults(inpainter.defaults)
    with devices.PeakMemory() as peak:
        total_s, step_ms = fill(config)
    return {
        "side": side,
        "batch": 1,
        "steps": config.num_inference_steps,
        "guidance_scale": config.guidance_scale,
        "step_ms": None if step_ms is None else round(step_ms, 3),
        "total_s": round(total_s, 3),
        "peak_gib": peak.gib,
    }


def bench(
    names: list[str],
    device: str | None = None,
    dtype: str | None = None,
    steps: int | None = None,
    tiny: bool | None = None,
    kernel: str = "torch",
    progress=lambda share, text: None,
) -> dict[str, Any]:
    """Measure models one after the other, beside the paper's figures.

    Args:
        dtype: None: bfloat16 on a GPU, float32 on a CPU.
        steps: None: each model's own.
        tiny: None: real sizes on a GPU, tiny ones elsewhere.
    """
    device = device or devices.best_device()
    devices.check_device(device)
    on_cpu = device == "cpu"
    tiny = on_cpu if tiny is None else tiny
    kind = devices.named_dtype(dtype, "float32" if on_cpu else "bfloat16")
    rows = []
    for index, name in enumerate(names):
        progress(index / len(names), f"Building {name}")
        inpainter = build(name, device, kind, tiny, kernel)
        denoiser = inpainter.pipeline.transformer if name == "flux-fill" else inpainter.pipeline.unet
        parameters = denoiser.num_parameters()
        progress((index + 0.3) / len(names), f"Measuring {name}")
        figures = measure(inpainter, steps)
        rows.append({"model": name, "parameters": parameters, **figures, "paper": asdict(paper.TIMINGS[name])})
        del inpainter, denoiser
        devices.let_go()
    return {
        "tiny": tiny,
        "device": torch.cuda.get_device_name(device)
        if device.startswith("cuda")
        else f"{device} ({platform.machine()})",
        "threads": torch.get_num_threads(),
        "dtype": str(kind).removeprefix("torch."),
        "kernel": kernel,
        "torch": torch.__version__,
        "results": rows,
    }


@contextmanager
def _made_on(device: str, dtype: torch.dtype):
    """Parameters are made in this type and place at once: 12 billion would not fit as float32, nor fast on a CPU."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            yield
    finally:
        torch.set_default_dtype(before)
