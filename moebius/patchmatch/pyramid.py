"""Image pyramids: sizes of the levels, pictures scaled down without the pixels under the hole, a smooth first fill."""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np

UNDER_HOLE = 128
"""Grey that replaces the pixels under the hole at the start, so that they cannot influence the result."""
MAX_STEP = 2.01
"""A level is at most this many times as wide as the one below."""
ROWS = 64
"""Rows that are covered at a time."""
SMOOTHING = 20
MIN_MARGIN, MAX_MARGIN = 256, 1024


def as_bytes(image: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 or uint16, or grey (H, W), as (H, W, 3) uint8 with grey under `hole` (H, W) bool."""
    if image.dtype == np.uint16:
        image = cv2.convertScaleAbs(image, alpha=1 / 257)
    elif image.dtype != np.uint8:
        raise ValueError(f"image must be uint8 or uint16, got {image.dtype}")
    if image.ndim == 2:
        image = cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
    if image.shape != (*hole.shape, 3) or hole.dtype != bool:
        raise ValueError(
            f"image {image.shape} and hole {hole.shape} {hole.dtype} do not fit: (H, W, 3) and (H, W) bool"
        )
    known = image.copy()
    if hole.any():
        part, mask = (picture[surroundings(hole, 0, 0)] for picture in (known, hole.view(np.uint8)))
        grey = np.full_like(part[:ROWS], UNDER_HOLE)
        for first in range(0, len(part), ROWS):  # copyTo is ten times as fast as known[hole]
            rows = slice(first, first + ROWS)
            cv2.copyTo(grey[: len(part[rows])], mask[rows], part[rows])
    return known


def reductions(
    photo: np.ndarray,
    hole: np.ndarray,
    sizes: list[tuple[int, int]],
    tick: Callable[[float], None] = lambda portion: None,
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """`photo` (H, W, 3) uint8 and `hole` (H, W) bool at every size, coarse to fine; the last size is their own.

    A pixel of a smaller hole is True if any part of it lies in the hole. `tick` is called between the steps and may
    raise."""
    tick(0.0)
    photos, holes, coverage = [photo], [hole], hole.astype(np.float32)
    for size in sizes[-2::-1]:
        tick(0.0)
        coverage = resize(coverage, size, cv2.INTER_AREA)
        tick(0.0)
        photos.append(resize(photos[-1], size, cv2.INTER_AREA))
        tick(0.0)
        holes.append(touched(coverage))
    return photos[::-1], holes[::-1]


def surroundings(hole: np.ndarray, low: int = MIN_MARGIN, high: int = MAX_MARGIN) -> tuple[slice, slice]:
    """The part of a photo that is read to fill `hole` (H, W) bool, not empty: its box and a margin around it.

    The margin is half the box's longer side, at least `low` and at most `high` pixels, so that memory stays bounded.
    """
    spans = []
    for axis in (1, 0):
        inside = np.flatnonzero(hole.any(axis=axis))
        spans.append((int(inside[0]), int(inside[-1]) + 1))
    margin = min(max(max(last - first for first, last in spans) // 2, low), high)
    rows, columns = (
        slice(max(first - margin, 0), min(last + margin, length))
        for (first, last), length in zip(spans, hole.shape, strict=True)
    )
    return rows, columns


def level_sizes(coarse: tuple[int, int], full: tuple[int, int]) -> list[tuple[int, int]]:
    """(h, w) of all levels from `coarse` to `full`, in equal steps of at most `MAX_STEP`."""
    ratio = max(full[0] / coarse[0], full[1] / coarse[1])
    steps = math.ceil(math.log(ratio) / math.log(MAX_STEP)) if ratio > 1 else 0
    if steps == 0 and coarse != full:
        steps = 1

    def between(low: int, high: int, level: int) -> int:
        return round(low * (high / low) ** (level / max(steps, 1)))

    return [(between(coarse[0], full[0], k), between(coarse[1], full[1], k)) for k in range(steps + 1)]


def resize(picture: np.ndarray, size: tuple[int, int], interpolation: int) -> np.ndarray:
    """`picture` at size (h, w)."""
    return cv2.resize(picture, size[::-1], interpolation=interpolation)


def touched(coverage: np.ndarray) -> np.ndarray:
    """Pixels of a scaled-down picture that any part of the hole covers; `coverage` must be float, bytes would round to
    0."""
    return coverage > 1e-6


def half_of(shape: tuple[int, ...]) -> tuple[int, int]:
    """Half of (h, w), rounded up."""
    return (shape[0] + 1) // 2, (shape[1] + 1) // 2


def halve(picture: np.ndarray, hole: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Half the size, means over the known pixels: (h, w, c) uint8, (h, w) bool to the same at (h/2, w/2).

    A pixel belongs to the hole if more than half of it did.
    """
    size = half_of(hole.shape)
    known = (~hole).astype(np.float32)
    share = resize(known, size, cv2.INTER_AREA)
    mean = resize(picture * known[..., None], size, cv2.INTER_AREA) / np.maximum(share, 1e-6)[..., None]
    small = share < 0.5
    mean[small] = UNDER_HOLE
    return np.rint(mean).clip(0, 255).astype(np.uint8), small


def smooth_fill(image: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """`image` (H, W, 3) with smooth colours in `hole`, float32: means go down a pyramid and up again ("push-pull").

    Gortler et al. 1996 (doi:10.1145/237170.237200), section 3.4, with box filters and a few smoothing sweeps.
    """
    weight = (~hole).astype(np.float32)
    total = image * weight[..., None]
    stack = []
    while weight.min() <= 0 and min(weight.shape) > 1:
        stack.append((total, weight))
        size = half_of(weight.shape)
        total, weight = resize(total, size, cv2.INTER_AREA), resize(weight, size, cv2.INTER_AREA)
        total = total.reshape(*size, 3)
    filled = total / np.maximum(weight, 1e-6)[..., None]
    if weight.min() <= 0:
        filled[weight <= 0] = total.sum(axis=(0, 1)) / max(float(weight.sum()), 1e-6)
    for total, weight in reversed(stack):
        filled = resize(filled, weight.shape, cv2.INTER_LINEAR)
        np.divide(total, weight[..., None], out=filled, where=(weight > 0)[..., None])
    if hole.any():
        window = surroundings(hole, 2, 2)
        part, mask = np.ascontiguousarray(filled[window]), np.ascontiguousarray(hole[window]).view(np.uint8)
        for _ in range(SMOOTHING):
            cv2.copyTo(cv2.blur(part, (3, 3)), mask, part)
        filled[window] = part
    return filled
