"""A filler without weights: PatchMatch (Barnes et al. 2009, doi:10.1145/1531326.1531330), by the library PyPatchMatch.

It lays patches of the photo's known part over the hole, coarse to fine. What it was compared with, and why it was
taken, stands in benchmarks/classical.md.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from moebius.config import SamplingConfig
from moebius.fill import geometry
from moebius.fill.call_progress import CallProgress
from moebius.inpainters.base import Inpainter, one_by_one
from moebius.progress import Progress

if TYPE_CHECKING:
    import torch

PATCH_RADIUS = 3
"""Patches are 7 pixels wide: radius 5 takes longer and scores no better."""
TELEA_RADIUS = 5
MAX_WORK = 12_000_000
"""Pixels of the square plus `HOLE_COST` times those of the hole that are filled at full resolution: about 11 s on one
core. More is filled smaller and enlarged."""
HOLE_COST = 12
SEED = 0
"""Of the library's search: the same photo and hole give the same fill."""
POLL_S = 0.25
"""How often a running fill reports and can be cancelled."""

_native = threading.Lock()  # the library keeps one seed for the whole process


class ClassicalInpainter(Inpainter):
    """Continues textures and edges, and knows no objects. The same photo and hole give the same fill."""

    name = "classical"
    size = None

    def fill_squares(
        self,
        tiles: Sequence[np.ndarray],
        masks: Sequence[np.ndarray],
        config: SamplingConfig,
        generators: Sequence[torch.Generator | None],
        progress: CallProgress,
    ) -> list[np.ndarray]:
        """See `Inpainter.fill_squares`; `config` and `generators` are not used.

        Raises:
            ValueError: the library was installed without its compiled part.
        """
        return one_by_one(self.fill_square, tiles, masks, config, generators, progress)

    def fill_square(
        self,
        image: np.ndarray,
        mask: np.ndarray,
        config: SamplingConfig,
        generator: torch.Generator | None,
        progress: Progress,
    ) -> np.ndarray:
        """(S, S, 3) uint8 and (S, S) bool -> (S, S, 3) float32 in [0, 255]."""
        side = image.shape[0]
        size = working_size(mask)
        whole = geometry.Square(0, 0, side, ((0, 0, side, side),))
        tile, hole = geometry.cut(image, mask, whole, size)  # grey under the hole
        filled = _wait_for(lambda: patch_match(tile, hole), progress)
        if size < side:
            import cv2

            filled = cv2.resize(filled.astype(np.float32), (side, side), interpolation=cv2.INTER_CUBIC).clip(0, 255)
        progress(1.0, "Filled")
        return filled.astype(np.float32)


def working_size(mask: np.ndarray) -> int:
    """Side at which a square with the hole `mask` (S, S) bool is filled: S, or less where that took too long."""
    work = mask.size + HOLE_COST * int(np.count_nonzero(mask))
    return math.floor(mask.shape[0] * min(1.0, math.sqrt(MAX_WORK / work)))


def patch_match(image: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """`image` (H, W, 3) uint8 with `hole` (H, W) bool filled, all other pixels as they were."""
    import cv2
    import patchmatch

    if not patchmatch.patchmatch_available:
        raise ValueError(
            "PyPatchMatch is installed without its compiled part: pip install --force-reinstall --no-cache-dir "
            "PyPatchMatch, or take another model"
        )
    known = np.maximum(image, 1)  # so that black in the fill means: no patch reached this pixel
    with _native:
        patchmatch.set_random_seed(SEED)
        filled = patchmatch.inpaint(known, hole, patch_size=PATCH_RADIUS)
    missed = hole & ~filled.any(axis=2)
    if missed.any():  # seen where next to nothing is known, one row of 400, say
        filled = cv2.inpaint(filled, missed.astype(np.uint8), TELEA_RADIUS, cv2.INPAINT_TELEA)
    return np.where(hole[..., None], filled, image)


def _wait_for(work: Callable[[], np.ndarray], progress: Progress) -> np.ndarray:
    """Result of `work()`, run beside a loop that reports the seconds.

    The library cannot be stopped: after a cancel it runs to its end unheeded, seconds at most.
    """
    progress(0.0, "Filling")
    started = time.perf_counter()
    pool = ThreadPoolExecutor(1, thread_name_prefix="patchmatch")
    future = pool.submit(work)
    pool.shutdown(wait=False)
    while True:
        try:
            return future.result(timeout=POLL_S)
        except TimeoutError:
            progress(0.0, f"Filling, {time.perf_counter() - started:.0f} s")
