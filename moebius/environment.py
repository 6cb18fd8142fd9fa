"""All environment variables that are read: name, type, default and purpose of each.

A variable is read where it is needed, when it is needed, by `MAX_PIXELS.read()` and the like; never while a module is
imported. The table in docs/hosting.md is made from this file:
`python -c "import sys; from moebius import environment; sys.stdout.write(environment.markdown())"`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class VariableError(ValueError):
    """A variable has an invalid value; the message names the variable, the value and what is allowed."""


@dataclass(frozen=True, kw_only=True)
class Variable(Generic[T]):
    """One environment variable. An empty one, or one of spaces, counts as not set."""

    name: str
    parse: Callable[[str], T]
    """Converts its text, stripped of spaces. Raises ValueError or KeyError if the text is not allowed."""
    allowed: str
    """What is allowed, as it follows "must be"."""
    default: T
    purpose: str
    """One line of the table."""
    needed_by: str = "all"
    """Which part of the program reads it: `all`, `page` or `download`."""
    default_text: str = ""
    """The default in the table; empty: `default` itself."""
    experimental: bool = False
    """For what has not been tested yet: not in the table, but in benchmarks/waiting-for-gpu.md."""

    def read(self) -> T:
        """Its value now.

        Raises:
            VariableError: its text is not allowed.
        """
        text = os.environ.get(self.name, "").strip()
        if not text:
            return self.default
        try:
            return self.parse(text)
        except (ValueError, KeyError) as error:
            raise VariableError(f"{self.name} must be {self.allowed}, not {text!r}") from error

    def __str__(self) -> str:
        return self.name

    def set(self, text: str) -> None:
        """Set it for the rest of this process and for its child processes."""
        os.environ[self.name] = text

    def set_default(self, text: str) -> None:
        """As `set`, unless it is set already."""
        os.environ.setdefault(self.name, text)


_NEEDED = ("PATH", "LANG", "TZ", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
_NEEDED_BEGINNINGS = ("LC_", "PYTHON", "OMP_")


def few() -> dict[str, str]:
    """All that a Python process needs that is to know nothing else of us."""
    needed = (name for name in os.environ if name.upper() in _NEEDED or name.startswith(_NEEDED_BEGINNINGS))
    return {name: os.environ[name] for name in needed}


# ---- kinds ----


def _whole(name: str, default: int, purpose: str, least: int = 1, **more: Any) -> Variable[int]:
    """A whole number from `least`; 1_000 is allowed, too."""

    def parse(text: str) -> int:
        if (number := int(text)) < least:
            raise ValueError
        return number

    allowed = f"a whole number from {least}"
    return Variable(name=name, parse=parse, allowed=allowed, default=default, purpose=purpose, **more)


def _seconds(name: str, purpose: str, **more: Any) -> Variable[float]:
    def parse(text: str) -> float:
        if not (seconds := float(text)) > 0:  # not even NaN passes
            raise ValueError
        return seconds

    allowed = "a positive number of seconds"
    return Variable(name=name, parse=parse, allowed=allowed, default=math.inf, purpose=purpose, **more)


def _switch(name: str, purpose: str, **more: Any) -> Variable[bool]:
    parse = {"1": True, "0": False}.__getitem__
    return Variable(
        name=name, parse=parse, allowed="1 or 0", default=False, purpose=purpose, **{"default_text": "0"} | more
    )


def _folder(name: str, purpose: str, default_text: str, **more: Any) -> Variable[Path | None]:
    def parse(text: str) -> Path:
        return Path(text).expanduser()

    facts: dict[str, Any] = {"allowed": "a folder", "default": None, "default_text": default_text} | more
    return Variable(name=name, parse=parse, purpose=purpose, **facts)


def _text(name: str, default: str, purpose: str, **more: Any) -> Variable[str]:
    return Variable(name=name, parse=str, allowed="a text", default=default, purpose=purpose, **more)


def _choice(name: str, choices: tuple[str, ...], purpose: str, **more: Any) -> Variable[str]:
    """One of several words; "" where it is not set."""
    parse = {choice: choice for choice in choices}.__getitem__
    allowed = f"one of {', '.join(choices)}"
    return Variable(name=name, parse=parse, allowed=allowed, default="", purpose=purpose, **more)


# ---- ours ----

MAX_PIXELS = _whole(
    "MOEBIUS_MAX_PIXELS", 128_000_000, "largest picture that is opened, in pixels", default_text="128 million"
)
MAX_BYTES = _whole("MOEBIUS_MAX_BYTES", 256 * 2**20, "largest file that is opened, in bytes", default_text="256 MiB")
MAX_SECONDS = _seconds(
    "MOEBIUS_MAX_SECONDS",
    "longest fill or comparison; of many photos, each",
    default_text="no limit, but 300 on a Space",
    needed_by="page",
)
MAX_BATCH = _whole(
    "MOEBIUS_MAX_BATCH", 200, "photos of one visitor under Many photos, and as many masks", needed_by="page"
)
MAX_BATCH_BYTES = _whole(
    "MOEBIUS_MAX_BATCH_BYTES", 4 * 2**30, "bytes of these photos and masks", default_text="4 GiB", needed_by="page"
)
MAX_QUEUE = _whole("MOEBIUS_MAX_QUEUE", 20, "visitors who wait; later visitors see a 'busy' message", needed_by="page")
MARK = _switch(
    "MOEBIUS_MARK",
    "1: results say in their metadata that a model edited them",
    default_text="0, but 1 for the page on a Space",
)
FETCH = _switch(
    "MOEBIUS_FETCH",
    "1: download Moebius's weights at the start",
    default_text="0, but 1 on a Space",
    needed_by="page",
)
CONNECTORS = _choice(
    "MOEBIUS_CONNECTORS",
    ("1", "0"),
    "1: programs may use IOPaint's and RapidRAW's HTTP requests on the page's port",
    default_text="1 where only this computer reaches the page, else 0",
    needed_by="page",
)
CONNECTOR_ORIGINS = _text(
    "MOEBIUS_CONNECTOR_ORIGINS",
    "",
    "origins whose web pages may use them too, such as `https://example.org`, with spaces between",
    default_text="none",
    needed_by="page",
)
RESULTS = _folder(
    "MOEBIUS_RESULTS",
    "folder with evaluations for the Results tab",
    "`results`",
    default=Path("results"),
    needed_by="page",
)
VOTE = _switch(
    "MOEBIUS_VOTE",
    "1: the page has a Vote tab, for a blind vote on fills that `python -m eval vote` prepared in this folder",
    needed_by="page",
)
WEIGHTS = _folder("MOEBIUS_WEIGHTS", "folder with Moebius's weights", "the Hugging Face cache")
PIXELHACKER_WEIGHTS = _folder(
    "MOEBIUS_PIXELHACKER_WEIGHTS", "folder with PixelHacker's weights", "the Hugging Face cache"
)
FLUX_FILL_WEIGHTS = _folder(
    "MOEBIUS_FLUX_FILL_WEIGHTS", "folder with the weights of FLUX.1 Fill [dev]", "the Hugging Face cache"
)
SELECT_WEIGHTS = _folder(
    "MOEBIUS_SELECT_WEIGHTS", "folder with the network that selects objects", "the Hugging Face cache"
)
REVISION = _text(
    "MOEBIUS_REVISION", "main", "branch, tag or commit of the weights", default_text="`main`", needed_by="download"
)
AUTOENCODER_REVISION = _text(
    "MOEBIUS_AUTOENCODER_REVISION", "main", "the same for the autoencoder", default_text="`main`", needed_by="download"
)
HOSTED = _switch(
    "MOEBIUS_HOSTED",
    "1: offer FLUX.1 Fill [pro], which sends photos to Black Forest Labs; needs `MOEBIUS_BFL_KEY`",
)
BFL_KEY = _text("MOEBIUS_BFL_KEY", "", "key for FLUX.1 Fill [pro]", default_text="none")
BFL_ADDRESS = _text("MOEBIUS_BFL_ADDRESS", "https://api.bfl.ai", "address of the service that runs FLUX.1 Fill [pro]")
CACHE = _folder("MOEBIUS_CACHE", "folder for results that are computed once", "`moebius` in the user's cache folder")

MODE = _choice(
    "MOEBIUS_MODE",
    ("eager", "fused", "compiled", "triton", "triton-compiled"),
    "mode in which the student's network runs",
    experimental=True,
)
GLA_KERNEL = _choice("MOEBIUS_GLA_KERNEL", ("torch", "fla"), "kernel of PixelHacker's attention", experimental=True)

VARIABLES: tuple[Variable, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Variable))
"""All of ours, in the table's order."""


# ---- of others ----

GRADIO_SERVER_NAME = _text("GRADIO_SERVER_NAME", "127.0.0.1", "host that the page listens on")
GRADIO_TEMP_DIR = _folder("GRADIO_TEMP_DIR", "folder in which Gradio keeps uploads", "a private folder")
GRADIO_ANALYTICS_ENABLED = _text("GRADIO_ANALYTICS_ENABLED", "", "whether Gradio reports to its makers")
GRADIO_ANALYTICS_MAX_EVENTS = _text("GRADIO_ANALYTICS_MAX_EVENTS", "", "calls that Gradio remembers")
GRADIO_ANALYTICS_CACHE_FREQUENCY = _text("GRADIO_ANALYTICS_CACHE_FREQUENCY", "", "calls between Gradio's summaries")
NUMBA_CACHE_DIR = _folder(
    "NUMBA_CACHE_DIR",
    "folder for the filler's compiled kernels (read by numba)",
    "beside the sources, or the user's cache folder where that cannot be written",
)
SPACE_ID = _text("SPACE_ID", "", "set on a Hugging Face Space")
SPACES_ZERO_GPU = _text("SPACES_ZERO_GPU", "", "set on a Space with ZeroGPU")
XDG_CACHE_HOME = _folder("XDG_CACHE_HOME", "the user's cache folder", "~/.cache")
RANK = _whole("RANK", 0, "number of this process, set by `accelerate launch` and torchrun", least=0)
WORLD_SIZE = _whole("WORLD_SIZE", 1, "how many processes there are")
LOCAL_RANK = _whole("LOCAL_RANK", 0, "number of this process on its computer", least=0)
LOCAL_WORLD_SIZE = _whole("LOCAL_WORLD_SIZE", 1, "how many of them are on this computer")
OMP_NUM_THREADS = _whole("OMP_NUM_THREADS", 0, "threads of a process's kernels; 0: one for each core", least=0)


# ---- several processes ----


@dataclass(frozen=True)
class Processes:
    """This process among those that `accelerate launch` or `torchrun` started together."""

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    """Its rank among those on this computer."""


def processes() -> Processes:
    """From RANK, WORLD_SIZE and LOCAL_RANK; a single process where they are not set.

    Raises:
        VariableError: one is not a whole number, or RANK is not below WORLD_SIZE.
    """
    rank, count, local_rank = (variable.read() for variable in (RANK, WORLD_SIZE, LOCAL_RANK))
    if rank >= count:
        raise VariableError(f"RANK must be between 0 and WORLD_SIZE - 1, got {rank} of {count}")
    return Processes(rank, count, local_rank)


# ---- all together ----


def check() -> None:
    """Read all of our variables, so that a mistake is found at the start. Raises VariableError."""
    for variable in VARIABLES:
        variable.read()


def cache_folder() -> Path:
    """MOEBIUS_CACHE, else `moebius` in the user's cache folder."""
    return CACHE.read() or (XDG_CACHE_HOME.read() or Path.home() / ".cache") / "moebius"


def markdown() -> str:
    """The table for docs/hosting.md, in Markdown, without experimental variables."""
    rows = ["| variable | what it sets | value | default | needed by |", "|---|---|---|---|---|"]
    for variable in (*VARIABLES, NUMBA_CACHE_DIR):
        if not variable.experimental:
            default = variable.default_text or str(variable.default)
            cells = (f"`{variable.name}`", variable.purpose, variable.allowed, default, variable.needed_by)
            rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"
