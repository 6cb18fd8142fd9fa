"""A comparison, running or finished, as the page shows it: its files lie in the visitor's folder, none in memory."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image

from moebius import compare, registry
from moebius.contact_sheet import make_sheet
from moebius.files import write_atomic
from moebius.photo import ai_mark, images, photo_file
from moebius.photo.raster import Raster
from moebius.ui import photo_files
from moebius.ui.editor import SHOWN_SIDE, preview
from moebius.ui.fill.result import remember
from moebius.ui.html import without_folders
from moebius.ui.pictures import closeup_box, save, save_closeup, shown

PHOTO = "photo"
"""Stands beside the models' names for the picture as it was."""
PANEL_SIDE = 800
"""Longest side, in pixels, of the picture in a model's panel."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """Paths of files that show the photo or a result, all at one scale."""

    whole: str
    closeup: str
    """The hole, pixel by pixel."""
    small: str
    file: Path
    """As it is downloaded: in the photo's format."""
    notes: tuple[str, ...] = ()


@dataclass
class Comparison:
    """Begins with the photo; results and reasons are added as they come.

    `names`: the models in the order in which they run. `stem`: what the names of its files begin with.
    """

    folder: Path
    names: list[str]
    stem: str
    seed: int
    box: tuple[int, int, int, int]
    """Of the close-up, see `closeup_box`."""
    pictures: dict[str, Picture] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    """Of the models that have no result."""
    rows: dict[str, dict] = field(default_factory=dict)
    """Of `compare.table`, by model."""
    running: bool = True
    sheet: Path | None = None

    @classmethod
    def begin(
        cls,
        folder: Path,
        photo: photo_file.Photo,
        mask: np.ndarray,
        names: Sequence[str],
        seed: int,
        missing: Sequence[compare.Outcome] = (),
    ) -> Comparison:
        """`mask`: (H, W) bool, not empty. `missing`: of the models in `names` that cannot run here."""
        new = cls(folder, list(names), Path(photo.name).stem or "photo", seed, closeup_box(mask))
        new.reasons = {outcome.card.name: outcome.error for outcome in missing}
        new.rows = {row["model"]: row for row in compare.table(missing)}
        file = folder / f"photo{photo.suffix}"
        file.write_bytes(photo.data)
        new.pictures[PHOTO] = new._picture(photo, photo.raster, file)
        return new

    def add(self, photo: photo_file.Photo, outcomes: Sequence[compare.Outcome]) -> None:
        """Take the last of the outcomes so far: the files of its result, or the reason why there is none."""
        outcome = outcomes[-1]
        name = outcome.card.name
        self.rows = {row["model"]: row for row in compare.table(outcomes)}  # the student changes every ratio
        if outcome.fill is None:
            self.reasons[name] = outcome.error or "no reason was given"
            return
        mark = ai_mark.chosen(outcome.card.learned)
        encoded = photo_files.encode_photo(photo, outcome.fill.raster, outcome.fill.changed, mark=mark)
        file = self.folder / f"{self.stem}_{name}{photo.suffix}"
        file.write_bytes(encoded.data)
        remember(file, photo, outcome.fill.raster, outcome.fill.changed)
        self.pictures[name] = self._picture(photo, outcome.fill.raster, file, (*outcome.fill.notes, *encoded.notes))

    def draw_sheet(self, photo: photo_file.Photo, mask: np.ndarray, outcomes: Sequence[compare.Outcome]) -> None:
        """Write the comparison, as far as it goes, as one labelled picture; nothing where there is no result."""
        if not self.results:
            return
        known = {outcome.card.name: outcome for outcome in outcomes}
        footer = f"{photo.name}, {photo.size[0]} x {photo.size[1]} pixels, seed {self.seed}"
        buffer = io.BytesIO()
        drawn = [known[name] for name in self.names if name in known]
        drawn = [one if one.error is None else replace(one, error=without_folders(one.error)) for one in drawn]
        make_sheet(photo.raster, mask, drawn, footer).save(buffer, "PNG")
        path = self.folder / f"{self.stem}_comparison.png"
        write_atomic(path, buffer.getvalue())
        self.sheet = path

    @property
    def results(self) -> list[str]:
        """The models that have a result, in their order."""
        return [name for name in self.names if name in self.pictures]

    @property
    def waiting(self) -> list[str]:
        """The models that have neither result nor reason; while it runs, the first of them is at work."""
        return [name for name in self.names if name not in self.pictures and name not in self.reasons]

    def title(self, name: str) -> str:
        return "The photo" if name == PHOTO else registry.card(name).title

    def _picture(self, photo: photo_file.Photo, raster: Raster, file: Path, notes: tuple[str, ...] = ()) -> Picture:
        stem = file.with_suffix("")
        size = raster.shape[1::-1] if isinstance(raster, np.ndarray) else raster.size
        if tuple(size) == photo.size:
            whole = shown(file, photo, raster)
        else:  # the published recipe keeps its results small
            raster = Image.fromarray(images.to_rgb8(raster)).resize(photo.size, Image.Resampling.BICUBIC)
            whole = save(preview(raster, SHOWN_SIDE, photo.profile), Path(f"{stem}_shown"))
        return Picture(
            whole=whole,
            closeup=save_closeup(raster, self.box, Path(f"{stem}_closeup.png")),
            small=save(preview(raster, PANEL_SIDE, photo.profile), Path(f"{stem}_small")),
            file=file,
            notes=notes,
        )
