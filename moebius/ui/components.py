"""The browser's side of the page: its scripts, what events run there, lists of pictures."""

from __future__ import annotations

from typing import Any

import gradio as gr

from moebius.files import packaged
from moebius.ui.gradio_internals import HIDE, SHOW

LAYERS = "async () => [await moebius.layers()]"
"""JavaScript: what is painted, sent to the server, as the value of a `gr.File`."""

OPEN = "(scene) => { moebius.open(scene); return []; }"
"""JavaScript: show the photo that came in; see `Actions._scene`."""

RESULT = "(files) => { moebius.result(files); return []; }"
"""JavaScript: show a result in place; the value of a `gr.File` of two, before and after."""

KNOWN = "(files) => { moebius.known(files); return []; }"
"""JavaScript: as `RESULT`, of a sample that was filled before; not over what the visitor has begun."""

STATIC = packaged("ui", "static")
SCRIPTS = (
    "mask.js",
    "view.js",
    "canvas.js",
    "tools.js",
    "toolbar.js",
    "server.js",
    "select.js",
    "proposal.js",
    "result.js",
    "incoming.js",
    "names.js",
    "vote.js",
)
"""Each a JavaScript function that adds its part to the page's one object; in this order."""


def page_script() -> str:
    """JavaScript for the page's start: the canvas with its tools, clicks that select, ways in for photos."""
    functions = [(STATIC / name).read_text(encoding="utf-8") for name in SCRIPTS]
    calls = "\n".join(f"({function.rstrip()})(page);" for function in functions)
    return (
        "() => { const start = () => {\n"
        'if (!document.querySelector("#canvas")) return requestAnimationFrame(start);\n'
        f"const page = {{}};\n{calls}\nwindow.moebius = page;\n}}; start(); }}"
    )


DOWNLOAD = """
(file) => { Object.assign(document.createElement("a"), {href: file.url, download: file.orig_name}).click(); return []; }
"""
"""JavaScript: hand over a `gr.File`'s file as a download."""

BUSY = f"() => {{ window.moebius?.busy(); return [{HIDE}, {SHOW}]; }}"
"""JavaScript for a pair of buttons, go and stop: the browser swaps them at once, also while the queue waits; and the
photo is not painted on meanwhile."""
IDLE = f"() => {{ window.moebius?.idle(); return [{SHOW}, {HIDE}]; }}"
STOPPED = f"() => {{ window.moebius?.stop(); return [{SHOW}, {HIDE}]; }}"

FETCHING, FETCHED = f"() => [{HIDE}, {SHOW}]", f"() => [{SHOW}, {HIDE}]"
"""The same for a download, beside which one may paint."""


def thumbnails(pictures: list | None = None, **options: Any) -> gr.Gallery:
    """Pictures of which a click chooses one."""
    fixed = {"show_label": False, "height": "auto", "allow_preview": False, "interactive": False, "buttons": []}
    return gr.Gallery(pictures, **fixed, **options)
