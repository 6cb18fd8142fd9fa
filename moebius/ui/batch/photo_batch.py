"""The many photos of one visitor: files, masks, small pictures, results. Gradio is not needed here."""

from __future__ import annotations

import logging
import os
import shutil
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from moebius import environment
from moebius.batch import plan
from moebius.batch.plan import MASK_ENDING, BatchItem
from moebius.batch.run import Outcome
from moebius.batch.tally import Tally
from moebius.photo import filenames, mask_file, photo_file
from moebius.photo.orientation import as_shown, as_stored
from moebius.progress import Cancelled
from moebius.ui import photo_files
from moebius.ui.batch import archive as results_archive
from moebius.ui.batch import mask_for_all, pairing
from moebius.ui.batch.entry import Entry, Shared, dimensions, is_mask, short_name
from moebius.ui.batch.thumbnails import Thumbnails, small_picture
from moebius.units import memory_size

log = logging.getLogger(__name__)

MaskFor = Literal["all", "each"]
MASKS_FOR: tuple[MaskFor, ...] = get_args(MaskFor)
UNPAINTED = ("nothing is painted on it", "nothing is painted yet")
"""Why a photo has no mask, where each has its own and where one is for all."""


class _PassedOver(Exception):
    """Why a file was not taken."""


@dataclass
class PhotoBatch:
    """`folder`: private, for photos, masks and results. `public`: for small pictures and the archive, from where
    Gradio serves them without another copy; nobody can guess its name. Both are made here and vanish with `delete`."""

    folder: Path
    public: Path
    mask_for: MaskFor = "all"
    shared: Shared | None = None
    entries: dict[str, Entry] = field(default_factory=dict)
    """By name; masks in files are among them, see `listed`."""
    seed: int | None = None
    """Of the first run, and of those after it that name none: so that finished photos stay finished."""
    tally: Tally | None = None
    """Of the run that goes on, or of the last one."""
    running: bool = False
    archive: Path | None = None
    lock: threading.RLock = field(default_factory=threading.RLock)
    """Held while an outcome is made and taken."""
    shown: threading.Event = field(default_factory=threading.Event)
    """Set while nobody is about to show the progress of a run."""
    _work: Generator[Outcome, None, None] | None = None
    _items: dict[str, BatchItem] = field(default_factory=dict)
    _bytes: int = 0
    _files: int = 0

    def __post_init__(self) -> None:
        for folder in (self.photos, self.masks, self.out, self.folder / "small"):
            folder.mkdir(parents=True, exist_ok=True)
        self.public.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.shown.set()
        self._thumbnails = Thumbnails(lambda: self._next_file(self.public, ".jpg"))

    @property
    def photos(self) -> Path:
        return self.folder / "photos"

    @property
    def masks(self) -> Path:
        return self.folder / "masks"

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def listed(self) -> list[Entry]:
        """The photos, and what could not be taken, by name; without the files that are masks of others."""
        named = sorted(self.entries.items())
        return [entry for name, entry in named if entry.refused or name in self._items and not entry.aside]

    def delete(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.rmtree(self.public, ignore_errors=True)

    # ---- files in ----

    def add(self, files: list[tuple[Path, str]], report: Callable[[int], None] = lambda index: None) -> list[str]:
        """Take photos and masks `name_mask.png` that came together; returns what was passed over and why.

        A file that is no photo is listed with its reason. The same file again is passed over without a word, and a
        mask takes the place of an older one of its name. For whom a mask is says `pairing`.

        Args:
            files: where each lies, and what the visitor calls it; it is linked, or copied, so nobody may write into
                that very file any more.
            report: called with the number of the file that is read.
        """
        before, passed_over = list(self.entries.values()), []
        came: list[Entry] = []
        masks: dict[str, list[Entry | None]] = {}
        files = sorted(files, key=lambda file: is_mask(file[1]))  # stable
        for index, (path, given) in enumerate(files):
            report(index)
            try:
                if is_mask(given):
                    self._add_mask(path, given, came, before, masks)
                elif entry := self._add_photo(path, given, before):
                    came.append(entry)
            except (_PassedOver, pairing.Ambiguous) as why:
                passed_over.append(f"{short_name(given)}: {why}")
        self.pair()
        return passed_over + mask_for_all.take(self)

    def _add_photo(self, path: Path, given: str, before: list[Entry]) -> Entry | None:
        photo = self._read(path, given)
        if photo is None:
            return None
        stem = filenames.safe_stem(given)
        for entry in self.entries.values():
            if entry.given == stem and self._is_same(entry, photo.data):
                return entry
        # an older photo of this stem, of any format, has masks of its own
        old = {f"{Path(entry.name).stem}{photo.suffix}".lower() for entry in before if not is_mask(entry.name)}
        name = filenames.unique(stem, photo.suffix, self._taken() | old)
        return self._keep_file(path, name, stem, photo)

    def _add_mask(
        self, path: Path, given: str, came: list[Entry], before: list[Entry], masks: dict[str, list[Entry | None]]
    ) -> None:
        """`masks`: of the same drop, by the stem of their photo."""
        photo = self._read(path, given)
        if photo is None:
            return
        given_stem = filenames.safe_stem(given, MASK_ENDING)
        others = [entry for entry in before if not is_mask(entry.name)]
        stem = pairing.stem_for_mask(plan.mask_owner(given_stem), came, others)
        name = f"{stem}{MASK_ENDING}{photo.suffix}"
        if (old := self.entries.get(name)) and self._is_same(old, photo.data):
            masks.setdefault(stem, []).append(old)
            return
        if stem in masks:
            for one in masks[stem]:
                if one and one.name in self.entries:
                    self.forget_file(one)
            masks[stem] = [None]
            raise pairing.Ambiguous(f"several masks are called so, for {stem}; drop the right one alone")
        if old and not old.refused:
            self.forget_file(old)
        masks[stem] = [self._keep_file(path, name, given_stem, photo)]

    def _read(self, path: Path, given: str) -> photo_file.Photo | None:
        """The file as a photo; None where it is none, and is listed with the reason. Raises _PassedOver."""
        max_photos, max_bytes = environment.MAX_BATCH.read(), environment.MAX_BATCH_BYTES.read()
        kind = "masks" if is_mask(given) else "photos"
        if sum(is_mask(entry.name) == is_mask(given) for entry in self.entries.values()) >= max_photos:
            raise _PassedOver(f"{max_photos} {kind} are the most at once here")
        try:
            if self._bytes + path.stat().st_size > max_bytes:
                raise _PassedOver(f"all photos together may have {memory_size(max_bytes)} here")
            return photo_files.open_photo(path, short_name(given))
        except (ValueError, OSError) as error:
            stem, suffix = filenames.safe_stem(given, MASK_ENDING), Path(given).suffix.lower()
            name = filenames.unique(stem, suffix if suffix in photo_file.suffixes() else "", self._taken())
            self.entries[name] = Entry(name, name, refused=str(error))
            return None

    def _keep_file(self, path: Path, name: str, given: str, photo: photo_file.Photo) -> Entry:
        outputs = {entry.output.lower() for entry in self.entries.values()}
        stem = name.removesuffix(photo.suffix)
        output = filenames.unique(stem if stem.endswith("_filled") else f"{stem}_filled", photo.suffix, outputs)
        _link(path, self.photos / name)
        self._bytes += len(photo.data)
        entry = Entry(name, output, photo.size, photo.orientation, given=given)
        entry.plain = self._next_file(self.folder / "small", ".jpg")
        small_picture(photo).save(entry.plain, quality=85)
        self.entries[name] = entry
        return entry

    def pair(self) -> None:
        """Find the masks by name, as the command line does; to be called when files have come."""
        try:
            self._items = {item.name: item for item in plan.plan(self.photos, None, self.out)}
        except ValueError:  # there is no photo
            self._items = {}
        self._forget_archive()

    def remove(self, name: str) -> None:
        """Take a photo off the list, with its masks and its result; KeyError if there is none of that name."""
        entry, item = self.entries[name], self._items.get(name)
        mask = self.entries.get(item.mask.name) if item and item.mask else None
        for one in (entry, mask):
            if one and one.refused:
                del self.entries[one.name]
            elif one:
                self.forget_file(one)
        for path in (entry.painted, self.out / entry.output):
            if path:
                path.unlink(missing_ok=True)
        self.pair()
        self.end()  # what is filled is put into an archive again

    def _taken(self) -> set[str]:
        return {name.lower() for name in self.entries}

    def _is_same(self, entry: Entry, data: bytes) -> bool:
        return not entry.refused and (self.photos / entry.name).read_bytes() == data

    def forget_file(self, entry: Entry) -> None:
        """Delete the file of a photo or mask; call `pair` when all are deleted."""
        path = self.photos / entry.name
        self._bytes -= path.stat().st_size
        path.unlink()
        del self.entries[entry.name]

    def _next_file(self, folder: Path, suffix: str) -> Path:
        self._files += 1
        return folder / f"{self._files}{suffix}"

    # ---- masks ----

    def mask_of(self, entry: Entry) -> tuple[Path | None, str]:
        """The mask that a photo is filled with, or None and why there is none that fits."""
        if entry.refused:
            return None, entry.refused
        if entry.painted:
            return entry.painted, ""
        item = self._items[entry.name]
        given = self.entries.get(item.mask.name) if item.mask else None
        if given and given.size != entry.size:
            sizes = dimensions(given.size), dimensions(entry.size)
            return None, "its mask has {} pixels, the photo {}".format(*sizes)
        if item.mask or item.fitting:
            return item.mask, item.problem
        if self.mask_for == "each":
            return None, UNPAINTED[0]
        if self.shared is None:
            return None, UNPAINTED[1]
        return self._fitted(entry, self.shared)

    def why_skipped(self, entry: Entry) -> str:
        """Why a photo is left out of a run: no mask is meant for it. Empty: it is filled, or fails for a reason."""
        mask, why = self.mask_of(entry)
        return "" if mask or entry.refused or self._items[entry.name].fitting else why

    def has_own(self, entry: Entry) -> bool:
        """Whether its mask is not the one for all."""
        return bool(entry.painted or self._items[entry.name].mask)

    def keep_mask(self, entry: Entry, mask: np.ndarray | None) -> None:
        """Take what is painted on a photo, (H, W) bool: as its own, or, where one mask is for all and fits, as that.

        None, or nothing painted: the mask is gone, and a mask file counts again.
        """
        fits = self.shared is None or self._fitted(entry, self.shared)[0]
        if self.mask_for == "all" and fits and not self.has_own(entry):
            self.share(mask, entry.size, entry.orientation)
            return
        entry.painted = self._save(mask) if mask is not None and mask.any() else None

    def share(self, mask: np.ndarray | None, size: tuple[int, int], orientation: int, name: str = "") -> None:
        """Take a mask, (H, W) bool, for all photos; None or empty: there is none any more. `name`: of its file."""
        self.shared = Shared(self._save(mask), size, orientation, name) if mask is not None and mask.any() else None

    def share_file(self, mask: np.ndarray, name: str) -> None:
        """Take a mask file, (H, W) bool, for all photos. Raises ValueError where it fits none of them."""
        size = (mask.shape[1], mask.shape[0])
        fits = next((one for one in self.listed() if one.size == size and not is_mask(one.name)), None)
        if fits is None:
            raise ValueError(
                f"{name} has {dimensions(size)} pixels, and none of the photos has; give a mask of their size"
            )
        self.share(mask, size, fits.orientation, name)

    def _save(self, mask: np.ndarray) -> Path:
        path = self._next_file(self.masks, ".png")  # a new name for what is new: see `Thumbnails`
        mask_file.save_bits(mask, path)
        return path

    def _fitted(self, entry: Entry, shared: Shared) -> tuple[Path | None, str]:
        """The mask for all, for a photo of the same size; turned where camera held the same only lies otherwise."""
        if entry.size == shared.size:
            return shared.path, ""
        if _stored(entry.size, entry.orientation) != _stored(shared.size, shared.orientation):
            return None, (
                f"the mask is for {dimensions(shared.size)} pixels, this photo has {dimensions(entry.size)}; "
                "paint a mask of its own"
            )
        turned = shared.path.with_stem(f"{shared.path.stem}-{entry.orientation}")
        if not turned.exists():
            mask = as_stored(mask_file.load_bits(shared.path), shared.orientation)
            mask_file.save_bits(as_shown(mask, entry.orientation), turned)
        return turned, ""

    # ---- the run ----

    def items(self, alone: Entry | None = None) -> list[BatchItem]:
        """What a run is to do, in the order of the list; `alone`: with this photo only."""
        entries = [alone] if alone else self.listed()
        return [self._item(entry) for entry in entries if not self.why_skipped(entry)]

    def _item(self, entry: Entry) -> BatchItem:
        (mask, problem), photo = self.mask_of(entry), self.photos / entry.name
        item = BatchItem(name=entry.name, photo=photo, mask=mask, output=self.out / entry.output, problem=problem)
        return replace(item, seed=entry.seed, grows=not mask or mask != self._items[entry.name].mask)

    def begin(self, work: Generator[Outcome, None, None], items: list[BatchItem]) -> None:
        """A run of these items starts; one that still goes on ends first."""
        self.end()
        with self.lock:
            self._forget_archive()
            for item in items:
                self.entries[item.name].outcome = None
            self._work, self.tally, self.running = work, Tally(len(items)), True

    def take(self) -> Outcome | None:
        """The next outcome, which takes as long as a photo does; None: there is none left. `lock` must be held."""
        outcome = next(self._work, None) if self._work else None
        if outcome:
            self._keep(outcome)
        return outcome

    def end(self) -> None:
        """End a run where it is: what is being written is finished, and what is there goes into the archive."""
        with self.lock:
            try:
                if self._work:
                    if self.tally.place < self.tally.total:
                        log.info("a batch was stopped")
                    self._keep(self._work.throw(Cancelled()))
                    self._work.close()
            except (Cancelled, StopIteration):
                pass
            finally:
                self._work, self.running = None, False
            if self.archive is None and self.results():
                self._write_archive()

    def results(self) -> list[Entry]:
        """The photos that are filled."""
        return [entry for entry in self.listed() if entry.outcome and entry.outcome.state != "failed"]

    def _keep(self, outcome: Outcome) -> None:
        self.entries[outcome.item.name].outcome = outcome
        self.tally.add(outcome)

    def _write_archive(self) -> None:
        path = self._next_file(self.public, "")
        path.mkdir()
        filled = self.results()
        missing = [(one.name, self.why_missing(one)) for one in self.listed() if one not in filled]
        results_archive.write(
            path / results_archive.NAME, [(self.out / one.output, one.output) for one in filled], missing
        )
        self.archive = path / results_archive.NAME

    def why_missing(self, entry: Entry) -> str:
        """Why a photo has no result, in one line."""
        if entry.outcome is None:
            return self.why_skipped(entry) or entry.refused or "stopped before its turn"
        return entry.outcome.error

    def _forget_archive(self) -> None:
        if self.archive:
            shutil.rmtree(self.archive.parent, ignore_errors=True)
        self.archive = None

    # ---- what is shown ----

    def pictures(self) -> list[tuple[Entry, str]]:
        """Every photo of the list with the path of its small picture, drawn where something has changed."""
        return [(entry, self._picture(entry)) for entry in self.listed()]

    def _picture(self, entry: Entry) -> str:
        if entry.outcome is not None and entry.outcome.state != "failed":
            return self._thumbnails.result(entry.name, self.out / entry.output)
        return self._thumbnails.photo(entry.name, entry.plain, self.mask_of(entry)[0] if entry.plain else None)


def _stored(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    return size if orientation < 5 else size[::-1]


def _link(source: Path, target: Path) -> None:
    """Another name for a file, which outlives the first; a copy where the disks differ."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
