"""Progress: what long work reports with, how it is cancelled, and a line of it on a terminal."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections.abc import Callable

Progress = Callable[[float, str], None]
"""Called with the share that is done, in [0, 1], and a few words. It cancels the work by raising `Cancelled`."""


class Cancelled(Exception):
    """Raised by a `Progress` to stop the work; nothing is returned and nothing was changed."""


def no_progress(share: float, text: str) -> None:
    """A `Progress` that nobody reads."""


PATIENCE_S = 2.0
REDRAW_S = 0.5


class TerminalProgress:
    """A `Progress` that draws on stderr; silent when that is not a terminal. Use it as a context manager.

    A thread of its own keeps the seconds running while a library is silent, as when torch is imported.
    """

    def __init__(self, stream=None) -> None:
        self._stream = stream or sys.stderr
        self._started = time.monotonic()
        self._share, self._text = 0.0, "Starting"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._redraw, daemon=True) if self._stream.isatty() else None

    def __call__(self, share: float, text: str) -> None:
        self._share, self._text = share, text

    def __enter__(self) -> TerminalProgress:
        if self._thread:
            self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        if self._thread:
            self._stop.set()
            self._thread.join()

    def _redraw(self) -> None:
        drawn, wait_s = False, PATIENCE_S
        while not self._stop.wait(wait_s):
            elapsed = time.monotonic() - self._started
            line = f"{self._share:4.0%}  {self._text}  ({elapsed:.0f} s)"
            width = shutil.get_terminal_size().columns - 1  # a line that wraps could not be wiped
            self._stream.write(f"\r\x1b[K{line[:width]}")
            self._stream.flush()
            drawn, wait_s = True, REDRAW_S
        if drawn:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
