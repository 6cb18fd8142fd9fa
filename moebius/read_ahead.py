"""Reading ahead: threads read the next items while the current one is processed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Read = TypeVar("Read")


def read_ahead(
    items: Iterable[Item], read: Callable[[Item], Read], depth: int | Callable[[], int], workers: int
) -> Generator[tuple[Item, Read], None, None]:
    """Pairs (item, read(item)), in the order of `items`.

    An error in `read` is raised when its item is due, and ends the iteration. When the iteration ends or is closed,
    reads that have not begun are cancelled, and running ones are waited for. Items that were yielded are not kept here.

    Args:
        depth: how many items are read ahead of the current one; a function is called again for each item.
        workers: number of threads.
    """
    waiting: deque[tuple[Item, Future[Read]]] = deque()
    with ThreadPoolExecutor(workers, "read") as threads:
        try:
            for item in items:
                waiting.append((item, threads.submit(read, item)))
                if len(waiting) > (depth() if callable(depth) else depth):
                    yield _finished(*waiting.popleft())
            while waiting:
                yield _finished(*waiting.popleft())
        finally:
            threads.shutdown(wait=False, cancel_futures=True)


def _finished(item: Item, future: Future[Read]) -> tuple[Item, Read]:
    return item, future.result()
