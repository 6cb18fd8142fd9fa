"""A rough stroke becomes the object under it, by GrabCut (Rother et al. 2004, doi:10.1145/1015706.1015720) of OpenCV.

The middle of the stroke is taken for the object, what is far from it for the background; between them two mixtures of
colours and the edges of the picture decide. Each piece of the stroke is an object of its own.
"""

from __future__ import annotations

import cv2
import numpy as np

from moebius.photo.raster import bounding_box

WORK_SIDE = 240
"""Longest side, in pixels, at which the colours are told apart; the mask's edge is then found at the picture's size."""
MARGIN = 0.35
"""Surroundings that are looked at, as a share of the stroke's longer side, on each side of it."""
REACH = 0.25
"""How far beyond the stroke its object may reach, as a share of the stroke's longer side."""
CORE = 0.5
"""Of the greatest distance to the stroke's edge: what lies deeper is taken for the object."""
ROUNDS = 4
LEAST_SHARE, MOST_SHARE = 0.35, 4.0
"""Sizes of a plausible object, as shares of the stroke's area."""
STEP = 6.0
"""Least mean difference across the object's edge, in grey levels of a channel: less, and there is no edge."""
CUT_OFF = 0.3
"""Share of the object's edge that may lie where the reach ends: more of it, and the object is not told apart."""
MAX_PIECES = 12
"""The largest pieces of a stroke are fitted; the others stay as they are."""


def fit(image: np.ndarray, stroke: np.ndarray) -> np.ndarray | None:
    """The objects under a rough stroke.

    Args:
        image: (H, W, 3) uint8.
        stroke: (H, W) bool.

    Returns:
        (H, W) bool; a piece of the stroke under which no plausible object was found stays as it is. None: that is so
        for every piece.
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats(stroke.astype(np.uint8), connectivity=8)
    largest = sorted(range(1, count), key=lambda piece: -stats[piece, cv2.CC_STAT_AREA])[:MAX_PIECES]
    out, found = stroke.copy(), False
    for piece in largest:
        window = _window(labels == piece)
        own = labels[window] == piece
        fitted = _fit_piece(image[window], own)
        if fitted is not None:
            found = True
            out[window] = (out[window] & ~own) | fitted
    return out if found else None


def _window(piece: np.ndarray) -> tuple[slice, slice]:
    left, top, right, bottom = bounding_box(piece)
    margin = 8 + round(MARGIN * max(right - left, bottom - top))
    return slice(max(0, top - margin), bottom + margin), slice(max(0, left - margin), right + margin)


def _fit_piece(image: np.ndarray, stroke: np.ndarray) -> np.ndarray | None:
    """One object, (h, w) bool; None where it is not plausible."""
    height, width = stroke.shape
    scale = min(1.0, WORK_SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    painted = cv2.resize(stroke.astype(np.float32), size, interpolation=cv2.INTER_AREA) >= 0.5
    if not painted.any() or painted.all():
        return None
    area = np.count_nonzero(painted)
    depth, distance = _distance(painted), _distance(~painted)
    left, top, right, bottom = bounding_box(painted)
    reach = max(4.0, REACH * max(right - left, bottom - top))
    core = depth >= max(1.0, CORE * depth.max())
    labels = np.full(painted.shape, cv2.GC_BGD, np.uint8)
    labels[distance <= reach] = cv2.GC_PR_BGD
    labels[painted] = cv2.GC_PR_FGD
    labels[core] = cv2.GC_FGD
    if not (labels == cv2.GC_BGD).any():
        return None
    cv2.setRNGSeed(0)  # the only way to make OpenCV's first clusters the same each time
    cv2.grabCut(small, labels, None, np.zeros((1, 65)), np.zeros((1, 65)), ROUNDS, cv2.GC_INIT_WITH_MASK)
    found = _tidy((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD), core)
    if not LEAST_SHARE <= np.count_nonzero(found) / area <= MOST_SHARE:
        return None
    edge = found & ~cv2.erode(found.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=1).astype(bool)
    if np.count_nonzero(edge & (distance > reach - 1.5)) > CUT_OFF * np.count_nonzero(edge):
        return None
    if _step(small, edge) < STEP:
        return None
    full = cv2.resize(found.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    return full > 0.5


def _step(image: np.ndarray, edge: np.ndarray) -> float:
    """Mean over the edge's pixels of the largest channel's difference across four of them, without grain."""
    smooth = cv2.GaussianBlur(image, (0, 0), 1.5).astype(np.float32)
    across = [np.abs(np.roll(smooth, 2, axis) - np.roll(smooth, -2, axis)).max(axis=2) for axis in (0, 1)]
    return float(np.hypot(*across)[edge].mean()) if edge.any() else 0.0


def _distance(mask: np.ndarray) -> np.ndarray:
    """Pixels to the next one that is not in the mask; the picture's edge is none."""
    return cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)


def _tidy(found: np.ndarray, core: np.ndarray) -> np.ndarray:
    """Without specks and threads, in pieces that hold some of the core, and without holes."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
    opened = cv2.morphologyEx(found.astype(np.uint8), cv2.MORPH_OPEN, disc)
    _, labels = cv2.connectedComponents(opened, connectivity=8)
    kept = np.isin(labels, np.setdiff1d(np.unique(labels[core]), 0))
    outlines, _ = cv2.findContours(kept.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(np.zeros(kept.shape, np.uint8), outlines, -1, 1, cv2.FILLED).astype(bool)
