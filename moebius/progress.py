"""Progress of long work: reporting, cancelling, and bars on a terminal, drawn by tqdm."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self, TextIO

if TYPE_CHECKING:
    from tqdm import tqdm

Progress = Callable[[float, str], None]
"""Called with the finished share of the work, in [0, 1], and a short text. To cancel the work it raises `Cancelled`."""


class Cancelled(Exception):
    """Raised by a `Progress` to stop the work; nothing is returned and nothing was changed."""


def no_progress(share: float, text: str) -> None:
    """A `Progress` that does nothing."""


PATIENCE_S = 2.0
"""No bar is drawn for work that takes less time."""
REDRAW_S = 0.5


class TerminalProgress:
    """A `Progress` that draws a bar on stderr if that is a terminal. Use it as a context manager.

    A thread updates the seconds while a library reports nothing, for example while torch is imported.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._started = time.time()
        self._share, self._text = 0.0, "Starting"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._draw, daemon=True) if self._stream.isatty() else None

    def __call__(self, share: float, text: str) -> None:
        self._share, self._text = share, text

    def __enter__(self) -> Self:
        if self._thread:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread:
            self._stop.set()
            self._thread.join()

    def _draw(self) -> None:
        if self._stop.wait(PATIENCE_S):
            return
        layout = "{percentage:3.0f}% |{bar:20}| {desc} ({elapsed})"
        with _bar(total=1.0, desc=self._text, initial=self._share, file=self._stream, bar_format=layout) as bar:
            bar.start_t = self._started
            while not self._stop.wait(REDRAW_S):
                bar.n, bar.desc = self._share, self._text
                bar.refresh()


def counter(total: int, label: str, done: int = 0, quiet: bool = False, stream: TextIO | None = None) -> tqdm:
    """A bar on stderr for `total` items with the remaining time: a context manager; call `update()` after every item.

    Nothing is drawn if stderr is not a terminal, or with `quiet`. The `done` earlier items do not count for the speed.
    """
    layout = "{desc}: {n_fmt} of {total_fmt} |{bar:20}| {remaining} left"
    disable = True if quiet else None  # None: if stderr is not a terminal
    return _bar(
        total=total, desc=label, initial=done, file=stream, disable=disable, delay=PATIENCE_S, bar_format=layout
    )


def _bar(**options: Any) -> tqdm:
    from tqdm import tqdm

    class Bar(tqdm):
        monitor_interval = 0  # no thread of tqdm's own

    return Bar(leave=False, dynamic_ncols=True, mininterval=REDRAW_S, **options)


_library_bars = threading.RLock()  # this setting of the libraries is global


@contextmanager
def without_library_bars() -> Iterator[None]:
    """Hide the progress bars that diffusers and transformers draw while they load."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    with _library_bars:
        diffusers_logging.disable_progress_bar()
        transformers_logging.disable_progress_bar()
        try:
            yield
        finally:
            diffusers_logging.enable_progress_bar()
            transformers_logging.enable_progress_bar()
