"""Pictures as a browser shows them: whole, small, and close up on the hole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from moebius.photo import images, photo_file
from moebius.photo.raster import Raster
from moebius.ui import editor, photo_files

BROWSER_FORMATS = ("JPEG", "PNG", "WEBP", "AVIF")
"""Formats that browsers show; the slider gets the very files."""

THUMBNAIL_SIDE = 240

CLOSEUP_MAX = (600, 480)
"""Most width and height, in pixels of the photo, of a close-up: what the page shows one to one."""
CLOSEUP_MIN = (320, 256)


def shown(path: Path, photo: photo_file.Photo, raster: Raster) -> str:
    """A picture for the slider: the file itself where a browser shows it, else a copy that it can show."""
    plain = isinstance(raster, Image.Image) and raster.mode in ("RGB", "RGBA", "L", "LA", "P", "1")
    if photo.format in BROWSER_FORMATS and plain and max(photo.size) <= editor.SHOWN_SIDE:
        return str(path)
    return save(editor.preview(raster, editor.SHOWN_SIDE, photo.profile), path.with_name(f"{path.stem}_shown"))


def thumbnail(path: Path) -> str:
    """A small picture of a photo's file, made once beside it; returns its path."""
    stem = path.with_name(f"{path.stem}_small")
    made = next((one for one in path.parent.glob("*_small.*") if one.stem == stem.name), None)
    if made:
        return str(made)
    photo = photo_files.open_photo(path)
    return save(editor.preview(photo.raster, THUMBNAIL_SIDE, photo.profile), stem)


def forget_thumbnail(path: Path) -> None:
    """The photo's file has changed: what `thumbnail` made of it is made again."""
    for old in path.parent.glob(f"{path.stem}_small.*"):
        old.unlink()


def save(picture: Image.Image, stem: Path) -> str:
    """JPEG at high quality, or PNG where there is transparency; returns the path."""
    profile = picture.info.get("icc_profile")
    if picture.mode == "RGBA":
        path = f"{stem}.png"
        picture.save(path, compress_level=1, icc_profile=profile)
    else:
        path = f"{stem}.jpg"
        picture.save(path, quality=92, subsampling=0, icc_profile=profile)
    return path


def closeup_box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the close-up: around the photo's largest hole, at most `CLOSEUP_MAX` in size.

    Of a hole that is larger, the part around its deepest point. `mask`: (H, W) bool, not empty.
    """
    import cv2

    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    start, extent = stats[largest, :2].astype(int), stats[largest, 2:4].astype(int)  # x, y; width, height
    middle = start + extent / 2
    if (extent > CLOSEUP_MAX).any():
        piece = (labels == largest)[start[1] : start[1] + extent[1], start[0] : start[0] + extent[0]]
        depth = cv2.distanceTransform(np.pad(piece, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
        middle = start + np.unravel_index(depth.argmax(), depth.shape)[::-1]
    whole = np.array(mask.shape[::-1])
    size = np.minimum(np.clip(2 * extent, CLOSEUP_MIN, CLOSEUP_MAX), whole)
    corner = np.clip(np.round(middle - size / 2).astype(int), 0, whole - size)
    left, top, right, bottom = (int(value) for value in (*corner, *(corner + size)))
    return left, top, right, bottom


def save_closeup(raster: Raster, box: tuple[int, int, int, int], path: Path) -> str:
    """The piece of a picture in `box`, pixel by pixel, as a PNG; returns the path."""
    left, top, right, bottom = box
    piece = raster[top:bottom, left:right] if isinstance(raster, np.ndarray) else raster.crop(box)
    Image.fromarray(images.to_rgb8(piece)).save(path, compress_level=1)
    return str(path)
