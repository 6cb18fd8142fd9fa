"""The objects that are pasted: pictures with an alpha channel, from the repository's own folder or from another one."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

SHIPPED_OBJECTS = Path(__file__).parents[2] / "samples" / "objects"
CREDITS = "credits.tsv"
"""File of a folder with author, licence and source of each object: columns file, author, licence, source."""
SUFFIXES = (".png", ".webp")
MAX_PIXELS = 16_000_000
OPAQUE = 8
"""Alpha, of 255, from which a pixel belongs to the object."""


@dataclass(frozen=True)
class CutOut:
    """An object without its background."""

    name: str
    rgba: np.ndarray
    """(h, w, 4) uint8, cut to what is not transparent; an outline has the colours of `texture`, see `Outline`."""
    is_outline: bool
    """It has a shape only: a picture without alpha, white = object. Its colours are cut from another photo."""
    credit: dict[str, str]


def read_objects(folder: Path) -> list[CutOut]:
    """All objects of a folder, by name.

    Raises:
        ValueError: there is none, or one is no such picture; the message names it.
    """
    paths = sorted(path for path in folder.glob("*") if path.suffix.lower() in SUFFIXES) if folder.is_dir() else []
    if not paths:
        raise ValueError(f"{folder} holds no objects: pictures with transparency ({', '.join(SUFFIXES)})")
    credits_ = _credits(folder)
    return [_read(path, credits_.get(path.name, {})) for path in paths]


def _read(path: Path, credit: dict[str, str]) -> CutOut:
    try:
        with Image.open(path) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise ValueError(f"it has {picture.width}×{picture.height} pixels, at most {MAX_PIXELS:,} are read")
            has_alpha = "A" in picture.getbands() or "transparency" in picture.info
            rgba = np.asarray(picture.convert("RGBA")).copy()
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path.name} is no object: {' '.join(str(error).split())}") from None
    if not has_alpha:
        rgba[..., 3] = rgba[..., :3].max(axis=2)
    opaque = rgba[..., 3] >= OPAQUE
    if not opaque.any() or opaque.all():
        raise ValueError(f"{path.name} is no object: all of it is {'opaque' if opaque.all() else 'transparent'}")
    rows, columns = np.flatnonzero(opaque.any(axis=1)), np.flatnonzero(opaque.any(axis=0))
    cut = rgba[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return CutOut(path.stem, np.ascontiguousarray(cut), not has_alpha, credit)


def _credits(folder: Path) -> dict[str, dict[str, str]]:
    """Author, licence and source by file name; empty where the folder does not say."""
    path = folder / CREDITS
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    return {row.pop("file"): row for row in rows}
