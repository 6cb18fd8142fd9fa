"""The canvas with its tools, the choice of a model, and how they are wired."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from moebius import registry
from moebius.ui import queue
from moebius.ui.components import (
    BUSY,
    DOWNLOAD,
    FETCHED,
    FETCHING,
    IDLE,
    KNOWN,
    LAYERS,
    OPEN,
    RESULT,
    STOPPED,
    thumbnails,
)
from moebius.ui.fill import html
from moebius.ui.fill.actions import Actions
from moebius.ui.fill.result_page import wire_result
from moebius.ui.fill.select import SelectPanel, select_panel
from moebius.ui.gradio_internals import HIDE
from moebius.ui.settings import SettingsPanel, fill_settings

SHOWS = {"api_visibility": "private", "show_progress": "hidden", "queue": False}


@dataclass(frozen=True, kw_only=True)
class ModelPanel:
    """Which model, its weights, its settings: for one photo and for many."""

    model: gr.Radio
    about: gr.HTML
    get: gr.Button
    stop_getting: gr.Button
    settings: SettingsPanel


@dataclass(frozen=True, kw_only=True)
class PhotoPanel:
    """Where a photo is chosen, painted on and seen filled: for one photo and for many."""

    scene: gr.JSON
    """What the canvas shows; see `Actions._scene`."""
    layers: gr.File
    """What is painted, on its way to the server."""
    pictures: gr.File
    """Before and after, on their way to the canvas."""
    progress: gr.HTML
    select: SelectPanel
    mask_file: gr.UploadButton
    save_mask: gr.Button
    saved_mask: gr.File
    go: gr.Button
    stop: gr.Button
    compare: gr.Button
    stop_comparing: gr.Button
    download: gr.DownloadButton
    models: ModelPanel


@dataclass(frozen=True, kw_only=True)
class ResultPanel:
    """Under the canvas: what made the result, and the earlier ones."""

    facts: gr.HTML
    steps: gr.Gallery


def photo_panel() -> PhotoPanel:
    """The canvas with its tools, Fill and Compare, and what More shows."""
    gr.HTML(html.choose(), elem_id="choose", padding=False)
    with gr.Column(elem_id="paint"):
        gr.HTML(html.STAGE, elem_id="stage-block", padding=False)
        with gr.Row(elem_id="bar", equal_height=False):
            gr.HTML(html.TOOLS, elem_id="tools-block", padding=False)
            compare = gr.Button("Compare", elem_id="compare-go", min_width=96)
            stop_comparing = gr.Button("Stop", visible=False, elem_id="compare-stop", min_width=96)
            go = gr.Button("Fill", variant="primary", elem_id="go", min_width=96)
            stop = gr.Button("Stop", visible=False, elem_id="stop", min_width=96)
        progress = gr.HTML(elem_id="progress", padding=False)
        with gr.Row(elem_id="result-bar", equal_height=False):
            gr.HTML(html.RESULT_TOOLS, elem_id="result-tools-block", padding=False)
            download = gr.DownloadButton("Download", variant="primary", elem_id="download", min_width=160)
        with gr.Column(elem_id="more-panel"):
            gr.HTML(html.MASK_TOOLS, padding=False)
            select = select_panel()
            with gr.Row(elem_classes="quiet"):
                mask_file = gr.UploadButton(
                    "Use a mask file", file_types=["image"], size="sm", min_width=80, elem_id="mask-file"
                )
                save_mask = gr.Button("Save the mask", size="sm", min_width=80, elem_id="save-mask")
            models = _model_panel()
            gr.HTML(html.KEYS, padding=False)
    return PhotoPanel(
        scene=gr.JSON(visible="hidden", label="Photo"),
        layers=gr.File(file_count="multiple", visible="hidden", label="Mask layers"),
        pictures=gr.File(file_count="multiple", visible="hidden", label="Before and after"),
        progress=progress,
        select=select,
        mask_file=mask_file,
        save_mask=save_mask,
        saved_mask=gr.File(visible="hidden", label="Saved mask"),
        go=go,
        stop=stop,
        compare=compare,
        stop_comparing=stop_comparing,
        download=download,
        models=models,
    )


def result_panel() -> ResultPanel:
    facts = gr.HTML(elem_id="facts", padding=False)
    steps = thumbnails(  # the original and its results, each to go back to
        label="Earlier pictures",
        columns=5,
        object_fit="contain",
        format="jpeg",
        visible=False,
        elem_id="steps",
    )
    return ResultPanel(facts=facts, steps=steps)


def _model_panel() -> ModelPanel:
    with gr.Column(elem_id="how"):
        model = gr.Radio(html.choices(registry.LoadOptions()), value=registry.AUTO, label="Model", elem_id="model")
        about = gr.HTML(elem_id="about", padding=False)
        get = gr.Button("Get the weights", visible=False, size="sm", elem_id="get")
        stop_getting = gr.Button("Stop the download", visible=False, size="sm")
        return ModelPanel(model=model, about=about, get=get, stop_getting=stop_getting, settings=fill_settings())


def wire_fill(page: gr.Blocks, actions: Actions, photo: PhotoPanel, result: ResultPanel) -> None:
    """Connect photo, Fill, Stop and the choice of a model with the actions."""
    wire_result(actions, photo, result)
    pictures = _wire_pictures(actions, photo, result)
    filling = _wire_go(actions, photo, result)
    for event in (*pictures, filling):
        event.success(actions.steps, None, result.steps, **SHOWS)
    photo.stop.click(actions.stop, api_name="stop", queue=False, cancels=[filling])
    photo.stop.click(None, None, [photo.go, photo.stop], js=STOPPED)
    _wire_models(page, actions, photo.models)


def opens(event: gr.events.Dependency, photo: PhotoPanel) -> gr.events.Dependency:
    """Have the canvas show what an event has put into `photo.scene`."""
    event.success(None, photo.scene, None, js=OPEN)
    return event


def _wire_pictures(actions: Actions, photo: PhotoPanel, result: ResultPanel) -> list[gr.events.Dependency]:
    """Photos and masks in and out; returns the events after which another picture is on the canvas.

    server.js and incoming.js press the hidden buttons.
    """
    incoming, sample = gr.File(visible="hidden", label="Photo"), gr.Number(visible="hidden", label="Sample")
    take = gr.Button("Take a photo", visible="hidden", elem_id="take")
    take_sample = gr.Button("Take a sample", visible="hidden", elem_id="take-sample")
    again = gr.Button("Keep editing", visible="hidden", elem_id="again")
    # preprocess=False: that the path lies in the upload folder Gradio has checked before
    loading = take.click(
        actions.load_photo,
        incoming,
        photo.scene,
        js="() => [moebius.files.incoming()]",
        api_name="load_photo",
        show_progress="hidden",
        preprocess=False,
    )
    sampled = take_sample.click(
        actions.load_sample,
        sample,
        photo.scene,
        js="() => [moebius.sample]",
        api_visibility="private",
        show_progress="hidden",
    )
    known = sampled.success(actions.sample_result, None, [photo.pictures, photo.download, result.facts], **SHOWS)
    known.success(None, photo.pictures, None, js=KNOWN)
    for event in (loading, sampled):
        event.failure(None, None, None, js="() => { moebius.say(''); return []; }")
    saving = photo.save_mask.click(None, None, photo.layers, js=LAYERS)
    saving = saving.then(
        actions.save_mask, photo.layers, photo.saved_mask, api_name="save_mask", show_progress_on=photo.save_mask
    )
    saving.success(None, photo.saved_mask, None, js=DOWNLOAD)
    masked = photo.mask_file.upload(
        actions.load_mask, photo.mask_file, photo.scene, api_name="load_mask", show_progress_on=photo.mask_file
    )
    using = again.click(actions.use_result, None, photo.scene, api_name="use_result", show_progress="hidden")
    going_back = result.steps.select(
        actions.pick_step, None, photo.scene, api_visibility="private", show_progress_on=result.steps
    )
    using.failure(None, None, None, js="() => { moebius.settled(); return []; }")
    for event in (loading, sampled, masked, using, going_back):
        opens(event, photo)
    return [loading, known, using, going_back]


def _wire_go(actions: Actions, photo: PhotoPanel, result: ResultPanel) -> gr.events.Dependency:
    buttons = [photo.go, photo.stop]
    photo.go.click(None, None, buttons, js=BUSY)
    painted = photo.go.click(None, None, photo.layers, js=LAYERS)
    filling = painted.then(
        actions.fill,
        [photo.layers, photo.models.model],
        [photo.pictures, photo.download, result.facts],
        inputs_kwargs=photo.models.settings.inputs(),
        api_name="fill",
        **queue.IN_TURN,
        show_progress_on=photo.progress,
    )
    filling.success(None, photo.pictures, None, js=RESULT)
    for ended in (filling.then, filling.failure):
        ended(None, None, buttons, js=IDLE)
    return filling


def _wire_models(page: gr.Blocks, actions: Actions, models: ModelPanel) -> None:
    settings, buttons = models.settings, [models.get, models.stop_getting]
    chosen = [models.model, settings.variant]
    for changed in (models.model.change, settings.variant.change, page.load):
        changed(actions.about, chosen, [models.about, models.get], **SHOWS)
    models.model.change(
        actions.own_settings, chosen, [settings.steps, settings.guidance, settings.prompt, settings.plan], **SHOWS
    )
    models.get.click(None, None, buttons, js=FETCHING)
    getting = models.get.click(
        actions.fetch_weights,
        chosen,
        [models.about, models.get],
        api_name="fetch_weights",
        concurrency_id="fetch",
        concurrency_limit=1,
        show_progress_on=models.about,
    )
    for changed in (page.load, getting.success):
        changed(actions.choices, None, models.model, **SHOWS)
    getting.then(None, None, models.stop_getting, js=f"() => [{HIDE}]")
    getting.failure(None, None, buttons, js=FETCHED)
    models.stop_getting.click(actions.stop_fetching, api_visibility="private", queue=False)
