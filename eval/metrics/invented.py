"""Does a fill show an object that nothing around it shows? Guessed from the class scores of EfficientNet-Lite2.

What it is: an ImageNet classifier sees the square around each part of the hole, and the squares of the same size left
of, right of, above and below it. The score is the largest gain of one class's probability over all of these. It is no
detector: it knows 1,000 classes, sees one object at a time, and takes a texture for an object now and then; so the
figure of the fills stands beside that of the truth itself.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from eval.metrics.features import EffNetFeatures, efficientnet_lite, normalised
from eval.metrics.removal import MIN_PIXELS

THRESHOLD = 0.3
"""Gain of probability from which a fill counts as showing an object."""
MIN_SIDE = 32
"""Of a square: smaller parts of a hole are shown with their surroundings."""
MAX_HOLE = 0.1
"""Share of hole up to which a square counts as surroundings."""

Classify = Callable[[list[np.ndarray]], Tensor]
"""Pictures (h, w, 3) uint8 of any sizes -> probabilities (N, classes)."""


class EffNetClasses:
    """Probabilities of ImageNet's classes by EfficientNet-Lite2."""

    def __init__(self, device: str = "cpu") -> None:
        self.network, self.device, self.side = efficientnet_lite(2).to(device), device, EffNetFeatures.SIDES[2]

    def __call__(self, pictures: list[np.ndarray]) -> Tensor:
        with torch.inference_mode():
            batch = torch.cat([self._scaled(picture) for picture in pictures])
            return self.network(normalised(batch)).softmax(dim=1).cpu()

    def _scaled(self, picture: np.ndarray) -> Tensor:
        pixels = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None].to(self.device).float()
        return F.interpolate(pixels, (self.side, self.side), mode="bilinear", antialias=True, align_corners=False)


def invented(photo: np.ndarray, hole: np.ndarray, classify: Classify) -> float | None:
    """1 if some part of the hole seems to show an object that its surroundings do not, else 0.

    photo (H, W, 3) uint8, hole (H, W) bool, not empty. None where no part has surroundings to compare with.
    """
    gains = [gain for part in _parts(hole) if (gain := _gain(photo, hole, part, classify)) is not None]
    return float(max(gains) >= THRESHOLD) if gains else None


def _gain(photo: np.ndarray, hole: np.ndarray, square: tuple[int, int, int], classify: Classify) -> float | None:
    """The largest gain of one class in a square (top, left, side) over those around it."""
    top, left, side = square
    places = [(top, left - side), (top, left + side), (top - side, left), (top + side, left)]
    around = [
        photo[y : y + side, x : x + side]
        for y, x in places
        if 0 <= y <= hole.shape[0] - side
        and 0 <= x <= hole.shape[1] - side
        and hole[y : y + side, x : x + side].mean() <= MAX_HOLE
    ]
    if not around:
        return None
    inside, *outside = classify([photo[top : top + side, left : left + side], *around])
    return float((inside - torch.stack(outside).amax(dim=0)).max())


def _parts(hole: np.ndarray) -> list[tuple[int, int, int]]:
    """(top, left, side) of the smallest square around every part of a hole, inside the picture."""
    import cv2

    height, width = hole.shape
    _, _, stats, _ = cv2.connectedComponentsWithStats(hole.astype(np.uint8), connectivity=8)
    parts = stats[1:]
    smallest = min(MIN_PIXELS, int(parts[:, cv2.CC_STAT_AREA].max()))
    found = []
    for x, y, across, down, area in parts.tolist():
        if area >= smallest:
            side = min(max(across, down, MIN_SIDE), height, width)
            top, left = y + (down - side) // 2, x + (across - side) // 2
            found.append((max(0, min(top, height - side)), max(0, min(left, width - side)), side))
    return found
