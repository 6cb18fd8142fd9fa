"""Time of one fill by every model, beside the paper's figures; random weights."""

from __future__ import annotations

import platform
import time
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from PIL import Image

from moebius import devices, paper
from moebius.bench import networks
from moebius.config import SamplingConfig
from moebius.fill.scheduler import fill_photo
from moebius.inpainters.base import Inpainter
from moebius.progress import Progress, no_progress


def measure(inpainter: Inpainter, steps: int | None = None) -> dict[str, Any]:
    """Fill one square twice: first with few steps to warm up, then timed. steps: None: the model's own."""
    side = inpainter.size
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8))
    mask = np.zeros((side, side), bool)
    mask[side // 4 : side // 2, side // 4 : side // 2] = True
    device = str(inpainter.facts()["device"])

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
    progress: Progress = no_progress,
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
        inpainter = networks.build(name, device, kind, tiny, kernel)
        parts = inpainter.pipeline.components
        parameters = (parts.get("transformer") or parts["unet"]).num_parameters()
        progress((index + 0.3) / len(names), f"Measuring {name}")
        figures = measure(inpainter, steps)
        rows.append({"model": name, "parameters": parameters, **figures, "paper": asdict(paper.TIMINGS[name])})
        del inpainter, parts
        devices.release_memory()
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
