"""The photo with its editor, the Fill tab and the choice of a model, and how they are wired."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from moebius import registry
from moebius.ui import samples
from moebius.ui.components import BUSY, DOWNLOAD, IDLE, LAYERS, mask_editor, thumbnails
from moebius.ui.fill import html
from moebius.ui.fill.actions import Actions
from moebius.ui.fill.select import SelectPanel, select_panel
from moebius.ui.gradio_internals import HIDE
from moebius.ui.settings import SettingsPanel, fill_settings


@dataclass(frozen=True, kw_only=True)
class PhotoPanel:
    """Where a photo is chosen and painted on: the same for all tabs."""

    choose: gr.Column
    photo: gr.Image
    samples: gr.Gallery | None
    brush: gr.ImageEditor
    select: SelectPanel
    change: gr.Button
    mask_file: gr.UploadButton
    save_mask: gr.Button
    saved_mask: gr.File
    layers: gr.File
    """What is painted, on its way to the server; see `mask_editor`."""
    go: gr.Button
    stop: gr.Button

    @property
    def entered(self) -> list[gr.blocks.Block]:
        """What changes when a photo comes in: the chooser, its upload, the editor."""
        return [self.choose, self.photo, self.brush]


@dataclass(frozen=True, kw_only=True)
class ResultPanel:
    """The Fill tab."""

    waiting: gr.HTML
    result: gr.Column
    slider: gr.ImageSlider
    download: gr.DownloadButton
    again: gr.Button
    facts: gr.HTML
    steps: gr.Gallery


@dataclass(frozen=True, kw_only=True)
class ModelPanel:
    """Which model, its weights, its settings: for Fill and Many photos."""

    model: gr.Radio
    about: gr.HTML
    get: gr.Button
    stop_getting: gr.Button
    settings: SettingsPanel


def photo_panel() -> PhotoPanel:
    with gr.Column(elem_id="choose") as choose:
        photo = gr.Image(
            type="filepath",
            sources=["upload", "webcam", "clipboard"],
            label="Photo",
            show_label=False,
            height="min(50vh, 380px)",
            placeholder="# Drop a photo here\nor click to choose one, or paste it",
            elem_id="photo",
        )
        gallery = _samples()
    with gr.Column(elem_id="paint"):
        brush = mask_editor(
            show_label=False,
            height="min(60vh, 500px)",
            buttons=["fullscreen"],
            elem_id="brush",
        )
        gr.HTML(html.MASK_TOOLS, padding=False)
        select = select_panel()
        with gr.Row(elem_classes="quiet"):
            change = gr.Button("Change photo", size="sm", min_width=80, elem_id="change")
            mask_file = gr.UploadButton(
                "Use a mask file", file_types=["image"], size="sm", min_width=80, elem_id="mask-file"
            )
            save_mask = gr.Button("Save the mask", size="sm", min_width=80, elem_id="save-mask")
        saved_mask = gr.File(visible="hidden", label="Saved mask")
        layers = gr.File(file_count="multiple", visible="hidden", label="Mask layers")
        go = gr.Button("Fill", variant="primary", elem_id="go")
        stop = gr.Button("Stop", visible=False, elem_id="stop")
        gr.HTML(html.KEYS, padding=False)
    return PhotoPanel(
        choose=choose,
        photo=photo,
        samples=gallery,
        brush=brush,
        select=select,
        change=change,
        mask_file=mask_file,
        save_mask=save_mask,
        saved_mask=saved_mask,
        layers=layers,
        go=go,
        stop=stop,
    )


def result_panel() -> ResultPanel:
    waiting = gr.HTML(html.STEPS, elem_id="waiting", padding=False)
    with gr.Column(elem_id="result", visible=False) as result:
        slider = gr.ImageSlider(
            type="filepath",
            show_label=False,
            interactive=False,
            height="min(60vh, 500px)",
            buttons=["fullscreen"],
            elem_id="slider",
        )
        gr.HTML(html.ORIGINAL, padding=False)
        with gr.Row():
            download = gr.DownloadButton("Download", variant="primary", elem_id="download")
            again = gr.Button("Keep editing", min_width=120, elem_id="again")
        facts = gr.HTML(elem_id="facts", padding=False)
        steps = thumbnails(  # the original and its results, each to go back to
            label="Earlier pictures",
            columns=5,
            object_fit="cover",
            format="jpeg",
            visible=False,
            elem_id="steps",
        )
    return ResultPanel(
        waiting=waiting, result=result, slider=slider, download=download, again=again, facts=facts, steps=steps
    )


def model_panel() -> ModelPanel:
    model = gr.Radio(html.choices(), value=registry.AUTO, label="Model", elem_id="model")
    about = gr.HTML(elem_id="about", padding=False)
    get = gr.Button("Get the weights", visible=False, size="sm", elem_id="get")
    stop_getting = gr.Button("Stop the download", visible=False, size="sm")
    return ModelPanel(model=model, about=about, get=get, stop_getting=stop_getting, settings=fill_settings())


def wire_fill(page: gr.Blocks, actions: Actions, photo: PhotoPanel, result: ResultPanel, models: ModelPanel) -> None:
    pictures = _wire_pictures(actions, photo, result)
    filling = _wire_go(actions, photo, result, models)
    for event in (*pictures, filling):
        event.success(actions.steps, None, result.steps, api_visibility="private", show_progress="hidden", queue=False)
    photo.stop.click(actions.stop, api_name="stop", queue=False, cancels=[filling])
    photo.stop.click(None, None, [photo.go, photo.stop], js=IDLE)
    _wire_models(page, actions, models)


def _wire_pictures(actions: Actions, photo: PhotoPanel, result: ResultPanel) -> list[gr.events.Dependency]:
    """Photos and masks in and out; returns the events after which another picture is in the editor."""
    # show_progress_on: never the editor, see `components.mask_editor`.
    # preprocess=False: gr.Image would open the file, and fail without a message where it is no picture. That
    # the path lies in the upload folder Gradio has checked before.
    loading = photo.photo.input(
        actions.load_photo,
        photo.photo,
        photo.entered,
        api_name="load_photo",
        show_progress_on=photo.photo,
        preprocess=False,
    )
    loading.failure(None, None, photo.photo, js="() => [null]")
    changed = [loading]
    if photo.samples is not None:
        changed.append(
            photo.samples.select(
                actions.pick_sample, None, photo.entered, api_visibility="private", show_progress_on=photo.samples
            )
        )
    photo.change.click(
        actions.choose_again,
        None,
        photo.entered,
        api_visibility="private",
        show_progress="hidden",
        show_progress_on=photo.photo,
    )
    saving = photo.save_mask.click(None, photo.brush, photo.layers, js=LAYERS)
    saving = saving.then(
        actions.save_mask, photo.layers, photo.saved_mask, api_name="save_mask", show_progress_on=photo.save_mask
    )
    saving.success(None, photo.saved_mask, None, js=DOWNLOAD)
    photo.mask_file.upload(
        actions.load_mask, photo.mask_file, photo.brush, api_name="load_mask", show_progress_on=photo.mask_file
    )
    using = result.again.click(
        actions.use_result, None, photo.entered, api_name="use_result", show_progress_on=result.again
    )
    going_back = result.steps.select(
        actions.pick_step, None, photo.entered, api_visibility="private", show_progress_on=result.steps
    )
    return [*changed, using, going_back]


def _wire_go(actions: Actions, photo: PhotoPanel, result: ResultPanel, models: ModelPanel) -> gr.events.Dependency:
    buttons = [photo.go, photo.stop]
    photo.go.click(None, None, buttons, js=BUSY)
    painted = photo.go.click(None, photo.brush, photo.layers, js=LAYERS)
    filling = painted.then(
        actions.fill,
        [photo.layers, models.model],
        [result.slider, result.download, result.facts, result.waiting, result.result],
        inputs_kwargs=models.settings.inputs(),
        api_name="fill",
        concurrency_id="compute",
        concurrency_limit=1,
        show_progress_on=[result.waiting, result.slider],
        scroll_to_output=True,
    )
    for ended in (filling.then, filling.failure):
        ended(None, None, buttons, js=IDLE)
    return filling


def _wire_models(page: gr.Blocks, actions: Actions, models: ModelPanel) -> None:
    settings, buttons = models.settings, [models.get, models.stop_getting]
    chosen = [models.model, settings.variant]
    for changed in (models.model.change, settings.variant.change, page.load):
        changed(
            actions.about,
            chosen,
            [models.about, models.get],
            api_visibility="private",
            show_progress="hidden",
            queue=False,
        )
    models.model.change(
        actions.own_settings,
        chosen,
        [settings.steps, settings.guidance, settings.prompt, settings.plan],
        api_visibility="private",
        show_progress="hidden",
        queue=False,
    )
    models.get.click(None, None, buttons, js=BUSY)
    getting = models.get.click(
        actions.fetch_weights,
        chosen,
        [models.about, models.get],
        api_name="fetch_weights",
        concurrency_id="fetch",
        concurrency_limit=1,
        show_progress_on=models.about,
    )
    getting.then(None, None, models.stop_getting, js=f"() => [{HIDE}]")
    getting.failure(None, None, buttons, js=IDLE)
    models.stop_getting.click(actions.stop_fetching, api_visibility="private", queue=False)


def _samples() -> gr.Gallery | None:
    """Thumbnails of the samples; None where there are none."""
    shown = [(samples.thumbnail(sample), sample.title) for sample in samples.load()]
    if not shown:
        return None
    gr.HTML(html.photo_credits(samples.load()), padding=False)
    return thumbnails(
        shown,
        label="Samples",
        columns=4,
        object_fit="cover",
        format="jpeg",
        elem_id="samples",
    )
