"""A whole fill by one way of running the student, in a process of its own, so that its peak memory is its own."""

from __future__ import annotations

import multiprocessing
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from typing import Any

STEPS = 20


def whole(mode: str, dtype: str, batch: int, device: str, tiny: bool) -> dict[str, Any]:
    """Encode, 20 steps of guided DDIM, decode, for `batch` square pictures with a hole in each; random weights.

    Of the eager mode at its real size on a CPU only 2 steps are run, for encoding and decoding.

    Returns:
        encode_s, decode_s, step_s (median of all steps but the first), total_s (None where not all steps were run),
        peak_gib: of the process's resident memory during the fill, imported libraries included; on CUDA of what torch
        held on the GPU.
    """
    import torch

    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_measure, mode, dtype, batch, device, tiny, torch.get_num_threads()).result()


def _measure(mode: str, dtype: str, batch: int, device: str, tiny: bool, threads: int) -> dict[str, Any]:
    import numpy as np
    import torch

    from moebius import devices
    from moebius.bench import timing
    from moebius.models.fused import autoencoder, modes
    from moebius.pipeline import MoebiusInpaintPipeline, make_scheduler

    torch.set_num_threads(threads)
    kind, on_cpu = devices.named_dtype(dtype), device == "cpu"
    unet = modes.in_mode(timing.network("moebius", device, kind, tiny), mode, release=True)
    vae = timing.autoencoder("moebius", device, kind, tiny)
    if on_cpu and mode != "eager":
        vae = autoencoder.fuse(vae)
    devices.let_go()
    pipeline = MoebiusInpaintPipeline(unet=unet, vae=vae, scheduler=make_scheduler())
    pipeline.set_progress_bar_config(disable=True)
    side = unet.config.sample_size * pipeline.vae_scale_factor
    pictures = [np.random.default_rng(n).integers(0, 256, (side, side, 3), dtype=np.uint8) for n in range(batch)]
    hole = np.zeros((side, side), bool)
    hole[side // 4 : side // 2, side // 4 : side // 2] = True
    ticks: list[float] = []

    def fill(steps: int) -> None:
        ticks.clear()
        devices.synchronize(device)
        ticks.append(time.perf_counter())

        def tick(pipeline, step: int, timestep: int, tensors: dict) -> dict:
            devices.synchronize(device)
            ticks.append(time.perf_counter())
            return tensors

        pipeline(
            image=pictures, mask_image=[hole] * batch, num_inference_steps=steps, strength=1.0, guidance_scale=2.0,
            generator=torch.Generator().manual_seed(0), output_type="np", callback_on_step_end=tick,
        )  # fmt: skip
        devices.synchronize(device)
        ticks.append(time.perf_counter())

    if not on_cpu:
        fill(2)  # kernels are compiled and chosen
    all_steps = mode != "eager" or tiny or not on_cpu
    with devices.PeakMemory() as peak:
        fill(STEPS if all_steps else 2)
    step = statistics.median(later - earlier for earlier, later in zip(ticks[1:-2], ticks[2:-1], strict=True))
    return {
        "encode_s": max(0.0, ticks[1] - ticks[0] - step),
        "step_s": step,
        "decode_s": ticks[-1] - ticks[-2],
        "total_s": ticks[-1] - ticks[0] if all_steps else None,
        "peak_gib": peak.gib["memory" if on_cpu else "gpu"],
    }
