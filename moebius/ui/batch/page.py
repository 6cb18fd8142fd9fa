"""The part of the page for many photos: where they are dropped, their list, and how the two are wired."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import gradio as gr

from moebius.photo.photo_file import suffixes
from moebius.ui.batch import html
from moebius.ui.batch.filling import FillActions
from moebius.ui.components import BUSY, IDLE, LAYERS, RESULT, STOPPED, thumbnails
from moebius.ui.fill.page import SHOWS, PhotoPanel, opens


@dataclass(frozen=True)
class BatchPanel:
    """Beside the canvas. The order of `shown` is that of `BatchActions`."""

    heading: gr.HTML
    pictures: gr.Gallery
    archive: gr.DownloadButton
    off: gr.Row
    remove: gr.Button
    clear: gr.Button
    mask_for: gr.Radio
    mask_file: gr.UploadButton
    again: gr.Button
    picked: gr.Textbox
    go: gr.Button
    stop: gr.Button

    @property
    def shown(self) -> list:
        return [self.heading, self.pictures, self.archive, self.off]


def batch_files() -> gr.File:
    """Over the canvas."""
    with gr.Column(elem_id="many-drop"):
        files = gr.File(
            file_count="multiple",
            file_types=["image", *suffixes()],
            label="Photos, and masks if you have them",
            show_label=False,
            height=150,
            elem_id="many-files",
        )
        gr.HTML(html.limits(), padding=False)
    return files


def batch_panel() -> BatchPanel:
    """The list beside the canvas, with its buttons."""
    heading = gr.HTML(html.STEPS, elem_id="many-heading", padding=False)
    mask_for = gr.Radio(html.MASK_FOR, value="all", label="Mask", info=html.MASK_FOR_INFO, elem_id="mask-for")
    mask_file = gr.UploadButton("Use a mask file for all", file_types=["image"], size="sm", elem_id="many-mask-file")
    pictures = thumbnails(
        label="Your photos",
        columns=4,
        object_fit="contain",
        visible=False,
        elem_id="many-photos",
    )
    go = gr.Button("Fill all", variant="primary", elem_id="many-go")
    stop = gr.Button("Stop", visible=False, elem_id="many-stop")
    archive = gr.DownloadButton("Download", visible=False, variant="primary", elem_id="many-zip")
    with gr.Row(visible=False, elem_id="many-off") as off:
        again = gr.Button("Fill this photo", size="sm", min_width=120, elem_id="many-again")
        remove = gr.Button("Remove this photo", size="sm", min_width=120, elem_id="many-remove")
        clear = gr.Button("Remove all photos", size="sm", min_width=120, elem_id="many-clear")
    picked = gr.Textbox(visible="hidden", label="Name")
    return BatchPanel(heading, pictures, archive, off, remove, clear, mask_for, mask_file, again, picked, go, stop)


def wire_batch(actions: FillActions, files: gr.File, panel: BatchPanel, photo: PhotoPanel) -> None:
    """Connect the list, the canvas and the buttons with the actions."""
    layers, buttons, mask_for = photo.layers, [panel.go, panel.stop], panel.mask_for
    opened = [photo.scene, *panel.shown]

    added = files.upload(None, None, layers, js=LAYERS).then(
        actions.add_photos,
        [files, layers, mask_for],
        [files, *opened],
        api_name="add_photos",
        preprocess=False,
        show_progress_on=files,
    )
    added.failure(None, None, files, js="() => [null]")

    picked = panel.pictures.select(actions.pick, None, panel.picked, api_visibility="private", show_progress="hidden")
    picked_one = picked.then(None, None, layers, js=LAYERS).then(
        actions.open_photo,
        [panel.picked, layers, mask_for],
        opened,
        api_name="open_photo",
        show_progress_on=panel.heading,
    )
    # server.js presses it after each stroke
    painted = gr.Button("Painted", visible="hidden", elem_id="many-painted")
    painted.click(None, None, layers, js=LAYERS).then(actions.keep_painted, [layers, mask_for], panel.shown, **SHOWS)
    chosen = mask_for.input(None, None, layers, js=LAYERS).then(
        actions.choose_mask_for,
        [layers, mask_for],
        opened,
        api_name="choose_mask_for",
        show_progress="hidden",
        show_progress_on=panel.heading,
    )
    shared = panel.mask_file.upload(None, None, layers, js=LAYERS).then(
        actions.share_mask,
        [panel.mask_file, layers],
        [mask_for, *opened],
        api_name="share_mask",
        show_progress_on=panel.mask_file,
    )
    removed = panel.remove.click(None, None, layers, js=LAYERS).then(
        actions.remove_photo,
        [panel.picked, layers],
        [panel.picked, *opened],
        api_name="remove_photo",
        show_progress_on=panel.heading,
    )
    cleared = panel.clear.click(
        actions.clear_photos, None, opened, api_name="clear_photos", show_progress="hidden", show_progress_on=files
    )
    for event in (added, picked_one, chosen, shared, removed, cleared):
        opens(event, photo)

    runs = [
        _wire_run(panel, photo, button, action)
        for button, action in ((panel.go, actions.fill_photos), (panel.again, actions.fill_again))
    ]
    # a photo that is filled is seen filled
    for event in (picked_one, *runs):
        looking = event.success(actions.opened_result, None, photo.pictures, **SHOWS)
        looking.success(None, photo.pictures, None, js=RESULT)
    panel.stop.click(
        actions.stop_filling,
        None,
        panel.shown,
        api_name="stop_filling",
        queue=False,
        cancels=runs,
        show_progress_on=panel.heading,
    )
    panel.stop.click(None, None, buttons, js=STOPPED)


def _wire_run(panel: BatchPanel, photo: PhotoPanel, button: gr.Button, action: Callable) -> gr.events.Dependency:
    """A button that fills photos: what is painted goes out first, and Stop stands there until the run has ended."""
    buttons = [panel.go, panel.stop]
    button.click(None, None, buttons, js=BUSY)
    filling = button.click(None, None, photo.layers, js=LAYERS).then(
        action,
        [photo.layers, panel.mask_for, photo.models.model],
        panel.shown,
        inputs_kwargs=photo.models.settings.inputs(),
        api_name=action.__name__,
        concurrency_id="batch",
        concurrency_limit=2,
        show_progress_on=panel.heading,
    )
    for ended in (filling.then, filling.failure):
        ended(None, None, buttons, js=IDLE)
    return filling
