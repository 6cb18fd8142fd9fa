"""The newest results of `python -m eval` in the page: read from the files that it writes, nothing computed here.

Looked for in the folder MOEBIUS_RESULTS (default: `results`, where the README's commands write), in its subfolders, and
last among the measurements that come with the project.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable
from functools import cache
from html import escape
from pathlib import Path

import gradio as gr
from jinja2 import Environment, StrictUndefined, Template

from moebius import environment, registry
from moebius.files import packaged
from moebius.presentation import faithfulness
from moebius.presentation.results import check_schema, page_table, suspicions
from moebius.ui.html import without_folders

log = logging.getLogger(__name__)

SHIPPED = packaged("results")
FILES, SHEET, WHOLE = "faithfulness.json", "sheet-first.jpg", "results.md"
LARGEST = 32 << 20
NONE = (
    '<p class="about">No evaluation has been run yet. <code>python -m eval run --models classical,moebius --data '
    "FOLDER -o results/</code> fills the pictures of a folder, scores them and writes what is shown here.</p>"
)
_HTML = """\
<div class="results"><h2>Which model fills holes best?</h2>
<p class="about">Each model filled the same {{ count }} pictures ({{ name }}, {{ photos }} photos; the hole is
{{ hole }} of a picture on average) with the code that this page uses. The fill was then compared with what had been
there. {{ written }}.</p>
<div class="figures"><div class="wide" tabindex="0">{{ table }}</div></div>
<p class="about">{{ note }}</p>
{%- if missing %}<p class="about"><b>Not measured yet</b>: {{ missing|join(", ") }}. To add them, in a checkout and with
their weights: <code>python -m eval run --models {{ names }} --data path/to/{{ name }} --download
-o results/</code></p>{% endif %}
<p class="about">Measured on {{ machine }}, threads: {{ threads }}, at commit {{ commit }}.</p>
{%- if remarks %}<ul class="about">{% for text in remarks %}<li>{{ text }}</li>{% endfor %}</ul>{% endif %}</div>"""


def results_tab(page: gr.Blocks) -> None:
    """The tab's content; read anew whenever the page is opened."""
    shown = gr.HTML(elem_id="results", padding=False)
    with gr.Column(elem_id="results-fills", visible=False) as fills:
        gr.HTML(
            "<h2>Fills to look at</h2><p class='about'>The first pictures of the set, not selected.</p>", padding=False
        )
        sheet = gr.Image(
            alt_text="Rows of pictures: the photo with its hole outlined, then each model's fill",
            show_label=False,
            interactive=False,
            buttons=["fullscreen"],
        )
    with gr.Accordion("The whole report", open=False, visible=False, elem_id="results-report") as report_place:
        whole = gr.Markdown()
    files = gr.HTML(elem_id="results-files", padding=False)
    page.load(report, None, shown, api_name="results", queue=False, show_progress="hidden")
    more = [fills, sheet, report_place, whole, files]
    page.load(beside, None, more, api_visibility="private", queue=False, show_progress="hidden")


def newest(folder: Path | None = None) -> Path | None:
    """The last written results.json in `folder` and one level below, else the shipped one; None where there is none."""
    folder = folder or environment.RESULTS.read()
    found = [path for pattern in ("results.json", "*/results.json") for path in folder.glob(pattern) if path.is_file()]
    if not found and (SHIPPED / "results.json").is_file():
        found = [SHIPPED / "results.json"]
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


def report() -> str:
    """The newest results as HTML; what cannot be read is named with the reason."""
    path = newest()
    return _shown(path, _models) if path else NONE


def beside() -> list:
    """What lies beside the newest results: a sheet of fills and the whole report; and what programs do to files."""
    path = newest()
    sheet = path and path.with_name(SHEET)
    whole = path and path.with_name(WHOLE)
    has_sheet = bool(sheet and sheet.is_file())
    text = _shown(whole, _report) if whole and whole.is_file() else ""
    files = next((one for one in (environment.RESULTS.read() / FILES, SHIPPED / FILES) if one.is_file()), None)
    return [
        gr.update(visible=has_sheet),
        gr.update(value=str(sheet) if has_sheet else None),
        gr.update(visible=bool(text)),
        text,
        _shown(files, _files) if files else "",
    ]


def _models(path: Path) -> str:
    times = path.with_name("timing.json")
    return as_html(_read(path), _read(times) if times.is_file() else None, _written(path))


def _report(path: Path) -> str:
    """Markdown, whose headings stand below the page's own."""
    return re.sub(r"^#", "###", _text(path), flags=re.M)


def _files(path: Path) -> str:
    shown = faithfulness.table(_read(path))
    return (
        '<div class="results"><h2>What happens to a photo file beside the hole?</h2>'
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
    """A table of every model's main figures, those that are missing among them, then what to keep in mind.

    Args:
        results, times: the contents of results.json and of timing.json, where there is one.
        written: when and where, in a sentence.
    """
    check_schema(results)
    there = {model["name"] for model in results["models"]}
    missing = [card for card in registry.MODELS.values() if card.learned and not card.hosted and card.name not in there]
    shown = page_table(results, times, [(card.title, card.parameters) for card in missing])
    data, machine = results["data"], results["hardware"]
    return _page().render(
        table=shown.html("Results"),
        count=f"{data['pictures']:,}",
        photos=f"{data['photos']:,}",
        name=data["name"],
        hole=f"{data['mean_hole']:.0%}",
        written=written,
        note=shown.note,
        missing=[card.title for card in missing],
        names=",".join([card.name for card in missing] + sorted(there & set(registry.MODELS))),
        machine=machine.get("gpu") or machine["processor"],
        threads=machine["threads"],
        commit=str(results["commit"] or "unknown")[:16],
        remarks=suspicions(results, "title"),
    )


@cache
def _page() -> Template:
    return Environment(autoescape=True, undefined=StrictUndefined).from_string(_HTML)


def _read(path: Path) -> dict:
    table = json.loads(_text(path))
    if not isinstance(table, dict):
        raise ValueError("it holds no table of results")
    return table


def _text(path: Path) -> str:
    if path.stat().st_size > LARGEST:
        raise ValueError(f"it has {path.stat().st_size:,} bytes, at most {LARGEST:,} are read")
    return path.read_text(encoding="utf-8")


def _written(path: Path) -> str:
    if path.parent == SHIPPED:
        return "These figures come with the project"
    return "Written on " + time.strftime("%Y-%m-%d", time.localtime(path.stat().st_mtime))
