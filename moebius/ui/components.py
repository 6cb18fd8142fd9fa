"""The image editor as a brush and nothing else, and the browser's side of buttons."""

from __future__ import annotations

import gradio as gr

from moebius.files import packaged
from moebius.ui.editor import TINT
from moebius.ui.gradio_internals import HIDE, SHOW

BRUSH = f"rgba({TINT[0]}, {TINT[1]}, {TINT[2]}, {TINT[3] / 255:.2f})"

LAYERS = "(value) => [value?.layers ?? []]"
"""JavaScript: of the editor's value only the uploaded layers."""

STATIC = packaged("ui", "static")
SCRIPTS = ("gradio_editor.js", "brush.js", "select.js", "incoming.js")
"""Each a JavaScript function; the first takes the tint of masks."""


def page_script() -> str:
    """JavaScript for the page's start: what Gradio's editor lacks, clicks that select, other ways in for photos."""
    functions = [(STATIC / name).read_text(encoding="utf-8") for name in SCRIPTS]
    first, *others = [f"({function})" for function in functions]
    return "() => {" + "\n".join([f"{first}({list(TINT)});", *(f"{one}();" for one in others)]) + "}"


DOWNLOAD = """
(file) => { Object.assign(document.createElement("a"), {href: file.url, download: file.orig_name}).click(); return []; }
"""
"""JavaScript: hand over a `gr.File`'s file as a download."""

BUSY = f"() => [{HIDE}, {SHOW}]"
"""JavaScript for a pair of buttons, go and stop: the browser swaps them at once, also while the queue waits."""
IDLE = f"() => [{SHOW}, {HIDE}]"


def mask_editor(**options) -> gr.ImageEditor:
    """An image editor with a brush of one colour.

    It must be neither an input nor a place for progress of an event that runs on the server: with every change of
    a status Gradio asks such a component for its value, and this one uploads all its pictures each time. A
    JavaScript event (`LAYERS`) hands its layers to a `gr.File`, and that is the input.

    The first canvas is tiny because a layer that comes with a picture smaller than it would be put off centre.
    """
    return gr.ImageEditor(
        format="png",
        sources=[],
        transforms=[],
        layers=False,
        canvas_size=(16, 16),
        brush=gr.Brush(colors=[BRUSH], default_color=BRUSH, color_mode="fixed"),
        **options,
    )


def thumbnails(pictures: list | None = None, **options) -> gr.Gallery:
    """Pictures of which a click chooses one."""
    fixed = {"show_label": False, "height": "auto", "allow_preview": False, "interactive": False, "buttons": []}
    return gr.Gallery(pictures, **fixed, **options)
