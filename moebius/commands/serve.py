"""`python -m moebius serve`: the page and the connectors. `app.py` runs the same on a Hugging Face Space."""

from __future__ import annotations

import argparse
from pathlib import Path

from moebius import environment, registry


def add(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "serve",
        help="start the page",
        description="Start the page that removes things from photos, and serve it until Ctrl-C. Other programs on "
        "this computer can use it too: docs/connectors.md lists them.",
    )
    host, queue = environment.GRADIO_SERVER_NAME, environment.MAX_QUEUE
    parser.add_argument("--host", help=f"address to listen on (default: {host.name}, else {host.default})")
    parser.add_argument("--port", type=int, metavar="N", help="default: the first free one from 7860")
    parser.add_argument("--share", action="store_true", help="also serve it at a public gradio.live address")
    parser.add_argument("--weights", type=Path, metavar="DIR", help="folder with Moebius's weights")
    parser.add_argument(
        "--models",
        nargs="+",
        choices=tuple(registry.MODELS),
        metavar="NAME",
        help=f"offer only these, out of {', '.join(registry.MODELS)} (default: all)",
    )
    parser.add_argument(
        "--max-queue",
        type=int,
        metavar="N",
        help=f"visitors who may wait; later ones see a 'busy' message (default: {queue.name}, else {queue.default})",
    )
    parser.set_defaults(command=run, describe=lambda report: "the page has stopped", json=False, shows_log=True)


def run(options: argparse.Namespace) -> dict:
    """Serve the page until it is stopped."""
    from moebius.connectors import front_of
    from moebius.ui.launch import Address, serve

    if options.models:
        registry.offer(options.models)
    address = Address(host=options.host, port=options.port, share=options.share, max_queue=options.max_queue)
    serve(address, options.weights, front_of)
    return {}
