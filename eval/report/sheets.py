"""Sheets of fills for people: many of them at once, unselected, or where a contestant does worst."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eval.data.dataset import DataSet
from eval.report.figures import Figure
from eval.score import read_fill
from eval.store import number
from moebius.presentation import drawing
from moebius.presentation.drawing import CELL_PX, Entry

COUNT = 24
"""Pictures on a sheet."""
QUALITY = 82
"""Of a sheet's JPEG."""


@dataclass(frozen=True)
class Sheet:
    """Which pictures stand on a sheet."""

    file: str
    title: str
    places: tuple[int, ...]
    """In the data set."""


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
        pictures = [drawing.small(*dataset.load(sample), side=CELL_PX)]
        pictures += [drawing.small(read_fill(folder, sample), side=CELL_PX) for folder in fills.values()]
        values = ", ".join(f"{number(scores[name][index][key]):.2f}" for name in fills)
        yield Entry(tuple(pictures), f"{sample.id}, hole {sample.hole:.0%}: {values}")
