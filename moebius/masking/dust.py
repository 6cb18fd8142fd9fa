"""Dust on the sensor: small, soft, round, dark spots in smooth parts of a photo, and those that several photos share.

A spot is a minimum of the difference of two Gaussians (Lindeberg 1998, doi:10.1023/A:1008045108935) that stands out of
the grain around it. Where the photo has texture, nothing is taken for dust.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

WORK_SIDE = 1600
"""Longest side, in pixels, of what is looked at: smaller spots than 2 pixels of it are not seen in a print either."""
RADII = (2.0, 3.0, 4.5, 6.5, 9.5)
"""Of spots, at that size."""
CONTRAST = 0.012
"""Least depth of a spot, as a share of the brightness around it."""
DEEPEST = 0.35
"""Deeper is no dust: a bird."""
CLEAR = 5.0
"""Depth in standard deviations of the grain."""
CALM = 0.02
"""Largest standard deviation of a spot's surroundings, as a share of their brightness."""
ROUND = 0.5
"""Least ratio of a spot's widths along and across."""
MAX_SPOTS = 60
SAME_PLACE = 1.5
"""Spots of two photos are one where their middles are this many radii apart or less."""
MARGIN = 1.6
"""Radius to be painted, in radii of the spot: its soft edge goes, too."""


@dataclass(frozen=True)
class Spot:
    """Middle and radius, as shares of the photo's longer side; `x` and `y` from its upper left corner."""

    x: float
    y: float
    radius: float
    clearness: float
    """Depth in standard deviations of the grain."""


def find_dust(image: np.ndarray) -> list[Spot]:
    """Spots of dust in a photo, (H, W, 3) uint8; the clearest first, at most `MAX_SPOTS`."""
    scale = min(1.0, WORK_SIDE / max(image.shape[:2]))
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    grey = cv2.cvtColor(cv2.resize(image, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY).astype(np.float32)
    found: list[tuple[float, int, int, float]] = []
    for radius in RADII:
        near, far = cv2.GaussianBlur(grey, (0, 0), radius / 2), cv2.GaussianBlur(grey, (0, 0), 2 * radius)
        depth = (far - near) / np.maximum(far, 8)
        lowest = depth >= cv2.dilate(depth, np.ones((2 * round(radius) + 1,) * 2, np.uint8))
        side = 2 * round(3.5 * radius) + 1
        mean = cv2.blur(grey, (side, side))
        spread = np.sqrt(np.maximum(cv2.blur(grey * grey, (side, side)) - mean * mean, 0))
        calm = spread < 3 * CALM * np.maximum(mean, 8)  # with the spot itself and any gradient
        for y, x in np.argwhere(lowest & calm & (depth > CONTRAST / 2) & (depth < DEEPEST)):
            clearness = _clearness(grey, int(x), int(y), radius)
            if clearness > CLEAR:
                found.append((clearness, int(x), int(y), radius))
    found.sort(reverse=True)
    kept: list[tuple[float, int, int, float]] = []
    for one in found:
        if all(np.hypot(one[1] - x, one[2] - y) > one[3] + radius for _, x, y, radius in kept):
            kept.append(one)
    longer = max(size)
    return [
        Spot((x + 0.5) / longer, (y + 0.5) / longer, radius / longer, score) for score, x, y, radius in kept[:MAX_SPOTS]
    ]


def _clearness(grey: np.ndarray, x: int, y: int, radius: float) -> float:
    """Depth of a spot in standard deviations of its surroundings; 0: it is no spot of dust."""
    reach = round(3.5 * radius)
    if min(x, y) < reach or x >= grey.shape[1] - reach or y >= grey.shape[0] - reach:
        return 0.0
    piece = grey[y - reach : y + reach + 1, x - reach : x + reach + 1]
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    distance = np.hypot(rows, columns)
    around = (distance > 2 * radius) & (distance <= reach)
    plane, *_ = np.linalg.lstsq(
        np.column_stack([rows[around], columns[around], np.ones(around.sum())]), piece[around], rcond=None
    )
    ground = plane[0] * rows + plane[1] * columns + plane[2]
    residue = ground - piece
    spread, level = float(residue[around].std()), float(max(plane[2], 8.0))
    inner = residue[distance <= 0.7 * radius]
    depth = float(inner.mean())
    if depth < CONTRAST * level or spread > CALM * level:
        return 0.0
    weight = np.where((distance <= 2 * radius) & (residue > 0.3 * depth), residue, 0)
    total = float(weight.sum())
    spread_rows, spread_columns = (float((weight * axis**2).sum() / total) for axis in (rows, columns))
    mixed = float((weight * rows * columns).sum() / total)
    low, high = np.linalg.eigvalsh([[spread_rows, mixed], [mixed, spread_columns]])
    if low <= 0 or np.sqrt(low / high) < ROUND:
        return 0.0
    return depth / max(spread, 0.4)


def shared(photos: Sequence[Sequence[Spot]], least: int = 2) -> list[Spot]:
    """Spots that at least `least` of several photos have at the same place, as they are in the first that has each."""
    out: list[Spot] = []
    for index, spots in enumerate(photos):
        for spot in spots:
            if any(_same(spot, other) for other in out):
                continue
            if sum(any(_same(spot, other) for other in others) for others in photos[index:]) >= least:
                out.append(spot)
    return out


def _same(one: Spot, other: Spot) -> bool:
    return float(np.hypot(one.x - other.x, one.y - other.y)) <= SAME_PLACE * max(one.radius, other.radius)
