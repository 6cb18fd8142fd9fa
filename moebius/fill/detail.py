"""Fine detail for the fill of a tile that was scaled down for the model: the photo's own texture, at the photo's size.

Part of stop 5, before the fill is pasted. `moebius.patchmatch.detail` has the method.
"""

from __future__ import annotations

import numpy as np

from moebius.config import SamplingConfig
from moebius.fill import geometry
from moebius.progress import Progress

MIN_SCALE = 1.25
"""If a square is more than this many times as wide as the tile, its enlarged fill is too soft and gets detail."""


def applies(square: geometry.Square, size: int | None, config: SamplingConfig) -> bool:
    """Whether the fill of `square` gets detail. size: side of the model's tiles; None: tiles are never scaled."""
    return config.detail and size is not None and square.side > MIN_SCALE * size


def prepare() -> None:
    """Load the kernels in the background, while the model works."""
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
    """Enlarge `filled` (S, S, 3) float32 in [0, 255] to its square's size, with fine detail in the hole.

    The pixels under the hole have no influence. The rim around the hole, which will be blended with the photo, gets
    detail, too, so that it is not soft.

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
