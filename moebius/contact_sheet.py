"""A whole comparison as one labelled picture: the photo with its hole, each result, and each hole from near."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from moebius.compare import Outcome, table
from moebius.photo import images
from moebius.photo.raster import Raster

CELL_PX = 480
_MARGIN_PX, _TITLE_PX, _TEXT_PX, _LINE_PX = 16, 22, 15, 21
_CAPTION_LINES = 3
_INK, _PALE, _PAPER, _PANEL, _MARK = (24, 24, 28), (96, 96, 104), (255, 255, 255), (232, 232, 236), (226, 30, 90)


def make_sheet(photo: Raster, mask: np.ndarray, outcomes: Iterable[Outcome], footer: str = "") -> Image.Image:
    """Columns: the photo, then each model; rows: the whole picture, the hole from near.

    Args:
        photo: as it was before.
        mask: (H, W) bool, the hole, not empty.
        footer: a line under it all, before the models' notices.
    """
    outcomes = list(outcomes)
    before = images.to_rgb8(photo)  # (H, W, 3) uint8
    columns = [("Photo", ["the hole is outlined"], _outlined(before, mask), _near(before, mask))]
    for outcome, row in zip(outcomes, table(outcomes), strict=True):
        if outcome.fill is None:
            columns.append((outcome.card.title, ["cannot run here"], outcome.error, None))
            continue
        after = images.to_rgb8(outcome.fill.raster)
        near = _near(after, mask) if after.shape == before.shape else None
        columns.append((outcome.card.title, _captions(row), after, near))

    height, width = before.shape[:2]
    row_px = round(CELL_PX * min(1.0, height / width))
    top = _MARGIN_PX + _TITLE_PX + 8 + _CAPTION_LINES * _LINE_PX + 6
    notices = [f"{outcome.card.title}: {outcome.card.notice}" for outcome in outcomes if outcome.card.notice]
    size_x = _MARGIN_PX + len(columns) * (CELL_PX + _MARGIN_PX)
    letters = max(40, (size_x - 2 * _MARGIN_PX) // 8)
    lines = [line for text in (footer, *notices) if text for line in textwrap.wrap(text, letters)]
    size_y = top + row_px + 2 * _MARGIN_PX + CELL_PX + (len(lines) * _LINE_PX + _MARGIN_PX if lines else 0)

    sheet = Image.new("RGB", (size_x, size_y), _PAPER)
    draw = ImageDraw.Draw(sheet)
    title_font, text_font = ImageFont.load_default(_TITLE_PX), ImageFont.load_default(_TEXT_PX)
    for index, (title, captions, whole, near) in enumerate(columns):
        x, y = _MARGIN_PX + index * (CELL_PX + _MARGIN_PX), _MARGIN_PX
        draw.text((x, y), title, _INK, title_font)
        for line, caption in enumerate(captions[:_CAPTION_LINES]):
            draw.text((x, y + _TITLE_PX + 8 + line * _LINE_PX), caption, _PALE, text_font)
        if isinstance(whole, np.ndarray):
            _place(sheet, whole, (x, top, CELL_PX, row_px))
        else:
            _say(draw, whole, (x, top, CELL_PX, row_px), text_font)
        if near is not None:
            _place(sheet, near, (x, top + row_px + _MARGIN_PX, CELL_PX, CELL_PX))
    for line, text in enumerate(lines):
        draw.text((_MARGIN_PX, size_y - (len(lines) - line) * _LINE_PX - _MARGIN_PX // 2), text, _PALE, text_font)
    return sheet


def _captions(row: dict) -> list[str]:
    seconds = row["seconds"]["model"]
    parts = [f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.0f} s"]
    if row["steps"]:
        parts.append(f"{row['steps']} steps")
    if row["step_ms"]:
        parts.append(f"{row['step_ms']:.0f} ms a step")
    size = f"{row['parameters'] / 1e9:.3g} billion parameters" if row["parameters"] else ""
    if row["times_student"] and row["model"] != "moebius":
        size += f"{', ' if size else ''}{row['times_student']:.3g} times the student's time"
    where = ", ".join(str(row[name]) for name in ("device", "dtype", "plan") if row.get(name))
    return [", ".join(parts), size, where]


def _outlined(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The photo with a line around the hole, wide enough to be seen in a small copy; both (H, W, …)."""
    import cv2

    width = max(2, round(max(mask.shape) / CELL_PX * 2))
    kernel = np.ones((2 * width + 1, 2 * width + 1), np.uint8)
    edge = cv2.dilate(mask.astype(np.uint8), kernel).astype(bool) & ~mask
    marked = picture.copy()
    marked[edge] = _MARK
    return marked


def _near(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """A square around the hole, with a quarter of its size to each side; (S, S, 3), less at the picture's edges."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    side = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
    side = min(max(64, round(1.5 * side)), *mask.shape)
    y, x = (
        int(np.clip((line[0] + line[-1] + 1 - side) // 2, 0, length - side))
        for line, length in ((rows, mask.shape[0]), (columns, mask.shape[1]))
    )
    return picture[y : y + side, x : x + side]


def _place(sheet: Image.Image, picture: np.ndarray, box: tuple[int, int, int, int]) -> None:
    """Scale a picture into a box (x, y, width, height), centred."""
    x, y, width, height = box
    factor = min(width / picture.shape[1], height / picture.shape[0])
    size = tuple(max(1, round(side * factor)) for side in picture.shape[1::-1])
    method = Image.Resampling.LANCZOS if factor < 1 else Image.Resampling.BICUBIC
    scaled = Image.fromarray(picture).resize(size, method)
    sheet.paste(scaled, (x + (width - size[0]) // 2, y + (height - size[1]) // 2))


def _say(draw: ImageDraw.ImageDraw, text: str, box: tuple[int, int, int, int], font) -> None:
    """A grey panel with a reason on it."""
    x, y, width, height = box
    draw.rectangle((x, y, x + width - 1, y + height - 1), _PANEL)
    lines = textwrap.wrap(text, (width - 32) // 8)[: max(1, (height - 24) // _LINE_PX)]
    for index, line in enumerate(lines):
        draw.text((x + 16, y + 12 + index * _LINE_PX), line, _INK, font)
