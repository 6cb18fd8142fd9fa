"""Mask files that are dropped among photos and are for none of their names: no photos, and `mask.png` is for all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from moebius.photo import images
from moebius.photo.raster import Raster
from moebius.ui import photo_files
from moebius.ui.batch.entry import Entry, is_mask

if TYPE_CHECKING:
    from moebius.ui.batch.photo_batch import PhotoBatch

NEAR = 24
"""How far from black or white a pixel of a mask may be, of 255: JPEG blurs edges."""
SHARE = 0.98
"""Of the pixels of a mask that are black or white."""


def take(batch: PhotoBatch) -> list[str]:
    """Take such files off the list of photos; returns what there is to say about those that are not used."""
    named = [one for one in batch.listed() if not one.refused and (is_mask(one.name) or _is_for_all(one))]
    if len(named) == len(batch.listed()):
        return []  # nobody else is there yet
    wrong = []
    for one in named:
        path = batch.photos / one.name
        if not looks_like_one(photo_files.open_photo(path).raster):
            continue
        if not _is_for_all(one):
            one.aside = True  # its photo may come yet
            wrong.append(f"{one.name} looks like a mask, and no photo is called so; or use it as a mask file for all")
            continue
        mask = photo_files.open_mask(path)
        batch.forget_file(one)
        batch.pair()
        try:
            if batch.mask_for == "each":
                raise ValueError(f"{one.name} is for no photo by its name; choose one mask for all, then drop it again")
            batch.share_file(mask, one.name)
        except ValueError as error:
            wrong.append(str(error))
    return wrong


def _is_for_all(entry: Entry) -> bool:
    """Whether a file's name says that it is a mask, and not for which photo."""
    return entry.given.casefold() == "mask"


def looks_like_one(raster: Raster) -> bool:
    """Whether a picture is nearly all black and white, and both are there: no photo is."""
    rgb = images.to_rgb8(raster)
    low, high = rgb.max(axis=2) <= NEAR, rgb.min(axis=2) >= 255 - NEAR
    return bool(low.any() and high.any() and np.mean(low | high) >= SHARE)
