"""Progress of a batch: number of outcomes, remaining time, failures."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from moebius.units import rough_duration

if TYPE_CHECKING:
    from moebius.batch.run import Outcome


class Tally:
    """Counts the outcomes of `total` photos."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = self.finished = 0
        self.failed: list[dict] = []
        self.notes: dict[str, list[str]] = {}
        self.seconds = {"read": 0.0, "model": 0.0, "detail": 0.0, "geometry": 0.0, "write": 0.0}
        self._in_hand: dict[str, float] = {}  # names of photos that have no outcome yet, and how far they are
        self._started = time.perf_counter()
        self._first: float | None = None  # when the first photo came to the model, which is loaded by then

    @property
    def place(self) -> int:
        """Number of photos that have an outcome."""
        return self.done + self.finished + len(self.failed)

    @property
    def share(self) -> float:
        """Finished share of the work, in [0, 1]."""
        return (self.place + sum(self._in_hand.values())) / self.total

    def filling(self, name: str, share: float) -> None:
        """Set the finished share of a photo that the model fills. The first call starts the estimate of time."""
        self._in_hand[name] = share
        if self._first is None:
            self._first = time.perf_counter()

    def add(self, outcome: Outcome) -> None:
        """Count the outcome of a photo."""
        self._in_hand.pop(outcome.item.name, None)
        if outcome.state == "failed":
            self.failed.append({"photo": outcome.item.name, "error": outcome.error})
        elif outcome.state == "finished":
            self.finished += 1
        else:
            self.done += 1
            for part, seconds in outcome.seconds.items():
                self.seconds[part] += seconds
            if outcome.notes:
                self.notes[outcome.item.name] = list(outcome.notes)

    def left(self) -> str:
        """The remaining time, at the speed so far."""
        to_do = self.total - self.place
        if not self.done or self._first is None:
            return f"{to_do} to do"
        seconds = (time.perf_counter() - self._first) / self.done * to_do
        return f"{rough_duration(seconds)} left"

    def report(self) -> dict:
        """The tally as JSON, with the exit status of the command."""
        now = time.perf_counter()
        return {
            "photos": self.total,
            "filled": self.done,
            "finished_before": self.finished,
            "failed": self.failed,
            "exit_status": 1 if self.failed else 0,
            "seconds": {
                "total": round(now - self._started, 3),
                "filling": round(now - self._first, 3) if self._first else 0.0,
                **{part: round(seconds, 3) for part, seconds in self.seconds.items()},
            },
            "photo_notes": self.notes,
        }
