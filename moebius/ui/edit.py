"""A photo that another program handed over: the page opens with it, and "Save and close" writes over the file."""

from __future__ import annotations

import threading
from pathlib import Path

import gradio as gr

from moebius.files import write_atomic
from moebius.photo.photo_file import Photo, read_file
from moebius.ui import photo_files
from moebius.ui.fill.actions import Actions
from moebius.ui.fill.page import PhotoPanel
from moebius.ui.handlers import Handlers, plain_errors, session_key
from moebius.ui.session import Session

GRACE_S = 5.0
"""After the last tab was closed, for one that is only loaded anew."""
ANSWER_S = 1.0
"""After saving, for the answer to reach the browser."""
OPEN_FIRST = """(scene) => {
    const start = () => (window.moebius ? moebius.open(scene) : requestAnimationFrame(start));
    start();
    return [];
}"""
"""JavaScript: `components.OPEN`, as soon as the page's script runs."""
SAVED = """() => {
    const said = document.createElement("div");
    said.textContent = "Saved. This tab can be closed.";
    said.style.cssText = "position: fixed; inset: 0; z-index: 1000; display: grid; place-content: center; "
        + "background: var(--body-background-fill); font-size: 1.5rem";
    document.body.append(said);
    window.close();
    return [];
}"""


class EditedFile:
    """The file, and whether it has been saved or left. Safe to use from several threads."""

    def __init__(self, path: Path, grace_s: float = GRACE_S) -> None:
        """Raises PhotoError: it is no photo that can be opened."""
        self.path, self._grace_s = path, grace_s
        self.photo: Photo = photo_files.open_photo(path)
        self.saved = False
        self._tabs: set[str] = set()
        self._ended, self._lock = threading.Event(), threading.Lock()
        self._timer: threading.Timer | None = None

    def enter(self, tab: str, session: Session) -> None:
        """Give a tab the photo."""
        session.keep_photo(self.photo.data, self.photo.name, self.photo.size)
        with self._lock:
            self._tabs.add(tab)
            if self._timer:
                self._timer.cancel()

    def leave(self, tab: str) -> None:
        """A tab was closed; after the last one nothing is waited for."""
        with self._lock:
            self._tabs.discard(tab)
            if not self._tabs:
                self._end_in(self._grace_s)

    def save(self, session: Session) -> None:
        """Write what a tab shows over the file, whole or not at all.

        Raises:
            ValueError: the tab shows another photo, or another program has changed the file meanwhile.
        """
        if not session.steps or session.steps[0].path.read_bytes() != self.photo.data:
            raise ValueError(f"this page shows another photo than {self.path.name}; download it instead")
        if read_file(self.path) != self.photo.data:
            raise ValueError(f"{self.path.name} was changed by another program meanwhile; download the result instead")
        data = session.shown.path.read_bytes()
        if data != self.photo.data:
            try:
                write_atomic(self.path, data)
            except OSError as error:
                raise ValueError(f"{self.path.name} cannot be written: {error.strerror or error}") from error
        self.saved = True
        self._end_in(ANSWER_S)

    def wait(self) -> None:
        """Until it is saved or left."""
        self._ended.wait()

    def _end_in(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self._ended.set)
        self._timer.daemon = True
        self._timer.start()


class EditActions(Handlers):
    """Shares visitors and options with the rest of the page."""

    def __init__(self, actions: Actions, file: EditedFile) -> None:
        super().__init__(actions.options, actions.sessions)
        self._actions, self._file = actions, file

    @plain_errors
    def open(self, request: gr.Request) -> dict:
        """The file's photo for the canvas of a tab."""
        self._file.enter(session_key(request), self._session(request))
        return self._actions.go_to(0, request)

    @plain_errors
    def save(self, request: gr.Request) -> None:
        """Write what the tab shows over the file."""
        self._file.save(self._session(request))

    def leave(self, request: gr.Request) -> None:
        """The tab was closed."""
        self._actions.leave(request)
        self._file.leave(session_key(request))


def save_button() -> gr.Button:
    with gr.Row():
        return gr.Button(
            "Save and close", variant="primary", size="sm", scale=0, min_width=200, elem_id="save-and-close"
        )


def wire_edit(page: gr.Blocks, actions: EditActions, photo: PhotoPanel, save: gr.Button) -> None:
    opening = page.load(actions.open, None, photo.scene, api_visibility="private", show_progress="hidden", queue=False)
    opening.success(None, photo.scene, None, js=OPEN_FIRST)
    saving = save.click(actions.save, None, None, api_visibility="private", queue=False)
    saving.success(None, None, None, js=SAVED)
    page.unload(actions.leave)
