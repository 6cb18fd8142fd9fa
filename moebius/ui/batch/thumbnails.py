"""The small pictures in the list of many photos: the photo, its mask on it, or its result."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from moebius.photo import images, photo_file
from moebius.ui import editor, photo_files

SMALL = (320, 240)
"""Most width and height."""
GREY = (214, 211, 209)
"""In place of a photo that cannot be shown."""
MAX_MASKS = 32
"""Small masks that are kept: one mask may be for all photos."""


@dataclass(frozen=True)
class Drawn:
    """A picture that the list shows, and what it was made of."""

    path: Path
    made_of: object


class Thumbnails:
    """Draws each picture where something has changed.

    The one before stays until Gradio deletes it, or the visitor leaves: a browser may be about to load it.
    """

    def __init__(self, next_file: Callable[[], Path]) -> None:
        """`next_file`: a new name, ending in .jpg, in a folder from where Gradio serves files."""
        self._next_file = next_file
        self._drawn: dict[str, Drawn] = {}
        self._masks: dict[tuple, np.ndarray] = {}

    def result(self, name: str, path: Path) -> str:
        """The small picture of a result's file; `name`: of its photo in the list."""
        made_of = (path, path.stat().st_mtime_ns)
        return self._draw(name, made_of, lambda: small_picture(photo_files.open_photo(path)))

    def photo(self, name: str, plain: Path | None, mask: Path | None) -> str:
        """The small picture of a photo, tinted where its mask is; `plain`: see `Entry`."""
        made_of = (plain, mask, mask and mask.stat().st_mtime_ns)
        return self._draw(name, made_of, lambda: self._tinted(plain, mask))

    def _draw(self, name: str, made_of: object, draw: Callable[[], Image.Image]) -> str:
        drawn = self._drawn.get(name)
        if drawn is None or drawn.made_of != made_of:
            drawn = Drawn(self._next_file(), made_of)
            draw().save(drawn.path, quality=85)
            self._drawn[name] = drawn  # only now: another call may be about to show it
        elif drawn.path.exists():
            os.utime(drawn.path)  # or Gradio deletes it after an hour
        return str(drawn.path)

    def _tinted(self, plain: Path | None, mask: Path | None) -> Image.Image:
        if plain is None:
            return Image.new("RGB", SMALL, GREY)
        with Image.open(plain) as image:
            picture = image.convert("RGB")
        if mask:
            hole = self._shrunk(mask, picture.size)
            tint = Image.new("RGB", picture.size, editor.TINT[:3])
            picture.paste(tint, mask=Image.fromarray(hole.astype(np.uint8) * editor.TINT[3]))
        return picture

    def _shrunk(self, mask: Path, size: tuple[int, int]) -> np.ndarray:
        """A mask at a small picture's size; empty where it cannot be read, for which the run gives the reason."""
        key = (mask, mask.stat().st_mtime_ns, size)
        if key not in self._masks:
            try:
                self._masks[key] = editor.shrink_mask(photo_files.open_mask(mask), size)
            except ValueError:
                self._masks[key] = np.zeros(size[::-1], bool)
            while len(self._masks) > MAX_MASKS:
                del self._masks[next(iter(self._masks))]
        return self._masks[key]


def small_picture(photo: photo_file.Photo) -> Image.Image:
    """A photo in 8 bits, at most `SMALL`."""
    small = images.preview(photo.raster, max(SMALL))
    small.thumbnail(SMALL)
    return small
