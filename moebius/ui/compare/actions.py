"""What happens behind the comparison's buttons: compare, stop, keep one of the results, fetch weights."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from html import escape
from typing import Any

import gradio as gr

from moebius import compare, environment, registry
from moebius.compare import Outcome
from moebius.config import SamplingConfig
from moebius.photo import ai_mark
from moebius.progress import Cancelled
from moebius.ui import queue
from moebius.ui.compare import html
from moebius.ui.compare.state import PHOTO, Comparison
from moebius.ui.fill.actions import Actions
from moebius.ui.fill.result import FillResult, adopt
from moebius.ui.handlers import Handlers, Stoppable, plain_errors
from moebius.ui.html import can_fetch_weights
from moebius.ui.settings import FillSettings, flux_visible
from moebius.units import file_size

log = logging.getLogger(__name__)

SHOWN_BEFORE_PANELS, PANEL_PARTS = 5, 7


class CompareActions(Handlers):
    """Shares visitors and options with the rest of the page.

    What there is to show is a list: the heading, the photo and its close-up, the table, the sheet, and for each
    model of the registry its panel, text, picture, close-up, the buttons that keep it, download it and get its weights.
    """

    def __init__(self, actions: Actions) -> None:
        super().__init__(actions.options, actions.sessions)
        self._fetch_weights = actions.fetch_weights

    @plain_errors
    def compare(
        self,
        layers: list[str] | None,
        names: list[str],
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - how Gradio recognises it
        **settings: Any,
    ) -> Iterator[list]:
        """Run the chosen models on the same photo, hole and seed; what there is to show comes after each of them.

        Args:
            layers: as for `Actions.fill`.
            settings: fields of `FillSettings`.
        """
        chosen = FillSettings(**settings)
        try:
            for comparison, options, changed in self.run(layers, names, chosen, request, progress):
                yield self._shown(comparison, options, changed)
        except Cancelled:
            log.info("a comparison was stopped")

    def run(
        self,
        layers: list[str] | None,
        names: list[str],
        chosen: FillSettings,
        request: gr.Request,
        progress: gr.Progress,
    ) -> Iterator[tuple[Comparison, registry.LoadOptions, list[str]]]:
        """The comparison as far as it is, how its models are loaded, and those that have changed: after each of them.

        Raises:
            ValueError: no or unknown models, nothing painted, a setting out of range.
            Cancelled: the visitor stopped it.
        """
        session = self._session(request)
        report = Stoppable(progress, session, "compare", environment.MAX_SECONDS.read())
        if not names:
            raise ValueError("choose at least one model to compare")
        names = compare.fastest_first(names)
        config = chosen.sampling_config()
        seed, options = chosen.chosen_seed(), self._options(chosen.variant, chosen.plan)
        report(0.0, "Reading the photo")
        photo, mask, _ = self._hole(layers, chosen.grow_mask, request)
        # The models that cannot run get their panels at once, and make no other leave the memory.
        missing = {name: why for name in names if (why := _why_not(name, options))}
        outcomes = [_without(name, config, why) for name, why in missing.items()]
        comparison = Comparison.begin(session.comparison_folder(), photo, mask, names, seed, outcomes)
        session.comparison = comparison
        yield comparison, options, names
        able = [name for name in names if name not in missing]
        comparing = compare.compare(photo.raster, mask, able, config, seed, lambda name: options, report)
        while outcome := _next(comparing, report):
            outcomes.append(outcome)
            comparison.add(photo, outcomes)
            yield comparison, options, [outcome.card.name, *comparison.waiting]
            comparison.draw_sheet(photo, mask, outcomes)
        comparison.running = False
        yield comparison, options, []

    def stop(self, variant: str, request: gr.Request) -> list:
        """Make a running comparison stop at its next step; what it has so far stays, also where one failed."""
        session = self._session(request)
        session.stop("compare")
        if session.comparison is None:
            return self._nothing()
        session.comparison.running = False
        return self._shown(session.comparison, self._options(variant), session.comparison.waiting)

    @plain_errors
    def keep(self, name: str, request: gr.Request) -> tuple:
        """A model's result becomes the photo's; what `Actions.fill` returns."""
        session = self._session(request)
        comparison = session.comparison
        if comparison is None or name not in comparison.results:
            raise ValueError("that result is not there any more; press Compare again")
        picture, card = comparison.pictures[name], registry.card(name)
        data = picture.file.read_bytes()
        path = session.keep_result(data, f"{comparison.stem}_filled{picture.file.suffix}")
        adopt(path, picture.file)
        result = FillResult(
            path=path,
            before=comparison.pictures[PHOTO].whole,
            after=picture.whole,
            label=f"Download {picture.file.suffix.lstrip('.').upper()} · {file_size(len(data))}",
            facts=f'<div class="facts"><p>Made by <b>{escape(card.title)}</b>, seed {comparison.seed}.</p></div>',
            mark=ai_mark.chosen(card.learned),
        )
        session.variants = [result]
        return result.shown()

    # ---- models ----

    @plain_errors
    def choices(self, variant: str) -> dict:
        """The list of models, with what can run here now."""
        return gr.update(choices=html.choices(self._options(variant)))

    @plain_errors
    def chosen(self, names: list[str]) -> tuple:
        """The terms of the chosen models; prompt and plan where FLUX is among them."""
        return html.notices(names or ()), *flux_visible(names or ())

    @plain_errors
    def fetch(
        self,
        name: str,
        variant: str,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple:
        """Download a model's weights; its panel's text and button, and the list of models."""
        self._fetch_weights(name, variant, request, progress)
        options, card = self._options(variant), registry.card(name)
        comparison = self._session(request).comparison
        text = self._text(comparison, card, options) if comparison else gr.skip()
        if card.availability(options).can_run:
            text = html.note("Its weights are here now. Press Compare again.")
        return text, gr.update(visible=can_fetch_weights(card, options)), self.choices(variant)

    # ---- what is shown ----

    def _shown(self, comparison: Comparison, options: registry.LoadOptions, changed: Iterable[str] = ()) -> list:
        """Everything, but only the panels of the models in `changed`."""
        changed = set(changed)
        photo = comparison.pictures[PHOTO]
        shown = [
            html.heading(comparison.running, len(comparison.results), len(comparison.waiting), comparison.seed),
            photo.small,
            photo.closeup,
            html.measured(comparison.rows[name] for name in comparison.names if name in comparison.rows),
            gr.update(
                visible=comparison.sheet is not None and not comparison.running,
                value=comparison.sheet and str(comparison.sheet),
            ),
        ]
        for card in registry.MODELS.values():
            if card.name in changed or not comparison.results:
                shown += self._panel(comparison, card, options)
            else:
                shown += [gr.skip()] * PANEL_PARTS
        return shown

    def _panel(self, comparison: Comparison, card: registry.ModelCard, options: registry.LoadOptions) -> list:
        """Panel, text, picture, close-up, and the buttons of one model: keep, download, get the weights."""
        if card.name not in comparison.names:
            return [gr.update(visible=False), *[gr.skip()] * (PANEL_PARTS - 1)]
        picture = comparison.pictures.get(card.name)
        download = gr.update(visible=False)
        if picture:
            size = file_size(picture.file.stat().st_size)
            download = gr.update(visible=True, value=str(picture.file), label=f"Download · {size}")
        return [
            gr.update(visible=True),
            self._text(comparison, card, options),
            gr.update(visible=picture is not None, value=picture and picture.small),
            gr.update(visible=picture is not None, value=picture and picture.closeup),
            gr.update(visible=picture is not None),
            download,
            gr.update(
                visible=card.name in comparison.reasons and can_fetch_weights(card, options),
                value=f"Get its weights ({file_size(card.download_bytes)})",
            ),
        ]

    def _text(self, comparison: Comparison, card: registry.ModelCard, options: registry.LoadOptions) -> str:
        if picture := comparison.pictures.get(card.name):
            text = html.result_lines(comparison.rows[card.name], picture.notes)
        elif card.name in comparison.reasons:
            text = html.why_missing(card, comparison.reasons[card.name], options)
        elif not comparison.running:
            text = html.note("Stopped before it was done.")
        else:
            text = html.note("Running …" if card.name == comparison.waiting[0] else "Waiting for the others.")
        return text

    def _nothing(self) -> list:
        return [gr.skip()] * (SHOWN_BEFORE_PANELS + PANEL_PARTS * len(registry.MODELS))


def _next(comparing: Iterator[Outcome], report: Stoppable) -> Outcome | None:
    with queue.take(report):
        return next(comparing, None)


def _why_not(name: str, options: registry.LoadOptions) -> str:
    """Why a model cannot even begin; empty: it can."""
    state = registry.card(name).availability(options)
    return "" if state.can_run else state.reason


def _without(name: str, config: SamplingConfig, reason: str) -> Outcome:
    card = registry.card(name)
    return Outcome(card=card, config=config.with_defaults(card.defaults), error=reason)
