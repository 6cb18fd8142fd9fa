"""Masks as programs save them: white on black, labels of 0 and 1, paint of any colour, or transparency."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from moebius.photo import images
from moebius.photo.silence import quiet

if TYPE_CHECKING:
    from pathlib import Path

    from moebius.photo.raster import Raster

_MAX_PAINT_COLOURS = 256
"""A painted mask has few colours; the opaque part of a photo has more."""
_MAX_LOOKED_AT = 2**20


def read_mask(raster: Raster) -> np.ndarray:
    """What to repaint, (H, W) bool: as `images.mask_array`, and of two colours the one that is not black.

    Raises:
        ValueError: as `images.mask_array`; it is a photo with a part erased; several dark colours, none of them white.
    """
    mask = images.mask_array(raster if not isinstance(raster, np.ndarray) else images.to_8bit(raster))
    if mask.any():
        _refuse_erased_photo(raster, mask)
        return mask
    alpha = images.opacity(raster)
    if alpha is not None and (alpha < 255).any():
        return mask  # transparent everywhere
    colours = _packed(images.to_rgb(raster))
    different = np.unique(colours)
    if len(different) == 1:
        return mask
    if len(different) > 2 or different[0] != 0:
        raise ValueError(
            f"the mask has {len(different)} colours and none is at least half white, so it is not clear what is "
            "painted; paint white what is to go, all else black"
        )
    return colours == different[1]


def save_bits(mask: np.ndarray, path: Path) -> None:
    """Write a mask, (H, W) bool, for `load_bits`."""
    Image.fromarray(mask).save(path)  # 1 bit a pixel


def load_bits(path: Path) -> np.ndarray:
    """A mask that `save_bits` wrote, of any size, empty or full."""
    with quiet(), Image.open(path) as image:  # Pillow's own limit is lower than ours may be
        return np.array(image, bool)


def _refuse_erased_photo(raster: Raster, mask: np.ndarray) -> None:
    """Raise ValueError for the photo itself with the hole erased, where programs take transparency for the hole."""
    alpha = images.opacity(raster)
    if alpha is None or (alpha == 255).all():
        return
    opaque = _packed(images.to_rgb(raster)[alpha == 255])
    if len(np.unique(opaque[:: max(1, len(opaque) // _MAX_LOOKED_AT)])) > _MAX_PAINT_COLOURS:
        raise ValueError(
            "the mask is a picture with a part erased, and what is opaque would be repainted; save a mask of two "
            f"colours, white = repaint ({mask.mean():.0%} of it is opaque)"
        )


def _packed(rgb: np.ndarray) -> np.ndarray:
    """(..., 3) uint8 or uint16 -> (...) uint64, one number a colour; black is 0."""
    return rgb.astype(np.uint64) @ np.array([1 << 32, 1 << 16, 1], np.uint64)
