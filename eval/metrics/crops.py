"""Pieces of large pictures: what a network is shown of a hole at native resolution, and a window around it."""

from __future__ import annotations

import math

import numpy as np

SIDE = 512
"""Of the pieces that the networks see."""
MAX_CROPS = 9
"""Of one hole; of more, so many are taken, evenly spread over their order."""


def crops(mask: np.ndarray, side: int = SIDE) -> list[tuple[int, int]]:
    """(top, left) of as few squares of `side` as cover the hole's box, evenly spread; those without hole left out.

    mask (H, W) bool, not empty. Raises ValueError for a picture smaller than `side`.
    """
    height, width = mask.shape
    if min(height, width) < side:
        raise ValueError(f"pictures must be at least {side} pixels on each side, got {width}x{height}")

    def starts(has: np.ndarray) -> np.ndarray:
        low, high = int(np.flatnonzero(has)[0]), int(np.flatnonzero(has)[-1]) + 1
        count = math.ceil((high - low) / side)
        spread = max(high - low, side)
        first = min(max((low + high - spread) // 2, 0), len(has) - spread)
        return np.linspace(first, first + spread - side, count).round().astype(int)

    return [
        (int(y), int(x))
        for y in starts(np.asarray(mask.any(axis=1)))
        for x in starts(np.asarray(mask.any(axis=0)))
        if mask[y : y + side, x : x + side].any()
    ]


def chosen_crops(mask: np.ndarray, side: int = SIDE) -> list[tuple[int, int]]:
    """`crops`, at most `MAX_CROPS` of them."""
    places = crops(mask, side)
    if len(places) > MAX_CROPS:
        places = [places[i] for i in np.linspace(0, len(places) - 1, MAX_CROPS).round().astype(int)]
    return places


def window(mask: np.ndarray, margin: int, grid: int = 1) -> tuple[slice, slice]:
    """Rows and columns of the hole's box, `margin` pixels larger on all sides, inside the picture; they begin at
    multiples of `grid`."""
    found = []
    for axis in (1, 0):
        has = np.flatnonzero(mask.any(axis=axis))
        found.append(slice(max(0, int(has[0]) - margin) // grid * grid, int(has[-1]) + 1 + margin))
    rows, columns = found
    return rows, columns
