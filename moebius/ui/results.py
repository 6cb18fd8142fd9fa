"""The newest results of `python -m eval`, as a table in the page: read from results.json, nothing computed here.

Looked for in the folder MOEBIUS_RESULTS (default: `results`, where the README's commands write), in its subfolders, and
last among the measurements that come with the project.
"""

from __future__ import annotations

import json
import logging
import time
from html import escape
from pathlib import Path

import gradio as gr

from moebius import environment
from moebius.ui import html as words

log = logging.getLogger(__name__)

SHIPPED = Path(__file__).parents[2] / "benchmarks" / "results"
LARGEST = 32 << 20
SCHEMA = 1
NONE = (
    '<p class="about">No evaluation has been run yet. <code>python -m eval run --models classical,moebius --data '
    "FOLDER -o results/</code> fills the pictures of a folder, scores them and writes what is shown here.</p>"
)


def tab(page: gr.Blocks) -> None:
    """The tab's content; read anew whenever the page is opened."""
    shown = gr.HTML(elem_id="results", padding=False)
    page.load(report, None, shown, api_name="results", queue=False, show_progress="hidden")


def newest(folder: Path | None = None) -> Path | None:
    """The last written results.json in `folder` and one level below, else the shipped one; None where there is none."""
    folder = folder or environment.RESULTS.read()
    found = [path for pattern in ("results.json", "*/results.json") for path in folder.glob(pattern) if path.is_file()]
    if not found and (SHIPPED / "results.json").is_file():
        found = [SHIPPED / "results.json"]
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


def report() -> str:
    """The newest results as HTML; a file that cannot be read is named with the reason."""
    path = newest()
    if path is None:
        return NONE
    try:
        times = path.with_name("timing.json")
        return html(_read(path), _read(times) if times.is_file() else None, _written(path))
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        why = f"{type(error).__name__}: {error}" if isinstance(error, KeyError) else str(error)
        log.warning("%s: %s", path, why)
        place, why = f"{path.parent.name}/{path.name}", words.without_folders(why)
        return f'<p class="about">The results in <code>{escape(place)}</code> cannot be shown: {escape(why)}.</p>'


def html(results: dict, times: dict | None, written: str) -> str:
    """A table of every model's main figures, then what to keep in mind."""
    if results["schema"] != SCHEMA:
        raise ValueError(f"they have schema {results['schema']}, this page reads {SCHEMA}; run python -m eval report")
    data, figures = results["data"], results["figures"]
    pictures, sets = figures["pictures"][:3], figures["sets"][:1]
    count = results["features"]["pictures"]
    header = ["Model", "Settings", *map(_named, pictures), *(f"{_named(one)}, N = {count:,}" for one in sets)]
    header += ["Million parameters", "Seconds a picture"]
    rows = []
    for model in results["models"]:
        told = model["composited"]
        rows.append(
            [
                model["title"] + (" (suspicious)" if model["suspicious"] else ""),
                model["settings"]["text"],
                *(_interval(told["pictures"][one["key"]]) for one in pictures),
                *(_number(told["sets"][one["key"]]["value"]) for one in sets),
                f"{model['parameters'] / 1e6:,.1f}" if model["parameters"] else "–",
                _number(_seconds(times, model["name"])),
            ]
        )
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in header)
    body = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>' + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:]) + "</tr>"
        for row in rows
    )
    machine = results["hardware"]
    said = [f"{model['title']}: {text}" for model in results["models"] for text in model["suspicious"]]
    said += results["warnings"]
    return (
        f'<div class="results"><p class="about"><b>{data["pictures"]:,} pictures of {escape(str(data["name"]))}</b>, '
        f"holes: {escape(str(data['masks']))}, {data['mean_hole']:.0%} of a picture on average. {escape(written)}.</p>"
        '<div class="figures"><div class="wide" tabindex="0"><table aria-label="Results">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div></div>"
        '<p class="about">Known pixels are pasted back before anything is compared. Intervals: '
        f"{escape(results['intervals'])}. Measured on {escape(str(machine.get('gpu') or machine['processor']))}, "
        f"threads: {machine['threads']}, at "
        f"commit {escape(str(results['commit'] or 'unknown'))[:16]}. "
        "The whole report lies beside these figures.</p>"
        + ('<ul class="about">' + "".join(f"<li>{escape(text)}</li>" for text in said) + "</ul>" if said else "")
        + "</div>"
    )


def _read(path: Path) -> dict:
    if path.stat().st_size > LARGEST:
        raise ValueError(f"it has {path.stat().st_size:,} bytes, at most {LARGEST:,} are read")
    told = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(told, dict):
        raise ValueError("it holds no table of results")
    return told


def _written(path: Path) -> str:
    if path.parent == SHIPPED:
        return "These figures come with the project (benchmarks/results)"
    return "Written on " + time.strftime("%Y-%m-%d", time.localtime(path.stat().st_mtime))


def _named(figure: dict) -> str:
    unit = f" {figure['unit']}" if figure["unit"] else ""
    return f"{figure['name']}{unit} {'↑' if figure['higher_is_better'] else '↓'}"


def _number(value: float | str | None) -> str:
    """As many digits as it deserves; infinities are written as words in the JSON."""
    if value is None:
        return "–"
    value = float(value)
    if value != value:
        return "–"
    if value in (float("inf"), float("-inf")):
        return "∞" if value > 0 else "-∞"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def _interval(told: dict) -> str:
    if told["low"] is None:
        return _number(told["mean"])
    return f"{_number(told['mean'])} [{_number(told['low'])}, {_number(told['high'])}]"


def _seconds(times: dict | None, name: str) -> float | None:
    """Median seconds of a picture in the smallest batch that was timed."""
    batches = (times or {}).get("models", {}).get(name, {}).get("batches", {})
    smallest = min(batches, key=int, default=None)
    return batches[smallest]["per_picture_ms"] / 1000 if smallest else None
