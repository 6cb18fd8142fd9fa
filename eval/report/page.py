"""The report as one HTML file that stands alone: tables, plots, pictures inside it, nothing loaded from elsewhere."""

from __future__ import annotations

from html import escape
from importlib.resources import files
from pathlib import Path

from eval.data.dataset import DataSet
from eval.report import gallery, plots, tables
from eval.report.plots import Point
from eval.score import read_fill
from eval.store import number

LONG = 36
"""Cells with more characters may break into lines; figures with their intervals do not."""


def html(results: dict, times: dict | None, shown: list[tables.Table], dataset: DataSet, fills: dict[str, Path]) -> str:
    """The whole page.

    Args:
        fills: folder of every model's fills, for the gallery.
    """
    data = results["data"]
    title = f"Inpainting on {data['name']}"
    style = (files("eval.report") / "page.css").read_text(encoding="utf-8")
    count = f"{data['pictures']:,} pictures of {data['photos']:,} photos" if data["photos"] != data["pictures"] else (
        f"{data['pictures']:,} pictures")  # fmt: skip
    lead = (
        f"{count}, holes: {data['masks']} (seed {data['mask_seed']}, {data['mean_hole']:.1%} of a picture on average), "
        f"pictures {data['prepared']}. Features: {results['features']['recipe']}."
    )
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title><style>{style}</style></head><body><main>",
        f"<h1>{escape(title)}</h1><p>{escape(lead)}</p>",
        _said(results),
        _table(shown[0]),
        '<section class="plots">' + "".join(f"<figure>{svg}</figure>" for svg in _plots(results, times)) + "</section>",
        *(_table(table) for table in shown[1:]),
        _gallery(results, dataset, fills),
        _problems(data),
        _colophon(results),
        "</main></body></html>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _said(results: dict) -> str:
    """Suspicions first, then what to keep in mind."""
    loud = [f"{model['name']}: {said}" for model in results["models"] for said in model["suspicious"]]
    quiet = [f"{model['name']}: {note}" for model in results["models"] for note in model["notes"]] + results["warnings"]
    items = [f'<li class="loud">{escape(said)}</li>' for said in loud] + [f"<li>{escape(said)}</li>" for said in quiet]
    return f'<ul class="said">{"".join(items)}</ul>' if items else ""


def _table(table: tables.Table) -> str:
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in table.header)
    rows = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>' + "".join(map(_cell, row[1:])) + "</tr>" for row in table.rows
    )
    note = f'<p class="note">{escape(table.note)}</p>' if table.note else ""
    return (
        f'<section><h2>{escape(table.title)}</h2><div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{note}</section>"
    )


def _cell(text: str) -> str:
    long = ' class="long"' if len(text) > LONG else ""
    return f"<td{long}>{escape(text)}</td>"


def _plots(results: dict, times: dict | None) -> list[str]:
    figure = results["figures"]["pictures"][0]
    better = "higher is better" if figure["higher_is_better"] else "lower is better"
    y_title = f"{figure['name']} ({better})"
    means = {model["name"]: model["composited"]["pictures"][figure["key"]] for model in results["models"]}

    def points(xs: dict[str, float | None]) -> dict[str, Point]:
        return {
            name: Point(xs[name], number(told["mean"]), number(told["low"]), number(told["high"]))
            for name, told in means.items()
            if xs[name]
        }

    drawn = []
    by_time = points({name: tables.seconds_of(times, name) for name in means})
    if by_time:
        drawn.append(plots.scatter("Quality against time", "seconds a picture, one at a time", y_title, by_time))
    by_size = points({model["name"]: model["parameters"] / 1e6 for model in results["models"]})
    if by_size:
        drawn.append(plots.scatter("Quality against size", "million parameters (learned models)", y_title, by_size))
    bins = results["models"][0]["composited"]["bins"]
    names = [f"{tables.bin_name(told)}\nn = {told['pictures']}" for told in bins]
    series = {
        model["name"]: [
            Point(number(told["mean"]), number(told["mean"]), number(told["low"]), number(told["high"]))
            for told in (part["figures"][figure["key"]] for part in model["composited"]["bins"])
        ]
        for model in results["models"]
    }
    drawn.append(plots.lines(f"{figure['name']} by hole", "share of the picture that is hole", y_title, names, series))
    return drawn


def _gallery(results: dict, dataset: DataSet, fills: dict[str, Path]) -> str:
    """Per model its best, median and worst pictures: the original with the hole outlined, then the fill."""
    figure = results["figures"]["pictures"][0]
    by_id = {sample.id: sample for sample in dataset.samples}
    parts = [
        f"<section><h2>Pictures</h2><p>Best, median and worst of each model by {escape(figure['name'])}: "
        "the picture with its hole outlined, then the fill.</p>"
    ]
    for model in results["models"]:
        parts.append(f"<h3>{escape(model['name'])} <small>{escape(model['settings']['text'])}</small></h3>")
        parts.append('<div class="gallery">')
        for place, image_ids in model["gallery"].items():
            for image_id in image_ids:
                sample = by_id[image_id]
                truth, mask = dataset.load(sample)
                fill, _ = read_fill(fills[model["name"]], sample)
                caption = f"{place}: {image_id}, {sample.hole:.0%} hole"
                parts.append(
                    f'<figure><img src="{gallery.thumbnail(truth, mask)}" alt="picture, hole outlined">'
                    f'<img src="{gallery.thumbnail(fill)}" alt="filled by {escape(model["name"])}">'
                    f"<figcaption>{escape(caption)}</figcaption></figure>"
                )
        parts.append("</div>")
    return "".join(parts) + "</section>"


def _problems(data: dict) -> str:
    if not data["unusable"]:
        return ""
    items = "".join(f"<li>{escape(row['file'])}: {escape(row['reason'])}</li>" for row in data["problems"])
    more = data["unusable"] - len(data["problems"])
    rest = f"<li>and {more:,} more</li>" if more else ""
    return f"<section><h2>Pictures that could not be used: {data['unusable']:,}</h2><ul>{items}{rest}</ul></section>"


def _colophon(results: dict) -> str:
    hardware = results["hardware"]
    where = hardware.get("gpu") or hardware["processor"]
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    lines = [
        f"Commit {results['commit'] or 'unknown'}; {where}, {hardware['threads']} threads, {hardware['system']}, "
        f"Python {hardware['python']}; {versions}.",
        f"Data {results['data']['identity']}; batch {results['batch']}. "
        "Every figure: results.json; times: timing.json.",
    ]
    return "<footer>" + "".join(f"<p>{escape(line)}</p>" for line in lines) + "</footer>"
