"""A line on the terminal with what is done and how long the rest will take; nothing where there is no terminal."""

from __future__ import annotations

import shutil
import sys
import time

REDRAW_S = 0.5


class Progress:
    """Use it as a context manager; `advance()` after every item. Items that were there from before do not count for
    the speed."""

    def __init__(self, total: int, label: str, done: int = 0, stream=None, quiet: bool = False) -> None:
        self._stream = stream or sys.stderr
        self._on = not quiet and self._stream.isatty()
        self._total, self._label, self._before, self._done = total, label, done, done
        self._started = self._drawn = time.monotonic()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_) -> None:
        if self._on:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def advance(self, count: int = 1) -> None:
        self._done += count
        now = time.monotonic()
        if self._on and (now - self._drawn >= REDRAW_S or self._done == self._total):
            self._drawn = now
            self._stream.write("\r\x1b[K" + self.line(now)[: shutil.get_terminal_size().columns - 1])
            self._stream.flush()

    def line(self, now: float) -> str:
        """What the terminal shows."""
        fresh = self._done - self._before
        left = (now - self._started) / fresh * (self._total - self._done) if fresh else 0.0
        return f"{self._label}: {self._done} of {self._total}, {duration(left)} left"


def duration(seconds: float) -> str:
    """Seconds for people: 42 s, 3 min 05 s, 2 h 10 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
