"""What comes of filling a photo."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from moebius.fill import geometry
from moebius.photo.raster import Raster


@dataclass(frozen=True, kw_only=True)
class Fill:
    """A filled photo and what is worth saying about it."""

    raster: Raster
    """Same size and mode as the input; the input object itself where nothing was to fill."""
    changed: np.ndarray
    """(H, W) bool: the pixels that the blend may have touched. Every other pixel is bit-identical."""
    squares: tuple[geometry.Square, ...]
    seconds: dict[str, float]
    """Wall-clock seconds by part: `model` (in the network's hands; of a call for several squares each one's share),
    `detail` (see there), `geometry` (cutting, scaling, pasting)."""
    notes: tuple[str, ...]
    """Plain sentences for the user, e.g. that the mask was empty."""
    detail: bool = False
    """Whether any square was scaled down for the model and got its texture from the photo."""
    step_ms: float | None = None
    """Median of the denoising steps but the first, in milliseconds and a square; None: there are fewer than two."""
