"""A filler without weights: it copies patches of the photo into the hole (`moebius.patchmatch.filler`).

benchmarks/classical.md compares it with others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from moebius import devices
from moebius.config import SamplingConfig
from moebius.fill.call_progress import CallProgress
from moebius.inpainters.base import Inpainter, one_by_one
from moebius.patchmatch import compile as kernels
from moebius.progress import Progress
from moebius.units import rough_duration

if TYPE_CHECKING:
    import torch

SEED = 0
"""Fixed, so that the same photo and hole give the same fill."""


class ClassicalInpainter(Inpainter):
    """Continues textures and edges, but knows no objects. The same photo and hole give the same fill."""

    name = "classical"
    size = None

    def __init__(self) -> None:
        kernels.start()

    def fill_squares(
        self,
        tiles: Sequence[np.ndarray],
        masks: Sequence[np.ndarray],
        config: SamplingConfig,
        generators: Sequence[torch.Generator | None],
        progress: CallProgress,
    ) -> list[np.ndarray]:
        """See `Inpainter.fill_squares`; `config` and `generators` are not used."""
        return one_by_one(self.fill_square, tiles, masks, config, generators, progress)

    def fill_square(
        self,
        image: np.ndarray,
        mask: np.ndarray,
        config: SamplingConfig,
        generator: torch.Generator | None,
        progress: Progress,
    ) -> np.ndarray:
        """(S, S, 3) uint8 and (S, S) bool -> (S, S, 3) float32 in [0, 255], at full resolution."""
        kernels.ready(progress)
        from moebius.patchmatch import filler  # not before: until then numba is imported in another thread

        threads = devices.cpu_threads()
        progress(0.0, f"Filling, about {rough_duration(filler.estimate_seconds(mask, threads))}")
        filled = filler.fill(image, mask, seed=SEED, threads=threads, progress=progress)
        return filled.astype(np.float32)
