"""The command line, `python -m moebius COMMAND`; `COMMANDS` lists the commands.

Exit status 0; 1 if a command did only part of its work; 2, with one line on stderr, for a user's mistake; 3 if `edit`
was closed without saving; 130 after Ctrl-C. Heavy packages are imported inside the commands, so that help is shown at
once.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import NoReturn

from moebius import __version__
from moebius.commands import (
    batch,
    bench,
    compare,
    download,
    edit,
    export,
    inpaint,
    make_fills,
    models,
    select,
    serve,
    train,
    train_vae,
)

COMMANDS = {
    "serve": serve,
    "edit": edit,
    "inpaint": inpaint,
    "batch": batch,
    "select": select,
    "compare": compare,
    "models": models,
    "download": download,
    "export": export,
    "bench": bench,
    "train": train,
    "train-vae": train_vae,
    "make-fills": make_fills,
}


class OneLineParser(argparse.ArgumentParser):
    """Reports a mistake in one line on stderr, without the usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    options = build_parser().parse_args(argv)
    try:
        with nullcontext() if options.shows_log else _libraries_quiet():
            report = options.command(options)
    except KeyboardInterrupt as stop:
        print(str(stop) or "cancelled, nothing was written", file=sys.stderr)
        return 130
    except (ValueError, OSError, MemoryError) as error:
        return _fail(options.name, " ".join(str(error).split()) or type(error).__name__)
    except RuntimeError as error:  # torch reports missing memory in this way, on every device
        if "memory" not in str(error).lower():
            raise
        return _fail(options.name, "not enough memory; try --device cpu, --dtype bfloat16 or fewer programs at once")
    try:
        print(json.dumps(report) if options.json else options.describe(report), flush=True)
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return report.get("exit_status", 0)


def edit_one() -> int:
    """`moebius-edit PHOTO`, for programs that can only start a program with a file."""
    return main(["edit", *sys.argv[1:]])


def _fail(command: str, text: str) -> int:
    print(f"moebius {command}: {text}", file=sys.stderr)
    return 2


def build_parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="moebius",
        description="Fill holes in photos. `moebius serve` starts the page.",
        epilog="`moebius COMMAND --help` lists the options of a command.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(title="commands", dest="name", required=True, metavar="COMMAND [OPTIONS]")
    for command in COMMANDS.values():
        command.add(commands)
    parser.set_defaults(shows_log=False)
    return parser


@contextmanager
def _libraries_quiet() -> Iterator[None]:
    """Hide warnings and log lines of libraries: if a command fails, its user gets one line."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


if __name__ == "__main__":
    sys.exit(main())
