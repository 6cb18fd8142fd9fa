"""What the page says about one photo and its fill, as HTML. Pure functions; whatever comes from outside is escaped."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from moebius import registry
from moebius.ui.html import can_fetch_weights, prose, without_folders
from moebius.ui.samples import Sample
from moebius.units import duration, file_size
from moebius.weights import catalog

STEPS = """
<ol class="steps"><li><b>Choose a photo</b><span>Drop it into the frame, or click one of the samples.</span></li>
<li><b>Paint over what should go</b><span>Roughly is fine; include its shadow.</span></li>
<li><b>Press Fill</b><span>You get the whole photo back: same size, same format, changed only where you
painted.</span></li></ol>
"""


MASK_TOOLS = """
<div id="mask-tools" role="group" aria-label="Mask"><label>Brush <input type="range" id="brush-size" min="0" max="100"
step="any" aria-label="Brush size"><output></output></label>
<button type="button" data-do="select" aria-pressed="false" title="Select an object with a click (S)">Select</button>
<button type="button" data-do="grow" title="Grow the mask (+)">Grow</button>
<button type="button" data-do="shrink" title="Shrink the mask (-)">Shrink</button>
<button type="button" data-do="invert" title="Invert the mask (I)">Invert</button>
<button type="button" data-do="clear" title="Clear the mask; the photo stays">Clear</button>
<button type="button" data-do="hide" aria-pressed="false" title="Hide the mask (X)">Hide</button></div>
"""

SELECTED = '<p id="select-said" class="about" role="status"></p>'
"""Where the browser reports what a click has selected."""


def select_line(why_not: str) -> str:
    """How a click selects, and by what. `why_not`: why it cannot; "": it can."""
    by = (
        f'<a href="https://huggingface.co/{catalog.SEGMENTER.repo}" target="_blank" rel="noopener">'
        f"{catalog.SEGMENTER.title}</a> (Meta, {catalog.SEGMENTER.license})"
    )
    if why_not:
        size = file_size(catalog.SEGMENTER.download_bytes)
        return f"<p class='about'><b>Selecting needs {by}, {size}: {escape(without_folders(why_not))}.</b></p>"
    return (
        "<p class='about'>Click an object to add it to the mask. With the eraser, or with Alt, a click removes it. "
        f"Press Select again to paint. Objects are found by {by}.</p>"
    )


KEYS = """
<details class="about" id="keys"><summary><u>Keys</u></summary><dl>
<dt><kbd>[</kbd> <kbd>]</kbd></dt><dd>brush smaller, larger</dd>
<dt><kbd>B</kbd> <kbd>E</kbd></dt><dd>brush, eraser</dd>
<dt><kbd>Ctrl Z</kbd> <kbd>Ctrl Shift Z</kbd></dt><dd>undo, redo</dd>
<dt><kbd>+</kbd> <kbd>-</kbd> <kbd>I</kbd></dt><dd>grow, shrink, invert the mask</dd>
<dt><kbd>S</kbd></dt><dd>select objects with a click; with Alt, remove them from the mask</dd>
<dt><kbd>X</kbd></dt><dd>hide the mask, show it</dd><dt><kbd>Enter</kbd> <kbd>Esc</kbd></dt><dd>fill, stop</dd>
<dt><kbd>Del</kbd></dt><dd>remove the chosen photo from the list</dd>
<dt>hold <kbd>Space</kbd></dt><dd>see the original</dd></dl><p>Two fingers zoom and move the photo.</p></details>
"""

ORIGINAL = '<button type="button" id="original">Hold to see the original</button>'


def step(number: int, painted_on: bool) -> str:
    """The caption of a picture that one can go back to."""
    return ("Original" if number == 0 else f"Result {number}") + (" · here" if painted_on else "")


def photo_credits(every: Iterable[Sample]) -> str:
    """Title, author and licence of every sample, folded away."""
    items = "".join(
        f'<li>{escape(one.title)}: {escape(one.author)}, <a href="{escape(one.licence_url)}" target="_blank" '
        f'rel="noopener">{escape(one.licence)}</a></li>'
        for one in every
    )
    return f"<details class='about'><summary>Or try one of these <u>(credits)</u></summary><ul>{items}</ul></details>"


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
    facts = [f"{duration(sum(seconds.values()))} ({parts})", f"in {squares} square{'' if squares == 1 else 's'}"]
    if seed is not None:
        facts.append(f"seed {seed}")
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return (
        f'<div class="facts"><p>Made by <b>{made}</b>. {escape(reason)}</p>'
        f"<p>{' · '.join(facts)}</p>{f'<ul>{items}</ul>' if items else ''}</div>"
    )


def choices() -> list[tuple[str, str]]:
    """The models for a radio: label and name."""
    return [("Automatic", registry.AUTO), *((card.title, card.name) for card in registry.MODELS.values())]


def model_line(name: str, options: registry.LoadOptions) -> str:
    """What the chosen model is, its licence and terms, and whether it can run here."""
    if name == registry.AUTO:
        card, reason = registry.resolve(name, options)
        lines = [f"Uses <b>{escape(card.title)}</b>. {escape(why_auto(card, reason, options))}"]
        return _about([*lines, prose(card.notice)] if card.notice else lines)
    card = registry.card(name)
    state = card.availability(options)
    size = f"{card.parameters / 1e6:,.0f} million parameters. " if card.parameters else ""
    lines = [f"{size}{escape(card.license)}. Source: {escape(card.source)}"]
    if card.notice:
        lines.append(prose(card.notice))
    if state.can_run:
        lines.append("It can run here.")
    else:
        why = "its weights are not here yet" if can_fetch_weights(card, options) else without_folders(state.reason)
        lines.append(f"<b>It cannot run here: {escape(why)}.</b>")
    return _about(lines)


def _about(lines: Iterable[str]) -> str:
    return "".join(f'<p class="about">{line}</p>' for line in lines)


def why_auto(card: registry.ModelCard, reason: str, options: registry.LoadOptions) -> str:
    """Why the automatic choice is this model: `reason` as the registry says it, or in the page's terms."""
    better = next((other for other in registry.MODELS.values() if other.automatic), card)
    if better is not card and can_fetch_weights(better, options):
        return f"{better.title} is better, but its weights are not here yet."
    return reason
