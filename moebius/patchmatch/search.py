"""The nearest-neighbour field of a hole: its grid of patches, searches in bands on threads, votes.

Work is cut into bands of rows whose number hangs on the sizes alone, every band reads the field of other bands as it
was before the pass, and random numbers are hashes of (seed, place): any number of threads gives the same bytes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice

import cv2
import numpy as np

from moebius.patchmatch import kernels
from moebius.patchmatch.vectors import CHANNELS, PATCH, ROW

BAND_ROWS = 32
BAND_PATCHES = 24_576
"""A band has at most so many patches, unless one row has more: tens of milliseconds, so that a cancel is heard soon."""
MIN_TYPICAL = 64.0
"""Least distance that counts as typical, so that weights stay finite where everything fits exactly."""
EMPTY = np.empty(0, np.uint8)


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Workers:
    """A pool of threads for bands; reports between them.

    Args:
        threads: number of threads; None: one for each core this process may use.
        tick: called on the caller's thread after every band with the share of the bands that it is; what it raises
            ends the work, once running bands end.
    """

    def __init__(self, threads: int | None, tick: Callable[[float], None] = lambda portion: None) -> None:
        if threads is not None and threads < 1:
            raise ValueError(f"threads must be at least 1, got {threads}")
        self.threads = threads or usable_cores()
        self.tick = tick
        self._pool = ThreadPoolExecutor(self.threads, "patchmatch") if self.threads > 1 else None

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *failure: object) -> None:
        if self._pool:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def each(self, work: Callable[[int, int], None], bands: Iterable[tuple[int, int]]) -> None:
        """`work(first, last)` for every band."""
        bands = list(bands)
        if self._pool is None or len(bands) < 2:
            for band in bands:
                work(*band)
                self.tick(1 / len(bands))
            return
        queue = iter(bands)
        running = {self._pool.submit(work, *band) for band in islice(queue, 2 * self.threads)}
        try:
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
                    self.tick(1 / len(bands))
                    running |= {self._pool.submit(work, *band) for band in islice(queue, 1)}
        finally:  # after a failure: bands that wait are dropped, those that run are waited for
            for future in running:
                future.cancel()
            wait(running)


def bands(rows: int, columns: int, max_rows: int = BAND_ROWS) -> list[tuple[int, int]]:
    """Rows 0..rows cut into (first, last), by the sizes alone."""
    height = max(1, min(max_rows, BAND_PATCHES // max(columns, 1)))
    return [(first, min(first + height, rows)) for first in range(0, rows, height)]


def usable_patches(hole: np.ndarray, margin: int = 0) -> np.ndarray:
    """(h - 7, w - 7) bool: patches without a pixel of `hole` (h, w) bool, or `margin` pixels near it."""
    height, width = hole.shape
    if height < PATCH or width < PATCH:
        return np.zeros((max(height - PATCH + 1, 0), max(width - PATCH + 1, 0)), bool)
    side = PATCH + 2 * margin
    near = cv2.dilate(
        hole.view(np.uint8),
        np.ones((side, side), np.uint8),
        anchor=(margin, margin),
        borderType=cv2.BORDER_CONSTANT,
        borderValue=0,
    )
    return near[: height - PATCH + 1, : width - PATCH + 1] == 0


@dataclass(frozen=True, eq=False)
class Grid:
    """The part of a picture that is filled, and the patches that cover it: the hole's box and a patch around it."""

    top: int
    left: int
    hole: np.ndarray
    """(H, W) bool, of the box."""
    stride: int
    active: np.ndarray
    """(gh, gw) bool: patches that meet the hole. Patch (i, k) starts at pixel (i, k) * stride of the box."""

    @property
    def box(self) -> tuple[slice, slice]:
        height, width = self.hole.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)

    @property
    def place(self) -> np.ndarray:
        return np.array([self.top, self.left, self.stride], np.int64)


def grid_of(hole: np.ndarray, stride: int) -> Grid:
    """The grid for `hole` (h, w) bool, at least 8×8 and with a hole; its box grows until the grid ends on its edge."""
    spans = []
    for axis, length in ((1, hole.shape[0]), (0, hole.shape[1])):
        inside = np.flatnonzero(hole.any(axis=axis))
        low, high = max(0, int(inside[0]) - PATCH), min(length, int(inside[-1]) + 1 + PATCH)
        missing = max(PATCH - (high - low), 0) or -(high - low - PATCH) % stride
        after = min(missing, length - high)
        spans.append((max(0, low - (missing - after)), high + after))
    (top, bottom), (left, right) = spans
    part = np.ascontiguousarray(hole[top:bottom, left:right])
    meets = cv2.dilate(
        part.view(np.uint8),
        np.ones((PATCH, PATCH), np.uint8),
        anchor=(0, 0),
        borderType=cv2.BORDER_CONSTANT,
        borderValue=0,
    )
    height, width = part.shape
    active = meets[: height - PATCH + 1 : stride, : width - PATCH + 1 : stride] > 0
    return Grid(top, left, part, stride, np.ascontiguousarray(active))


def window(sigma: float | None) -> np.ndarray:
    """Weights (512,) float32 inside a patch: all 1, or a Gaussian around its centre."""
    if sigma is None:
        return np.ones(PATCH * ROW, np.float32)
    centred = np.arange(PATCH) - (PATCH - 1) / 2
    bell = np.exp(-(centred**2) / (2 * sigma**2))
    return np.repeat(np.outer(bell, bell), CHANNELS, axis=1).astype(np.float32).ravel()


class Field:
    """For every grid patch the place of a known patch that looks like it, and their distance."""

    def __init__(self, grid: Grid, usable: np.ndarray, seed: int, workers: Workers, nearness: float = 0) -> None:
        """usable: (h - 7, w - 7) bool, not all False. nearness: what a patch as far away as the picture is long costs
        beside its distance."""
        first = int(usable.argmax())
        if not usable.size or not usable.flat[first]:
            raise ValueError("no patch of 8×8 pixels is wholly known")
        self.grid, self.usable, self.seed, self._workers = grid, np.ascontiguousarray(usable), seed, workers
        self._spare = np.array(np.unravel_index(first, usable.shape), np.int32)
        self.places = np.empty((*grid.active.shape, 2), np.int32)
        self.places[:] = self._spare
        self.cost = np.full(grid.active.shape, kernels.FAR // 2, np.int32)
        self._pull, self._passes = round(nearness * 256 / max(usable.shape)), 0
        self._list: np.ndarray | None = None

    def randomise(self) -> Field:
        """Point every patch at a random source; returns itself."""
        self._bands(lambda a, b: kernels.random_band(self.usable, self.places, self.grid.active, self._number(), a, b))
        return self

    def enlarge(self, coarse: Field, scale: tuple[float, float]) -> Field:
        """Start from a coarser level's field; `scale` = this picture's height and width over that one's."""
        grid, before = self.grid, coarse.grid
        self._bands(
            lambda a, b: kernels.enlarge_band(
                coarse.places,
                before.active,
                before.place,
                self.places,
                grid.active,
                grid.place,
                *scale,
                self.usable,
                self._spare,
                self._number(),
                a,
                b,
            )
        )
        self.cost[:] = 1
        return self

    def search(
        self,
        target: np.ndarray,
        source: np.ndarray,
        passes: int,
        candidates: int,
        radius: int,
        *,
        mask: np.ndarray = EMPTY,
        requested: np.ndarray | None = None,
        known: np.ndarray | None = None,
    ) -> None:
        """PatchMatch. target (H, W, 8) of the grid's box, or `source` itself; source (h, w, 8) uint8.

        See `kernels.search_band`.
        """
        requested = self.grid.active if requested is None else requested
        known = self.grid.active if known is None else known
        for turn in range(passes):
            self._pass(target, source, candidates, radius, mask, requested, known, fresh=turn == 0)

    def _pass(
        self,
        target: np.ndarray,
        source: np.ndarray,
        candidates: int,
        radius: int,
        mask: np.ndarray,
        requested: np.ndarray,
        known: np.ndarray,
        fresh: bool,
    ) -> None:
        """One pass of PatchMatch; directions alternate from pass to pass. fresh: the costs are not known yet."""
        before, number, backwards = self.places.copy(), self._number(), bool(self._passes & 1)
        top, left = (self.grid.top, self.grid.left) if target is source else (0, 0)
        width = target.shape[1]

        def work(first: int, last: int) -> None:
            kernels.search_band(
                target.reshape(-1)[(top * width + left) * CHANNELS :],
                mask.reshape(-1),
                width,
                source.reshape(-1),
                source.shape[1],
                self.usable,
                self.places,
                self.cost,
                before,
                known,
                requested,
                first,
                last,
                self.grid.place,
                self._pull,
                backwards,
                candidates,
                radius,
                number,
                fresh,
            )

        self._bands(work)
        self._passes += 1

    @property
    def pairs(self) -> int:
        """Active patches times usable ones."""
        return int(np.count_nonzero(self.grid.active)) * int(np.count_nonzero(self.usable))

    def search_all(
        self, target: np.ndarray, source: np.ndarray, mask: np.ndarray = EMPTY, requested: np.ndarray | None = None
    ) -> None:
        """The nearest of all usable patches."""
        if self._list is None:
            self._list = np.argwhere(self.usable).astype(np.int32)
        requested = self.grid.active if requested is None else requested
        self._bands(
            lambda a, b: kernels.exact_band(
                target.reshape(-1),
                mask.reshape(-1),
                target.shape[1],
                source.reshape(-1),
                source.shape[1],
                self._list,
                self.places,
                self.cost,
                requested,
                a,
                b,
                self.grid.place,
                self._pull,
            ),
            max_rows=2,
        )

    def typical(self) -> float:
        """Distance that three of four active patches stay under."""
        step = max(1, int((self.cost.size / 20_000) ** 0.5))
        cost = self.cost[::step, ::step][self.grid.active[::step, ::step]]
        return max(float(np.quantile(cost, 0.75)) if cost.size else 1.0, MIN_TYPICAL)

    def vote(
        self,
        source: np.ndarray,
        power: int,
        use: Callable[[int, int, np.ndarray], None],
        *,
        trust: np.ndarray | None = None,
        active: np.ndarray | None = None,
        cost: np.ndarray | None = None,
        sigma: float | None = None,
    ) -> None:
        """Weighted sums of the patches, a band of box rows at a time: `use(first, last, sums)` on a worker's thread,
        sums (last - first, W, 8) float32. Their quotient with a channel that is 1 everywhere is the mean."""
        grid, typical, shape = self.grid, np.float32(self.typical()), window(sigma)
        height, width = grid.hole.shape
        active, cost = grid.active if active is None else active, self.cost if cost is None else cost
        trust = np.empty((0, 0), np.float32) if trust is None else trust

        def work(first: int, last: int) -> None:
            sums = np.empty((last - first, width * CHANNELS), np.float32)
            kernels.vote_band(
                source.reshape(-1),
                source.shape[1],
                self.places,
                cost,
                trust,
                active,
                typical,
                power,
                grid.stride,
                shape,
                first,
                last,
                sums,
            )
            use(first, last, sums.reshape(last - first, width, CHANNELS))

        self._workers.each(work, bands(height, width // 4))

    def _number(self) -> int:
        return (self.seed * 7919 + (self._passes + 1) * 104_729) & 0x7FFFFFFF

    def _bands(self, work: Callable[[int, int], None], max_rows: int = BAND_ROWS) -> None:
        rows, columns = self.grid.active.shape
        self._workers.each(work, bands(rows, columns, max_rows))
