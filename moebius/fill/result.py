"""The result of filling a photo."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from moebius.fill import geometry
from moebius.photo.raster import Raster


@dataclass(frozen=True, kw_only=True)
class Fill:
    """A filled photo, with times and notes."""

    raster: Raster
    """Same size and mode as the input; the input object itself if the mask is empty."""
    changed: np.ndarray
    """(H, W) bool: the pixels that may have changed. Every other pixel is bit-identical."""
    squares: tuple[geometry.Square, ...]
    seconds: dict[str, float]
    """Wall-clock seconds by part: `model` (of a call for several squares, each one's share), `detail`, `geometry`
    (cutting, scaling, pasting)."""
    notes: tuple[str, ...]
    """Sentences for the user, e.g. that the mask was empty."""
    detail: bool = False
    """Whether any square was scaled down for the model and got fine detail from the photo."""
    step_ms: float | None = None
    """Median time of the denoising steps except the first, in milliseconds per square; None: fewer than two steps."""
