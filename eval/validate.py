"""A test of the metrics: which rank fills as people do? Fills of known quality, made from the original, are scored by
every metric.

People prefer the photo itself to any changed one, and a blurred hole to one with swapped patches (PROVE,
arXiv:2605.14534). A metric is useful in a report as far as it agrees.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

from eval import judge, score, store
from eval.contestants import ROOT
from eval.data.dataset import DataSet, Sample, scan
from eval.data.pairs import Judged
from eval.report.figures import VALIDATION, Figure, figures
from eval.report.summary import rounded
from eval.settings import Settings
from eval.workers import Workers
from moebius.masks import seed_of
from moebius.presentation.table import Table

MARKDOWN = "validation.md"
BLUR_PX, PATCH_PX, COLOUR_STEP, SEAM_PX, SEAM_STEP = 4.0, 32, 8, 2, 32
"""Sigma of the blur, side of a swapped patch, levels of the colour step, width and levels of the seam."""

Control = Callable[[np.ndarray, np.ndarray, np.ndarray, np.random.Generator], np.ndarray]
"""(truth (H, W, 3) uint8, hole (H, W) bool, another photo (H, W, 3) uint8, generator) -> what stands in the hole."""


def blurred(truth: np.ndarray, hole: np.ndarray, other: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A control: the truth, blurred in the hole."""
    import cv2

    return cv2.GaussianBlur(truth, (0, 0), BLUR_PX)


def patches_swapped(truth: np.ndarray, hole: np.ndarray, other: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Whole patches of the photo that touch the hole, in another order."""
    height, width = (side // PATCH_PX for side in hole.shape)
    cells = [
        (slice(y * PATCH_PX, (y + 1) * PATCH_PX), slice(x * PATCH_PX, (x + 1) * PATCH_PX))
        for y in range(height)
        for x in range(width)
    ]
    touched = [cell for cell in cells if hole[cell].any()]
    changed = truth.copy()
    shift = int(random.integers(1, max(2, len(touched))))  # none stays where it was
    order = random.permutation(len(touched))
    for target, source in zip(order, np.roll(order, shift), strict=True):
        changed[touched[target]] = truth[touched[source]]
    return changed


def colour_step(truth: np.ndarray, hole: np.ndarray, other: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A control: the truth with another brightness in the hole."""
    return np.clip(truth.astype(np.int16) + COLOUR_STEP, 0, 255).astype(np.uint8)


def seam(truth: np.ndarray, hole: np.ndarray, other: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A line along the inner edge of the hole, lighter in dark photos and darker in light ones."""
    import cv2

    inner = cv2.erode(hole.astype(np.uint8), np.ones((2 * SEAM_PX + 1,) * 2, np.uint8)).astype(bool)
    line = hole & ~inner
    step = SEAM_STEP if truth[hole].mean() < 128 else -SEAM_STEP
    changed = truth.copy()
    changed[line] = np.clip(truth[line].astype(np.int16) + step, 0, 255)
    return changed


def object_invented(truth: np.ndarray, hole: np.ndarray, other: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A disc of another photo around the deepest point of the hole, half as wide as there is room."""
    import cv2

    depth = cv2.distanceTransform(np.pad(hole, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    y, x = np.unravel_index(depth.argmax(), depth.shape)
    rows, columns = np.ogrid[: hole.shape[0], : hole.shape[1]]
    disc = (rows - y) ** 2 + (columns - x) ** 2 <= max(2.0, depth.max() / 2) ** 2
    return np.where(disc[..., None], other, truth)


def object_left(truth: np.ndarray, hole: np.ndarray, other: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Something else fills the whole hole, as an object does that was to go."""
    return other


def half_left(truth: np.ndarray, hole: np.ndarray, other: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The left half of that object, by its pixels."""
    middle = np.median(np.nonzero(hole)[1])
    return np.where((np.arange(hole.shape[1]) < middle)[None, :, None], other, truth)


ORIGINAL = "original"
CONTROLS: dict[str, Control] = {
    "blurred": blurred,
    "patches swapped": patches_swapped,
    "colour step": colour_step,
    "seam": seam,
    "object invented": object_invented,
    "half an object left": half_left,
    "object left": object_left,
}
PAIRS = (
    *((ORIGINAL, name) for name in CONTROLS),
    ("blurred", "patches swapped"),
    ("half an object left", "object left"),
    ("colour step", "object left"),
    ("seam", "object left"),
)
"""(better, worse) as people see it."""


def fills(truth: np.ndarray, hole: np.ndarray, other: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """The photo itself and every control, by name; outside the hole all are the photo."""
    controls = {ORIGINAL: truth}
    for name, change in CONTROLS.items():
        controls[name] = np.where(hole[..., None], change(truth, hole, other, np.random.default_rng(seed)), truth)
    return controls


def validate(settings: Settings, out: Path, workers: Workers, quiet: bool = False) -> dict | None:
    """Score the controls on one picture of each photo of `settings`; write `VALIDATION` and a table into `out`.

    One of each, because crops of one photo are not independent, which Wilson's interval needs.
    Resumable and divided among processes as scores are: one file per chunk of pictures, in out/validation.

    Returns:
        What was written, None on all processes but the first: per metric and pair of `PAIRS` the share of pictures
        that are ordered as people do, with its 95 % Wilson interval; a tie is not ordered. Metrics with a truth know
        the original: only the pairs without it say anything about them.
    """
    dataset = one_of_each(scan(settings.request, quiet=quiet))
    device = settings.device or "cpu"
    networks = cache(lambda: judge.Networks(settings.metrics, device))
    config = {
        **score.configuration(settings.metrics, device),
        "controls": store.sources_sha256(ROOT, ("eval/validate.py",)),
        "data": dataset.identity(),
        "seed": settings.seed,
    }
    folder = out / "validation" / store.fingerprint(config)

    def read(chunk: tuple[Sample, ...]) -> list[tuple]:
        return [(*dataset.load(sample), _other(dataset, sample.index)) for sample in chunk]

    def work(chunk: tuple[Sample, ...], loaded: list[tuple]) -> bytes:
        rows = []
        for sample, (truth, hole, other) in zip(chunk, loaded, strict=True):
            controls = fills(truth, hole, other, seed_of(settings.seed, f"{sample.id}#control"))
            judged = [Judged(truth, hole)] * len(controls)
            scored = judge.picture_scores(list(controls.values()), judged, networks())
            rows.append({"id": sample.id, "controls": dict(zip(controls, scored, strict=True))})
        return score.pack(rows)

    score.each_chunk(dataset, folder, config, workers, "Scoring the controls", read, work, quiet)
    names = score.chunk_names(dataset)
    workers.wait()
    workers.collect(folder, names)
    if not workers.first:
        return None
    rows = [row["controls"] for row in score.read_rows(folder, names)]
    result = {
        "data": dataset.describe(),
        "metrics": [
            {**vars(one), "pairs": [_share(pair, _ordered(rows, pair, one)) for pair in PAIRS]}
            for one in figures(settings.metrics)["pictures"]
        ],
    }
    store.write_json(out / VALIDATION, result)
    store.write(out / MARKDOWN, f"{table(result).markdown()}\n".encode())
    return result


def one_of_each(dataset: DataSet) -> DataSet:
    """The first picture of every photo."""
    first: dict[str, Sample] = {}
    for sample in dataset.samples:
        first.setdefault(sample.group, sample)
    kept = tuple(dataclasses.replace(sample, index=index) for index, sample in enumerate(first.values()))
    return dataclasses.replace(dataset, samples=kept)


def _ordered(rows: list[dict], pair: tuple[str, str], figure: Figure) -> list[bool]:
    """For every picture on which the metric has a value of both, whether it prefers the better one."""
    better, worse = ([store.number(row[name][figure.key]) for row in rows] for name in pair)
    return [_before(a, b, figure) for a, b in zip(better, worse, strict=True) if a is not None and b is not None]


def table(result: dict) -> Table:
    """Metric × pair: the share that is ordered as people do, ✗ where it is not more than half (95 %)."""
    pairs = [f"{pair['better']} > {pair['worse']}" for pair in result["metrics"][0]["pairs"]]
    rows = [(one["name"], *map(_cell, one["pairs"])) for one in result["metrics"]]
    note = (
        f"Share of {result['data']['pictures']:,} pictures on which a metric prefers the first to the second, as "
        "people do; ✗: not more than half of them, by the 95 % Wilson interval. Metrics with a truth know the original."
    )
    return Table("Which metrics order fills as people do", ("Metric", *pairs), tuple(rows), note)


def _cell(pair: dict) -> str:
    if pair["share"] is None:
        return "–"
    return f"{pair['share']:.2f}" + (" ✗" if pair["low"] <= 0.5 else "")


def _share(pair: tuple[str, str], ordered: list[bool]) -> dict:
    count = len(ordered)
    share = sum(ordered) / count if count else None
    low, high = wilson(sum(ordered), count) if count else (None, None)
    return {
        "better": pair[0],
        "worse": pair[1],
        "pictures": count,
        "share": rounded(share),
        "low": rounded(low),
        "high": rounded(high),
    }


def wilson(successes: int, count: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's 95 % interval of a share (Wilson 1927)."""
    share = successes / count
    middle = share + z**2 / (2 * count)
    half = z * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    return (middle - half) / (1 + z**2 / count), (middle + half) / (1 + z**2 / count)


def _before(better: float, worse: float, figure: Figure) -> bool:
    return better > worse if figure.higher_is_better else better < worse


def _other(dataset: DataSet, index: int) -> np.ndarray:
    """The next photograph, scaled to this one's size; itself where there is but one."""
    import cv2

    sample, other = dataset.samples[index], dataset.samples[(index + 1) % len(dataset.samples)]
    picture, _ = dataset.load(other)
    return cv2.resize(picture, (sample.width, sample.height), interpolation=cv2.INTER_AREA)
