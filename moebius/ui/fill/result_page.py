"""How what can be made of a result is wired: the restore brush, variants, the layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gradio as gr

from moebius.ui import queue
from moebius.ui.components import BUSY, DOWNLOAD, IDLE, LAYERS
from moebius.ui.fill.actions import Actions

if TYPE_CHECKING:
    from moebius.ui.fill.page import PhotoPanel, ResultPanel


def wire_result(actions: Actions, photo: PhotoPanel, result: ResultPanel) -> None:
    """result.js presses the hidden buttons."""
    ask = gr.Button("Restore", visible="hidden", elem_id="restore-ask")
    where = gr.File(file_count="multiple", visible="hidden", label="Restored")
    painted = ask.click(None, None, where, js="async () => [await moebius.results.layers()]")
    restoring = painted.then(
        actions.restore,
        where,
        [photo.pictures, photo.download],
        api_name="restore",
        concurrency_id="restore",
        concurrency_limit=2,
        show_progress="hidden",
    )
    restoring.success(
        None, photo.pictures, None, js="(files) => { moebius.results.restored(files); return []; }"
    ).success(actions.steps, None, result.steps, api_visibility="private", show_progress="hidden", queue=False)
    restoring.failure(None, None, None, js="() => { moebius.results.failed(); return []; }")

    vary, varied = (
        gr.Button("Vary", visible="hidden", elem_id="vary-ask"),
        gr.File(file_count="multiple", visible="hidden"),
    )
    buttons = [photo.go, photo.stop]
    vary.click(None, None, buttons, js=BUSY)
    varying = vary.click(None, None, photo.layers, js=LAYERS).then(
        actions.vary,
        [photo.layers, photo.models.model],
        varied,
        inputs_kwargs=photo.models.settings.inputs(),
        api_name="vary",
        **queue.IN_TURN,
        show_progress_on=photo.progress,
    )
    for ended in (varying.then, varying.failure):
        ended(None, None, buttons, js=IDLE)
    varying.success(None, varied, None, js="(files) => { moebius.results.varied(files); return []; }").success(
        actions.steps, None, result.steps, api_visibility="private", show_progress="hidden", queue=False
    )
    choose, index = gr.Button("Variant", visible="hidden", elem_id="variant-ask"), gr.Number(visible="hidden")
    choose.click(
        actions.choose_variant,
        index,
        [photo.download, result.facts],
        js="() => [moebius.variant]",
        api_visibility="private",
        show_progress="hidden",
    )

    ask_patch, file = (
        gr.Button("Layer", visible="hidden", elem_id="patch-ask"),
        gr.File(visible="hidden", label="Layer"),
    )
    ask_patch.click(actions.patch, None, file, api_name="patch", show_progress="hidden").success(
        None, file, None, js=DOWNLOAD
    )
