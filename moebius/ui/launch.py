"""Start the page and serve it until it is stopped, on one's own computer or on a Hugging Face Space."""

from __future__ import annotations

import atexit
import logging
import shutil
import signal
import sys
import threading
import webbrowser
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from moebius import environment

if TYPE_CHECKING:
    from starlette.types import ASGIApp

log = logging.getLogger("moebius")

SPACE_MAX_SECONDS = "300"
"""MOEBIUS_MAX_SECONDS on a Space where nobody has set it."""


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where the page is served, and to how many."""

    host: str | None = None
    """None: `GRADIO_SERVER_NAME`."""
    port: int | None = None
    """None: the first free one from 7860."""
    share: bool = False
    """Also at a public gradio.live address."""
    max_queue: int | None = None
    """Visitors who may wait. None: `MOEBIUS_MAX_QUEUE`."""

    @property
    def listens_on(self) -> str:
        return environment.GRADIO_SERVER_NAME.read() if self.host is None else self.host

    @property
    def max_waiting(self) -> int:
        return environment.MAX_QUEUE.read() if self.max_queue is None else self.max_queue


Front = Callable[["ASGIApp"], "ASGIApp"]
"""Makes of the page an application that stands in front of it."""


def serve(
    address: Address,
    weights: Path | None = None,
    connect: Callable[[Address, Path | None], Front | None] = lambda address, weights: None,
) -> None:
    """Serve the page until Ctrl-C or SIGTERM.

    Args:
        weights: as `registry.LoadOptions.weights`.
        connect: gives what is served on the page's port besides the page, if anything.

    Raises:
        ValueError: a variable holds something that it may not, or there are no weights where they were named. It is
            reported here, not to the first visitor.
        OSError: the port is taken.
    """
    environment.check()
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    log.setLevel(logging.INFO)
    environment.GRADIO_ANALYTICS_ENABLED.set_default("False")
    _keep_files_private()
    if environment.SPACE_ID.read():  # strangers' pictures go from here into the world, and one waits for the other
        environment.MARK.set_default("1")
        environment.FETCH.set_default("1")
        environment.MAX_SECONDS.set_default(SPACE_MAX_SECONDS)

    from moebius.patchmatch import compile as kernels
    from moebius.photo.worker import MAX_PROCESSES
    from moebius.registry import AUTO, LoadOptions, resolve
    from moebius.ui import gradio_internals, photo_files, zerogpu
    from moebius.ui.page import build_app, launch_options

    resolve(AUTO, LoadOptions(weights=weights))  # a folder of weights that does not fit ends it here
    kernels.start(apart=True)  # no visitor's first fill waits for it
    fetching = threading.Thread(target=_fetch_weights, daemon=True)
    if environment.FETCH.read() and weights is None:
        fetching.start()
    if zerogpu.is_available():  # there models are loaded before the page starts, or never
        if fetching.ident:
            fetching.join()
        zerogpu.start(LoadOptions(weights=weights))
    gradio_internals.keep_no_analytics()
    photo_files.WORKERS.start()
    front = connect(address, weights)
    # actions that compute say themselves that they go one at a time; a file that is slow to open stops no other
    page = build_app(weights).queue(max_size=address.max_waiting, default_concurrency_limit=MAX_PROCESSES)
    page.launch(
        server_name=address.listens_on,
        server_port=address.port,
        share=address.share,
        _app=gradio_internals.app_behind(front) if front else None,
        **launch_options(),
    )


NOT_SAVED = 3
"""Exit status of `edit` where nothing was saved."""


def edit(photo: Path, address: Address, weights: Path | None = None, browser: bool = True) -> bool:
    """Serve the page for one file until it is saved or closed; whether it was saved.

    Args:
        weights: as `registry.LoadOptions.weights`.
        browser: open it in the browser; Gradio prints its address in any case.

    Raises:
        ValueError: as `serve`; the file is no photo.
        OSError: the port is taken.
    """
    environment.check()
    environment.GRADIO_ANALYTICS_ENABLED.set_default("False")
    _keep_files_private()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(NOT_SAVED))  # not 0, which says that the file is ready

    from moebius.patchmatch import compile as kernels
    from moebius.ui import gradio_internals
    from moebius.ui.edit import EditedFile
    from moebius.ui.page import build_app, launch_options

    file = EditedFile(photo)
    kernels.start(apart=True)
    gradio_internals.keep_no_analytics()
    page = build_app(weights, file).queue(max_size=address.max_waiting)
    page.launch(server_name=address.listens_on, server_port=address.port, prevent_thread_lock=True, **launch_options())
    try:
        if browser:
            webbrowser.open(page.local_url)
        file.wait()
    finally:
        page.close()
    return file.saved


def _fetch_weights() -> None:
    """For a Space: get the weights while the page already answers."""
    from moebius.weights import WeightsError, hub

    try:
        log.info("Moebius's weights: %s", hub.fetch().where)
    except WeightsError as error:
        log.warning("%s", error)


def _keep_files_private() -> None:
    """Keep what visitors send in a folder of the page's own, which is deleted when the page ends.

    What killed pages left behind is deleted first.
    """
    from moebius.ui import session

    if gone := session.clear_abandoned():
        log.info("deleted what earlier pages left: %d folders", len(gone))
    if environment.GRADIO_TEMP_DIR.read() is None:
        folder = session.private_folder()
        environment.GRADIO_TEMP_DIR.set(str(folder))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # how containers are stopped; else nothing is cleaned up
