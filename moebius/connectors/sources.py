"""Photos that a raw editor uploads once and then names: few, not for long, and each for the caller who sent it."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from moebius.connectors.errors import UnknownError

MAX_SOURCES, MAX_SOURCE_BYTES, IDLE_S = 20, 1 << 29, 3600.0
"""Beyond that many, or that many bytes, the one used longest ago goes; and one that nobody used for so long."""

Key = tuple[str, str]
"""The caller's address, and the name that the caller gave."""


class Sources:
    """Safe to use from several threads. Kept in memory only."""

    def __init__(
        self,
        most: int = MAX_SOURCES,
        most_bytes: int = MAX_SOURCE_BYTES,
        idle_s: float = IDLE_S,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most, self._most_bytes, self._idle_s, self._now = most, most_bytes, idle_s, now
        self._kept: OrderedDict[Key, tuple[bytes, float]] = OrderedDict()  # used longest ago first
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    def add(self, key: Key, data: bytes) -> None:
        """Keep a photo; the newest one stays whatever its size."""
        with self._lock:
            self._kept.pop(key, None)
            self._kept[key] = data, self._now()
            while len(self._kept) > 1 and (len(self._kept) > self._most or self._bytes() > self._most_bytes):
                self._kept.popitem(last=False)
        self._watch()

    def get(self, key: Key) -> bytes:
        """Raises UnknownError: never uploaded, or not kept any more."""
        self.forget()
        with self._lock:
            if key not in self._kept:
                raise UnknownError(f"the source {key[1]!r:.80} is not here; upload it first")
            data, _ = self._kept.pop(key)
            self._kept[key] = data, self._now()
            return data

    def forget(self) -> None:
        """Drop what nobody used for too long."""
        with self._lock:
            oldest_allowed = self._now() - self._idle_s
            for key in [key for key, (_, used) in self._kept.items() if used <= oldest_allowed]:
                del self._kept[key]

    def __len__(self) -> int:
        return len(self._kept)

    def _bytes(self) -> int:
        return sum(len(data) for data, _ in self._kept.values())

    def _watch(self) -> None:
        """Forget in time also when nobody comes."""
        if self._timer:
            self._timer.cancel()
        self._timer = threading.Timer(self._idle_s + 1, self.forget)
        self._timer.daemon = True
        self._timer.start()
