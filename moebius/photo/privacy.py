"""The check at the end of every write: no other picture in the file may still show what was removed."""

from __future__ import annotations

import struct

import numpy as np
from PIL import Image

from moebius.photo import images
from moebius.photo.embedded_pictures import read_pictures, read_tiff_pictures
from moebius.photo.file_parts import FilePart, read_parts
from moebius.photo.orientation import as_shown
from moebius.photo.raster import Raster, bounding_box, shape_of
from moebius.photo.silence import quiet

_MAX_SIDE = 96
"""Pictures are compared at this size at most, around the hole alone."""
_MARGIN = 0.2
"""What is looked at around the hole, as a share of its sides."""
_VISIBLE = 12
"""Levels between original and edited photo, of 255, from which on a pixel tells one from the other."""
_MIN_VISIBLE_PX, _MIN_SHAPE_PX = 3, 24
_NEARER = 0.5
"""A picture shows the original where its distance to it is less than this share of that to the edited photo."""
_ALIKE, _LESS_ALIKE = 0.85, 0.25
"""Or where its shapes are those of the original (correlation), and much less those of the edited photo."""


class StillShown(ValueError):
    """What was removed can still be seen in a part of the file, which the message names."""


def check(data: bytes, kind: str, before: Raster, after: Raster, changed: np.ndarray, orientation: int) -> None:
    """Search the finished file for pictures that still show the original under the hole.

    Args:
        kind: the file's format, a key of `photo_file.SUFFIXES`.
        before, after: the photo as shown, and as edited; the sizes may differ.
        changed: (H, W) bool, of the edited photo.
        orientation: of the stored photo, because pictures in metadata are mostly stored like it.

    Raises:
        StillShown: there is one, or a part that is known to hold pictures and cannot be looked at.
    """
    region = None
    with quiet():
        try:
            for part in read_parts(data, kind):
                if part.is_opaque:
                    raise StillShown(_message(part))
                region = _search(part, region, before, after, changed, orientation)
        except (ValueError, struct.error, IndexError) as error:
            if isinstance(error, StillShown):
                raise
            _search(FilePart("the file", data[2:]), region, before, after, changed, orientation)


def _search(
    part: FilePart, region: Region | None, before: Raster, after: Raster, changed: np.ndarray, orientation: int
) -> Region | None:
    """Compare the pictures of one part with the region, which is made for the first picture; returns the region."""
    found = read_tiff_pictures(part.data, skip_first=True) if part.is_tiff else read_pictures(part.data)
    for picture in found:
        region = region or Region.around(before, after, changed)
        turned = [picture] if orientation == 1 else [picture, as_shown(picture, orientation)]
        if any(region.is_shown_in(one) for one in turned):
            raise StillShown(_message(part))
    return region


def _message(part: FilePart) -> str:
    return f"{part.name} would still show what was removed, so the file is not handed out"


class Region:
    """The photo around its hole, before and after, to compare other pictures with."""

    def __init__(self, before: Image.Image, after: Image.Image, hole: Image.Image, box: tuple, aspect: float) -> None:
        """
        Args:
            before, after, hole: grey, of one size.
            box: left, top, right, bottom in the photo, each from 0 to 1.
            aspect: the photo's width by its height.
        """
        self._before, self._after, self._hole, self._box, self._aspect = before, after, hole, box, aspect

    @classmethod
    def around(cls, before: Raster, after: Raster, changed: np.ndarray) -> Region:
        """The part of a photo in which it was changed, before and after."""
        height, width = changed.shape
        left, top, right, bottom = bounding_box(changed)
        x, y = max(4, round(_MARGIN * (right - left))), max(4, round(_MARGIN * (bottom - top)))
        box = max(0, left - x), max(0, top - y), min(width, right + x), min(height, bottom + y)
        share = box[0] / width, box[1] / height, box[2] / width, box[3] / height
        hole = Image.fromarray(changed[box[1] : box[3], box[0] : box[2]].astype(np.uint8) * 255)
        factor = max(1, -(-max(hole.size) // (4 * _MAX_SIDE)))
        size = max(1, hole.width // factor), max(1, hole.height // factor)
        grey_before, grey_after = (
            _grey(_cut(raster, share)).resize(size, Image.Resampling.BOX) for raster in (before, after)
        )
        return cls(grey_before, grey_after, hole.resize(size, Image.Resampling.BOX), share, width / height)

    def is_shown_in(self, picture: Image.Image) -> bool:
        """Whether a picture of the whole photo, grey, shows what was there before."""
        picture = _without_bars(picture, self._aspect)
        left, top, right, bottom = self._box
        box = left * picture.width, top * picture.height, right * picture.width, bottom * picture.height
        shrink = max(1.0, max(box[2] - box[0], box[3] - box[1]) / _MAX_SIDE)
        size = max(1, round((box[2] - box[0]) / shrink)), max(1, round((box[3] - box[1]) / shrink))
        how = Image.Resampling.BOX if shrink > 1 else Image.Resampling.BILINEAR
        shown = np.asarray(picture.resize(size, how, box=box), np.float32)
        before, after, hole = (
            np.asarray(one.resize(size, Image.Resampling.BOX), np.float32)
            for one in (self._before, self._after, self._hole)
        )
        visible = (hole > 127) & (abs(before - after) >= _VISIBLE)
        if visible.sum() < _MIN_VISIBLE_PX:
            return False
        to_before, to_after = (abs(shown - one)[visible].mean() for one in (before, after))
        if to_before < _NEARER * to_after:
            return True
        if visible.sum() < _MIN_SHAPE_PX:
            return False
        alike_before, alike_after = (abs(_correlation(shown, one)) for one in (before, after))
        return alike_before > _ALIKE and alike_before - alike_after > _LESS_ALIKE


def _cut(raster: Raster, share: tuple) -> Raster:
    height, width = shape_of(raster)
    left, top, right, bottom = (round(a * b) for a, b in zip(share, (width, height, width, height), strict=True))
    right, bottom = max(right, left + 1), max(bottom, top + 1)
    if isinstance(raster, np.ndarray):
        return raster[top:bottom, left:right]
    cut = raster.crop((left, top, right, bottom))
    cut.info = raster.info
    return cut


def _grey(raster: Raster) -> Image.Image:
    return Image.fromarray(images.to_rgb8(raster)).convert("L")


def _without_bars(picture: Image.Image, aspect: float) -> Image.Image:
    """The middle of a picture that has the photo's shape: cameras put bars around previews of another one."""
    width, height = picture.size
    if abs(width / height / aspect - 1) < 0.03:
        return picture
    new_width, new_height = (height * aspect, height) if width / height > aspect else (width, width / aspect)
    left, top = round((width - new_width) / 2), round((height - new_height) / 2)
    return picture.crop((left, top, left + max(1, round(new_width)), top + max(1, round(new_height))))


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    one, other = one - one.mean(), other - other.mean()
    norm = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return float((one * other).sum()) / norm if norm > 0 else 0.0
