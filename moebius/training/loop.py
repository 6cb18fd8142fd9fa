"""The training loop of student and autoencoder: step, log, validate, checkpoint, stop, resume.

It trains a `Trainee`. All its random numbers depend on the run's seed and the position in the data, so a run that was
killed resumes exactly.
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
"""Settings of a run that may change when it resumes: they do not affect the result."""


class Diverged(ValueError):
    """The loss is not a number, or has grown too much; the message names the last good checkpoint."""


class Trainee(Protocol):
    """What `run` trains. Every process calls every method; only the main process's validation and grids are used."""

    watched: str
    """The metric that is watched for divergence."""

    def begin(self, step: int) -> None:
        """Start reading the data from this step on."""

    def step(self, step: int) -> dict[str, float]:
        """One optimizer step; returns the metrics of the whole batch. Raises Diverged before a step with invalid
        numbers."""

    def validate(self) -> dict[str, float]:
        """Metrics on held-out pictures."""

    def grid(self, steps: int) -> np.ndarray:
        """A picture of held-out examples, (H, W, 3) uint8. steps: sampling steps."""

    def state(self) -> dict[str, Any]:
        """Everything that a checkpoint must hold."""

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue from what `state` returned."""

    def finish(self, folder: Path, record: dict[str, Any]) -> None:
        """Write the result, and beside it the record of the run (`checkpoints.facts`)."""


@dataclass
class Smooth:
    """A smoothed loss and its minimum, which counts from the 50th step on."""

    value: float = math.nan
    lowest: float = math.inf
    count: int = 0

    def update(self, loss: float) -> None:
        """Take the loss of a step."""
        self.count += 1
        self.value = loss if self.count == 1 else self.value + max(0.02, 1 / self.count) * (loss - self.value)
        if self.count >= 50:
            self.lowest = min(self.lowest, self.value)


def accelerator(run: Run) -> Accelerator:
    """Devices and processes as started by `accelerate launch` or `torchrun`, or a single process.

    Raises:
        ConfigError: a step's pictures cannot be divided evenly among parts and processes.
    """
    made = Accelerator(
        cpu=run.device == "cpu",
        mixed_precision="bf16" if run.precision == "bfloat16" else "no",
        kwargs_handlers=[
            DistributedDataParallelKwargs(broadcast_buffers=False)
        ],  # buffers are the same in every process
    )
    share = run.accumulate * made.num_processes
    if run.batch_size % share:
        raise ConfigError(
            f"run.batch_size ({run.batch_size}) must be divisible by accumulate · processes "
            f"({run.accumulate} · {made.num_processes})"
        )
    return made


def positions(run: Run, rank: int, processes: int, start: int) -> Iterator[list[int]]:
    """Positions in the data of each part of each step, from step `start` on, for one process.

    All processes together take the positions step · batch_size … (step + 1) · batch_size - 1, for any number of them.
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
        minutes: time limit, after which a checkpoint and the result so far are written; None: `config.run.minutes`.

    Returns:
        {"step", "finished", "written", "checkpoint", "pictures_per_second", "seconds"} and the last metrics.

    Raises:
        ConfigError: the existing checkpoints are of another configuration.
        Diverged: see there.
    """
    training = _Training(trainee, config, accelerator, report, minutes)
    trainee.begin(training.step)
    with _signals() as stopped:
        while training.step < config.run.steps:
            training.take_step()
            training.log()
            training.validate()
            training.draw_grid()
            ending = training.ends(stopped)
            if ending or training.checkpoint_is_due():
                training.save()
            if ending:
                break
    training.write_result()
    return training.summary()


class _Training:
    """A run in progress: its step, smoothed loss, clock and files."""

    def __init__(
        self, trainee: Trainee, config: Any, accelerator: Accelerator, report: Report, minutes: float | None
    ) -> None:
        """Arguments as for `run`; resumes from the newest checkpoint."""
        self.trainee, self.config, self.accelerator, self.report = trainee, config, accelerator, report
        self.settings: Run = config.run
        self.started_at = time.monotonic()
        if minutes is None:
            minutes = self.settings.minutes or math.inf
        self.limit_s = 60 * minutes
        self.main = accelerator.is_main_process
        self.folder = self.settings.out / "checkpoints"
        self.device = devices.name(str(accelerator.device))
        self.step, self.smooth, self.seconds_before = _resume(trainee, config, self.folder, report)
        self.first_step = self.step
        self.metrics = Metrics(self.settings.out, self.step) if self.main else None
        self.last: dict[str, float] = {}
        self.step_s = 0.0
        self.saved_at = time.monotonic()
        self.checkpoint: Path | None = None
        self.out_of_time = False

    def take_step(self) -> None:
        """One optimizer step. Raises `Diverged`, naming the last good checkpoint."""
        started_at = time.monotonic()
        try:
            self.last = self.trainee.step(self.step)
            loss = self.last[self.trainee.watched]
            self.smooth.update(loss)
            _check(self.smooth, loss, self.settings, self.step)
        except Diverged as error:
            raise Diverged(f"{error}; {_last_good(self.folder, self.smooth, self.settings)}") from None
        self.step += 1
        self.step_s += time.monotonic() - started_at

    def log(self) -> None:
        """Write and report the step's metrics, every `log_every` steps."""
        if self.metrics and self._is_turn(self.settings.log_every):
            self.metrics.scalars(self.step - 1, self.last)
            rate = f"{self.pictures_per_second():.3g} pictures/s"
            self.report(f"step {self.step} of {self.settings.steps}: {_listed(self.last)}, {rate}")

    def validate(self) -> None:
        """Held-out losses, every `validate_every` steps."""
        if not self.settings.validate_every or not self._is_turn(self.settings.validate_every):
            return
        losses = self.trainee.validate()
        self.last = self.last | losses
        if self.metrics and losses:
            self.metrics.scalars(self.step - 1, losses)
            self.report(f"step {self.step}: {_listed(losses)}")

    def draw_grid(self) -> None:
        """A grid of held-out fills, every `grid_every` steps."""
        every = self.settings.grid_every
        if self.metrics and every and self.step % every == 0:
            self.metrics.picture(self.step, "fills", self.trainee.grid(self.settings.grid_steps))

    def ends(self, stopped: threading.Event) -> bool:
        """Whether the step just taken is the last: all are done, the time is up, or a signal came."""
        self.out_of_time = _agreed(self.accelerator, time.monotonic() - self.started_at > self.limit_s)
        if self.step == self.settings.steps or self.out_of_time:
            return True
        return _agreed(self.accelerator, stopped.is_set())

    def checkpoint_is_due(self) -> bool:
        if self.step % self.settings.checkpoint_every == 0:
            return True
        late = time.monotonic() - self.saved_at > 60 * self.settings.checkpoint_minutes
        return _agreed(self.accelerator, late)

    def save(self) -> None:
        """Write a checkpoint; every process waits for it."""
        state = self.trainee.state()
        if self.main:
            facts: dict[str, Any] = {"smooth": vars(self.smooth), "config": plain(self.config), "metrics": self.last}
            facts |= {"seconds": self.seconds_before + self._seconds(), "device": self.device}
            whole = {"trainee": state, "random": checkpoints.random_state()}
            self.checkpoint = checkpoints.save(self.folder, self.step, whole, facts, self.settings.keep)
        self.accelerator.wait_for_everyone()
        self.saved_at = time.monotonic()

    def write_result(self) -> None:
        """Write the trained network, unless a signal ended the run early."""
        if self.main and (self.finished or self.out_of_time):
            delete_abandoned(self.settings.out)
            newest = checkpoints.checkpoints(self.folder)[-1]
            self.trainee.finish(self.settings.out, checkpoints.facts(newest))
        self.accelerator.wait_for_everyone()
        if self.metrics:
            self.metrics.close()

    def summary(self) -> dict[str, Any]:
        """What `run` returns."""
        return {
            "step": self.step,
            "finished": self.finished,
            "written": self.finished or self.out_of_time,
            "checkpoint": str(self.checkpoint or self.folder),
            "pictures_per_second": self.pictures_per_second() if self.step > self.first_step else None,
            "seconds": self._seconds(),
            "metrics": self.last,
        }

    @property
    def finished(self) -> bool:
        return self.step >= self.settings.steps

    def pictures_per_second(self) -> float:
        """Over the steps taken since the run began or resumed."""
        return (self.step - self.first_step) * self.settings.batch_size / self.step_s

    def _is_turn(self, every: int) -> bool:
        return self.step % every == 0 or self.step == self.settings.steps

    def _seconds(self) -> float:
        return time.monotonic() - self.started_at


def _resume(trainee: Trainee, config: Any, folder: Path, report: Report) -> tuple[int, Smooth, float]:
    """The step at which to resume, the smoothed loss, and the run's seconds so far."""
    there = checkpoints.checkpoints(folder)
    if not there:
        return 0, Smooth(), 0.0
    facts = checkpoints.facts(there[-1])
    if facts.get("format", 1) != checkpoints.FORMAT:
        raise ConfigError(
            f"{there[-1]} is of format {facts.get('format', 1)}, which an earlier version wrote; this one reads format "
            f"{checkpoints.FORMAT}. Give another run.out; student.init takes the weights that the run has written"
        )
    then = build(type(config), facts["config"])  # adds defaults of newer settings
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
    """The settings that affect the result, by dotted names."""
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
    """The main process's value of `wish` in every process, because their clocks differ."""
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
