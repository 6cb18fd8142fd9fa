"""The page: the photo on the left; on the right, a tab each, what can be done with it."""

from __future__ import annotations

import atexit
from pathlib import Path

import gradio as gr

from moebius import registry
from moebius.photo import photo_file
from moebius.ui import api, html, results, samples, theme
from moebius.ui.batch import page as batch_page
from moebius.ui.batch.actions import BatchActions
from moebius.ui.compare import page as comparison
from moebius.ui.compare.actions import CompareActions
from moebius.ui.components import (
    BRUSH_JS,
    BUSY,
    DOWNLOAD,
    HIDE,
    IDLE,
    INCOMING_JS,
    LAYERS,
    SELECT_JS,
    mask_editor,
    thumbnails,
)
from moebius.ui.fill import select as selecting
from moebius.ui.fill.actions import Actions
from moebius.ui.session import IDLE_S, MOST_SESSIONS
from moebius.ui.settings import fill_settings
from moebius.ui.uploads import Page


def build_app(weights_folder: Path | None = None) -> gr.Blocks:
    """The whole page, not yet served. `weights_folder`: as `registry.LoadOptions.weights`."""
    actions = Actions(weights_folder)
    atexit.register(actions.sessions.close_all)
    actions.sessions.keep_forgetting(also=api.forget_sent)
    with Page(title="Moebius", analytics_enabled=False, delete_cache=(600, IDLE_S)) as page:
        gr.HTML(html.HEADER, elem_id="header", padding=False)
        with gr.Row(elem_id="work", equal_height=False):
            with gr.Column(elem_id="photo-side", min_width=340):
                many = batch_page.drop()
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
                    gallery = _gallery()
                with gr.Column(elem_id="paint"):
                    brush = mask_editor(
                        show_label=False,
                        height="min(60vh, 500px)",
                        buttons=["fullscreen"],
                        elem_id="brush",
                    )
                    gr.HTML(html.MASK_TOOLS, padding=False)
                    select = selecting.panel()
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
            with gr.Tabs(elem_id="tabs"):
                with gr.Tab("Fill", elem_id="fill-tab"):
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
                            again = gr.Button("Go on with this one", min_width=120, elem_id="again")
                        facts = gr.HTML(elem_id="facts", padding=False)
                        steps = _steps()
                with gr.Tab("Many photos", elem_id="many-tab"):
                    panel = batch_page.panel()
                with gr.Tab("Compare", elem_id="compare-tab"):
                    choice = comparison.chooser()
                with gr.Tab("Results", elem_id="results-tab"):
                    results.tab(page)
            with gr.Column(elem_id="how"):
                model = gr.Radio(html.choices(), value=registry.AUTO, label="Model", elem_id="model")
                about = gr.HTML(elem_id="about", padding=False)
                get = gr.Button("Get the weights", visible=False, size="sm", elem_id="get")
                stop_getting = gr.Button("Stop the download", visible=False, size="sm")
                settings = fill_settings()
            compared = comparison.results()

        # show_progress_on: never the editor, see `components.mask_editor`.
        # preprocess=False: gr.Image would open the file, and fail without a message where it is no picture. That
        # the path lies in the upload folder Gradio has checked before.
        entered = [choose, photo, brush]
        loading = photo.input(
            actions.load_photo, photo, entered, api_name="load_photo", show_progress_on=photo, preprocess=False
        )
        moved = [loading]
        loading.failure(None, None, photo, js="() => [null]")
        if gallery is not None:
            picked = gallery.select(
                actions.pick_sample, None, entered, api_visibility="private", show_progress_on=gallery
            )
            moved.append(picked)
        change.click(
            actions.choose_again,
            None,
            entered,
            api_visibility="private",
            show_progress="hidden",
            show_progress_on=photo,
        )
        saving = save_mask.click(None, brush, layers, js=LAYERS)
        saving = saving.then(actions.save_mask, layers, saved_mask, api_name="save_mask", show_progress_on=save_mask)
        saving.success(None, saved_mask, None, js=DOWNLOAD)
        mask_file.upload(actions.load_mask, mask_file, brush, api_name="load_mask", show_progress_on=mask_file)
        using = again.click(actions.use_result, None, entered, api_name="use_result", show_progress_on=again)
        going = steps.select(actions.pick_step, None, entered, api_visibility="private", show_progress_on=steps)
        moved += [using, going]

        go.click(None, None, [go, stop], js=BUSY)
        painted = go.click(None, brush, layers, js=LAYERS)
        filling = painted.then(
            actions.fill,
            [layers, model],
            [slider, download, facts, waiting, result],
            inputs_kwargs=settings.inputs(),
            api_name="fill",
            concurrency_id="compute",
            concurrency_limit=1,
            show_progress_on=[waiting, slider],
            scroll_to_output=True,
        )
        for ended in (filling.then, filling.failure):
            ended(None, None, [go, stop], js=IDLE)
        for event in (*moved, filling):
            event.success(actions.steps, None, steps, api_visibility="private", show_progress="hidden", queue=False)
        stop.click(actions.stop, api_name="stop", queue=False, cancels=[filling])
        stop.click(None, None, [go, stop], js=IDLE)

        chosen = [model, settings.variant]
        for changed in (model.change, settings.variant.change, page.load):
            changed(actions.about, chosen, [about, get], api_visibility="private", show_progress="hidden", queue=False)
        model.change(
            actions.own_settings,
            chosen,
            [settings.steps, settings.guidance, settings.prompt, settings.plan],
            api_visibility="private",
            show_progress="hidden",
            queue=False,
        )
        get.click(None, None, [get, stop_getting], js=BUSY)
        getting = get.click(
            actions.fetch_weights,
            chosen,
            [about, get],
            api_name="fetch_weights",
            concurrency_id="fetch",
            concurrency_limit=1,
            show_progress_on=about,
        )
        getting.then(None, None, stop_getting, js=f"() => [{HIDE}]")
        getting.failure(None, None, [get, stop_getting], js=IDLE)
        stop_getting.click(actions.stop_fetching, api_visibility="private", queue=False)
        batch_page.wire(BatchActions(actions), many, panel, entered, layers, model, settings)
        selecting.wire(page, selecting.Selecting(actions), *select)
        compare_actions = CompareActions(actions)
        comparison.wire(page, compare_actions, brush, layers, choice, compared)
        page.load(None, js=INCOMING_JS)
        page.load(None, js=BRUSH_JS)
        page.load(None, js=SELECT_JS)
        page.unload(actions.leave)
        api.wire(api.Tools(actions, compare_actions))
    return page


def launch_options() -> dict:
    """What `launch` needs for the page besides an address."""
    return {
        "theme": theme.make_theme(),
        "css_paths": theme.STYLE,
        "max_file_size": photo_file.max_bytes(),
        # Gradio keeps the page's whole configuration for every visitor, 0.2 MB, and by default for the last 10,000
        "state_session_capacity": MOST_SESSIONS,
        "footer_links": [],
        "run_history": False,
        "show_error": True,  # what Gradio refuses by itself is told as well; our own errors are plain in any case
        "ssr_mode": False,
        "pwa": False,
        "mcp_server": True,
        "enable_monitoring": False,
    }


def _steps() -> gr.Gallery:
    """The original and its results, each to go back to."""
    return thumbnails(
        label="Earlier pictures",
        columns=5,
        object_fit="cover",
        format="jpeg",
        visible=False,
        elem_id="steps",
    )


def _gallery() -> gr.Gallery | None:
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
