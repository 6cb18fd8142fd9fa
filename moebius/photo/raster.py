"""The type of a picture in memory."""

from __future__ import annotations

import numpy as np
from PIL import Image

Raster = Image.Image | np.ndarray
"""A picture: a Pillow image of any mode in `images.MODES`, or, for 16-bit colour, which Pillow has no mode for,
an array (H, W, 2, 3 or 4) uint16: grey and alpha, RGB, RGB and alpha."""


def shape_of(raster: Raster) -> tuple[int, int]:
    """(H, W)."""
    return raster.size[::-1] if isinstance(raster, Image.Image) else raster.shape[:2]


def bounding_box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) around what is True in (H, W) bool, the last two exclusive.

    Raises:
        ValueError: nothing is True.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        raise ValueError("the mask is empty")
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
