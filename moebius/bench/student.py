"""Time of the student on this machine in every mode, type and batch size, interleaved; random weights.

For each of these, also the share of the machine's rate of multiplication that is reached, and the time and peak memory
of a whole fill in a separate process.
"""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor

from moebius import devices
from moebius.bench import networks
from moebius.bench.operations import count_operations
from moebius.models.fused import autoencoder, modes
from moebius.models.fused.ops import product
from moebius.models.unet import BACKGROUND_IDS, FOREGROUND_IDS
from moebius.pipeline import MoebiusInpaintPipeline, make_scheduler
from moebius.presentation.table import NONE, Table
from moebius.progress import Progress, no_progress

PLAIN = "plain"
"""The eager mode as any caller of a network runs it, without the pipeline: freed memory goes back to the system. The
yardstick on a CPU; on a GPU torch keeps its memory anyway."""

MODES = {"cpu": (PLAIN, "eager", "fused"), "cuda": ("eager", "fused", "compiled", "triton", "triton-compiled")}
"""What can be timed on a kind of device."""

STEPS = 20
"""Of a whole fill."""
PRODUCT_SIDE, TINY_PRODUCT_SIDE = 2048, 256
"""Of the square matrices whose product gives the machine's rate."""


def all_modes(
    device: str | None = None,
    batches: tuple[int, ...] | None = None,
    rounds: int = 5,
    tiny: bool | None = None,
    whole: bool = True,
    minutes: float = 30.0,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Time guided steps and whole fills of the student in every mode, in float32 and bfloat16.

    Args:
        batches: pictures in one step; a guided step computes two predictions for each. None: 1, 2; on a GPU 1, 16.
        rounds: timed ones, after one that warms up; every way has its turn in every round.
        tiny: None: real sizes on a GPU, tiny ones elsewhere.
        whole: False: steps alone.
        minutes: nothing new is begun after them, but for the first round.

    Returns:
        `rows`, one per way: median, least and greatest seconds of a step; `times`, how many times as fast as the
        yardstick, the first of `MODES` in float32 with the same batch, that is (median over the rounds); GFLOP that it
        computes (counted in the eager and in the fused mode), GFLOP/s of a large product measured in the same rounds,
        and the share of that rate that is reached; `whole`: what `whole_fill` returns, None where there was no
        time; a total_s that was not measured is computed as encode + 20 steps + decode (`computed`). `rounds`: how
        many there was time for.
        `left_out`: why a mode could not run.
    """
    device = device or devices.best_device()
    devices.check_device(device)
    kind_of_device = torch.device(device).type
    tiny = kind_of_device == "cpu" if tiny is None else tiny
    batches = batches or ((1, 16) if kind_of_device == "cuda" else (1, 2))
    if rounds < 1 or any(batch < 1 for batch in batches):
        raise ValueError(f"rounds and batches must be at least 1, got {rounds} and {batches}")
    end, left_out = time.monotonic() + 60 * minutes, []
    runs: dict[tuple[str, str, int], Callable[[], Any]] = {}
    operations: dict[tuple[str, str, int], int] = {}
    side = TINY_PRODUCT_SIDE if tiny else PRODUCT_SIDE
    progress(0.0, "Building the networks")
    for kind in (torch.float32, torch.bfloat16):
        name = str(kind).removeprefix("torch.")
        x, weight = (torch.ones(side, side, dtype=kind, device=device) for _ in range(2))
        runs["product", name, 0] = functools.partial(product, x, weight)
        operations["product", name, 0] = 2 * side**3
        eager = networks.network("moebius", device, kind, tiny)
        for mode in MODES.get(kind_of_device, ("eager", "fused")):
            try:
                network = eager if mode == PLAIN else modes.in_mode(eager, mode)
            except ValueError as error:  # Triton is not installed
                left_out.append(f"{mode}: {error}")
                continue
            for batch in batches:
                runs[mode, name, batch] = step = _step(network, mode, batch)
                if mode in (PLAIN, "eager", "fused"):
                    operations[mode, name, batch] = count_operations(step)
                else:  # the same work, by kernels that cannot be counted
                    operations[mode, name, batch] = operations["fused", name, batch]
    seconds: dict[tuple, list[float]] = {key: [] for key in runs}
    for turn in range(rounds + 1):
        if turn > 1 and time.monotonic() > end:
            progress(1.0, f"Time is up after {turn - 1} rounds")
            break
        for index, (key, run) in enumerate(runs.items()):
            progress((turn + index / len(runs)) / (rounds + 1), f"Round {turn} of {rounds}: {key[0]}, {key[1]}")
            # As the pipeline runs its steps: what the first one freed is there for the second.
            with contextlib.nullcontext() if key[0] == PLAIN else devices.keep_freed_memory():
                run()
                devices.synchronize(device)
                started = time.perf_counter()
                run()
                devices.synchronize(device)
                if turn:
                    seconds[key].append(time.perf_counter() - started)
    rates = {key[1]: operations[key] / min(all_) for key, all_ in seconds.items() if key[0] == "product"}
    yardstick = MODES.get(kind_of_device, ("eager",))[0]
    rows = [
        _row(key, seconds[key], seconds[yardstick, "float32", key[2]], operations[key], rates[key[1]])
        for key in runs
        if key[0] != "product"
    ]
    runs.clear()
    del run, step, network, eager
    devices.release_memory()
    for index, row in enumerate(rows if whole else ()):
        mode, kind_name, batch = row["mode"], row["dtype"], row["batch"]
        progress(index / len(rows), f"Whole fill {index + 1} of {len(rows)}: {mode}, {kind_name}, batch {batch}")
        row["whole"] = None
        if mode != PLAIN and time.monotonic() < end:
            row["whole"] = found = whole_fill(mode, kind_name, batch, device, tiny)
            found["computed"] = found["total_s"] is None
            if found["computed"]:
                found["total_s"] = found["encode_s"] + STEPS * row["step_s"] + found["decode_s"]
    timed = min(map(len, seconds.values()))
    return {
        "tiny": tiny,
        "device": device,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "rounds": timed,
        "left_out": left_out,
        "rows": rows,
    }


def _step(network: torch.nn.Module, mode: str, batch: int) -> Callable[[], Tensor]:
    """A guided step, as the pipeline asks for it: a fused network shares what both branches have in common."""
    side, dtype, device = network.config.sample_size, network.dtype, network.device
    generator = torch.Generator().manual_seed(0)
    sample = torch.randn(batch, network.config.in_channels, side, side, generator=generator).to(device, dtype)
    sample = sample.repeat(2, 1, 1, 1) if mode in (PLAIN, "eager") else sample
    ids = torch.tensor([FOREGROUND_IDS, BACKGROUND_IDS], device=device).repeat_interleave(batch, dim=0)

    def run() -> Tensor:
        with torch.no_grad():
            return network(sample, 500, ids, return_dict=False)[0]

    return run


def _row(
    key: tuple[str, str, int], seconds: list[float], yardstick: list[float], operations: int, rate: float
) -> dict[str, Any]:
    """yardstick: seconds of the mode that all are compared with, in the same rounds."""
    median = statistics.median(seconds)
    return {
        "mode": key[0],
        "dtype": key[1],
        "batch": key[2],
        "step_s": median,
        "least_s": min(seconds),
        "most_s": max(seconds),
        "times": statistics.median(other / own for other, own in zip(yardstick, seconds, strict=True)),
        "gflop": operations / 1e9,
        "product_gflops": rate / 1e9,
        "share_of_product": operations / median / rate,
    }


def whole_fill(mode: str, dtype: str, batch: int, device: str, tiny: bool) -> dict[str, Any]:
    """Encode, 20 steps of guided DDIM, decode, for `batch` square pictures with a hole in each; random weights.

    Of the eager mode at its real size on a CPU only 2 steps are run, for encoding and decoding.

    Returns:
        encode_s, decode_s, step_s (median of all steps but the first), total_s (None where not all steps were run),
        peak_gib: of the process's resident memory during the fill, imported libraries included; on CUDA of what torch
        held on the GPU.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_measure, mode, dtype, batch, device, tiny, torch.get_num_threads()).result()


def _measure(mode: str, dtype: str, batch: int, device: str, tiny: bool, threads: int) -> dict[str, Any]:
    torch.set_num_threads(threads)
    kind, on_cpu = devices.named_dtype(dtype), device == "cpu"
    unet = modes.in_mode(networks.network("moebius", device, kind, tiny), mode, release=True)
    vae = networks.autoencoder("moebius", device, kind, tiny)
    if on_cpu and mode != "eager":
        vae = autoencoder.fuse(vae)
    devices.release_memory()
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

        def tick(pipeline: MoebiusInpaintPipeline, step: int, timestep: int, tensors: dict) -> dict:
            devices.synchronize(device)
            ticks.append(time.perf_counter())
            return tensors

        pipeline(
            image=pictures,
            mask_image=[hole] * batch,
            num_inference_steps=steps,
            strength=1.0,
            guidance_scale=2.0,
            generator=torch.Generator().manual_seed(0),
            output_type="np",
            callback_on_step_end=tick,
        )
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


def table(report: dict[str, Any]) -> Table:
    """One row a way; what was not measured is –."""
    header = (
        "mode",
        "type",
        "batch",
        "s/step",
        "min",
        "max",
        "times",
        "GFLOP",
        "reached",
        "of GFLOP/s",
        "fill s",
        "encode s",
        "decode s",
        "peak GiB",
    )
    rows = []
    for row in report["rows"]:
        fill = row.get("whole")
        whole: tuple[str, ...] = (NONE,) * 4
        if fill:
            whole = (
                f"{'~' if fill['computed'] else ''}{fill['total_s']:.1f}",
                *(f"{fill[name]:.2f}" for name in ("encode_s", "decode_s", "peak_gib")),
            )
        rows.append(
            (
                row["mode"],
                row["dtype"],
                str(row["batch"]),
                *(f"{row[name]:.3f}" for name in ("step_s", "least_s", "most_s")),
                f"{row['times']:.2f}",
                f"{row['gflop']:.1f}",
                f"{row['share_of_product']:.0%}",
                f"{row['product_gflops']:.0f}",
                *whole,
            )
        )
    note = (
        f"Times: as fast as {report['rows'][0]['mode']} in float32, by the round. Reached: of a large product's rate. "
        "Fill: encode, 20 steps, decode; ~ computed from 2 steps. Peak: of the fill's own process, libraries included; "
        "on a GPU of what torch held there."
    )
    return Table("The student in every mode", header, tuple(rows), note)


def describe(report: dict[str, Any]) -> str:
    """The report for a terminal."""
    shown = table(report)
    lines = [
        f"the student on {report['device']}, {report['threads']} threads, torch {report['torch']}; random weights, "
        f"{report['rounds']} interleaved rounds",
        shown.text(),
        shown.note,
        *(f"Left out: {text}" for text in report["left_out"]),
    ]
    if report["tiny"]:
        lines.append("The network is tiny: the figures say nothing about the real one. --size real times that.")
    return "\n".join(lines)
