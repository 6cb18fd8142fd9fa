"""The page: `python app.py`, then open the address that it prints. On a Hugging Face Space this file is what runs."""

from __future__ import annotations

import argparse
import atexit
import logging
import shutil
import signal
import sys
import threading
from pathlib import Path

from moebius import environment


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Serve the page that takes things out of photos.")
    parser.add_argument("--host", default=environment.GRADIO_SERVER_NAME.read(), help="default: %(default)s")
    parser.add_argument("--port", type=int, help="default: the first free one from 7860")
    parser.add_argument("--share", action="store_true", help="also serve it at a public gradio.live address")
    parser.add_argument("--weights", type=Path, metavar="DIR", help="folder with Moebius weights")
    parser.add_argument(
        "--max-queue",
        type=int,
        default=environment.MAX_QUEUE.read(),
        metavar="N",
        help="most waiting visitors (%(default)s)",
    )
    return parser.parse_args(argv)


def fetch_weights() -> None:
    """For a Space: get the weights while the page already answers."""
    from moebius.weights import WeightsError, hub

    log = logging.getLogger("moebius")
    try:
        log.info("Moebius's weights: %s", hub.fetch().where)
    except WeightsError as error:
        log.warning("%s", error)


def keep_files_private() -> None:
    """A folder of the page's own for what visitors send, gone when it ends; before that, those of pages that were
    killed."""
    from moebius.ui import session

    if gone := session.clear_abandoned():
        logging.getLogger("moebius").info("deleted what earlier pages left: %d folders", len(gone))
    if environment.GRADIO_TEMP_DIR.read() is None:
        folder = session.private_folder()
        environment.GRADIO_TEMP_DIR.set(str(folder))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # as containers are stopped; else nothing is cleaned up


def main(argv: list[str] | None = None) -> None:
    try:
        environment.check()  # a mistake in a variable is reported now, not to the first visitor
    except environment.VariableError as error:
        raise SystemExit(f"app.py: {error}") from error
    options = parse(argv)
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("moebius").setLevel(logging.INFO)
    environment.GRADIO_ANALYTICS_ENABLED.set_default("False")
    keep_files_private()
    if environment.SPACE_ID.read():  # strangers' pictures go from here into the world
        environment.MARK.set_default("1")

    from moebius.registry import LoadOptions
    from moebius.ui import gradio_internals, zerogpu
    from moebius.ui.page import build_app, launch_options

    fetching = threading.Thread(target=fetch_weights, daemon=True)
    if environment.FETCH.read() and options.weights is None:
        fetching.start()
    if zerogpu.is_available():  # there models are loaded before the page starts, or never
        if fetching.ident:
            fetching.join()
        zerogpu.start(LoadOptions(weights=options.weights))
    gradio_internals.keep_no_analytics()
    page = build_app(options.weights).queue(max_size=options.max_queue)
    page.launch(server_name=options.host, server_port=options.port, share=options.share, **launch_options())


if __name__ == "__main__":
    main()
