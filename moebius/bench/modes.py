"""Every way to run the student on this machine, interleaved: mode × type × batch, and how near each comes to the rate
at which the machine multiplies. Random weights."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from moebius import devices
from moebius.bench import timing
from moebius.bench import whole as bench_whole
from moebius.bench.operations import count_operations
from moebius.models.fused import modes
from moebius.models.fused.ops import product
from moebius.models.unet import BACKGROUND_IDS, FOREGROUND_IDS

Progress = Callable[[float, str], None]


PLAIN = "plain"
"""The eager mode as any caller of a network runs it, without the pipeline: freed memory goes back to the system. The
yardstick on a CPU; on a GPU torch keeps its memory anyway."""

MODES = {"cpu": (PLAIN, "eager", "fused"), "cuda": ("eager", "fused", "compiled", "triton", "triton-compiled")}
"""What can be timed on a kind of device."""


def ways(
    device: str | None = None,
    batches: tuple[int, ...] | None = None,
    rounds: int = 5,
    tiny: bool | None = None,
    whole: bool = True,
    minutes: float = 30.0,
    progress: Progress = lambda share, text: None,
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
        and the share of that rate that is reached; `whole`: what `bench_whole.whole` returns, None where there was no
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
    progress(0.0, "Building the networks")
    for kind in (torch.float32, torch.bfloat16):
        name = str(kind).removeprefix("torch.")
        x, weight = (torch.ones(2048, 2048, dtype=kind, device=device) for _ in range(2))
        runs["product", name, 0] = lambda x=x, weight=weight: product(x, weight)
        operations["product", name, 0] = 2 * 2048**3
        eager = timing.network("moebius", device, kind, tiny)
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
            with contextlib.nullcontext() if key[0] == PLAIN else devices.keep_freed():
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
    devices.let_go()
    for index, row in enumerate(rows if whole else ()):
        mode, kind_name, batch = row["mode"], row["dtype"], row["batch"]
        progress(index / len(rows), f"Whole fill {index + 1} of {len(rows)}: {mode}, {kind_name}, batch {batch}")
        row["whole"] = None
        if mode != PLAIN and time.monotonic() < end:
            row["whole"] = found = bench_whole.whole(mode, kind_name, batch, device, tiny)
            found["computed"] = found["total_s"] is None
            if found["computed"]:
                found["total_s"] = found["encode_s"] + bench_whole.STEPS * row["step_s"] + found["decode_s"]
    timed = min(map(len, seconds.values()))
    return {"tiny": tiny, "device": device, "threads": torch.get_num_threads(), "torch": torch.__version__,
            "rounds": timed, "left_out": left_out, "rows": rows}  # fmt: skip


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


def describe(report: dict[str, Any]) -> str:
    """The report for people."""
    lines = [
        f"the student on {report['device']}, {report['threads']} threads, torch {report['torch']}; random weights, "
        f"{report['rounds']} interleaved rounds",
        f"{'mode':<16}{'type':<10}{'batch':>6}{'s/step':>9}{'least':>8}{'most':>8}{'times':>8}"
        f"{'GFLOP':>8}{'reached':>9} of GFLOP/s{'fill s':>9}{'encode':>8}{'decode':>8}{'peak GiB':>10}",
    ]
    for row in report["rows"]:
        line = (
            f"{row['mode']:<16}{row['dtype']:<10}{row['batch']:>6}{row['step_s']:>9.3f}{row['least_s']:>8.3f}"
            f"{row['most_s']:>8.3f}{row['times']:>8.2f}{row['gflop']:>8.1f}{row['share_of_product']:>9.0%}{row['product_gflops']:>11.0f}"
        )
        if found := row.get("whole"):
            total = f"{'~' if found['computed'] else ''}{found['total_s']:.1f}"
            line += f"{total:>9}{found['encode_s']:>8.2f}{found['decode_s']:>8.2f}{found['peak_gib']:>10.2f}"
        lines.append(line)
    lines.append(f"Times: as fast as {report['rows'][0]['mode']} in float32, by the round.")
    lines.append(
        "Reached: of a large product's rate. Fill: encode, 20 steps, decode; ~ computed from 2 steps. Peak: of the"
    )
    lines.append("fill's own process, libraries included; on a GPU of what torch held there.")
    lines += [f"Left out: {text}" for text in report["left_out"]]
    if report["tiny"]:
        lines.append("The network is tiny: the figures say nothing about the real one. --size real times that.")
    return "\n".join(lines)
