"""A tile that was scaled down for its model, back at the photo's size: with the photo's own texture, not only enlarged.

Part of stop 5, before the fill is pasted. The method stands in `moebius.patchmatch.detail`.
"""

from __future__ import annotations

import numpy as np

from moebius.config import SamplingConfig
from moebius.fill import geometry
from moebius.progress import Progress

MIN_SCALE = 1.25
"""Pixels of the photo for one of the tile from which a fill is too soft to be enlarged only."""


def applies(square: geometry.Square, size: int | None, config: SamplingConfig) -> bool:
    """Whether the fill of `square` gets detail. size: side of the model's tiles; None: any, so it is not scaled."""
    return config.detail and size is not None and square.side > MIN_SCALE * size


def prepare() -> None:
    """Have the kernels loaded in the background, while the model is at work."""
    from moebius.patchmatch import compile as kernels

    kernels.start()


def add(
    canvas: np.ndarray,
    todo: np.ndarray,
    filled: np.ndarray,
    square: geometry.Square,
    feather_px: int,
    seed: int,
    threads: int | None,
    progress: Progress,
) -> np.ndarray:
    """`filled` (S, S, 3) float32 in [0, 255], as large as its square and with fine detail in the hole.

    What lies under the hole has no influence. What the blend will mix with the photo around the hole is made too, so
    that no soft rim remains.

    Args:
        canvas: (H, W, 3) uint8 or uint16, the photo so far.
        todo: (H, W) bool, hole pixels that are not filled yet.
        threads: None: one for each core.
        progress: may raise `Cancelled`.
    """
    from moebius.patchmatch import compile as kernels
    from moebius.patchmatch.detail import detail

    kernels.ready(progress)
    photo = geometry.at_full_size(canvas, square)
    hole = geometry.feather(geometry.at_full_size(todo, square), feather_px) > 0
    return detail(photo, hole, filled, seed=seed, threads=threads, progress=progress)
