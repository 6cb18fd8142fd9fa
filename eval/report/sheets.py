"""Sheets of fills for people: many of them at once, unselected, or where a contestant does worst."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from eval.data.dataset import DataSet
from eval.report import gallery
from eval.report.summary import Figure
from eval.score import read_fill
from eval.store import number

COUNT = 24
"""Pictures on a sheet."""
SIDE, GAP, LINE = 150, 4, 15
"""Of a picture, between pictures, and height of a line of text, in pixels."""
WIDTH = 1500
"""About that of a sheet: so many entries stand side by side."""
QUALITY = 82
INK, PAPER = (24, 24, 28), (255, 255, 255)


@dataclass(frozen=True)
class Sheet:
    """Which pictures stand on a sheet."""

    file: str
    title: str
    places: tuple[int, ...]
    """In the data set."""


@dataclass(frozen=True)
class Entry:
    """One picture of the set: itself with its hole outlined, then the fills; a line below."""

    pictures: tuple[np.ndarray, ...]
    """(h, w, 3) uint8, no side longer than SIDE."""
    caption: str


def choose(dataset: DataSet, scores: dict[str, list[dict]], figure: Figure, count: int = COUNT) -> list[Sheet]:
    """The first pictures of the set, which nobody has selected, and the worst of every contestant.

    Args:
        scores: of every contestant, its pictures' in the order of the set.
        figure: what tells the worst, a metric of single pictures.
    """
    count = min(count, len(dataset.samples))
    name = dataset.describe()["name"]
    first = f"{name}: the first {count} of {len(dataset.samples)} pictures, unselected; {figure.name}"
    found = [Sheet("sheet-first.jpg", first, tuple(range(count)))]
    for contestant, rows in scores.items():
        values = np.array([number(row[figure.key]) for row in rows])
        order = np.argsort(values if figure.higher_is_better else -values, kind="stable")[:count]
        title = f"{name}: the {count} worst of {contestant} by {figure.name}"
        found.append(Sheet(f"sheet-worst-{contestant}.jpg", title, tuple(order.tolist())))
    return found


def entries(
    dataset: DataSet, places: Iterable[int], fills: dict[str, Path], scores: dict[str, list[dict]], key: str
) -> Iterator[Entry]:
    """What stands on a sheet, read from every contestant's folder of fills; captions have each one's score `key`."""
    for index in places:
        sample = dataset.samples[index]
        pictures = [gallery.small(*dataset.load(sample), side=SIDE)]
        pictures += [gallery.small(read_fill(folder, sample)[0], side=SIDE) for folder in fills.values()]
        values = ", ".join(f"{number(scores[name][index][key]):.2f}" for name in fills)
        yield Entry(tuple(pictures), f"{sample.id}, hole {sample.hole:.0%}: {values}")


def draw(title: str, columns: list[str], shown: list[Entry]) -> Image.Image:
    """A sheet: the title, the columns' names over the first row, the entries row by row.

    Args:
        columns: what an entry's pictures are, from left to right.
    """
    entry_px = len(columns) * (SIDE + GAP) + 2 * GAP
    across = max(1, min(len(shown), WIDTH // entry_px))
    down = -(-len(shown) // across)
    top = 2 * LINE + 2 * GAP
    sheet = Image.new("RGB", (across * entry_px, top + down * (SIDE + LINE + 2 * GAP)), PAPER)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    pen.text((GAP, GAP), title, INK, font)
    for place, entry in enumerate(shown):
        x, y = place % across * entry_px + GAP, top + place // across * (SIDE + LINE + 2 * GAP)
        for column, picture in enumerate(entry.pictures):
            left = x + column * (SIDE + GAP)
            sheet.paste(Image.fromarray(picture), (left, y))
            if place < across:
                pen.text((left, y - LINE - 2), fitting(columns[column], font, SIDE), INK, font)
        pen.text((x, y + SIDE), fitting(entry.caption, font, entry_px - 2 * GAP), INK, font)
    return sheet


def fitting(text: str, font, width: int) -> str:
    """`text`, its beginning left out where it would be wider than so many pixels: the figures are at its end."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"…{text}") > width:
        text = text[1:]
    return f"…{text}"


def jpeg(sheet: Image.Image) -> bytes:
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=QUALITY, optimize=True)
    return buffer.getvalue()
