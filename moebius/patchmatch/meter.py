"""How far a fill is: shares of stages whose cost is known beforehand."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[float, str], None]
"""Called with the share that is done, in [0, 1] and never falling, and a few words. It cancels by raising."""


def silent(share: float, text: str) -> None:
    """A `Progress` that does nothing."""


class Meter:
    """Reports the share of a run that has `stages`, each with a cost in any unit."""

    def __init__(self, progress: Progress, costs: list[float]) -> None:
        self._progress, self._total, self._costs = progress, max(sum(costs), 1e-9), iter(costs)
        self._start = self._end = self._share = 0.0
        self._calls, self._text = 0, "Starting"

    def stage(self, text: str, calls: int = 0) -> None:
        """Begin the next stage; it is done after so many calls of `Workers.each` (0: see `at`)."""
        self._start = self._share = self._end
        self._end = min(self._start + next(self._costs) / self._total, 1.0)
        self._calls, self._text = calls, text
        self.tick(0.0)

    def tick(self, portion: float) -> None:
        """A part of one call is done. Raises what the `Progress` raises."""
        if self._calls:
            self._share = min(self._share + (self._end - self._start) * portion / self._calls, self._end)
        self._progress(float(self._share), self._text)

    def at(self, portion: float) -> None:
        """So much of the stage is done, for stages whose calls are not known beforehand."""
        self._share = max(self._share, self._start + (self._end - self._start) * min(portion, 1.0))
        self.tick(0.0)

    def finish(self, text: str = "Filled") -> None:
        """Report that all is done."""
        self._progress(1.0, text)
