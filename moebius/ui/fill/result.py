"""A finished fill as the page has it: its file, pictures of it, and what it changed."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import gradio as gr
import numpy as np
from PIL import Image

from moebius.config import SamplingConfig
from moebius.files import write_atomic
from moebius.fill.changes import Changes
from moebius.photo import ai_mark, images, photo_file
from moebius.photo.patch import encode_patch
from moebius.photo.raster import Raster, shape_of
from moebius.ui import photo_files
from moebius.ui.pictures import forget_thumbnail, shown
from moebius.ui.session import Session
from moebius.units import file_size

_FILLED, _NOW = ".filled.npz", ".now.npz"
"""Behind the name of a result's file: what the fill changed, and what is left of it once some was restored; empty:
nothing is."""


@dataclass(frozen=True, kw_only=True)
class FillResult:
    """A finished fill as the page shows it."""

    path: Path
    """The file to download."""
    before: str
    after: str
    """Paths of pictures that a browser shows."""
    label: str
    """Of the button that downloads it."""
    facts: str
    """HTML."""
    seed: int | None = None
    """None: the model is not seeded."""
    mark: str | None = None
    """What its file says of how it was made, see `moebius.photo.ai_mark`."""

    def shown(self) -> tuple[dict, dict, str]:
        """For the canvas, the button that downloads it, and the line about it."""
        return (
            gr.update(value=[self.before, self.after]),
            gr.update(value=str(self.path), label=self.label),
            self.facts,
        )


def keep(
    session: Session,
    photo: photo_file.Photo,
    name: str,
    encoded: photo_file.Encoded,
    filled: Raster,
    changed: np.ndarray,
) -> tuple[Path, list[str]]:
    """Write a new result of the visitor's photo; its file, and pictures before and after that a browser shows."""
    path = session.keep_result(encoded.data, name)
    remember(path, photo, filled, changed)
    return path, [shown(session.photo, photo, photo.raster), shown(path, photo, filled)]


def remember(path: Path, photo: photo_file.Photo, filled: Raster, changed: np.ndarray) -> None:
    """Write what a fill changed beside its file."""
    if changed.any() and shape_of(filled) == photo.size[::-1]:  # the published recipe makes pictures of its own size
        Changes.of(filled, changed).save(_beside(path, _FILLED))


def from_file(session: Session, data: bytes, name: str, label: str, facts: str) -> FillResult:
    """A result of the visitor's photo of which only the file is known: what differs is what it changed."""
    if session.photo is None:
        raise ValueError("choose a photo first")
    path = session.keep_result(data, name)
    photo, filled = photo_files.open_photo(session.photo), photo_files.open_photo(path)
    remember(path, photo, filled.raster, (images.to_rgb(photo.raster) != images.to_rgb(filled.raster)).any(axis=2))
    before, after = shown(session.photo, photo, photo.raster), shown(path, filled, filled.raster)
    return FillResult(path=path, before=before, after=after, label=label, facts=facts)


def adopt(path: Path, other: Path) -> None:
    """`remember` for a result whose file is a copy of `other`."""
    if (kept := _beside(other, _FILLED)).exists():
        shutil.copyfile(kept, _beside(path, _FILLED))


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def download_label(encoded: photo_file.Encoded) -> str:
    return f"Download {encoded.format} · {file_size(len(encoded.data))}"


def restore(session: Session, photo: photo_file.Photo, result: FillResult, restored: np.ndarray) -> FillResult:
    """The result with the original where it was `restored`, (H, W) bool; its file is written anew.

    Raises:
        ValueError: what the fill changed is not known.
    """
    path = result.path
    if not _beside(path, _FILLED).exists():
        raise ValueError("the original cannot be painted back into this result; fill again with the recipe photo")
    changes = Changes.load(_beside(path, _FILLED))
    raster, changed = changes.on(photo.raster, restored, SamplingConfig.feather_px)
    encoded = photo_files.encode_photo(photo, raster, changed, mark=result.mark)
    write_atomic(path, encoded.data)
    if changed.any():
        Changes.of(raster, changed).save(_beside(path, _NOW))
    else:
        write_atomic(_beside(path, _NOW), b"")
    for old in path.parent.glob(f"{path.stem}_shown.*"):
        old.unlink()
    forget_thumbnail(path)
    return replace(result, after=shown(path, photo, raster), label=download_label(encoded))


def patch(photo: photo_file.Photo, result: FillResult) -> Path:
    """A PNG of what is changed, for a layer over the photo: its name ends with the place of its upper left corner.

    Raises:
        ValueError: nothing is changed, or it is not known what.
    """
    kept = next((path for name in (_NOW, _FILLED) if (path := _beside(result.path, name)).exists()), None)
    if kept is None or not kept.stat().st_size:
        raise ValueError("this result has no part that could lie over the photo: nothing in it is changed")
    changes, raster, profile = Changes.load(kept), photo.raster, None
    if isinstance(raster, Image.Image) and raster.mode in ("RGB", "RGBA", "P"):  # else it is of other colours
        profile = raster.info.get("icc_profile")
    data = encode_patch(changes.layer(), changes.corner, profile)
    if result.mark:
        data, _ = ai_mark.add(data, "PNG", result.mark)
    left, top = changes.corner
    path = result.path.with_name(f"{result.path.stem}_patch_x{left}_y{top}.png")
    path.write_bytes(data)
    return path
