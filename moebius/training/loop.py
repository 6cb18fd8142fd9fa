"""The training loop, the same for student and autoencoder: step, log, judge, checkpoint, stop, resume.

What is trained is a `Trainee`. Everything random in it comes from the run's seed and the position in the data, so a run
that was killed resumes exactly.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from accelerate import Accelerator, DistributedDataParallelKwargs

from moebius import devices
from moebius.files import delete_abandoned
from moebius.training import checkpoints
from moebius.training.config import ConfigError, Run, build, plain
from moebius.training.metrics import Metrics

Report = Callable[[str], None]

_FREE = (
    *("out", "steps", "workers", "device", "log_every", "validate_every", "grid_every", "grid_steps", "keep"),
    *("checkpoint_every", "checkpoint_minutes", "minutes", "diverged", "compile", "gradient_checkpointing"),
)
"""Settings of a run that may change when it resumes: they do not change what is learned."""


class Diverged(ValueError):
    """The loss is not a number, or far above what it was; the message names the last good checkpoint."""


class Trainee(Protocol):
    """What `run` trains. Every process calls every method; only the main one's judgements and pictures count."""

    watched: str
    """The metric that tells divergence."""

    def begin(self, step: int) -> None:
        """Go to the data of a step."""

    def step(self, step: int) -> dict[str, float]:
        """One optimizer step; its metrics, those of the whole batch. Raises Diverged before a step with bad numbers."""

    def validate(self) -> dict[str, float]: ...

    def grid(self, steps: int) -> np.ndarray:
        """(H, W, 3) uint8."""

    def state(self) -> dict[str, Any]: ...

    def load_state(self, state: dict[str, Any]) -> None: ...

    def finish(self, folder: Path, record: dict[str, Any]) -> None:
        """Write the result, and the record of how it came about (`checkpoints.facts`) beside it."""


@dataclass
class Smooth:
    """A smoothed loss and the lowest that it was; both count from the 50th step on."""

    value: float = math.nan
    lowest: float = math.inf
    count: int = 0

    def update(self, loss: float) -> None:
        self.count += 1
        self.value = loss if self.count == 1 else self.value + max(0.02, 1 / self.count) * (loss - self.value)
        if self.count >= 50:
            self.lowest = min(self.lowest, self.value)


def accelerator(run: Run) -> Accelerator:
    """Devices and processes as the launcher has them: none, `accelerate launch` or `torchrun`.

    Raises:
        ConfigError: a step's pictures cannot be shared out evenly.
    """
    made = Accelerator(
        cpu=run.device == "cpu",
        mixed_precision="bf16" if run.precision == "bfloat16" else "no",
        kwargs_handlers=[DistributedDataParallelKwargs(broadcast_buffers=False)],  # they are the same everywhere
    )
    share = run.accumulate * made.num_processes
    if run.batch_size % share:
        raise ConfigError(
            f"run.batch_size ({run.batch_size}) must be divisible by accumulate · processes "
            f"({run.accumulate} · {made.num_processes})"
        )
    return made


def positions(run: Run, rank: int, processes: int, start: int) -> Iterator[list[int]]:
    """The positions in the data of each part of each step, from step `start` on, for one process.

    Together the processes take the positions step · batch_size … (step + 1) · batch_size - 1, whatever their number.
    """
    part = run.batch_size // run.accumulate
    share = part // processes
    for first in range(start * run.batch_size, run.steps * run.batch_size, part):
        mine = first + rank * share
        yield list(range(mine, mine + share))


def run(
    trainee: Trainee,
    config: Any,
    accelerator: Accelerator,
    report: Report = lambda text: None,
    minutes: float | None = None,
) -> dict[str, Any]:
    """Train until `config.run.steps`, from the newest checkpoint in `config.run.out` if there is one.

    Args:
        config: with a `Run` in `run`; kept in every checkpoint.
        minutes: stop after so many, with a checkpoint and the result so far; None: `config.run.minutes`.

    Returns:
        {"step", "finished", "written", "checkpoint", "pictures_per_second", "seconds"} and the last metrics.

    Raises:
        ConfigError: the checkpoints there are of another configuration.
        Diverged: see there.
    """
    settings, started, main = config.run, time.monotonic(), accelerator.is_main_process
    if minutes is None:
        minutes = settings.minutes or None
    folder = settings.out / "checkpoints"
    device = devices.name(str(accelerator.device))
    step, smooth, before = _resume(trainee, config, folder, report)
    out_of_time = False
    first, metrics = step, Metrics(settings.out, step) if main else None
    trainee.begin(step)
    saved_at, last, checkpoint = time.monotonic(), {}, None

    with _signals() as stopped:
        stepping = time.monotonic()
        seconds = 0.0
        while step < settings.steps:
            try:
                last = trainee.step(step)
                smooth.update(last[trainee.watched])
                _check(smooth, last[trainee.watched], settings, step)
            except Diverged as error:
                raise Diverged(f"{error}; {_last_good(folder, smooth, settings)}") from None
            step += 1
            seconds += time.monotonic() - stepping
            rate = (step - first) * settings.batch_size / seconds
            if main and (step % settings.log_every == 0 or step == settings.steps):
                metrics.scalars(step - 1, last)
                report(f"step {step} of {settings.steps}: {_listed(last)}, {rate:.3g} pictures/s")
            if settings.validate_every and (step % settings.validate_every == 0 or step == settings.steps):
                judged = trainee.validate()
                last = last | judged
                if main and judged:
                    metrics.scalars(step - 1, judged)
                    report(f"step {step}: {_listed(judged)}")
            if settings.grid_every and step % settings.grid_every == 0 and main:
                metrics.picture(step, "fills", trainee.grid(settings.grid_steps))
            out_of_time = _agreed(accelerator, minutes is not None and time.monotonic() - started > 60 * minutes)
            ending = step == settings.steps or out_of_time or _agreed(accelerator, stopped.is_set())
            due = step % settings.checkpoint_every == 0 or _agreed(
                accelerator, time.monotonic() - saved_at > 60 * settings.checkpoint_minutes
            )
            if ending or due:
                state = trainee.state()
                if main:
                    facts: dict[str, Any] = {"smooth": vars(smooth), "config": plain(config), "metrics": last}
                    facts |= {"seconds": before + time.monotonic() - started, "device": device}
                    whole = {"trainee": state, "random": checkpoints.random_state()}
                    checkpoint = checkpoints.save(folder, step, whole, facts, settings.keep)
                accelerator.wait_for_everyone()
                saved_at = time.monotonic()
            if ending:
                break
            stepping = time.monotonic()
    finished = step >= settings.steps
    if (finished or out_of_time) and main:
        delete_abandoned(settings.out)
        trainee.finish(settings.out, checkpoints.facts(checkpoints.checkpoints(folder)[-1]))
    accelerator.wait_for_everyone()
    if metrics:
        metrics.close()
    rate = (step - first) * settings.batch_size / seconds if step > first else None
    return {
        "step": step,
        "finished": finished,
        "written": finished or out_of_time,
        "checkpoint": str(checkpoint or folder),
        "pictures_per_second": rate,
        "seconds": time.monotonic() - started,
        "metrics": last,
    }


def _resume(trainee: Trainee, config: Any, folder: Path, report: Report) -> tuple[int, Smooth, float]:
    """The step to resume at, the smoothed loss, and the seconds that the run took so far."""
    there = checkpoints.checkpoints(folder)
    if not there:
        return 0, Smooth(), 0.0
    facts = checkpoints.facts(there[-1])
    if facts.get("format", 1) != checkpoints.FORMAT:
        raise ConfigError(
            f"{there[-1]} is of format {facts.get('format', 1)}, which an earlier version wrote; this one reads format "
            f"{checkpoints.FORMAT}. Give another run.out; student.init takes the weights that the run has written"
        )
    then = build(type(config), facts["config"])  # with the defaults of settings that it did not know yet
    now, then = _essential(plain(config)), _essential(plain(then))
    different = sorted(key for key in {*now, *then} if now.get(key) != then.get(key))
    if different:
        raise ConfigError(
            f"{folder} holds checkpoints of another configuration ({', '.join(different)}); give another run.out"
        )
    state = checkpoints.load(there[-1])
    trainee.load_state(state["trainee"])
    checkpoints.set_random_state(state["random"])
    report(f"resuming from {there[-1]}")
    return facts["step"], Smooth(**facts["smooth"]), facts.get("seconds", 0.0)


def _essential(table: dict[str, Any]) -> dict[str, Any]:
    """What of a configuration changes what is learned, by dotted names."""
    return {
        f"{name}.{key}": value
        for name, values in table.items()
        for key, value in values.items()
        if not (name == "run" and key in _FREE)
    }


def _check(smooth: Smooth, loss: float, settings: Run, step: int) -> None:
    if not math.isfinite(loss):
        raise Diverged(f"the loss is {loss} at step {step + 1}")
    if smooth.value > settings.diverged * smooth.lowest:
        raise Diverged(f"the loss has grown from {smooth.lowest:.3g} to {smooth.value:.3g} at step {step + 1}")


def _last_good(folder: Path, smooth: Smooth, settings: Run) -> str:
    """The newest checkpoint whose loss was near the lowest."""
    for path in reversed(checkpoints.checkpoints(folder)):
        then = replace(Smooth(), **checkpoints.facts(path)["smooth"])
        if not math.isfinite(smooth.lowest) or then.value <= math.sqrt(settings.diverged) * smooth.lowest:
            return f"the last good checkpoint is {path}"
    return "there is no good checkpoint yet"


def _agreed(accelerator: Accelerator, wish: bool) -> bool:
    """What the main process wishes, in every process: their clocks differ."""
    if accelerator.num_processes == 1:
        return wish
    import torch

    flag = torch.tensor([float(wish and accelerator.is_main_process)], device=accelerator.device)
    return bool(accelerator.reduce(flag, "sum").item())


class _signals:
    """Ctrl-C and SIGTERM end the run after the current step, with a checkpoint; a second one ends it at once."""

    def __enter__(self) -> threading.Event:
        self.event = threading.Event()
        self.before: dict[int, Any] = {}
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self.before[number] = signal.signal(number, self._stop)
        return self.event

    def _stop(self, number: int, frame: Any) -> None:
        self.event.set()
        signal.signal(number, self.before[number])

    def __exit__(self, *exception: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)


def _listed(values: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in values.items())
