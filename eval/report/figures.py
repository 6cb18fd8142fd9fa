"""The metrics of a report: what each is called, what it means, where it is weak, and whether it passed its own test."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

from eval.judge import Metrics
from eval.metrics.names import FEATURES, INVENTED, PERCEPTUAL, REMOVAL, SECOND
from moebius.files import read_json

VALIDATION = "validation.json"
"""What `python -m eval validate-metrics` writes; a copy for the shipped set lies beside this file."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A metric in the report."""

    key: str
    name: str
    higher_is_better: bool
    unit: str = ""
    meaning: str = ""
    """One line: what it measures."""
    weakness: str = ""
    """One line: what it does not see, or gets wrong."""
    fails: tuple[str, ...] = ()
    """Orders of fills that it gets wrong in `validate-metrics`."""


def figures(metrics: Metrics, pairs: bool = False, validation: dict | None = None) -> dict[str, list[Figure]]:
    """Metrics of single pictures and of whole sets, in the order of the tables.

    Those of the hole come first: people agree with the distance inside it, hardly with figures of the whole picture
    (PROVE, arXiv:2605.14534: Spearman 0.58 for LPIPS in the hole, 0.13 for LPIPS and 0.09 for SSIM of the picture).

    Args:
        pairs: with the figures of a removal whose truth is known.
        validation: the content of `VALIDATION`.
    """
    failed = failures(validation) if validation else {}
    pictures = [*_of_the_hole(metrics), *(_of_pairs() if pairs else ()), *_of_the_picture(metrics)]
    return {
        "pictures": [replace(one, fails=failed.get(one.key, ())) for one in pictures],
        "sets": _of_sets(metrics),
    }


def _of_the_hole(metrics: Metrics) -> list[Figure]:
    removal = REMOVAL[metrics.removal]
    found = [_distance(metrics.distance)]
    if metrics.second_distance:
        found.append(_distance(metrics.second_distance))
    return [
        *found,
        Figure(
            key=removal.published[0],
            name=removal.published[1],
            higher_is_better=True,
            meaning="how well the mean features inside the hole agree with those around it; no truth needed",
            weakness="sees means, not their spread: a blur of the right colour loses little",
        ),
        Figure(
            key=removal.spread[0],
            name=removal.spread[1],
            higher_is_better=True,
            meaning="the same with a kernel that also sees the spread of features",
            weakness="an invented object that fits in scores well",
        ),
        Figure(
            key=INVENTED[0],
            name=INVENTED[1],
            higher_is_better=False,
            meaning="share of fills in which an ImageNet classifier sees an object that nothing around the hole shows",
            weakness="no detector: 1,000 classes, and it takes some textures for objects; compare with the truth's own",
        ),
        Figure(
            key="gradient_gap",
            name="Sharpness off",
            higher_is_better=False,
            unit="octaves",
            meaning="how far the mean gradient in the hole is from the truth's; 1: half or twice as sharp",
            weakness="noise counts as sharpness",
        ),
        Figure(
            key="fine_gap",
            name="Fine detail off",
            higher_is_better=False,
            unit="octaves",
            meaning="the same for the amplitude above half the Nyquist frequency",
            weakness="grain counts as detail",
        ),
        Figure(
            key="psnr_hole",
            name="PSNR in the hole",
            higher_is_better=True,
            unit="dB",
            meaning="closeness to the truth, pixel by pixel",
            weakness="prefers blur to any texture that is not the truth's own",
        ),
        Figure(
            key="ssim_hole",
            name="SSIM in the hole",
            higher_is_better=True,
            meaning="closeness of local structure to the truth's",
            weakness="prefers blur; calls Telea better than PatchMatch",
        ),
        Figure(
            key=removal.cosine[0],
            name=removal.cosine[1],
            higher_is_better=True,
            meaning="cosine of the mean features inside and outside the hole; for comparison with other papers",
            weakness="people rank fills the other way round (PROVE)",
        ),
    ]


def _distance(name: str) -> Figure:
    key, title = PERCEPTUAL[name]
    return Figure(
        key=f"{key}_hole",
        name=f"{title} in the hole",
        higher_is_better=False,
        meaning="perceptual distance to the truth inside the hole",
        weakness="another plausible fill than the truth counts as an error",
    )


def _of_pairs() -> list[Figure]:
    return [
        Figure(
            key="effect_error",
            name="Error in the effect region",
            higher_is_better=False,
            unit="levels",
            meaning="mean difference to the truth where the object's shadow or reflection is, outside the object",
            weakness="a model that changes the mask alone cannot lower it where the mask leaves the effect out",
        ),
        Figure(
            key="effect_left",
            name="Effect left, share",
            higher_is_better=False,
            meaning="the same as a share of what the photo had there; 1: nothing was done about it",
            weakness="above 1 where a fill is farther off than the shadow was",
        ),
        Figure(
            key="object_stays",
            name="Object stays, share",
            higher_is_better=False,
            meaning="share of fills in which at least 1 % of the object's pixels still show it",
            weakness="does not see a new object that the model paints",
        ),
    ]


def _of_the_picture(metrics: Metrics) -> list[Figure]:
    key, name = PERCEPTUAL[metrics.distance]
    whole = "the same over the whole picture, most of which no model has touched"
    blind = "hardly agrees with people: what was not touched dilutes it"
    return [
        Figure(key=key, name=f"{name}, whole picture", higher_is_better=False, meaning=whole, weakness=blind),
        Figure(key="psnr", name="PSNR, whole picture", higher_is_better=True, unit="dB", meaning=whole, weakness=blind),
        Figure(key="ssim", name="SSIM, whole picture", higher_is_better=True, meaning=whole, weakness=blind),
    ]


def _of_sets(metrics: Metrics) -> list[Figure]:
    kind, second = FEATURES[metrics.features], SECOND[metrics.second]
    few = "biased upwards below some thousands of pictures"
    apart = "distance of the fills as a set to the real pictures as a set"
    separable = "says nothing below some thousands of pictures"
    return [
        Figure(
            key=kind.frechet[0],
            name=kind.frechet[1],
            higher_is_better=False,
            meaning=f"{apart}: means, covariances",
            weakness=few,
        ),
        Figure(
            key=kind.kernel[0],
            name=kind.kernel[1],
            higher_is_better=False,
            meaning=f"{apart}, by a cubic kernel",
            weakness="of few pictures its spread is large",
        ),
        Figure(
            key=second[0],
            name=second[1],
            higher_is_better=False,
            meaning=f"{apart}, in a second feature space",
            weakness=few,
        ),
        Figure(
            key=kind.u_ids[0],
            name=kind.u_ids[1],
            higher_is_better=True,
            meaning="how often a linear classifier cannot tell fills from pictures",
            weakness=separable,
        ),
        Figure(
            key=kind.p_ids[0],
            name=kind.p_ids[1],
            higher_is_better=True,
            meaning="how often a fill looks more real to it than its own picture",
            weakness=separable,
        ),
    ]


# ---- the test of the metrics ----


def validation_of(out: Path) -> dict | None:
    """The content of `VALIDATION` in a run's folder, else of the shipped one; None where there is none."""
    shipped = Path(str(files("eval.report"))) / VALIDATION
    return next((read_json(path) for path in (out / VALIDATION, shipped) if path.is_file()), None)


OBJECTS = ("object invented", "half an object left", "object left")
"""What a figure of invented objects has to see; of the other orders it says nothing."""


def failures(validation: dict) -> dict[str, tuple[str, ...]]:
    """By key of a metric, the orders of people that it does not follow: on no more than half of the pictures (95 %)."""
    return {
        one["key"]: tuple(
            f"{pair['better']} > {pair['worse']}"
            for pair in one["pairs"]
            if pair["low"] is not None and pair["low"] <= 0.5 and _is_asked(one["key"], pair)
        )
        for one in validation["metrics"]
    }


def _is_asked(key: str, pair: dict) -> bool:
    return key != INVENTED[0] or (pair["better"] == "original" and pair["worse"] in OBJECTS)


def tested_on(validation: dict) -> dict:
    """On what the metrics were tested: name and number of pictures, and which metrics."""
    data = validation["data"]
    return {
        "data": data["name"],
        "pictures": data["pictures"],
        "metrics": [one["key"] for one in validation["metrics"]],
    }
