"""What the page says about one photo and its fill, as HTML. Pure functions; whatever comes from outside is escaped."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterable
from html import escape

from PIL import Image

from moebius import registry
from moebius.ui import samples
from moebius.ui.html import billions, can_fetch_weights, installed, prose, state, without_folders
from moebius.ui.samples import Sample
from moebius.units import duration, file_size
from moebius.weights import catalog

STAGE = """
<div id="stage"><canvas id="canvas" tabindex="0" role="application" aria-label="Photo"></canvas></div>
<p id="note" class="about" role="status"></p>
<div id="proposal" role="group" aria-label="Proposed mask"><div><p id="proposal-said" role="status"></p>
<button type="button" data-do="take" title="Enter">Take it</button>
<button type="button" data-do="leave" title="Esc">Keep mine</button></div></div>
"""

TOOLS = """
<div id="tools" role="group" aria-label="Tools"><label>Brush <input type="range" id="brush-size" min="0" max="100"
step="any" aria-label="Brush size"><output></output></label>
<button type="button" data-do="erase" aria-pressed="false" title="Take paint away again (E)">Eraser</button>
<button type="button" data-do="undo" title="Undo (Ctrl Z)" disabled>Undo</button>
<button type="button" data-do="more" aria-expanded="false" title="Other tools, model and settings">More</button>
<button type="button" data-do="choose" title="This one stays until another one is there">Change photo</button></div>
"""

RESULT_TOOLS = """
<div id="result-tools" role="group" aria-label="Result">
<button type="button" data-do="hold" title="The original, as long as it is held (Space)">Hold: original</button>
<button type="button" data-do="wipe" aria-pressed="false"
title="Drag over the photo, or use the arrow keys (W)">Before / after</button>
<button type="button" data-do="closer" aria-pressed="false"
title="The filled area, close up (Z)">Close-up</button>
<button type="button" data-do="restore" aria-pressed="false"
title="Paint the original back with the brush (O); the eraser takes it away again">Restore</button>
<button type="button" data-do="vary" title="Fill it two more times, from other seeds">3 variants</button>
<span id="variants" role="group" aria-label="Variants">Variants
<button type="button" data-do="variant-0" aria-pressed="true">1</button>
<button type="button" data-do="variant-1" aria-pressed="false">2</button>
<button type="button" data-do="variant-2" aria-pressed="false">3</button></span>
<button type="button" data-do="patch" title="A PNG of what was changed, for a layer over the photo">As a layer</button>
<p id="restore-line" class="about" role="status"></p></div>
"""

MASK_TOOLS = """
<div id="mask-tools"><div role="group" aria-label="Tool"><span>Tool</span>
<button type="button" data-do="tool-brush" aria-pressed="true" title="Brush (B)">Brush</button>
<button type="button" data-do="tool-rectangle" aria-pressed="false" title="Drag a rectangle (R)">Rectangle</button>
<button type="button" data-do="tool-lasso" aria-pressed="false" title="Draw around it (L)">Outline</button>
<button type="button" data-do="tool-select" aria-pressed="false"
title="Select an object with a click (S)">Select</button>
<button type="button" data-do="redo" title="Redo (Ctrl Shift Z)" disabled>Redo</button></div>
<div role="group" aria-label="Mask"><span>Mask</span>
<button type="button" data-do="fit" title="From a rough stroke to the object under it (F)">Fit to object</button>
<button type="button" data-do="dust" title="Spots of dust on the sensor, each to keep or drop">Find dust</button>
<button type="button" data-do="grow" title="Grow the mask (+)">Grow</button>
<button type="button" data-do="shrink" title="Shrink the mask (-)">Shrink</button>
<button type="button" data-do="invert" title="Invert the mask (I)">Invert</button>
<button type="button" data-do="clear" title="Clear the mask; the photo stays">Clear</button>
<button type="button" data-do="hide" aria-pressed="false" title="Hide the mask (X)">Hide</button></div>
<details class="about"><summary><u>Rectangle by numbers</u></summary><div id="numbers">
<label>Left <input type="number" min="0" value="0"></label><label>Top <input type="number" min="0" value="0"></label>
<label>Width <input type="number" min="1" value="100"></label>
<label>Height <input type="number" min="1" value="100"></label>
<button type="button" data-do="numbers">Add to the mask</button></div></details></div>
"""

SELECTED = """
<p id="select-said" class="about" role="status"></p><div id="select-size" role="group" aria-label="Selected object">
<button type="button" data-do="select-smaller" title="A part of it instead" disabled>Smaller</button>
<button type="button" data-do="select-larger" title="What it is a part of instead" disabled>Larger</button></div>
"""
"""Where the browser reports what a click has selected, and what changes its size."""


def select_line(why_not: str) -> str:
    """How a click selects, and by what. `why_not`: why it cannot; "": it can."""
    by = (
        f'<a href="https://huggingface.co/{catalog.SEGMENTER.repo}" target="_blank" rel="noopener">'
        f"{catalog.SEGMENTER.title}</a> (Meta, {catalog.SEGMENTER.license})"
    )
    if why_not:
        size = file_size(catalog.SEGMENTER.download_bytes)
        return (
            f"<p class='about'><b>Selecting needs {by}, {size}: {escape(without_folders(why_not))}.</b> "
            "Without it: paint roughly over the object, then press Fit to object.</p>"
        )
    return (
        "<p class='about' data-able='1'>Click an object to add it to the mask, or drag a box around it. "
        "With Alt it is removed. "
        f"Press Select again to paint. Objects are found by {by}.</p>"
    )


KEYS = """
<details class="about" id="keys"><summary><u>Keys</u></summary><dl>
<dt><kbd>[</kbd> <kbd>]</kbd></dt><dd>brush smaller, larger</dd>
<dt><kbd>B</kbd> <kbd>E</kbd> <kbd>R</kbd> <kbd>L</kbd></dt>
<dd>brush, eraser, rectangle, outline; with Alt they take paint away</dd>
<dt><kbd>S</kbd> <kbd>F</kbd></dt><dd>select objects with a click or a box, with Alt remove them; fit the mask to the
object under it</dd>
<dt><kbd>Ctrl Z</kbd> <kbd>Ctrl Shift Z</kbd></dt><dd>undo, redo</dd>
<dt><kbd>+</kbd> <kbd>-</kbd> <kbd>I</kbd> <kbd>X</kbd></dt><dd>grow, shrink, invert, hide the mask</dd>
<dt><kbd>Enter</kbd> <kbd>Esc</kbd></dt><dd>fill, stop</dd>
<dt>hold <kbd>Space</kbd></dt><dd>see the original; drag to move the photo</dd>
<dt><kbd>W</kbd> <kbd>\u2190</kbd> <kbd>\u2192</kbd></dt><dd>before and after, move the edge between them</dd>
<dt><kbd>O</kbd></dt><dd>paint the original back into the result</dd>
<dt>wheel, <kbd>Z</kbd>, <kbd>0</kbd></dt><dd>zoom, close-up, the whole photo</dd>
<dt><kbd>Del</kbd></dt><dd>remove the chosen photo from the list</dd></dl>
<p>Two fingers zoom and move the photo.</p></details>
"""


def step(number: int, painted_on: bool) -> str:
    """The caption of a picture that one can go back to."""
    return ("Original" if number == 0 else f"Result {number}") + (" · here" if painted_on else "")


def choose() -> str:
    """What is seen before a photo is there: where to drop one, the samples, and what can be compared here."""
    return (
        '<div class="choose"><button type="button" class="drop" data-do="choose"><b>Choose a photo</b>'
        "<span><span class='mouse'>or drop it anywhere, or paste it. </span>"
        "Then paint over what should go, and press Fill.</span></button>"
        '<input type="file" id="photo-file" accept="image/*,.heic,.heif,.hif" hidden>'
        f"{_samples(samples.load())}{_sizes()}</div>"
    )


def _samples(every: Iterable[Sample]) -> str:
    """A thumbnail of each sample to press; title, author and licence folded away."""
    every = tuple(every)
    buttons = "".join(
        f'<button type="button" class="sample" data-sample="{index}" title="{escape(one.title)}">'
        f'<img alt="{escape(one.title)}, with its mask" src="{data_url(samples.thumbnail(one))}"></button>'
        for index, one in enumerate(every)
    )
    items = "".join(
        f'<li>{escape(one.title)}: {escape(one.author)}, <a href="{escape(one.licence_url)}" target="_blank" '
        f'rel="noopener">{escape(one.licence)}</a></li>'
        for one in every
    )
    head = "<summary>Or try one of these <u>(credits)</u></summary>"
    return f'<details class="about">{head}<ul>{items}</ul></details><div class="samples">{buttons}</div>'


def _sizes() -> str:
    """The student beside its reference: discs whose areas are as the numbers of parameters."""
    student, other = registry.reference(), registry.card("flux-fill")
    radius = 40 * math.sqrt(student.parameters / other.parameters)
    return (
        '<div class="sizes"><svg viewBox="0 0 112 84" aria-hidden="true">'
        f'<circle cx="66" cy="42" r="40"/><circle class="student" cx="{18 - radius:.1f}" cy="{82 - radius:.1f}" '
        f'r="{radius:.1f}"/></svg><p><b>{escape(student.title)}</b> has {student.parameters / 1e9:.3f} billion '
        f"parameters, <b>{escape(other.title)}</b> {other.parameters / 1e9:.1f}. "
        "Press Compare to see what each makes of your photo.</p></div>"
    )


def data_url(picture: Image.Image) -> str:
    """A picture as a JPEG within HTML."""
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=82)
    return f"data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode()}"


def result_line(
    title: str,
    variant: str | None,
    reason: str,
    seconds: dict[str, float],
    squares: int,
    seed: int | None,
    notes: tuple[str, ...],
) -> str:
    """What made a result, why, how long each part took (seconds by part), and what is worth knowing about it."""
    made = escape(title if variant is None else f"{title} ({variant})")
    parts = ", ".join(f"{part} {duration(value)}" for part, value in seconds.items() if value >= 0.005)
    facts = [duration(sum(seconds.values())), *([] if seed is None else [f"seed {seed}"])]
    details = f"{parts}; in {squares} square{'' if squares == 1 else 's'}" if parts else ""
    folded = f"<details class='about'><summary><u>Times</u></summary>{details}</details>" if details else ""
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return (
        f'<div class="facts"{"" if seed is None else " data-seeded"}><p>Made by <b>{made}</b>. {escape(reason)}</p>'
        f"<p>{' · '.join(facts)}</p>{f'<ul>{items}</ul>' if items else ''}{folded}</div>"
    )


def choices(options: registry.LoadOptions) -> list[tuple[str, str]]:
    """The models for a radio: label, with what is missing where one cannot run here, and name."""
    labels = []
    for card in registry.MODELS.values():
        title = f"{card.mode} ({card.title})" if card.mode else card.title
        able = card.availability(options).can_run
        labels.append((title if able else f"{title} · {state(card, options)}", card.name))
    return [("Automatic", registry.AUTO), *labels]


OWN_PIXELS = (
    "what is filled is copied and blended from the same photo, and nothing is generated, as competitions (PAGB, FIAP, "
    "PSA) ask. The file's XMP says so: IPTC digital source type humanEdits."
)


def model_line(name: str, options: registry.LoadOptions) -> str:
    """What the chosen model is, its licence and terms, and whether it can run here."""
    if name == registry.AUTO:
        card, reason = registry.resolve(name, options)
        lines = [f"Uses <b>{escape(card.title)}</b>. {escape(why_auto(card, reason, options))}"]
        return _about([*lines, prose(card.notice)] if card.notice else lines)
    card = registry.card(name)
    there = card.availability(options)
    size = f"{billions(card.parameters)} parameters. " if card.parameters else ""
    lines = [f"{size}{escape(card.license)}. Source: {prose(card.source)}"]
    if card.mode:
        lines.append(f"<b>{escape(card.mode)}</b>: {OWN_PIXELS}")
    if card.notice:
        lines.append(prose(card.notice))
    if there.can_run:
        lines.append("It can run here.")
    else:
        why = "its weights are not here yet" if can_fetch_weights(card, options) else without_folders(there.reason)
        lines.append(f"<b>It cannot run here</b>: {prose(why.rstrip('.'))}.")
        if card.hardware:
            lines.append(f"It needs {file_size(card.download_bytes)} on disk and {escape(card.hardware)}.")
    return _about(lines)


def _about(lines: Iterable[str]) -> str:
    return "".join(f'<p class="about">{line}</p>' for line in lines)


def why_auto(card: registry.ModelCard, reason: str, options: registry.LoadOptions) -> str:
    """Why the automatic choice is this model: `reason` as the registry says it, or in the page's terms."""
    better = next((other for other in registry.MODELS.values() if other.automatic), card)
    if better is not card and installed(better) and better.folder(options) is None:
        return f"{better.title} is better, but its weights are not here yet."
    return reason
