"""Sheets to look at: the same hole by several methods, side by side, at native size, unselected."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from benchmarks.real_size import holes

COLUMNS = {"detail": ("bicubic", "detail", "truth"), "filler": ("classical", "ours")}
"""Names of the sheets and what stands in them, from left to right."""
COUNT = 24
MARGIN = 64
"""Known pixels around the hole's box that are shown."""
CAPTION = 20
QUALITY = 92


def order(keys: Iterable[tuple[str, str]], seed: int = 0) -> list[tuple[str, str]]:
    """Cases, (photo, size), in an order that is drawn once and for all: nothing that is seen can change it."""
    return sorted(keys, key=lambda key: sha256(f"{seed}:{key[0]}:{key[1]}".encode()).digest())


def shown(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The hole's box and what is around it."""
    left, top, right, bottom = holes.box(mask)
    top, left = max(0, top - MARGIN), max(0, left - MARGIN)
    return picture[top : bottom + MARGIN, left : right + MARGIN]


def write(path: Path, pictures: list[np.ndarray], names: list[str]) -> None:
    """Pictures of one size beside each other, as JPEG."""
    height, width = pictures[0].shape[:2]
    sheet = Image.new("RGB", (len(pictures) * (width + 4) - 4, height + CAPTION), "white")
    draw = ImageDraw.Draw(sheet)
    for column, (name, picture) in enumerate(zip(names, pictures, strict=True)):
        sheet.paste(Image.fromarray(picture), (column * (width + 4), CAPTION))
        draw.text((column * (width + 4) + 4, 4), name, fill="black")
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path, quality=QUALITY, subsampling=0)
