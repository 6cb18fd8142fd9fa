"""The ZIP of a batch's results, which are compressed already, and a list of what is not in it."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from pathlib import Path

NAME = "photos_filled.zip"
NOT_FILLED = "not filled.txt"
"""In the archive: which photos are not in it, and why."""


def write(path: Path, results: Iterable[tuple[Path, str]], missing: Iterable[tuple[str, str]]) -> None:
    """Write a new archive.

    Args:
        results: file and name of each.
        missing: name of a photo, and why it has no result.
    """
    lines = [f"{name}: {why}\n" for name, why in missing]
    with zipfile.ZipFile(path, "x", zipfile.ZIP_STORED) as archive:
        for file, name in results:
            archive.write(file, name)
        if lines:
            archive.writestr(NOT_FILLED, "".join(lines))
