"""The click that selects an object: what happens behind it, and its part of the page."""

from __future__ import annotations

import math
import weakref
from dataclasses import dataclass

import gradio as gr
import numpy as np

from moebius import environment, segment
from moebius.progress import Cancelled
from moebius.ui import editor, photo_files, queue, zerogpu
from moebius.ui.components import FETCHED, FETCHING
from moebius.ui.fill import html
from moebius.ui.fill.actions import Actions
from moebius.ui.gradio_internals import HIDE
from moebius.ui.handlers import Handlers, Stoppable, plain_errors
from moebius.ui.session import Session
from moebius.units import file_size
from moebius.weights import catalog, hub, locate, segmenter

MAX_EMBEDDINGS = 8
"""Visitors whose photo's embedding is kept, 17 MB each; who clicked longest ago waits for a new one."""

MAX_LEVEL = 2
"""Of the network's three masks the most steps from one to another."""


class SelectActions(Handlers):
    """Shares visitors and options with the rest of the page."""

    def __init__(self, actions: Actions) -> None:
        super().__init__(actions.options, actions.sessions)
        self._recent: list[weakref.ref[Session]] = []

    @plain_errors
    def select(
        self,
        x: float,
        y: float,
        right: float | None,
        bottom: float | None,
        level: float | None,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - how Gradio recognises it
    ) -> str:
        """The object at a place of the photo, or in a box, as a mask; nothing is remembered of it.

        Args:
            x: 0 at the photo's left edge, 1 at its right one.
            y: 0 at the upper edge, 1 at the lower one.
            right: with `bottom`, the corner of the box that begins at x and y; None: it is a click.
            level: -2 to 2: a smaller or larger thing there, see `segment.Selector.predict`; None: 0.

        Returns:
            A PNG of the canvas's size, which is the photo's or a smaller one of its shape; white = object.
        """
        place = [x, y] if right is None and bottom is None else [x, y, right, bottom]
        if not all(isinstance(one, int | float) and math.isfinite(one) and 0 <= one < 1 for one in place):
            raise ValueError(
                "the place must be two numbers from 0 to below 1, or four for a box: shares of the photo's width and "
                "height"
            )
        if level is not None and level not in range(-MAX_LEVEL, MAX_LEVEL + 1):
            raise ValueError(f"level must be a whole number from -{MAX_LEVEL} to {MAX_LEVEL}, got {level:g}")
        session = self._session(request)
        if session.photo is None:
            raise ValueError("choose a photo first")
        report = Stoppable(progress, session, "select", environment.MAX_SECONDS.read())
        mask = self._mask(session, place, int(level or 0), report)
        path = session.folder / "selected.png"
        path.write_bytes(segment.mask_png(mask))
        return str(path)

    def _mask(self, session: Session, place: list[float], level: int, report: Stoppable) -> np.ndarray:
        """Without a margin: the fill grows every mask that was made on the canvas."""
        files = self._files()
        with queue.take(report):
            report(0.0, "Loading what selects objects")
            selector = segment.load(files, device())
            embedding = self._embedding(session, selector, report)
            width, height = embedding.size
            size = editor.bounded(embedding.size, editor.PREVIEW_SIDE)
            corners = [share * side for share, side in zip(place, (width, height) * 2, strict=False)]
            if len(corners) == 2:
                return selector.predict(embedding, [(corners[0], corners[1])], 0, size, level)
            left, top, right, bottom = corners
            return selector.predict_box(embedding, (left, top, right, bottom), 0, size, level)

    def _embedding(self, session: Session, selector: segment.Selector, report: Stoppable) -> segment.ImageEmbedding:
        """Of the visitor's photo: from before, if it is the same one."""
        file = session.photo.stat()
        photo = (session.photo, file.st_mtime_ns, file.st_size, id(selector))
        if session.embedding is None or session.embedding[0] != photo:
            report(0.2, "Looking at the photo, once")
            session.embedding = photo, selector.embed(photo_files.open_photo(session.photo, session.name).raster)
        self._recent = [one for one in self._recent if one() and one() is not session] + [weakref.ref(session)]
        while len(self._recent) > MAX_EMBEDDINGS:
            if oldest := self._recent.pop(0)():
                oldest.embedding = None
        return session.embedding[1]

    def _files(self) -> segmenter.SegmenterFiles:
        return segment.locate_weights(self.options.weights)

    # ---- weights ----

    def about(self) -> tuple[str, dict]:
        """How it is done, or why it cannot be; and the button that gets the weights where they are missing."""
        try:
            self._files()
        except ValueError as error:
            named = locate.segmenter_folder(self.options.weights) is not None
            why = str(error) if named else "its weights are not here yet"
            return html.select_line(why), gr.update(visible=not named and not environment.SPACE_ID.read())
        return html.select_line(""), gr.update(visible=False)

    @plain_errors
    def fetch(
        self,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple:
        """Download the weights into the Hugging Face cache; returns what `about` does."""
        if environment.SPACE_ID.read():
            raise ValueError("only the host of this Space can download weights")
        try:
            hub.fetch(progress=Stoppable(progress, self._session(request), "fetch"), network="select")
        except Cancelled:
            gr.Info("Stopped. Files that are complete are kept for the next time.")
        return self.about()

    def stop_fetching(self, request: gr.Request) -> None:
        self._session(request).stop("fetch")


def device() -> str | None:
    """None: the best there is. On ZeroGPU the page's own process has no GPU."""
    return "cpu" if zerogpu.is_available() else None


@dataclass(frozen=True)
class SelectPanel:
    """What is seen below the canvas while clicks select: how, and the buttons that get the weights and stop that."""

    line: gr.HTML
    get: gr.Button
    stop: gr.Button


def select_panel() -> SelectPanel:
    with gr.Column(elem_id="select-panel"):
        line = gr.HTML(elem_id="select-line", padding=False)
        gr.HTML(html.SELECTED, padding=False)
        published = catalog.SEGMENTER
        label = f"Get {published.title} ({file_size(published.download_bytes)}, {published.license})"
        get = gr.Button(label, visible=False, size="sm", elem_id="select-get")
        stop = gr.Button("Stop the download", visible=False, size="sm")
    return SelectPanel(line, get, stop)


def wire_select(page: gr.Blocks, actions: SelectActions, panel: SelectPanel) -> None:
    """select.js presses the hidden button, and takes the mask."""
    line, get, stop = panel.line, panel.get, panel.stop
    ask = gr.Button("Select", visible="hidden", elem_id="select-ask")
    place = [gr.Number(visible="hidden", label=name) for name in ("x", "y", "right", "bottom", "level")]
    found = gr.File(visible="hidden", label="Selected")
    asking = ask.click(
        actions.select,
        place,
        found,
        js="() => moebius.select.place()",
        api_name="select",
        **queue.IN_TURN,
        show_progress_on=line,
    )
    asking.success(None, found, None, js="(file) => { moebius.select.found(file); return []; }")
    asking.failure(None, None, None, js="() => { moebius.select.failed(); return []; }")

    page.load(actions.about, None, [line, get], api_visibility="private", show_progress="hidden", queue=False)
    get.click(None, None, [get, stop], js=FETCHING)
    getting = get.click(
        actions.fetch,
        None,
        [line, get],
        api_name="fetch_selector",
        concurrency_id="fetch",
        concurrency_limit=1,
        show_progress_on=line,
    )
    getting.then(None, None, stop, js=f"() => [{HIDE}]")
    getting.failure(None, None, [get, stop], js=FETCHED)
    stop.click(actions.stop_fetching, api_visibility="private", queue=False)
