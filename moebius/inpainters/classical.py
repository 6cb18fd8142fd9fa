"""A filler without weights: OpenCV's inpainting after Telea (2004), so that a fresh clone works offline."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from moebius.config import SamplingConfig
from moebius.inpainter import Inpainter, Progress

if TYPE_CHECKING:
    import torch


class ClassicalInpainter(Inpainter):
    """Carries the colours of the hole's edge inwards, at the photo's own resolution; no randomness."""

    name = "classical"
    size = None

    def fill_square(
        self,
        image: np.ndarray,
        mask: np.ndarray,
        config: SamplingConfig,
        generator: torch.Generator | None,
        progress: Progress,
    ) -> np.ndarray:
        """See `Inpainter.fill_square`; nothing of `config` and `generator` matters here."""
        import cv2

        progress(0.0, "Filling")
        filled = cv2.inpaint(image, mask.astype(np.uint8), 5, cv2.INPAINT_TELEA)
        progress(1.0, "Filled")
        return filled.astype(np.float32)
