"""The comparison's part of the page: which models, what came of them, and how the two are wired."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from moebius import registry
from moebius.ui import settings
from moebius.ui.compare import html
from moebius.ui.compare.actions import CompareActions
from moebius.ui.compare.state import PHOTO
from moebius.ui.components import BUSY, IDLE, LAYERS
from moebius.ui.fill.page import PhotoPanel
from moebius.ui.gradio_internals import HIDE, SHOW


@dataclass(frozen=True)
class ComparePanel:
    """Beside the photo: the models, their settings, go and stop."""

    models: gr.CheckboxGroup
    notices: gr.HTML
    go: gr.Button
    stop: gr.Button
    settings: settings.SettingsPanel


@dataclass(frozen=True)
class ModelResult:
    """One model's result, or the reason why there is none. The order is that of `CompareActions`."""

    place: gr.Column
    text: gr.HTML
    picture: gr.Image
    download: gr.DownloadButton
    get: gr.Button

    @property
    def parts(self) -> list:
        return [self.place, self.text, self.picture, self.download, self.get]


@dataclass(frozen=True)
class ComparisonPanel:
    """Under the photo, over the whole width."""

    heading: gr.HTML
    place: gr.Column
    views: gr.Column
    left: gr.Dropdown
    right: gr.Dropdown
    whole: gr.ImageSlider
    closeup: gr.ImageSlider
    table: gr.HTML
    sheet: gr.DownloadButton
    panels: dict[str, ModelResult]

    @property
    def shown(self) -> list:
        """In the order of `CompareActions`."""
        pair = [self.left, self.right, self.whole, self.closeup]
        panels = [part for panel in self.panels.values() for part in panel.parts]
        return [self.heading, self.place, self.views, *pair, self.table, self.sheet, *panels]


def compare_panel() -> ComparePanel:
    options, chosen = registry.LoadOptions(), registry.compared()
    models = gr.CheckboxGroup(
        html.choices(options),
        value=chosen,
        label="Models",
        info=html.INTRO,
        elem_id="compare-models",
    )
    notices = gr.HTML(html.notices(chosen), elem_id="notices", padding=False)
    go = gr.Button("Compare", variant="primary", elem_id="compare-go")
    stop = gr.Button("Stop", visible=False, elem_id="compare-stop")
    return ComparePanel(models, notices, go, stop, settings.compare_settings(shown_for=chosen))


def comparison_panel() -> ComparisonPanel:
    with gr.Column(elem_id="compared"):
        heading = gr.HTML(html.UNTIL_THEN, elem_id="compare-heading", padding=False)
        with gr.Column(visible=False, elem_id="compare-results") as place:
            with gr.Column(visible=False, elem_id="compare-views") as views:
                with gr.Row():
                    everything = [("The photo", PHOTO), *((card.title, card.name) for card in registry.MODELS.values())]
                    left = gr.Dropdown(everything, value=PHOTO, label="Left", min_width=140, elem_id="compare-left")
                    right = gr.Dropdown(everything, value=PHOTO, label="Right", min_width=140, elem_id="compare-right")
                with gr.Row(equal_height=False):
                    whole = _slider("compare-whole", "The whole photo")
                    closeup = _slider("compare-closeup", "Close-up of the filled area, pixel by pixel")
            with gr.Row(elem_id="panels", equal_height=False):
                panels = {card.name: _panel(card) for card in registry.MODELS.values()}
            table = gr.HTML(elem_id="measured", padding=False)
            sheet = gr.DownloadButton(
                "Download everything as one picture", visible=False, variant="primary", elem_id="compare-sheet"
            )
        gr.HTML(html.published(), elem_id="published", padding=False)
    return ComparisonPanel(heading, place, views, left, right, whole, closeup, table, sheet, panels)


def wire_compare(
    page: gr.Blocks, actions: CompareActions, photo: PhotoPanel, chooser: ComparePanel, results: ComparisonPanel
) -> None:
    """The editor is never an input of what runs on the server, see `components.mask_editor`."""
    buttons, variant = [chooser.go, chooser.stop], chooser.settings.variant
    chooser.go.click(None, None, buttons, js=BUSY)
    painted = chooser.go.click(None, photo.brush, photo.layers, js=LAYERS)
    comparing = painted.then(
        actions.compare,
        [photo.layers, chooser.models],
        results.shown,
        inputs_kwargs=chooser.settings.inputs(),
        api_name="compare",
        concurrency_id="compute",
        concurrency_limit=1,
        show_progress_on=results.heading,
        scroll_to_output=True,
    )
    for ended in (comparing.then, comparing.failure):
        ended(None, None, buttons, js=IDLE)
    stopping = {"fn": actions.stop, "inputs": variant, "outputs": results.shown, "queue": False}
    comparing.failure(**stopping, api_visibility="private", show_progress="hidden")
    chooser.stop.click(**stopping, api_name="stop_comparing", cancels=[comparing], show_progress="hidden")
    chooser.stop.click(None, None, buttons, js=IDLE)

    pair, sliders = [results.left, results.right], [results.whole, results.closeup]
    results.left.input(actions.look, pair, sliders, api_name="look", show_progress="hidden")
    results.right.input(actions.look, pair, sliders, api_visibility="private", show_progress="hidden")
    for changed in (page.load, variant.change):
        changed(actions.choices, variant, chooser.models, api_visibility="private", show_progress="hidden", queue=False)
    chooser.models.change(
        actions.chosen,
        chooser.models,
        [chooser.notices, chooser.settings.prompt, chooser.settings.plan],
        api_visibility="private",
        show_progress="hidden",
        queue=False,
    )
    for name, panel in results.panels.items():
        panel.get.click(None, None, panel.get, js=f"() => [{HIDE}]")
        getting = panel.get.click(
            actions.fetch,
            [gr.State(name), variant],
            [panel.text, panel.get, chooser.models],
            api_visibility="private",
            concurrency_id="fetch",
            concurrency_limit=1,
            show_progress_on=panel.text,
        )
        getting.failure(None, None, panel.get, js=f"() => [{SHOW}]")


def _slider(elem_id: str, label: str) -> gr.ImageSlider:
    with gr.Column(min_width=320):
        gr.HTML(f"<h3 class='view'>{label}</h3>", padding=False)
        return gr.ImageSlider(
            type="filepath",
            show_label=False,
            interactive=False,
            height="min(70vh, 482px)",
            buttons=["fullscreen"],
            elem_id=elem_id,
        )


def _panel(card: registry.ModelCard) -> ModelResult:
    with gr.Column(visible=False, min_width=220, elem_id=f"panel-{card.name}") as place:
        gr.HTML(f"<h3>{card.title}</h3>", padding=False)
        picture = gr.Image(
            type="filepath",
            show_label=False,
            alt_text=f"The photo as filled by {card.title}",
            interactive=False,
            visible=False,
            buttons=["fullscreen"],
            height=200,
        )
        text = gr.HTML(padding=False)
        download = gr.DownloadButton("Download", visible=False, size="sm")
        get = gr.Button("Get its weights", visible=False, size="sm")
    return ModelResult(place, text, picture, download, get)
