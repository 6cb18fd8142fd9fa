"""A comparison as one labelled picture: the photo with its hole, each result, and a close-up of each filled area."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from moebius import registry
from moebius.compare import Outcome, table
from moebius.photo import images
from moebius.photo.raster import Raster
from moebius.presentation import drawing
from moebius.units import duration

CELL_PX = 480
_MARGIN_PX, _TITLE_PX, _TEXT_PX, _LINE_PX = 16, 22, 15, 21
_CAPTION_LINES = 3


def make_sheet(photo: Raster, mask: np.ndarray, outcomes: Iterable[Outcome], footer: str = "") -> Image.Image:
    """Columns: the photo, then each model; rows: the whole photo, a close-up of the filled area.

    Args:
        photo: the original.
        mask: (H, W) bool, the hole, not empty.
        footer: a line at the bottom, before the models' notices.
    """
    outcomes = list(outcomes)
    before = images.to_rgb8(photo)  # (H, W, 3) uint8
    marked = drawing.outlined(before, mask, CELL_PX)
    columns: list[tuple[str, list[str], np.ndarray | str | None, np.ndarray | None]] = [
        ("Photo", ["the hole is outlined"], marked, drawing.close_up(before, mask))
    ]
    for outcome, row in zip(outcomes, table(outcomes), strict=True):
        if outcome.fill is None:
            columns.append((outcome.card.title, ["cannot run here"], outcome.error, None))
            continue
        after = images.to_rgb8(outcome.fill.raster)
        near = drawing.close_up(after, mask) if after.shape == before.shape else None
        columns.append((outcome.card.title, _captions(row), after, near))

    height, width = before.shape[:2]
    row_px = round(CELL_PX * min(1.0, height / width))
    top = _MARGIN_PX + _TITLE_PX + 8 + _CAPTION_LINES * _LINE_PX + 6
    notices = [f"{outcome.card.title}: {outcome.card.notice}" for outcome in outcomes if outcome.card.notice]
    size_x = _MARGIN_PX + len(columns) * (CELL_PX + _MARGIN_PX)
    letters = max(40, (size_x - 2 * _MARGIN_PX) // 8)
    lines = [line for text in (footer, *notices) if text for line in textwrap.wrap(text, letters)]
    size_y = top + row_px + 2 * _MARGIN_PX + CELL_PX + (len(lines) * _LINE_PX + _MARGIN_PX if lines else 0)

    sheet = Image.new("RGB", (size_x, size_y), drawing.PAPER)
    draw = ImageDraw.Draw(sheet)
    title_font, text_font = ImageFont.load_default(_TITLE_PX), ImageFont.load_default(_TEXT_PX)
    for index, (title, captions, whole, near) in enumerate(columns):
        x, y = _MARGIN_PX + index * (CELL_PX + _MARGIN_PX), _MARGIN_PX
        draw.text((x, y), title, drawing.INK, title_font)
        for line, caption in enumerate(captions[:_CAPTION_LINES]):
            draw.text((x, y + _TITLE_PX + 8 + line * _LINE_PX), caption, drawing.PALE, text_font)
        if isinstance(whole, np.ndarray):
            drawing.paste_scaled(sheet, whole, (x, top, CELL_PX, row_px))
        else:
            drawing.panel(draw, whole, (x, top, CELL_PX, row_px), text_font, _LINE_PX)
        if near is not None:
            drawing.paste_scaled(sheet, near, (x, top + row_px + _MARGIN_PX, CELL_PX, CELL_PX))
    for line, text in enumerate(lines):
        y = size_y - (len(lines) - line) * _LINE_PX - _MARGIN_PX // 2
        draw.text((_MARGIN_PX, y), text, drawing.PALE, text_font)
    return sheet


def _captions(row: dict) -> list[str]:
    parts = [duration(row["seconds"]["model"])]
    if row["steps"]:
        parts.append(f"{row['steps']} steps")
    if row["step_ms"]:
        parts.append(f"{row['step_ms']:.0f} ms a step")
    size = f"{row['parameters'] / 1e9:.3g} billion parameters" if row["parameters"] else ""
    if row["times_student"] and not registry.card(row["model"]).reference:
        size += f"{', ' if size else ''}{row['times_student']:.3g} times the student's time"
    where = ", ".join(str(row[name]) for name in ("device", "dtype", "plan") if row.get(name))
    return [", ".join(parts), size, where]
