"""The report as one HTML file that stands alone: tables, plots and pictures inside, nothing loaded from elsewhere."""

from __future__ import annotations

import base64
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from eval.data.dataset import DataSet
from eval.report import plots, tables
from eval.report.plots import Point
from eval.report.sentences import sentences
from eval.score import read_fill
from eval.store import number
from moebius.presentation import drawing
from moebius.presentation.results import median_seconds, suspicions
from moebius.presentation.table import Table

if TYPE_CHECKING:
    import numpy as np
    from markupsafe import Markup

QUALITY = 85
"""Of the pictures' JPEGs."""


def html(
    results: dict,
    times: dict | None,
    votes: dict | None,
    shown: list[Table],
    dataset: DataSet,
    fills: dict[str, Path],
) -> str:
    """The whole page.

    Args:
        results, times, votes: the contents of results.json, and of timing.json and votes.json, where there is one.
        shown: the tables, the most important first.
        dataset, fills: the photos, and the folder of every model's fills, for the gallery.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    pages = Environment(loader=PackageLoader("eval.report", ""), autoescape=True, undefined=StrictUndefined)
    notes = [f"{model['name']}: {note}" for model in results["models"] for note in model["notes"]]
    page = pages.get_template("page.html.jinja").render(
        title=f"Inpainting on {results['data']['name']}",
        style=Markup((files("eval.report") / "page.css").read_text(encoding="utf-8")),
        sentences=sentences(results, votes),
        lead=_lead(results),
        suspicions=suspicions(results),
        notes=notes + results["warnings"],
        tables=shown,
        plots=_plots(results, times),
        figure=results["figures"]["pictures"][0]["name"],
        models=[_gallery(model, dataset, fills[model["name"]]) for model in results["models"]],
        data=results["data"],
        footer=_footer(results),
    )
    return page + "\n"


def _lead(results: dict) -> str:
    data = results["data"]
    count = f"{data['pictures']:,} pictures"
    if data["photos"] != data["pictures"]:
        count += f" of {data['photos']:,} photos"
    return (
        f"{count}, holes: {data['masks']} (seed {data['mask_seed']}, {data['mean_hole']:.1%} of a picture on average), "
        f"pictures {data['prepared']}. Features: {results['features']['recipe']}."
    )


def _plots(results: dict, times: dict | None) -> list[Markup]:
    """The first figure against seconds, against parameters and by the size of the hole, as SVG."""
    figure = results["figures"]["pictures"][0]
    better = "higher is better" if figure["higher_is_better"] else "lower is better"
    y_title = f"{figure['name']} ({better})"
    means = {model["name"]: model["composited"]["pictures"][figure["key"]] for model in results["models"]}

    def points(xs: dict[str, float | None]) -> dict[str, Point]:
        return {name: _point(xs[name], interval) for name, interval in means.items() if xs[name]}

    drawn = []
    by_time = points({name: median_seconds(times, name) for name in means})
    if by_time:
        drawn.append(plots.scatter("Quality against time", "seconds a picture, one at a time", y_title, by_time))
    by_size = points({model["name"]: model["parameters"] / 1e6 for model in results["models"]})
    if by_size:
        drawn.append(plots.scatter("Quality against size", "million parameters (learned models)", y_title, by_size))
    bins = results["models"][0]["composited"]["bins"]
    names = [f"{tables.bin_name(part)}\nn = {part['pictures']}" for part in bins]
    series = {
        model["name"]: [
            _point(index, part["figures"][figure["key"]]) for index, part in enumerate(model["composited"]["bins"])
        ]
        for model in results["models"]
    }
    drawn.append(plots.lines(f"{figure['name']} by hole", "share of the picture that is hole", y_title, names, series))
    return drawn


def _point(x: float, interval: dict) -> Point:
    return Point(x, *(number(interval[name]) for name in ("mean", "low", "high")))


def _gallery(model: dict, dataset: DataSet, fills: Path) -> dict:
    """A model's best, median and worst pictures: the photo with its hole outlined, then the fill."""
    by_id = {sample.id: sample for sample in dataset.samples}
    shown = []
    for place, image_ids in model["gallery"].items():
        for sample in (by_id[image_id] for image_id in image_ids):
            shown.append(
                {
                    "photo": _thumbnail(*dataset.load(sample)),
                    "fill": _thumbnail(read_fill(fills, sample)),
                    "caption": f"{place}: {sample.id}, {sample.hole:.0%} hole",
                }
            )
    return {"name": model["name"], "settings": model["settings"]["text"], "pictures": shown}


def _thumbnail(photo: np.ndarray, hole: np.ndarray | None = None) -> str:
    """A small copy as a JPEG data URL."""
    from PIL import Image

    data = drawing.jpeg(Image.fromarray(drawing.small(photo, hole)), QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(data).decode()


def _footer(results: dict) -> list[str]:
    hardware = results["hardware"]
    where = hardware.get("gpu") or hardware["processor"]
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    return [
        f"Commit {results['commit'] or 'unknown'}; {where}, {hardware['threads']} threads, {hardware['system']}, "
        f"Python {hardware['python']}; {versions}.",
        f"Data {results['data']['identity']}; batch {results['batch']}. "
        "Every figure: results.json; times: timing.json.",
    ]
