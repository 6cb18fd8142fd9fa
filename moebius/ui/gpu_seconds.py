"""How many seconds of a lent GPU to ask for: from what past fills took, once there are some."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass

KEPT, ENOUGH = 20, 3
"""Fills of a model that are remembered, and how many must be known before they count."""
START_S, SAFETY = 5.0, 1.5
"""What passes before a fill is timed, until weights have reached the GPU; and how much slower the next one may be."""


@dataclass(frozen=True)
class Row:
    """A fill that ran: its steps, over all squares, the seconds of one, and those of everything without fine detail."""

    steps: int
    step_s: float
    seconds: float

    @property
    def fixed_s(self) -> float:
        """What does not grow with the steps."""
        return max(0.0, self.seconds - self.steps * self.step_s)


class Ledger:
    """The newest fills of each model. In memory only: another start may get another GPU."""

    def __init__(self) -> None:
        self._rows: defaultdict[str, deque[Row]] = defaultdict(lambda: deque(maxlen=KEPT))

    def add(self, model: str, row: Row) -> None:
        """Remember a fill of a model."""
        self._rows[model].append(row)

    def forget(self, model: str) -> None:
        """A fill did not end in its time, so the past says too little."""
        self._rows.pop(model, None)

    def seconds(self, model: str, steps: int) -> float | None:
        """For a fill of so many steps, from the slowest of the past; None: too few are known."""
        rows = self._rows.get(model, ())
        if len(rows) < ENOUGH:
            return None
        return START_S + SAFETY * (max(row.fixed_s for row in rows) + steps * max(row.step_s for row in rows))
