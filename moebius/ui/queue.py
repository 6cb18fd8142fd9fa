"""Who computes: one fill at a time in the whole process, in the order of asking.

Only a model's work needs the turn: photos are opened before it, and written after it, while the next visitor has it. A
batch would keep everybody waiting for hours, so it queues anew for each photo, and whoever came meanwhile is served
before its next one.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from moebius.ui.handlers import Stoppable

IN_TURN = {"concurrency_id": "compute", "concurrency_limit": 2}
"""For the page's events that take the turn: how many may run. While one has the turn, the other one opens its photo or
writes its result; more would only wait with their photos in memory."""
POLL_S = 0.25
"""How often a waiting caller looks whether the visitor has stopped it."""

_changed = threading.Condition()
_queue: deque[object] = deque()
"""The first one has the turn."""


@contextmanager
def take(report: Stoppable) -> Iterator[None]:
    """Wait for the turn and have it. What is waited does not count for the time limit of `report`.

    Raises:
        Cancelled: the visitor stopped it while it was waiting.
    """
    ticket = object()
    with _changed:
        _queue.append(ticket)
    try:
        with report.paused():
            while not _first(ticket):
                report.waiting("Waiting for another visitor's photo")
        yield
    finally:
        with _changed:
            _queue.remove(ticket)
            _changed.notify_all()


def _first(ticket: object) -> bool:
    with _changed:
        return _changed.wait_for(lambda: _queue[0] is ticket, POLL_S)
