"""A mask grown by some pixels: what goes has a soft rim, which stays behind as a ghost where the mask is too tight."""

from __future__ import annotations

import math

import numpy as np

MAX_SHARE = 0.2


def grow(mask: np.ndarray, radius: int) -> np.ndarray:
    """(H, W) bool and every pixel within `radius` of it, by Euclid."""
    if radius < 0:
        raise ValueError(f"a mask cannot be grown by {radius} pixels; give 0 or more")
    if radius == 0 or not mask.any():
        return mask
    import cv2

    return cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) <= radius + 1e-4


def radius_of(mask: np.ndarray, share: float) -> int:
    """Pixels that are this share of the mask's size, the side of a square of its area; at least 1 unless `share` is 0.

    Raises:
        ValueError: the share is not in [0, `MAX_SHARE`].
    """
    if not 0 <= share <= MAX_SHARE:
        raise ValueError(f"a mask can be grown by a share of its size from 0 to {MAX_SHARE:g}, not {share:g}")
    area = int(np.count_nonzero(mask))
    return max(1, round(share * math.sqrt(area))) if share and area else 0


def grow_by_share(mask: np.ndarray, share: float) -> tuple[np.ndarray, tuple[str, ...]]:
    """The mask grown by a share of its size, and a note about it; never so far that it covers the whole picture."""
    radius = radius_of(mask, share)
    grown = grow(mask, radius)
    if not radius or grown.all():
        return mask, ()
    return grown, (f"The mask was grown by {radius} {'pixel' if radius == 1 else 'pixels'}.",)
