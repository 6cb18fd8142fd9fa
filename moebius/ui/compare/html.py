"""What the comparison says, as HTML. Pure functions; whatever comes from outside is escaped."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from moebius import paper, registry
from moebius.ui.html import billions, prose, state, without_folders
from moebius.units import duration, file_size

INTRO = "The same photo, hole and seed for each of them; the fastest comes first."
MEASURED = "Measured here, on this photo"
PUBLISHED = "The paper's own figures, not measured here"


def first_choice(options: registry.LoadOptions) -> list[str]:
    """The student and its reference; and, where neither can run here, the best that can."""
    pair = [registry.reference().name, "flux-fill"]
    able = [card.name for card in registry.MODELS.values() if card.availability(options).can_run]
    if any(name in able for name in pair):
        return pair
    return pair + [name for name in able if registry.card(name).automatic][:1]


def choices(options: registry.LoadOptions) -> list[tuple[str, str]]:
    """Every model for a list to tick: title, size and whether it can run here; and its name."""
    return [(_choice(card, options), card.name) for card in registry.MODELS.values()]


def _choice(card: registry.ModelCard, options: registry.LoadOptions) -> str:
    parts = [card.title]
    if card.parameters:
        parts.append(f"{billions(card.parameters)} parameters")
    return " · ".join([*parts, state(card, options)])


def notices(names: Iterable[str]) -> str:
    """The terms of the models that are chosen."""
    cards = [registry.card(name) for name in names]
    return "".join(
        f'<p class="about notice"><b>{escape(card.title)}</b>: {prose(card.notice)}</p>'
        for card in cards
        if card.notice
    )


def note(text: str) -> str:
    return f'<p class="about">{escape(text)}</p>'


def result_lines(row: dict, notes: Iterable[str]) -> str:
    """What a result cost, and what is worth knowing about it. `row`: of `compare.table`."""
    parts = [f"{billions(row['parameters'])} parameters"] if row["parameters"] else []
    parts.append(duration(row["seconds"]["model"]))
    if row["steps"]:
        parts.append(f"{row['steps']} steps")
    if (memory := _memory(row["peak_gib"])) != "–":
        parts.append(memory)
    parts += [str(row[name]) for name in ("variant", "device") if row.get(name)]
    lines = [escape(" · ".join(parts)), *(prose(note) for note in notes)]
    if row["notice"]:
        lines.append(prose(row["notice"]))
    return "".join(f'<p class="about">{line}</p>' for line in lines)


def heading(running: bool, results: int, waiting: int, seed: int) -> str:
    """How a comparison ended; empty while it runs, where its progress is shown."""
    if running:
        return ""
    count = {0: "no result", 1: "1 result"}.get(results, f"{results} results")
    return note(f"{'Stopped' if waiting else 'Done'}: {count}, seed {seed}.")


def why_missing(card: registry.ModelCard, reason: str, options: registry.LoadOptions) -> str:
    """Why there is no result, how to get the model, and its licence."""
    reason = without_folders(reason)
    lines = [f"<b>Cannot run here.</b> {prose(reason[:1].upper() + reason[1:])}"]
    if (way := _way(card, options)) and "moebius download" not in reason:
        lines.append(f"To get it: {prose(way)}")
    lines.append(f"Licence: {escape(card.license)}. {prose(card.notice)}")
    return "".join(f'<p class="about">{line}</p>' for line in lines)


def _way(card: registry.ModelCard, options: registry.LoadOptions) -> str:
    """What fetches a model's weights; empty where there is nothing to fetch, or they are here."""
    if not card.download_bytes or card.availability(options).can_run:
        return ""
    accept = f"accept the licence at {card.license_page}, then " if card.license_page else ""
    then = ", then start the page without a folder of weights" if card.folder(options) else ""
    return f"{accept}`python -m moebius download --model {card.name}` ({file_size(card.download_bytes)}){then}."


# ---- tables ----


def measured(rows: Iterable[dict]) -> str:
    """The table of a comparison. `rows`: of `compare.table`."""
    head = ("Model", "Seconds", "Steps", "ms a step", "Parameters", "Peak memory", "× student", "Seconds to load")
    body: list[tuple[str | None, ...]] = []
    for row in rows:
        if not row["ran"]:
            body.append((escape(row["title"]), None))
            continue
        body.append(
            (
                escape(row["title"]),
                _number(row["seconds"]["model"], 2),
                str(row["steps"] or "–"),
                _number(row["step_ms"], 1),
                billions(row["parameters"]) if row["parameters"] else "–",
                _memory(row["peak_gib"]),
                _number(row["times_student"], 2),
                _number(row["seconds"]["load"], 2),
            )
        )
    note = "<p class='about'>Seconds: time in the model. Without a GPU, peak memory is that of the whole program.</p>"
    return _table(MEASURED, head, body) + note


def published(models: Iterable[paper.PaperModel] = paper.MODELS) -> str:
    """The paper's table."""
    models = list(models)
    student = next(model.timing.total_s for model in models if model.name == registry.reference().name)
    head = ("Model", "Seconds", "Steps", "ms a step", "Parameters", "× student", "FID ↓", "LPIPS ↓")
    body = []
    for model in models:
        time = model.timing
        body.append(
            (
                escape(model.title),
                _number(time.total_s if time else None, 2),
                str(time.steps) if time else "–",
                _number(time.step_ms if time else None, 2),
                billions(model.parameters) if model.parameters else "–",
                _number(time.total_s / student if time else None, 1),
                f"{model.fid:.2f}",
                f"{model.lpips:.3f}",
            )
        )
    note = (
        "<p class='about'>From <a href='https://arxiv.org/abs/2606.19195' target='_blank' rel='noopener'>"
        "arXiv:2606.19195</a>: time for 512 × 512 on the authors' GPU; FID and LPIPS on Places2's test pictures, 40 to "
        "50 % masked.</p>"
    )
    return _table(PUBLISHED, head, body) + note


def _table(title: str, head: tuple[str, ...], body: list[tuple]) -> str:
    heads = "".join(f'<th scope="col">{name}</th>' for name in head)
    lines = []
    for first, *cells in body:
        filled = "".join(f"<td>{cell}</td>" for cell in cells)
        if cells == [None]:
            filled = f'<td class="none" colspan="{len(head) - 1}">cannot run here</td>'
        lines.append(f'<tr><th scope="row">{first}</th>{filled}</tr>')
    return (
        f'<div class="figures"><h3>{title}</h3><div class="wide" tabindex="0"><table aria-label="{escape(title)}">'
        f"<thead><tr>{heads}</tr></thead><tbody>{''.join(lines)}</tbody></table></div></div>"
    )


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"


def _memory(peak_gib: dict[str, float | None]) -> str:
    if peak_gib.get("gpu") is not None:
        return f"{peak_gib['gpu']:.2f} GiB on the GPU"
    return "–" if peak_gib.get("memory") is None else f"{peak_gib['memory']:.2f} GiB"
