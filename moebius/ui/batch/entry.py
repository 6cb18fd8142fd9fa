"""One of many photos, the mask for all, and their names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from moebius.batch.plan import MASK_ENDING, mask_owner
from moebius.photo import filenames

if TYPE_CHECKING:
    from moebius.batch.run import Outcome


@dataclass
class Entry:
    """One photo, or a file that could not be taken as one."""

    name: str
    """Safe, unique, and that of its file in the folder of photos."""
    output: str
    """File name of its result."""
    size: tuple[int, int] = (0, 0)
    """Width and height as shown."""
    orientation: int = 1
    refused: str = ""
    """Why it was not taken; then there is no file."""
    painted: Path | None = None
    """A mask of its own that was painted here, in place of a mask file."""
    outcome: Outcome | None = None
    """Of the last run."""
    plain: Path | None = None
    """A small picture of the photo."""
    given: str = ""
    """What the visitor calls it, made safe, without suffix."""
    aside: bool = False
    """A mask for a photo that is not here: neither a photo nor in use."""
    seed: int | None = None
    """Its own, where it was filled alone; None: that of all."""


@dataclass(frozen=True)
class Shared:
    """The mask painted for all photos."""

    path: Path
    size: tuple[int, int]
    orientation: int
    """Of the photo that it was painted on."""
    name: str = ""
    """Of the file that it comes from; empty: it was painted."""


def is_mask(name: str) -> bool:
    """Whether a file is a mask, by its name."""
    return mask_owner(filenames.safe_stem(name, MASK_ENDING)) is not None


def short_name(given: str) -> str:
    """A visitor's name for a file, as messages have it."""
    stem = filenames.safe_stem(given)
    suffix = Path(given.replace("\\", "/")).suffix
    return f"{stem}{suffix if suffix.isascii() and suffix.isprintable() and len(suffix) < 9 else ''}"


def dimensions(size: tuple[int, int]) -> str:
    """Width and height, as messages have them."""
    return f"{size[0]}×{size[1]}"
