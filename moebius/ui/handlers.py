"""What all handlers of the page share: the visitor, the painted hole, stopping, errors in plain words."""

from __future__ import annotations

import functools
import inspect
import logging
import math
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from moebius import devices, registry
from moebius.masking.grow import grow_by_share
from moebius.photo import ai_mark, images, photo_file
from moebius.progress import Cancelled
from moebius.ui import editor, photo_files
from moebius.ui.html import without_folders
from moebius.ui.session import Session, Sessions

log = logging.getLogger(__name__)

WORTH_SAYING_S = 5
"""What takes longer than this gets an estimate."""
MAX_LAYERS = 16
"""Of a painted mask: the page sends one, a script may send a few."""


class Handlers:
    """Files are found through the visitor's session only, never through a request's path."""

    def __init__(self, options: registry.LoadOptions, sessions: Sessions) -> None:
        self.options, self.sessions = options, sessions

    def _session(self, request: gr.Request) -> Session:
        return self.sessions.get(session_key(request))

    def _photo(self, request: gr.Request) -> tuple[Session, photo_file.Photo]:
        session = self._session(request)
        if session.photo is None:
            raise ValueError("choose a photo first")
        return session, photo_files.open_photo(session.photo, session.name)

    def _painted(self, layers: list[str] | None, request: gr.Request) -> tuple[photo_file.Photo, np.ndarray]:
        """The photo and its hole, (H, W) bool, not empty.

        `layers`: pictures of the painted mask at any size, see `editor.strokes`; Gradio has checked their paths.
        """
        painted = self._strokes(layers)
        session, photo = self._photo(request)
        mask = editor.full_mask(painted, session.mask(), photo.size)
        if not mask.any():
            raise ValueError("nothing is painted yet; paint over what should go, then try again")
        return photo, mask

    def _hole(
        self, layers: list[str] | None, grow_percent: float, request: gr.Request
    ) -> tuple[photo_file.Photo, np.ndarray, tuple[str, ...]]:
        """As `_painted`, with the mask grown by a share of its size, and notes. A mask file is filled as it is."""
        photo, mask = self._painted(layers, request)
        given = self._session(request).mask()
        if given is not None and np.array_equal(given, mask):
            return photo, mask, ()
        return photo, *grow_by_share(mask, grow_percent / 100)

    def _strokes(self, layers: list[str] | None) -> np.ndarray | None:
        """What is painted, (h, w) bool at the layers' size; None where there is no layer."""
        layers = layers or []
        if len(layers) > MAX_LAYERS:
            raise ValueError(f"the mask has {len(layers)} layers; at most {MAX_LAYERS} are taken")
        # Gradio hands records over where an event is not preprocessed; it has checked their paths as well
        paths = [Path(layer["path"] if isinstance(layer, dict) else layer) for layer in layers]
        rasters = [photo_files.open_photo(path).raster for path in paths]
        return editor.strokes([one if isinstance(one, Image.Image) else images.to_8bit(one) for one in rasters])

    def _mark(self, model: str, card: registry.ModelCard) -> str | None:
        """What the file says of how it was made; None: nothing. A mode that was chosen by name is always said."""
        return ai_mark.mark_of(card.learned) if card.mode and model == card.name else ai_mark.chosen(card.learned)

    def _options(self, variant: str, plan: str = "") -> registry.LoadOptions:
        return replace(self.options, variant=variant or None, plan=plan or None)


class TooLong(ValueError):
    """A visitor's time is up."""


def session_key(request: gr.Request) -> str:
    """The browser tab's. ValueError for a request that has none."""
    if not request.session_hash:
        raise ValueError("this needs a session; open the page, or use gradio_client")
    return request.session_hash


class Stoppable:
    """Progress for the page. Raises `Cancelled` once the visitor has stopped this run, and `TooLong` after `max_s`."""

    def __init__(self, progress: gr.Progress, session: Session, task: str, max_s: float = math.inf) -> None:
        self._progress, self._stopped, self._max_s = progress, session.begin(task), max_s
        self.start()

    def start(self) -> None:
        """The seconds count from now."""
        self._began, self._last = time.monotonic(), 0.0
        self._ends = self._began + self._max_s

    @contextmanager
    def paused(self) -> Iterator[None]:
        """The seconds in here do not count."""
        began = time.monotonic()
        try:
            yield
        finally:
            self._ends += time.monotonic() - began

    def waiting(self, text: str) -> None:
        """Nothing is done now, but the visitor may stop it."""
        if self._stopped.is_set():
            raise Cancelled
        self._progress(0.0, desc=text)

    def __call__(self, share: float, text: str) -> None:
        if self._stopped.is_set():
            raise Cancelled
        if time.monotonic() > self._ends:
            raise TooLong(
                f"this took longer than the {self._max_s:g} s that one visitor may take here; "
                "choose fewer steps or a faster model"
            )
        self._progress(share, desc=text + self._left(share))

    def _left(self, share: float) -> str:
        """How long it will take, once that can be guessed and is worth saying."""
        now = time.monotonic()
        if share < self._last or share <= 0:  # a new part begins
            self._began = now
        self._last = share
        return time_left(now - self._began, share)


def time_left(passed_s: float, share: float) -> str:
    """Words for the end of a sentence; empty where too little is done for a guess, or the whole is short.

    `share`: 0 to 1, what is done after `passed_s` seconds.
    """
    if share < 0.05 or passed_s < 1 or share >= 1:
        return ""
    left_s = passed_s * (1 - share) / share
    if passed_s + left_s < WORTH_SAYING_S:
        return ""
    return (
        f", about {round(left_s / 60)} min left" if left_s >= 100 else f", about {max(5, 5 * round(left_s / 5))} s left"
    )


# ---- errors ----


def plain_errors(action: Callable) -> Callable:
    """Errors of the library become a message in the page; anything unexpected is logged, and reported without details.

    `action`: a function, or a generator function, whose errors may come at any step.
    """

    @functools.wraps(action)
    def call(*args: Any, **kwargs: Any) -> Any:
        with _reported(action.__name__):
            return action(*args, **kwargs)

    @functools.wraps(action)
    def step(*args: Any, **kwargs: Any) -> Iterator[Any]:
        with _reported(action.__name__):
            yield from action(*args, **kwargs)

    return step if inspect.isgeneratorfunction(action) else call


@contextmanager
def _reported(name: str) -> Iterator[None]:
    try:
        yield
    except gr.Error:
        raise
    except ValueError as error:
        raise _without_locals(_error_message(str(error)), error) from error
    except MemoryError as error:
        message = str(error) or "There is not enough memory for this photo. Try a smaller one."
        raise _without_locals(_error_message(message), error) from error
    except Exception as error:
        log.exception("%s failed", name)
        message = "Something went wrong on the server. Please try again."
        raise _without_locals(_error_message(message), error) from error
    finally:
        devices.trim()  # photos were freed: in a server with threads glibc would keep hundreds of megabytes


def _without_locals(message: gr.Error, error: BaseException | None) -> gr.Error:
    """`message`, after the functions in which `error` was raised have let go of their photos: Gradio keeps errors."""
    while error:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
    return message


def _error_message(message: str) -> gr.Error:
    public = without_folders(message)
    if public != message:
        log.warning("%s", message)  # whoever runs the page may know the folder
    message = public
    first = message.split(" ", 1)[0]
    if "." not in first:  # not a file's name
        message = message[:1].upper() + message[1:]
    stays = None if "`" in message else 10  # a command to copy stays until it is closed
    return gr.Error(escape(message, quote=False), title="That did not work", print_exception=False, duration=stays)
