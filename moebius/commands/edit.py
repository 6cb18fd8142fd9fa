"""`python -m moebius edit`: the page as another program's external editor."""

from __future__ import annotations

import argparse
from pathlib import Path


def add(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "edit",
        help="open one photo in the page for another program, and save over it",
        description="Open the page with PHOTO in the browser. 'Save and close' writes over the file, with its format, "
        "depth, profile and metadata, and ends with status 0. If the page is closed without saving, the file stays as "
        "it was, and the status is 3. docs/external-editor.md says how to set it up in other programs.",
    )
    parser.add_argument("photo", type=Path, metavar="PHOTO", help="a picture file")
    parser.add_argument("--port", type=int, metavar="N", help="default: the first free one from 7860")
    parser.add_argument("--weights", type=Path, metavar="DIR", help="folder with Moebius's weights")
    parser.add_argument(
        "--no-browser", dest="browser", action="store_false", default=True, help="print the page's address only"
    )
    parser.set_defaults(command=run, describe=describe, json=False, shows_log=True)


def run(options: argparse.Namespace) -> dict:
    """Serve the page for one file until it is saved or closed."""
    from moebius.ui.launch import NOT_SAVED, Address, edit

    saved = edit(options.photo, Address(host="127.0.0.1", port=options.port), options.weights, options.browser)
    return {"photo": str(options.photo), "saved": saved, "exit_status": 0 if saved else NOT_SAVED}


def describe(report: dict) -> str:
    return f"{report['photo']}: " + ("saved" if report["saved"] else "closed without saving; the file is as it was")
