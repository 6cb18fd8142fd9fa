"""Masks as people paint them: too tight, loose, half, a scribble, the shadow forgotten. From the object's exact mask.

Masks are (H, W) bool, True = hole. Every kind depends on the masks alone, so all models get the same ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

CARELESS = "careless"
"""As `--masks`: each pair once with every kind."""
TIGHT, LOOSE, VERY_LOOSE = 0.04, 0.05, 0.15
"""Shares of the object's size (the root of its area) by which a mask is smaller or larger."""
SCRIBBLE = 0.12
"""Width of a scribble, as a share of the same."""

Kind = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(object, effect) -> mask."""


def exact(whole: np.ndarray, effect: np.ndarray) -> np.ndarray:
    """The object with its shadow and reflection."""
    return whole | effect


def tight(whole: np.ndarray, effect: np.ndarray) -> np.ndarray:
    """A rim of the object and its effect is left out; of a part that would vanish nothing is."""
    mask = whole | effect
    smaller = _moved(mask, -_reach(whole, TIGHT))
    return smaller if smaller.any() else mask


def loose(whole: np.ndarray, effect: np.ndarray) -> np.ndarray:
    return _moved(whole | effect, _reach(whole, LOOSE))


def very_loose(whole: np.ndarray, effect: np.ndarray) -> np.ndarray:
    return _moved(whole | effect, _reach(whole, VERY_LOOSE))


def scribble(whole: np.ndarray, effect: np.ndarray) -> np.ndarray:
    """One stroke from end to end through the object's middle, along its longer direction."""
    import cv2

    ys, xs = np.nonzero(whole)
    points = np.stack([xs, ys], axis=1).astype(np.float64)
    middle = points.mean(axis=0)
    _, vectors = np.linalg.eigh(np.cov((points - middle).T))
    along = vectors[:, -1]
    reach = (points - middle) @ along
    ends = [tuple(np.rint(middle + along * value).astype(int).tolist()) for value in (reach.min(), reach.max())]
    canvas = np.zeros(whole.shape, np.uint8)
    cv2.line(canvas, ends[0], ends[1], 1, max(3, _reach(whole, SCRIBBLE)))
    return canvas.astype(bool)


def half(whole: np.ndarray, effect: np.ndarray) -> np.ndarray:
    """The object's left half, by its pixels, with what its effect has there."""
    middle = np.median(np.nonzero(whole)[1])
    return (whole | effect) & (np.arange(whole.shape[1]) <= middle)[None, :]


def shadow_left_out(whole: np.ndarray, effect: np.ndarray) -> np.ndarray:
    """The object alone."""
    return whole


KINDS: dict[str, tuple[str, Kind]] = {
    "exact": ("exact, with its shadow", exact),
    "tight": ("too tight by 4 %", tight),
    "loose-5": ("loose by 5 %", loose),
    "loose-15": ("loose by 15 %", very_loose),
    "scribble": ("a scribble through the middle", scribble),
    "half": ("half the object", half),
    "no-shadow": ("the shadow left out", shadow_left_out),
}
"""Names of the kinds, their words in reports, and what makes them."""


def make(kind: str, whole: np.ndarray, effect: np.ndarray) -> np.ndarray:
    """The mask of one of `KINDS`; never the whole picture: what would cover it is cut by a frame of one pixel."""
    mask = KINDS[kind][1](whole, effect)
    if mask.all():
        mask = mask.copy()
        mask[0] = mask[-1] = False
        mask[:, 0] = mask[:, -1] = False
    return mask


def _reach(whole: np.ndarray, share: float) -> int:
    """In pixels, at least 1."""
    return max(1, round(share * math.sqrt(np.count_nonzero(whole))))


def _moved(mask: np.ndarray, reach: int) -> np.ndarray:
    """Grown by `reach` pixels, or shrunk by `-reach`, with round corners."""
    import cv2

    side = 2 * abs(reach) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    change = cv2.dilate if reach > 0 else cv2.erode
    return change(mask.astype(np.uint8), kernel).astype(bool)
