"""Training pictures: find them, read each once in full, hash them, and refuse held-out ones."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from moebius import heldout
from moebius.files import read_json, sha256, write_atomic
from moebius.photo import images, photo_file
from moebius.training.config import ConfigError

HASH = re.compile(r"\b[0-9a-f]{64}\b")


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A file that could be read."""

    path: Path
    sha256: str
    pixels_sha256: str
    width: int
    """As shown, in pixels."""
    height: int


@dataclass(frozen=True, kw_only=True)
class Index:
    pictures: tuple[Picture, ...]
    broken: tuple[tuple[Path, str], ...]
    """Files that could not be read, and why."""


def find(path: Path) -> list[Path]:
    """The files of a folder, in depth and in the order of their names, or those that a text file lists, one a line.

    Raises:
        ConfigError: there is no such folder or list, or no picture in it.
    """
    known = photo_file.suffixes()
    if path.is_dir():
        found = sorted(file for file in path.rglob("*") if file.suffix.lower() in known and file.is_file())
    elif path.is_file():
        lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
        found = [path.parent / line for line in lines if line and not line.startswith("#")]
    else:
        raise ConfigError(f"{path} is neither a folder of pictures nor a list of them")
    if not found:
        raise ConfigError(f"{path} has no pictures ({', '.join(sorted(known))})")
    return found


def heldout_hashes(manifests: Iterable[Path]) -> frozenset[str]:
    """Hashes of pictures that must not be trained on: the project's held-out set, and every SHA-256 sum in the
    manifests, in any format. Raises ConfigError for a manifest without any."""
    sums = set(heldout.hashes())
    for manifest in manifests:
        if not manifest.is_file():
            raise ConfigError(f"data.heldout: {manifest} does not exist")
        found = HASH.findall(manifest.read_text(encoding="utf-8").lower())
        if not found:
            raise ConfigError(f"data.heldout: {manifest} has no SHA-256 sums")
        sums.update(found)
    return frozenset(sums)


def index(
    files: Iterable[Path],
    refused: frozenset[str],
    known: Path | None = None,
    workers: int = 2,
    progress: Callable[[int], None] = lambda done: None,
) -> Index:
    """Read every file once, so that damaged and held-out files are found before training.

    Args:
        refused: SHA-256 sums of held-out files and of their pixels.
        known: file that keeps the result; files of the same size and date are not read again.
        progress: called with the number of files done.

    Raises:
        heldout.HeldOutError: a file is held out.
    """
    facts = read_json(known, ConfigError) if known and known.is_file() else {}
    files = list(files)

    def look(path: Path) -> Picture | str:
        try:
            status = path.stat()
            stamp = [status.st_size, status.st_mtime_ns]
            fact = facts.get(str(path))
            if fact is None or fact["stamp"] != stamp:
                data = path.read_bytes()
                rgb = images.to_rgb8(photo_file.open_photo(data, path.name).raster)
                fact = {
                    "stamp": stamp,
                    "sha256": sha256(data),
                    "pixels_sha256": heldout.pixels_sha256(rgb),
                    "width": rgb.shape[1],
                    "height": rgb.shape[0],
                }
                facts[str(path)] = fact
        except (OSError, ValueError) as error:
            return str(error)
        return Picture(path=path, **{key: value for key, value in fact.items() if key != "stamp"})

    pictures, broken = [], []
    with ThreadPoolExecutor(workers) as threads:
        for done, (path, found) in enumerate(zip(files, threads.map(look, files), strict=True), 1):
            if isinstance(found, str):
                broken.append((path, found))
            else:
                if {found.sha256, found.pixels_sha256} & refused:
                    raise heldout.HeldOutError(f"{path} belongs to a held-out set; leave it out of training")
                pictures.append(found)
            progress(done)
    if known:
        write_atomic(known, json.dumps(facts).encode(), make_folder=True)
    return Index(pictures=tuple(pictures), broken=tuple(broken))


class Reader:
    """Reads pictures, no larger than needed, and keeps those it has read while there is room. For several threads."""

    def __init__(self, short: int, gib: float):
        """short: side in pixels that the short side is shrunk to, if it is longer. gib: memory for what is kept."""
        self.short, self.room = short, int(gib * 2**30)
        self.kept: dict[Path, np.ndarray] = {}

    def __call__(self, path: Path) -> np.ndarray:
        """The colours as shown, (H, W, 3) uint8, not to be written to. Raises photos.PhotoError."""
        if path in self.kept:
            return self.kept[path]
        picture = images.to_rgb8(photo_file.open_photo(path).raster)
        picture = shrunk(picture, self.short)
        if picture.nbytes <= self.room:
            self.room -= picture.nbytes
            self.kept[path] = picture
        return picture


def shrunk(picture: np.ndarray, short: int) -> np.ndarray:
    """(H, W[, 3]) -> the same with a short side of at most `short`; masks of 0 and 1 stay such."""
    height, width = picture.shape[:2]
    if min(height, width) <= short:
        return picture
    factor = short / min(height, width)
    size = max(short, round(width * factor)), max(short, round(height * factor))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA if picture.ndim == 3 else cv2.INTER_NEAREST)
