"""From scores of pictures to the figures of a report: means with intervals, distances of sets, differences, bins.

What comes out is plain data, the content of results.json. It holds nothing that a clock has measured, so that a run
that was killed and continued gives the same file; times are in timing.json.
"""

from __future__ import annotations

import math

import numpy as np

from eval.contestants import Contestant
from eval.data import careless
from eval.data.dataset import DataSet
from eval.judge import SHARPNESS, Metrics
from eval.metrics import frechet, kid, uids
from eval.metrics.intervals import Bootstrap, Interval
from eval.metrics.names import FEATURES, INVENTED, SECOND
from eval.report.figures import Figure
from eval.score import Scores
from eval.store import number

BINS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 1.0)
"""Edges of the hole sizes, as shares of the picture."""
ENOUGH_FOR_FID = 2048
SUSPICIOUS_DB = 45.0
"""PSNR inside the hole that no model reaches without having seen the truth."""
REAL_SIZES = (250_000, 1_000_000, 4_000_000)
"""Edges of the holes in real photos, in pixels."""
GALLERY = 2
"""Best, median and worst pictures shown, each."""


def rounded(value: float | None) -> float | None:
    """Six significant digits: what is left of a figure when summation order no longer shows; ±1e-9 is zero."""
    if value is None or not math.isfinite(value):
        return value
    return 0.0 if abs(value) < 1e-9 else float(f"{value:.6g}")


class RealSet:
    """The real pictures' features, and what every distance needs of them."""

    def __init__(self, features: np.ndarray) -> None:
        self.features = features
        self.mean, self.factor = gaussian(features)


class RealSets:
    """The real pictures' features by both networks."""

    def __init__(self, scores: Scores) -> None:
        self.first, self.second = RealSet(scores.composited), RealSet(scores.second)
        self.invented = column(scores.rows, INVENTED[0])
        """Of each picture itself: whether it seems to show an object in the hole, (N,)."""


def gaussian(features: np.ndarray, rows: int = 256) -> tuple[np.ndarray, np.ndarray]:
    """Mean (D,) and a factor of the covariance of features (N, D), memory no larger than (D, D) whatever N is."""
    if len(features) <= features.shape[1]:
        return frechet.factor_of_few(np.asarray(features))
    moments = frechet.Moments(features.shape[1])
    for start in range(0, len(features), rows):
        moments.update(np.asarray(features[start : start + rows]))
    mean, covariance = moments.gaussian()
    return mean, frechet.root(covariance)


def set_figures(metrics: Metrics, real: RealSets, scores: Scores) -> dict[str, dict]:
    """Distances of the set of fills to the set of pictures."""
    kind, features = FEATURES[metrics.features], scores.composited
    kernel, spread = kid.kernel_distance(real.first.features, features)
    u_ids, p_ids = uids.inception_discriminative(np.asarray(real.first.features), np.asarray(features))
    return {
        kind.frechet[0]: _frechet(real.first, features),
        kind.kernel[0]: {"value": rounded(kernel), "deviation_over_subsets": rounded(spread)},
        SECOND[metrics.second][0]: _frechet(real.second, scores.second),
        kind.u_ids[0]: {"value": rounded(u_ids)},
        kind.p_ids[0]: {"value": rounded(p_ids)},
    }


def _frechet(real: RealSet, features: np.ndarray) -> dict[str, float]:
    value, between = frechet.distance(real.mean, real.factor, *gaussian(features))
    population = frechet.with_population_covariance(value, between, len(features))
    scale = float(np.square(real.factor).sum())
    return {
        # what is below 1e-9 of the spread of the real set is rounding
        "value": 0.0 if abs(value) < 1e-9 * scale else rounded(value),
        "with_population_covariance": 0.0 if abs(population) < 1e-9 * scale else rounded(population),
    }


def picture_figures(shown: list[Figure], rows: list[dict], bootstrap: Bootstrap) -> dict[str, dict]:
    """Means over the pictures that have a figure, by its key."""
    return {figure.key: values(bootstrap.interval(column(rows, figure.key))) for figure in shown}


def differences(shown: list[Figure], rows: list[dict], reference: list[dict], bootstrap: Bootstrap) -> dict[str, dict]:
    """Paired: this contestant minus the reference, picture by picture; `verdict` says whether it is real."""
    found = {}
    for figure in shown:
        ours, theirs = column(rows, figure.key), column(reference, figure.key)
        if np.isinf(ours).any() or np.isinf(theirs).any():
            found[figure.key] = {"mean": None, "low": None, "high": None, "verdict": "infinite"}
            continue
        interval = bootstrap.interval(ours - theirs)
        found[figure.key] = {**values(interval), "verdict": verdict(interval, figure.higher_is_better)}
    return found


def verdict(interval: Interval, higher_is_better: bool) -> str:
    """`better` or `worse` if the 95 % interval excludes zero, else `not told apart`."""
    if interval.low is None or interval.low <= 0 <= interval.high:
        return "not told apart"
    return "better" if (interval.low > 0) == higher_is_better else "worse"


def bins(shown: list[Figure], dataset: DataSet, rows: list[dict], reference: list[dict]) -> list[dict]:
    """Means and differences to the reference by size of the hole; empty bins are left out."""
    holes = np.array([sample.hole for sample in dataset.samples])
    found = []
    for low, high in zip(BINS, BINS[1:], strict=False):
        inside = np.flatnonzero((holes > low) & (holes <= high))
        if len(inside):
            found.append({"from": low, "to": high, **_part(shown, dataset, rows, reference, inside)})
    return found


def kinds(shown: list[Figure], dataset: DataSet, rows: list[dict], reference: list[dict]) -> list[dict]:
    """The same by kind of careless mask; empty where the masks have no kinds."""
    found = []
    for kind, (words, _) in careless.KINDS.items():
        inside = np.array([index for index, sample in enumerate(dataset.samples) if sample.mask_kind == kind], int)
        if len(inside):
            found.append({"kind": kind, "words": words, **_part(shown, dataset, rows, reference, inside)})
    return found


def _part(shown: list[Figure], dataset: DataSet, rows: list[dict], reference: list[dict], inside: np.ndarray) -> dict:
    """Figures of some pictures of the set, by their places in it."""
    here = [rows[index] for index in inside]
    bootstrap = Bootstrap([dataset.samples[index].group for index in inside])
    against = differences(shown, here, [reference[index] for index in inside], bootstrap)
    return {"pictures": len(inside), "figures": picture_figures(shown, here, bootstrap), "difference": against}


def sharpness(dataset: DataSet, rows: list[dict]) -> list[dict]:
    """Medians and deciles of sharpness beside truth and surroundings (1: as sharp), by the size of the hole in pixels;
    empty where no hole has `REAL_SIZES[0]` pixels."""
    pixels = np.array([sample.hole * sample.width * sample.height for sample in dataset.samples])
    found = []
    for low, high in zip(REAL_SIZES, (*REAL_SIZES[1:], math.inf), strict=True):
        inside = np.flatnonzero((pixels >= low) & (pixels < high))
        if not len(inside):
            continue
        part: dict = {"from_pixels": low, "pictures": len(inside)}
        for key in SHARPNESS:
            known = column([rows[index] for index in inside], key)
            known = known[~np.isnan(known)]
            part[key] = [rounded(float(value)) for value in np.quantile(known, [0.1, 0.5, 0.9])] if len(known) else None
        found.append(part)
    return found


def column(rows: list[dict], key: str) -> np.ndarray:
    """Figures of pictures (N,) float64, NaN where there is none."""
    return np.array([number(row[key]) for row in rows], np.float64)


def suspicions(contestant: Contestant, rows: list[dict]) -> list[str]:
    """Reasons to distrust these scores: the fills are identical to the original, or too close to it."""
    psnr = column(rows, "psnr_hole")
    same = int(np.isinf(psnr).sum())
    reasons = []
    if same:
        reasons.append(f"suspicious: {same} of {len(psnr)} fills are identical to the truth inside the hole")
    elif psnr.mean() > SUSPICIOUS_DB:
        reasons.append(f"suspicious: {psnr.mean():.1f} dB inside the hole is nearer to the truth than any model comes")
    return reasons


def notes(contestant: Contestant) -> list[str]:
    """What flatters a contestant's scores, in sentences."""
    if contestant.sees_truth():
        return [
            f"strength {contestant.config.effective_strength:g} starts from the noised unmasked picture: what was "
            "under the hole shines through, which flatters the scores"
        ]
    return []


def gallery(metrics: Metrics, dataset: DataSet, rows: list[dict]) -> dict[str, list[str]]:
    """Ids of the best, median and worst pictures by the perceptual distance inside the hole, and of the first ones,
    which nobody selected."""
    values = column(rows, f"{metrics.distance_key}_hole")
    order = np.lexsort((np.arange(len(values)), values))
    count = min(GALLERY, max(1, len(order) // 3))
    middle = max(0, len(order) // 2 - count // 2)
    picked = {
        "best": order[:count],
        "median": order[middle : middle + count],
        "worst": order[::-1][:count],
        "unselected": np.arange(count),
    }
    return {name: [dataset.samples[index].id for index in chosen] for name, chosen in picked.items()}


def contestant_figures(
    contestant: Contestant,
    metrics: Metrics,
    shown: list[Figure],
    dataset: DataSet,
    scores: Scores,
    real: RealSets,
    reference: list[dict],
) -> dict:
    """One contestant's part of the results; `shown`: the figures of single pictures."""
    groups = [sample.group for sample in dataset.samples]
    bootstrap = Bootstrap(groups)
    composited = [row["composited"] for row in scores.rows]
    return {
        "name": contestant.name,
        "title": contestant.title,
        "settings": contestant.settings(),
        "weights": contestant.weights,
        "parameters": contestant.parameters,
        "license": contestant.license,
        "source": contestant.source,
        "suspicious": suspicions(contestant, composited),
        "notes": notes(contestant),
        "composited": {
            "sets": set_figures(metrics, real, scores),
            "pictures": picture_figures(shown, composited, bootstrap),
            "difference": differences(shown, composited, reference, bootstrap),
            "bins": bins(shown, dataset, composited, reference),
            "kinds": kinds(shown, dataset, composited, reference),
            "sharpness": sharpness(dataset, composited),
        },
        "gallery": gallery(metrics, dataset, composited),
    }


def warnings(metrics: Metrics, dataset: DataSet, width: int) -> list[str]:
    """Warnings for the reader of the figures."""
    notes, count, kind = [], len(dataset.samples), FEATURES[metrics.features]
    if dataset.problems:
        notes.append(f"{len(dataset.problems)} pictures could not be used; they are listed")
    if count < ENOUGH_FOR_FID:
        notes.append(
            f"{kind.frechet[1]} of {count} pictures: below {ENOUGH_FOR_FID:,} it is biased upwards, so compare it only "
            "between models on these same pictures"
        )
    if 2 * count <= width:
        notes.append(
            f"{kind.u_ids[1]} and {kind.p_ids[1]} say nothing here: {2 * count} points in {width} dimensions can "
            "always be separated"
        )
    if metrics.features != "inception":
        notes.append(f"{kind.frechet[1]} and {kind.kernel[1]} are stand-ins and cannot be compared with any FID or KID")
    pairs = dataset.request.pairs
    if pairs and pairs.pairs and len({sample.path for sample in dataset.samples}) != pairs.pairs:
        notes.append(f"{pairs.title} has {pairs.pairs} pairs, this run fewer or others: it is another set")
    protocol = dataset.request.protocol
    if protocol and count != protocol.pictures:
        notes.append(
            f"the paper scored {protocol.pictures:,} pictures, this run {count:,}: its FID is another quantity"
        )
    return notes


def values(interval: Interval) -> dict:
    """An interval as plain data."""
    found = {"mean": rounded(interval.mean), "low": rounded(interval.low), "high": rounded(interval.high)}
    return found if interval.missing == 0 else found | {"missing": interval.missing}
