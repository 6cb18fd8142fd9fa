"""The newest results of `python -m eval`, as a table in the page: read from results.json, nothing computed here.

Looked for in the folder MOEBIUS_RESULTS (default: `results`, where the README's commands write), in its subfolders, and
last among the measurements that come with the project.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from functools import cache
from html import escape
from pathlib import Path

import gradio as gr
from jinja2 import Environment, StrictUndefined, Template

from moebius import environment
from moebius.files import packaged
from moebius.presentation import faithfulness
from moebius.presentation.results import main_table, suspicions
from moebius.ui.html import without_folders

log = logging.getLogger(__name__)

SHIPPED = packaged("results")
FILES = "faithfulness.json"
LARGEST = 32 << 20
NONE = (
    '<p class="about">No evaluation has been run yet. <code>python -m eval run --models classical,moebius --data '
    "FOLDER -o results/</code> fills the pictures of a folder, scores them and writes what is shown here.</p>"
)
_HTML = """\
<div class="results"><p class="about"><b>{{ count }} pictures of {{ name }}</b>, holes: {{ masks }}, {{ hole }} of a
picture on average. {{ written }}.</p>
<div class="figures"><div class="wide" tabindex="0">{{ table }}</div></div>
<p class="about">{{ note }} Measured on {{ machine }}, threads: {{ threads }}, at commit {{ commit }}. The whole report
lies beside these figures.</p>
{%- if remarks %}<ul class="about">{% for text in remarks %}<li>{{ text }}</li>{% endfor %}</ul>{% endif %}</div>"""


def results_tab(page: gr.Blocks) -> None:
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
    """The newest results, and what programs do to files, as HTML; what cannot be read is named with the reason."""
    path = newest()
    shown = _shown(path, _models) if path else NONE
    files = next((one for one in (environment.RESULTS.read() / FILES, SHIPPED / FILES) if one.is_file()), None)
    return shown + (_shown(files, _files) if files else "")


def _models(path: Path) -> str:
    times = path.with_name("timing.json")
    return as_html(_read(path), _read(times) if times.is_file() else None, _written(path))


def _files(path: Path) -> str:
    shown = faithfulness.table(_read(path))
    return (
        '<div class="results"><p class="about"><b>What happens to a photo file beside the hole</b></p>'
        f'<div class="figures"><div class="wide" tabindex="0">{shown.html("Files")}</div></div>'
        f'<p class="about">{escape(shown.note)} Made by <code>python -m eval faithfulness</code>.</p></div>'
    )


def _shown(path: Path, as_text: Callable[[Path], str]) -> str:
    try:
        return as_text(path)
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        why = f"{type(error).__name__}: {error}" if isinstance(error, KeyError) else str(error)
        log.warning("%s: %s", path, why)
        place, why = f"{path.parent.name}/{path.name}", without_folders(why)
        return f'<p class="about">The results in <code>{escape(place)}</code> cannot be shown: {escape(why)}.</p>'


def as_html(results: dict, times: dict | None, written: str) -> str:
    """A table of every model's main figures, then what to keep in mind.

    Args:
        results, times: the contents of results.json and of timing.json, where there is one.
        written: when and where, in a sentence.
    """
    shown = main_table(results, times, "title")
    data, machine = results["data"], results["hardware"]
    return _page().render(
        table=shown.html("Results"),
        count=f"{data['pictures']:,}",
        name=data["name"],
        masks=data["masks"],
        hole=f"{data['mean_hole']:.0%}",
        written=written,
        note=shown.note,
        machine=machine.get("gpu") or machine["processor"],
        threads=machine["threads"],
        commit=str(results["commit"] or "unknown")[:16],
        remarks=suspicions(results, "title") + results["warnings"],
    )


@cache
def _page() -> Template:
    return Environment(autoescape=True, undefined=StrictUndefined).from_string(_HTML)


def _read(path: Path) -> dict:
    if path.stat().st_size > LARGEST:
        raise ValueError(f"it has {path.stat().st_size:,} bytes, at most {LARGEST:,} are read")
    table = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(table, dict):
        raise ValueError("it holds no table of results")
    return table


def _written(path: Path) -> str:
    if path.parent == SHIPPED:
        return "These figures come with the project (moebius/results)"
    return "Written on " + time.strftime("%Y-%m-%d", time.localtime(path.stat().st_mtime))
