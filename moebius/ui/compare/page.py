"""The comparison's part of the page, under the canvas: a column for the photo, then one a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from moebius import registry
from moebius.ui import queue, settings
from moebius.ui.compare import html
from moebius.ui.compare.actions import CompareActions
from moebius.ui.components import BUSY, IDLE, LAYERS, RESULT, STOPPED
from moebius.ui.fill.page import SHOWS, PhotoPanel, ResultPanel
from moebius.ui.gradio_internals import HIDE, SHOW


@dataclass(frozen=True)
class ModelResult:
    """One model's result, or the reason why there is none. The order is that of `CompareActions`."""

    place: gr.Column
    text: gr.HTML
    picture: gr.Image
    closeup: gr.Image
    keep: gr.Button
    download: gr.DownloadButton
    get: gr.Button

    @property
    def parts(self) -> list:
        return [self.place, self.text, self.picture, self.closeup, self.keep, self.download, self.get]


@dataclass(frozen=True)
class ComparisonPanel:
    """Under the canvas, over the whole width."""

    models: gr.CheckboxGroup
    notices: gr.HTML
    settings: settings.SettingsPanel
    heading: gr.HTML
    photo: gr.Image
    closeup: gr.Image
    table: gr.HTML
    sheet: gr.DownloadButton
    panels: dict[str, ModelResult]

    @property
    def shown(self) -> list:
        """In the order of `CompareActions`."""
        panels = [part for panel in self.panels.values() for part in panel.parts]
        return [self.heading, self.photo, self.closeup, self.table, self.sheet, *panels]


def comparison_panel() -> ComparisonPanel:
    """A column for the photo and one a model, the tables, and the settings."""
    chosen = html.first_choice(registry.LoadOptions())
    with gr.Column(elem_id="compared"):
        heading = gr.HTML(elem_id="compare-heading", padding=False)
        with gr.Row(elem_id="panels", equal_height=False):
            with gr.Column(min_width=220, elem_id="panel-photo"):
                gr.HTML("<h3>The photo</h3>", padding=False)
                photo = _picture("The photo as it was", "compare-photo")
                closeup = _picture("The photo as it was, close up", "compare-photo-closeup")
            panels = {card.name: _panel(card) for card in registry.MODELS.values()}
        sheet = gr.DownloadButton("Download everything as one picture", visible=False, elem_id="compare-sheet")
        with gr.Accordion("Models and settings of the comparison", open=False, elem_id="compare-settings"):
            models = gr.CheckboxGroup(
                html.choices(registry.LoadOptions()),
                value=chosen,
                label="Models",
                info=html.INTRO,
                elem_id="compare-models",
            )
            notices = gr.HTML(html.notices(chosen), elem_id="notices", padding=False)
            panel = settings.compare_settings(shown_for=chosen)
        table = gr.HTML(elem_id="measured", padding=False)
        gr.HTML(html.published(), elem_id="published", padding=False)
    return ComparisonPanel(models, notices, panel, heading, photo, closeup, table, sheet, panels)


def wire_compare(
    page: gr.Blocks, actions: CompareActions, photo: PhotoPanel, result: ResultPanel, comparison: ComparisonPanel
) -> None:
    """Connect Compare, Stop and the buttons of the columns with the actions."""
    buttons, variant = [photo.compare, photo.stop_comparing], comparison.settings.variant
    photo.compare.click(None, None, buttons, js=BUSY)
    painted = photo.compare.click(None, None, photo.layers, js=LAYERS)
    painted.success(None, None, None, js="() => { moebius.compare(); return []; }")
    comparing = painted.then(
        actions.compare,
        [photo.layers, comparison.models],
        comparison.shown,
        inputs_kwargs={**comparison.settings.inputs(), "grow_mask": photo.models.settings.grow_mask},
        api_name="compare",
        **queue.IN_TURN,
        show_progress_on=comparison.heading,
    )
    for ended in (comparing.then, comparing.failure):
        ended(None, None, buttons, js=IDLE)
    stopping = {"fn": actions.stop, "inputs": variant, "outputs": comparison.shown, "queue": False}
    comparing.failure(**stopping, api_visibility="private", show_progress="hidden")
    photo.stop_comparing.click(**stopping, api_name="stop_comparing", cancels=[comparing], show_progress="hidden")
    photo.stop_comparing.click(None, None, buttons, js=STOPPED)

    for changed in (page.load, variant.change):
        changed(actions.choices, variant, comparison.models, **SHOWS)
    comparison.models.change(
        actions.chosen,
        comparison.models,
        [comparison.notices, comparison.settings.prompt, comparison.settings.plan],
        **SHOWS,
    )
    for name, panel in comparison.panels.items():
        keeping = panel.keep.click(
            actions.keep,
            gr.State(name),
            [photo.pictures, photo.download, result.facts],
            api_visibility="private",
            show_progress_on=panel.text,
        )
        keeping.success(None, photo.pictures, None, js=RESULT)
        panel.get.click(None, None, panel.get, js=f"() => [{HIDE}]")
        getting = panel.get.click(
            actions.fetch,
            [gr.State(name), variant],
            [panel.text, panel.get, comparison.models],
            api_visibility="private",
            concurrency_id="fetch",
            concurrency_limit=1,
            show_progress_on=panel.text,
        )
        getting.failure(None, None, panel.get, js=f"() => [{SHOW}]")


def _picture(alt_text: str, elem_id: str, **options: Any) -> gr.Image:
    fixed = {"type": "filepath", "show_label": False, "interactive": False, "buttons": ["fullscreen"]}
    return gr.Image(alt_text=alt_text, elem_id=elem_id, **fixed, **options)


def _panel(card: registry.ModelCard) -> ModelResult:
    with gr.Column(visible=False, min_width=220, elem_id=f"panel-{card.name}") as place:
        gr.HTML(f"<h3>{card.title}</h3>", padding=False)
        filled = f"The photo as filled by {card.title}"
        picture = _picture(filled, f"picture-{card.name}", visible=False)
        closeup = _picture(f"{filled}, close up", f"closeup-{card.name}", visible=False)
        text = gr.HTML(padding=False)
        keep = gr.Button("Keep this one", visible=False, size="sm", elem_id=f"keep-{card.name}")
        download = gr.DownloadButton("Download", visible=False, size="sm")
        get = gr.Button("Get its weights", visible=False, size="sm")
    return ModelResult(place, text, picture, closeup, keep, download, get)
