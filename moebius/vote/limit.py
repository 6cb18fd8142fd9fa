"""How fast votes may come: so many a minute from one voter, and from all together."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

MINUTE_S = 60.0
ONE_VOTER, ALL_VOTERS = 60, 1200
"""Votes a minute."""


class TooFast(ValueError):
    """A vote came too soon after others."""


class RateLimit:
    """Remembers the last minute only.

    Args:
        clock: seconds that only grow.
    """

    def __init__(
        self, one: int = ONE_VOTER, everyone: int = ALL_VOTERS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.one, self.everyone, self._clock = one, everyone, clock
        self._calls: deque[tuple[float, str]] = deque()
        self._lock = threading.Lock()

    def count(self, voter: str) -> None:
        """Count one more. Raises TooFast where that is too many."""
        with self._lock:
            now = self._clock()
            while self._calls and self._calls[0][0] <= now - MINUTE_S:
                self._calls.popleft()
            if sum(caller == voter for _, caller in self._calls) >= self.one:
                raise TooFast(f"more than {self.one} votes a minute; please wait a little")
            if len(self._calls) >= self.everyone:
                raise TooFast("too many votes come in at the moment; please wait a little")
            self._calls.append((now, voter))
