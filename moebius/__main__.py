"""The command line, `python -m moebius COMMAND`; the commands stand in `COMMANDS`.

Exit status 0; 1 where a command did its work but not all of it; 2 with one line on stderr for a user's mistake; 130
after Ctrl-C. Heavy imports stand inside the commands, so that help answers at once.
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
    """A mistake is one line on stderr, without the usage in front."""

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
    except RuntimeError as error:  # how torch says that memory is short, on every device
        if "memory" not in str(error).lower():
            raise
        return _fail(options.name, "not enough memory; try --device cpu, --dtype bfloat16 or fewer programs at once")
    try:
        print(json.dumps(report) if options.json else options.describe(report), flush=True)
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return report.get("exit_status", 0)


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
    """Warnings and log lines of libraries are not for the user of a command, who gets one line if it fails."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


if __name__ == "__main__":
    sys.exit(main())
