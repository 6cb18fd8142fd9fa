"""The weights of the network that selects objects: two files in one folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from moebius.weights import WeightsError
from moebius.weights.catalog import SEGMENTER


@dataclass(frozen=True, kw_only=True)
class SegmenterFiles:
    """The files of the network that selects objects, on this computer."""

    folder: Path
    """With `SEGMENTER.files` in it."""
    where: str
    """Where the files are, for messages."""


def find(folder: Path) -> SegmenterFiles:
    """The files in a folder, or in `sam2.1-hiera-tiny/` in it. Raises WeightsError: they are not there."""
    for place in (folder / SEGMENTER.folder_name, folder):
        if all((place / name).is_file() for name in SEGMENTER.files):
            return SegmenterFiles(folder=place, where=f"folder {place}")
    raise WeightsError(
        f"{folder} does not hold {SEGMENTER.title}: it needs {' and '.join(SEGMENTER.files)} of {SEGMENTER.repo}"
    )
