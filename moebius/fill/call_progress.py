"""Progress of one call of a model: its share, and the time of each denoising step."""

from __future__ import annotations

import time

from moebius import devices
from moebius.progress import Progress, no_progress


class CallProgress:
    """A `Progress` that also measures denoising steps."""

    def __init__(self, progress: Progress = no_progress) -> None:
        self._progress = progress
        self._ended_s: list[float] = []
        self._parts: list[CallProgress] = []

    def __call__(self, share: float, text: str) -> None:
        self._progress(share, text)

    def step_ended(self, device: str) -> None:
        """To be called at the end of every denoising step; waits until the device has finished it."""
        devices.synchronize(device)
        self._ended_s.append(time.perf_counter())

    def part(self, index: int, count: int) -> CallProgress:
        """The progress of one of `count` tiles that a model fills one after the other."""
        progress = self._progress  # not self, which keeps the part: a circle would keep the photo until it is collected
        part = CallProgress(lambda share, text: progress((index + share) / count, text))
        self._parts.append(part)
        return part

    @property
    def steps_ms(self) -> list[float]:
        """Milliseconds of all steps except the first of each tile."""
        own = [1000 * (after - before) for before, after in zip(self._ended_s, self._ended_s[1:], strict=False)]
        return own + [step_ms for part in self._parts for step_ms in part.steps_ms]
