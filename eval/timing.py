"""Time of a fill, measured apart from the fills that are scored: with warm-up, synchronised, by parts, interleaved.

In every round each model fills the same picture once, so that a slower machine or another program affects all models
equally.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from eval import provenance
from eval.contestants import Contestant, parameters_of
from eval.data.dataset import DataSet
from eval.generate import fill_chunk
from moebius import devices
from moebius.bench.operations import count_operations
from moebius.progress import counter

if TYPE_CHECKING:
    from moebius.inpainters.base import Inpainter

PARTS = ("encode", "step", "decode")


@dataclass
class Clock:
    """Times of the parts of one fill, in seconds, measured by hooks around a pipeline's networks."""

    device: str
    times: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    _step_began: float | None = None

    def now(self) -> float:
        devices.synchronize(self.device)
        return time.perf_counter()

    def step_begins(self) -> None:
        """A denoising step lasts from one call of the network to the next, the sampler's arithmetic included."""
        now = self.now()
        self.step_ends(now)
        self._step_began = now

    def step_ends(self, now: float) -> None:
        if self._step_began is not None:
            self.times["step"].append(now - self._step_began)
            self._step_began = None


@contextmanager
def timed_parts(inpainter: Inpainter, clock: Clock) -> Iterator[None]:
    """Time encoding, steps and decoding of a diffusers pipeline inside this context; other models have no parts."""
    pipeline = getattr(inpainter, "pipeline", None)
    network = getattr(pipeline, "unet", None) or getattr(pipeline, "transformer", None)
    vae = getattr(pipeline, "vae", None)
    if network is None or vae is None:
        yield
        return
    encode, decode = vae.encode, vae.decode

    def timed_encode(*args: Any, **kwargs: Any) -> Any:
        began = clock.now()
        result = encode(*args, **kwargs)
        clock.times["encode"].append(clock.now() - began)
        return result

    def timed_decode(*args: Any, **kwargs: Any) -> Any:
        began = clock.now()
        clock.step_ends(began)
        result = decode(*args, **kwargs)
        clock.times["decode"].append(clock.now() - began)
        return result

    hook = network.register_forward_pre_hook(lambda module, args: clock.step_begins())
    vae.encode, vae.decode = timed_encode, timed_decode
    try:
        yield
    finally:
        hook.remove()
        del vae.encode, vae.decode  # the methods of the class again


def measure(
    contestants: list[Contestant], dataset: DataSet, device: str, rounds: int, batches: tuple[int, ...], quiet: bool
) -> dict:
    """Times of every contestant on the data set's first pictures.

    Args:
        rounds: fills per model and batch size after one for warm-up.
        batches: batch sizes.

    Returns:
        Content of timing.json: per model loading, parts and totals in milliseconds, memory, multiply-adds.
    """
    if rounds < 1:
        raise ValueError(f"rounds must be >= 1, got {rounds}")
    if max(batches) > len(dataset.samples):
        raise ValueError(f"a batch of {max(batches)} needs as many pictures, the data has {len(dataset.samples)}")
    samples = dataset.samples[: max(batches)]
    loaded = [dataset.load(sample) for sample in samples]
    seed = dataset.request.seed

    models: dict[str, Inpainter] = {}
    found: dict[str, dict] = {}
    for contestant in contestants:
        began = time.perf_counter()
        models[contestant.name] = contestant.load()
        devices.synchronize(device)
        found[contestant.name] = {"load_s": round(time.perf_counter() - began, 3), "batches": {}}

    def fill(contestant: Contestant, batch: int) -> Clock:
        inpainter, clock = models[contestant.name], Clock(device)
        pictures, masks = zip(*loaded[:batch], strict=True)
        with timed_parts(inpainter, clock):
            began = clock.now()
            fill_chunk(inpainter, pictures, masks, contestant.config, seed)
            clock.times["total"].append(clock.now() - began)
        return clock

    with counter(len(contestants) * len(batches) * (rounds + 1), "Timing", quiet=quiet) as progress:
        for batch in batches:
            clocks: dict[str, list[Clock]] = defaultdict(list)
            memory: dict[str, dict] = {}
            for turn in range(rounds + 1):
                for contestant in contestants:
                    with devices.PeakMemory() as peak:
                        clock = fill(contestant, batch)
                    progress.update()
                    if turn:  # the first was for warm-up
                        clocks[contestant.name].append(clock)
                        memory[contestant.name] = {"process_gib": peak.gib["memory"], "gpu_gib": peak.gib["gpu"]}
            for name, measured in clocks.items():
                found[name]["batches"][str(batch)] = _times(measured, batch) | {"peak": memory[name]}
    for contestant in contestants:
        found[contestant.name] |= _work(contestant, models[contestant.name], loaded[0], seed)
    return {
        "models": found,
        "rounds": rounds,
        "warm_up": 1,
        "pictures": [sample.id for sample in samples],
        "size": [samples[0].width, samples[0].height],
        "interleaved": True,
        "hardware": provenance.hardware(device),
        "versions": provenance.versions(),
        "commit": provenance.commit(),
        "loaded_at": round(_load_average(), 2),
    }


def quantiles(seconds: list[float]) -> dict[str, float]:
    """Median and 90th percentile in milliseconds."""
    return {
        "median_ms": round(1000 * float(np.median(seconds)), 3),
        "p90_ms": round(1000 * float(np.percentile(seconds, 90)), 3),
    }


def _times(clocks: list[Clock], batch: int) -> dict:
    parts = {}
    for part in PARTS:
        per_fill = [clock.times[part] for clock in clocks if clock.times[part]]
        if not per_fill:
            continue
        if part == "step":
            parts[part] = quantiles([second for steps in per_fill for second in steps])
            parts[part]["steps"] = len(per_fill[0])
        else:
            parts[part] = quantiles([sum(calls) for calls in per_fill])
    total = quantiles([clock.times["total"][0] for clock in clocks])
    return {"parts": parts, "total": total, "per_picture_ms": round(total["median_ms"] / batch, 3)}


def _work(contestant: Contestant, inpainter: Inpainter, sample: tuple[np.ndarray, np.ndarray], seed: int) -> dict:
    """Parameters; operations of a fill with one step, and of each further step."""
    found = {
        "parameters": contestant.parameters or parameters_of(inpainter),
        "settings": contestant.settings(),
        "dtype": "",
        "flops": None,
    }
    pipeline = getattr(inpainter, "pipeline", None)
    if pipeline is None:
        return found
    import dataclasses

    found["dtype"] = str(pipeline.dtype).removeprefix("torch.")
    picture, mask = sample
    flops = []
    for steps in (1, 2):
        config = dataclasses.replace(contestant.config, num_inference_steps=steps, strength=1.0)
        flops.append(count_operations(partial(fill_chunk, inpainter, (picture,), (mask,), config, seed)))
    step, steps = flops[1] - flops[0], contestant.config.num_inference_steps or 1
    runs = max(1, int(steps * contestant.config.effective_strength))
    total = flops[0] + (runs - 1) * step
    found["flops"] = {
        "per_step_tflop": round(step / 1e12, 6),
        "per_step_tmac": round(step / 2e12, 6),
        "fill_tflop": round(total / 1e12, 6),
        "fill_tmac": round(total / 2e12, 6),
        "steps": runs,
    }
    return found


def _load_average() -> float:
    """System load of the last minute: if it is higher than our own threads, other programs were busy."""
    import os

    try:
        return os.getloadavg()[0]
    except OSError:
        return 0.0
