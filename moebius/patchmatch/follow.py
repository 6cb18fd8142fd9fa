"""A second picture's hole, filled from the places where the first one's fill looks alike: a gain map follows its photo.

The nearest-neighbour field is searched in the filled photo and its votes are counted in the other picture. What the
votes lack at the rim is known there, and a membrane takes it into the hole, so that slow changes go on across it.
"""

from __future__ import annotations

import cv2
import numpy as np

from moebius.patchmatch import features, pyramid, seam
from moebius.patchmatch.search import Field, Workers, grid_of, usable_patches
from moebius.patchmatch.vectors import CHANNELS, PATCH

PASSES, CANDIDATES = 8, 8
GRADIENT = 0.5
NEARNESS = 2000
"""What a patch as far away as the picture is long costs: of places that look alike the near one is taken, so that slow
changes of the values are kept."""
POWER = 12
"""Of the vote weights: nearly the best patch alone."""


def follow(values: np.ndarray, guide: np.ndarray, hole: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """`values` with the pixels under `hole` replaced; those have no influence on the result.

    Where no 8×8 patch is known, the hole is filled with smooth values.

    Args:
        values: (H, W) or (H, W, 3) uint8.
        guide: (H, W, 3) uint8, filled already.
        hole: (H, W) bool, True = replace.
    """
    rgb = np.where(hole[..., None], 0, values if values.ndim == 3 else values[..., None]).astype(np.uint8)
    rgb = np.ascontiguousarray(np.broadcast_to(rgb, guide.shape))
    usable = usable_patches(hole)
    if not usable.any():
        out = pyramid.smooth_fill(rgb, hole)
    elif hole.any():
        near = cv2.dilate(hole.view(np.uint8), np.ones((PATCH - 1, PATCH - 1), np.uint8)) > 0
        out = _voted(rgb, guide, hole, near, usable, seed)
        rim = near & ~hole
        lacking = np.where(rim[..., None], rgb - out, 0).astype(np.float32)
        out += np.where(hole[..., None], seam.membrane(lacking, ~rim), 0)
    else:
        return values.copy()
    filled = np.where(hole[..., None], np.rint(out).clip(0, 255), rgb).astype(np.uint8)
    return filled if values.ndim == 3 else np.ascontiguousarray(filled[..., 0])


def _voted(
    rgb: np.ndarray, guide: np.ndarray, hole: np.ndarray, near: np.ndarray, usable: np.ndarray, seed: int
) -> np.ndarray:
    """(H, W, 3) float32: the votes where `near`, else `rgb`."""
    alike = features.look_features(guide, GRADIENT)
    packed = np.ones((*hole.shape, CHANNELS), np.uint8)
    packed[..., :3] = rgb
    with Workers(None) as workers:
        field = Field(grid_of(hole, 1), usable, seed, workers, NEARNESS).randomise()
        field.search(alike, alike, PASSES, CANDIDATES, max(hole.shape))
        box = field.grid.box
        target, where = packed[box].copy(), np.ascontiguousarray(near[box])
        field.vote(packed, POWER, lambda first, last, sums: features.write_mean(sums, where, target, first))
    out = rgb.astype(np.float32)
    out[box][where] = target[..., :3][where]
    return out
