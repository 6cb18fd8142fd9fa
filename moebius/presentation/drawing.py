"""Drawings of photos and their holes: outlines, close-ups, small copies, and grids of pictures with labels.

Pure: arrays and text in, pictures out; no file, no model. Photos are (H, W, 3) uint8, holes (H, W) bool.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from moebius.photo.raster import bounding_box

INK, PALE, PAPER, PANEL = (24, 24, 28), (96, 96, 104), (255, 255, 255), (232, 232, 236)
Font: TypeAlias = ImageFont.FreeTypeFont | ImageFont.ImageFont

MARK = (226, 30, 90)
"""Outline in full-size copies."""
LIGHT, HALO = (255, 255, 255), (190, 0, 90)
"""Outline in small copies: light on dark, so that it is seen on any picture."""

CELL_PX, GAP_PX, LINE_PX = 150, 4, 15
"""In a grid: side of a picture, space between pictures, height of a line of text."""
GRID_PX = 1500
"""Width up to which entries of a grid stand side by side."""


def edge(hole: np.ndarray) -> np.ndarray:
    """Pixels of a hole that have a neighbour outside it; the photo's border is no edge. (H, W) bool."""
    framed = np.pad(hole, 1, mode="edge")
    inner = framed[:-2, 1:-1] & framed[2:, 1:-1] & framed[1:-1, :-2] & framed[1:-1, 2:]
    return hole & ~inner


def wider(line: np.ndarray) -> np.ndarray:
    """A line (H, W) bool and its neighbours above, below, left and right."""
    framed = np.pad(line, 1)
    return line | framed[:-2, 1:-1] | framed[2:, 1:-1] | framed[1:-1, :-2] | framed[1:-1, 2:]


def outlined(photo: np.ndarray, hole: np.ndarray, shown_px: int) -> np.ndarray:
    """A copy of the photo with a line around the hole, wide enough to be seen when the copy is scaled to `shown_px`."""
    import cv2

    width = max(2, round(max(hole.shape) / shown_px * 2))
    kernel = np.ones((2 * width + 1, 2 * width + 1), np.uint8)
    line = cv2.dilate(hole.astype(np.uint8), kernel).astype(bool) & ~hole
    marked = photo.copy()
    marked[line] = MARK
    return marked


def small(photo: np.ndarray, hole: np.ndarray | None = None, side: int = 220) -> np.ndarray:
    """A copy (h, w, 3) uint8 with a longer side of `side` pixels; the hole is outlined where one is given."""
    picture = Image.fromarray(photo)
    scale = side / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    copy = np.array(picture.resize(size, Image.Resampling.LANCZOS))
    if hole is not None:
        line = edge(np.asarray(Image.fromarray(hole).convert("L").resize(size, Image.Resampling.BOX)) >= 128)
        copy[wider(line)] = HALO
        copy[line] = LIGHT
    return copy


def close_up(photo: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """A square of the photo around the filled area, with a quarter of its size to each side, at least 64 pixels, never
    beyond the photo: (S, S, 3)."""
    left, top, right, bottom = bounding_box(hole)
    side = min(max(64, round(1.5 * max(right - left, bottom - top))), *hole.shape)
    x = min(max((left + right - side) // 2, 0), hole.shape[1] - side)
    y = min(max((top + bottom - side) // 2, 0), hole.shape[0] - side)
    return photo[y : y + side, x : x + side]


def paste_scaled(sheet: Image.Image, photo: np.ndarray, box: tuple[int, int, int, int]) -> None:
    """Scale a photo into a box (x, y, width, height) of the sheet, centred."""
    x, y, width, height = box
    factor = min(width / photo.shape[1], height / photo.shape[0])
    size = tuple(max(1, round(side * factor)) for side in photo.shape[1::-1])
    method = Image.Resampling.LANCZOS if factor < 1 else Image.Resampling.BICUBIC
    scaled = Image.fromarray(photo).resize(size, method)
    sheet.paste(scaled, (x + (width - size[0]) // 2, y + (height - size[1]) // 2))


def panel(pen: ImageDraw.ImageDraw, text: str, box: tuple[int, int, int, int], font: Font, line_px: int) -> None:
    """A grey panel with a text on it in a box (x, y, width, height); what has no room is left out."""
    x, y, width, height = box
    pen.rectangle((x, y, x + width - 1, y + height - 1), PANEL)
    lines = textwrap.wrap(text, (width - 32) // 8)[: max(1, (height - 24) // line_px)]
    for index, line in enumerate(lines):
        pen.text((x + 16, y + 12 + index * line_px), line, INK, font)


@dataclass(frozen=True)
class Entry:
    """One cell of a grid: pictures side by side, a line of text below."""

    pictures: tuple[np.ndarray, ...]
    """(h, w, 3) uint8, no side longer than `CELL_PX`."""
    caption: str


def grid(title: str, columns: Sequence[str], entries: Sequence[Entry]) -> Image.Image:
    """A title, and entries row by row.

    Args:
        columns: what an entry's pictures are, from left to right; written over the first row.
    """
    entry_px = len(columns) * (CELL_PX + GAP_PX) + 2 * GAP_PX
    across = max(1, min(len(entries), GRID_PX // entry_px))
    down = -(-len(entries) // across)
    top = 2 * LINE_PX + 2 * GAP_PX
    sheet = Image.new("RGB", (across * entry_px, top + down * (CELL_PX + LINE_PX + 2 * GAP_PX)), PAPER)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    pen.text((GAP_PX, GAP_PX), title, INK, font)
    for place, entry in enumerate(entries):
        x = place % across * entry_px + GAP_PX
        y = top + place // across * (CELL_PX + LINE_PX + 2 * GAP_PX)
        for column, picture in enumerate(entry.pictures):
            left = x + column * (CELL_PX + GAP_PX)
            sheet.paste(Image.fromarray(picture), (left, y))
            if place < across:
                pen.text((left, y - LINE_PX - 2), fitting(columns[column], font, CELL_PX), INK, font)
        pen.text((x, y + CELL_PX), fitting(entry.caption, font, entry_px - 2 * GAP_PX), INK, font)
    return sheet


def fitting(text: str, font: Font, width_px: int) -> str:
    """`text`, its beginning left out where it would be wider: the figures are at its end."""
    if font.getlength(text) <= width_px:
        return text
    while text and font.getlength(f"…{text}") > width_px:
        text = text[1:]
    return f"…{text}"


def jpeg(picture: Image.Image, quality: int, optimize: bool = False) -> bytes:
    """The bytes of a JPEG file."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality, optimize=optimize)
    return buffer.getvalue()
