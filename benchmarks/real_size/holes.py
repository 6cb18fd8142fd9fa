"""Seeded holes of a given size in photos of any size, and the square around each that a filler is given.

A hole hangs on a photo's id, its shape and nothing else: every method, run and machine sees the same one. Masks are
(H, W) bool, True = hole.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from hashlib import sha256

import cv2
import numpy as np

SIZES = {"0.25": 250_000, "1": 1_000_000, "4": 4_000_000}
"""Names of the sizes, in megapixels, and their pixels."""
MAX_SHARE = 0.2
"""A hole covers at most this share of its photo: the largest is smaller in photos of less than 20 megapixels."""
MARGIN = 0.05
"""From the photo's borders, as a share of its shorter side."""
CONTEXT = 1.75
"""Side of the square around a hole, as a multiple of the longer side of its box."""
MIN_SIDE = 512
_TRIES = 40


@dataclass(frozen=True)
class Hole:
    """A hole in a square of a photo."""

    kind: str
    """`blob` or `object`."""
    x: int
    """Left edge of the square in the photo."""
    y: int
    mask: np.ndarray
    """(S, S) bool."""

    @property
    def pixels(self) -> int:
        return int(np.count_nonzero(self.mask))

    def cut(self, photo: np.ndarray) -> np.ndarray:
        """The square of `photo` (H, W, 3), a copy."""
        side = len(self.mask)
        return photo[self.y : self.y + side, self.x : self.x + side].copy()


def make(photo_id: str, size: str, height: int, width: int) -> Hole:
    """The hole of one of `SIZES` in a photo of height x width pixels.

    Blobs and outlines like those of an animal or a person alternate over the sizes of one photo.
    """
    if size not in SIZES:
        raise ValueError(f"unknown size of hole {size!r}; choose from {', '.join(SIZES)}")
    if min(height, width) < MIN_SIDE:
        raise ValueError(f"photos must be at least {MIN_SIDE} pixels on each side, got {width}x{height}")
    pixels = min(SIZES[size], int(MAX_SHARE * height * width))
    kind = ("blob", "object")[(_seed(photo_id) + list(SIZES).index(size)) % 2]
    random = np.random.RandomState(np.random.MT19937(_seed(f"{photo_id}:{size}")))
    margin = math.ceil(MARGIN * min(height, width))
    room = min(height, width) - 2 * margin
    for _ in range(_TRIES):
        shape = _drawn(KINDS[kind](random), pixels)
        if max(shape.shape) <= room:
            break
    else:
        raise ValueError(f"no hole of {pixels} pixels fits a photo of {width}x{height}")
    h, w = shape.shape
    top = random.randint(margin, height - margin - h + 1)
    left = random.randint(margin, width - margin - w + 1)
    side = min(max(MIN_SIDE, math.ceil(CONTEXT * max(h, w))), height, width)
    y = min(max(top + h // 2 - side // 2, 0), height - side)
    x = min(max(left + w // 2 - side // 2, 0), width - side)
    mask = np.zeros((side, side), bool)
    mask[top - y : top - y + h, left - x : left - x + w] = shape
    return Hole(kind, x, y, mask)


def box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of the hole pixels of `mask`."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


# ---- shapes: polygons around the origin, whose union is the hole ----

Polygons = list[np.ndarray]
"""Each (N, 2), x and y, at any scale."""


def blob(random: np.random.RandomState) -> Polygons:
    """One smooth outline: a circle whose radius wavers, stretched up to 1.5 times."""
    angles = np.linspace(0, 2 * np.pi, 360, endpoint=False)
    radius = np.ones_like(angles)
    for waves in range(2, 7):
        radius += random.uniform(0, 0.45) / waves * np.cos(waves * angles + random.uniform(0, 2 * np.pi))
    points = np.stack([radius * np.cos(angles), radius * np.sin(angles)], axis=1)
    return [_turned(points * (random.uniform(1, 1.5), 1), random.uniform(0, np.pi))]


def outline(random: np.random.RandomState) -> Polygons:
    """Like an animal or a person: a body, a head on it, and two to five limbs that taper."""
    stretch = random.uniform(1.0, 1.8)
    body = _ellipse((0, 0), stretch, 1)
    parts = [body]
    angle = random.uniform(0, 2 * np.pi)
    centre = 1.15 * np.array([stretch * math.cos(angle), math.sin(angle)])
    parts.append(_ellipse(centre, random.uniform(0.4, 0.6), random.uniform(0.35, 0.55)))
    for _ in range(random.randint(2, 6)):
        angle = random.uniform(0, 2 * np.pi)
        foot = np.array([stretch * math.cos(angle), math.sin(angle)])
        way = foot / np.hypot(*foot)
        parts.append(_limb(0.7 * foot, foot + random.uniform(0.4, 0.9) * way, random.uniform(0.15, 0.3)))
    turn = random.uniform(0, 2 * np.pi)
    return [_turned(part, turn) for part in parts]


KINDS = {"blob": blob, "object": outline}


def _ellipse(centre: tuple[float, float] | np.ndarray, a: float, b: float) -> np.ndarray:
    angles = np.linspace(0, 2 * np.pi, 180, endpoint=False)
    return np.asarray(centre) + np.stack([a * np.cos(angles), b * np.sin(angles)], axis=1)


def _limb(start: np.ndarray, end: np.ndarray, width: float) -> np.ndarray:
    """A four-cornered piece, `width` wide on either side of its start and half as wide at its end."""
    along = (end - start) / np.hypot(*(end - start))
    across = width * np.array([-along[1], along[0]])
    return np.array([start + across, end + across / 2, end - across / 2, start - across])


def _turned(points: np.ndarray, angle: float) -> np.ndarray:
    c, s = math.cos(angle), math.sin(angle)
    return points @ np.array([[c, s], [-s, c]])


def _drawn(parts: Polygons, pixels: int) -> np.ndarray:
    """The union of polygons as a tight mask of about `pixels` pixels (to a percent)."""
    rough = _raster(parts, 256.0)
    return _raster(parts, 256.0 * math.sqrt(pixels / np.count_nonzero(rough)))


def _raster(parts: Polygons, scale: float) -> np.ndarray:
    low = np.min([part.min(axis=0) for part in parts], axis=0)
    corners = [np.rint((part - low) * scale).astype(np.int32) for part in parts]
    width, height = np.max([part.max(axis=0) for part in corners], axis=0) + 1
    canvas = np.zeros((height, width), np.uint8)
    for part in corners:
        cv2.fillPoly(canvas, [part], 1)
    return canvas.astype(bool)


def _seed(text: str) -> int:
    return int.from_bytes(sha256(f"real-size:{text}".encode()).digest()[:8], "big")
