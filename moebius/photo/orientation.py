"""EXIF orientation: pictures as they are stored and as they are shown."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from PIL import Image

RasterT = TypeVar("RasterT", bound=Image.Image | np.ndarray)

_T = Image.Transpose
_SHOW = {
    1: None,
    2: _T.FLIP_LEFT_RIGHT,
    3: _T.ROTATE_180,
    4: _T.FLIP_TOP_BOTTOM,
    5: _T.TRANSPOSE,
    6: _T.ROTATE_270,
    7: _T.TRANSVERSE,
    8: _T.ROTATE_90,
}
_STORE = {**_SHOW, 6: _T.ROTATE_90, 8: _T.ROTATE_270}  # all others are their own inverse
_ARRAY = {
    None: lambda a: a,
    _T.FLIP_LEFT_RIGHT: lambda a: a[:, ::-1],
    _T.ROTATE_180: lambda a: a[::-1, ::-1],
    _T.FLIP_TOP_BOTTOM: lambda a: a[::-1],
    _T.TRANSPOSE: lambda a: a.swapaxes(0, 1),
    _T.ROTATE_270: lambda a: a.swapaxes(0, 1)[:, ::-1],
    _T.TRANSVERSE: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
    _T.ROTATE_90: lambda a: a.swapaxes(0, 1)[::-1],
}


def as_shown(raster: RasterT, orientation: int) -> RasterT:
    """A stored picture, or array (H, W, ...), turned as its EXIF orientation (1 to 8) says."""
    return _turn(raster, _SHOW[orientation])


def as_stored(raster: RasterT, orientation: int) -> RasterT:
    """The inverse of `as_shown`."""
    return _turn(raster, _STORE[orientation])


def as_photo(mask: np.ndarray, orientation: int, size: tuple[int, int]) -> np.ndarray:
    """A mask (H, W) bool for photos as they are stored, turned for one that the camera held otherwise.

    Args:
        orientation, size: of the photo; its width and height as shown. Where the turned mask has another size, or
            the mask fits as it is, it comes back as it is.
    """
    turned = as_shown(mask, orientation)
    return turned if mask.shape != size[::-1] == turned.shape else mask


def _turn(raster: RasterT, how: Image.Transpose | None) -> RasterT:
    turned: Any
    if isinstance(raster, np.ndarray):
        turned = np.ascontiguousarray(_ARRAY[how](raster))
    else:
        turned = raster if how is None else raster.transpose(how)
    return turned
