"""Run a batch: the model runs in this thread, while other threads read the next photos and write finished ones.

Memory is bounded: with one square per call, at most `workers` photos are open ahead of the current one, and one behind
it. A kill can therefore lose the current photo and, if it is still being written, the one before. With N squares per
call there are up to N current photos, N (or `workers`) ahead and N behind.
"""

from __future__ import annotations

import errno
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from moebius.batch.plan import BatchItem, stays_inside
from moebius.batch.records import Records, RecordsFile, key_of
from moebius.config import SamplingConfig
from moebius.files import sha256, write_atomic
from moebius.fill import seeds
from moebius.fill.result import Fill
from moebius.fill.scheduler import Result, Scheduler
from moebius.masking.grow import grow_by_share
from moebius.photo import images, photo_file
from moebius.photo.orientation import as_photo
from moebius.progress import Cancelled
from moebius.read_ahead import read_ahead

if TYPE_CHECKING:
    from moebius.inpainters.base import Inpainter
    from moebius.photo.raster import Raster

_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""Errors of a full or read-only disk, which would occur for every further photo, too."""

ReportItem = Callable[[BatchItem, float, str], None]
"""Called while a photo is filled, with its finished share and a short text. Raising `Cancelled` ends the batch; any
other error belongs to the photo."""


class PhotoFiles(Protocol):
    """Opens and encodes photo files, like `moebius.photo.photo_file`."""

    def open_photo(self, source: bytes, name: str | None = None) -> photo_file.Photo: ...
    def open_mask(self, source: bytes, size: None = None, name: str | None = None) -> np.ndarray: ...
    def encode_photo(
        self, photo: photo_file.Photo, raster: Raster, changed: np.ndarray, suffix: None = None, mark: str | None = None
    ) -> photo_file.Encoded: ...


@dataclass(frozen=True, kw_only=True)
class Task:
    """The work on every photo."""

    load: Callable[[], Inpainter]
    """Called when the first photo needs the model, and for every photo after it."""
    config: SamplingConfig
    seed: int | None
    """Seed of every photo's fill, see `moebius.fill.seeds`; None: the model uses none."""
    identity: dict
    """Everything else that the results depend on, as JSON: model, weights, number format, mark."""
    grow_mask: float = 0
    """Share of its size by which a mask is grown, see `moebius.masking.grow`; for items that say so."""
    mark: str | None = None
    """See `photo_file.encode_photo`."""
    files: PhotoFiles = photo_file
    """Where photos are decoded and encoded: in this process, or in another one (`moebius.photo.worker`)."""
    overwrite: bool = False
    """Whether existing files that no batch has written may be replaced."""

    def seed_of(self, item: BatchItem) -> int | None:
        """The seed of a photo's fill; None: the model uses none."""
        return self.seed if self.seed is None or item.seed is None else item.seed

    def key(self, item: BatchItem, photo: bytes, mask: bytes) -> str:
        grown = {"grow_mask": self.grow_mask} if self.grow_mask and item.grows else {}
        settings = {**self.identity, "config": vars(self.config), "seed": self.seed_of(item), **grown}
        return key_of(photo, mask, settings)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The outcome of one photo."""

    item: BatchItem
    state: Literal["done", "finished", "failed"]
    """`finished`: its result existed before."""
    error: str = ""
    notes: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)
    """By part: `read` (in another thread), `model`, `detail`, `geometry`, `write` (in another thread)."""


@dataclass
class _Ready:
    """An open photo, its colours until the model gets them, and its mask (H, W) bool."""

    photo: photo_file.Photo
    rgb: np.ndarray | None
    mask: np.ndarray
    key: str
    notes: tuple[str, ...]
    seconds: float


def run(
    items: list[BatchItem],
    task: Task,
    out: Path,
    records: RecordsFile,
    workers: int,
    report_item: ReportItem = lambda item, share, text: None,
    batch_size: int = 1,
) -> Generator[Outcome, None, None]:
    """Fill the items in order; yields each outcome when its file is on the disk.

    A photo that fails does not stop the others, even if it shares a call of the model with them. Closing the iteration
    waits for files that are being written; after `Cancelled`, from `report_item` or thrown into the iteration, their
    outcomes are yielded first.

    Args:
        batch_size: squares, of one photo or of several, in one call of the model.

    Raises:
        Cancelled: `report_item` raised it.
        OSError: the disk is full or read-only.
        ValueError, MemoryError: the model cannot be loaded.
    """
    before = Records.read(out)
    scheduler = Scheduler(task.load, task.config, batch_size)
    writing: deque[Future[Outcome]] = deque()
    open_mask = lru_cache(maxsize=1)(partial(_open_mask, task.files))  # one mask may serve all
    reading = read_ahead(
        items,
        lambda item: _read_unless_finished(item, task, out, before, open_mask),
        lambda: max(workers, scheduler.batch_size),
        workers,
    )
    with closing(reading), ThreadPoolExecutor(workers, "write") as writers:

        def written(results: Iterator[Result]) -> Iterator[Outcome]:
            """Write the model's results in threads, and yield the outcomes of written ones; few results wait at a
            time."""
            for (item, ready), fill in results:
                if isinstance(fill, Exception):
                    outcome = _failed(item, fill)
                    del ready, fill
                    yield outcome
                    continue
                if len(writing) >= scheduler.batch_size:
                    yield writing.popleft().result()
                writing.append(writers.submit(_write, item, ready, fill, task, records))
                del ready, fill  # else one photo more would stay in memory

        try:
            for item, ready in reading:
                if isinstance(ready, Outcome):
                    yield ready
                    continue
                name, report = (item, ready), partial(report_item, item)
                photo, mask, rgb, ready.rgb = ready.photo.raster, ready.mask, ready.rgb, None
                del ready
                yield from written(scheduler.add(name, photo, mask, seeds.generator(task.seed_of(item)), report, rgb))
                del name, photo, mask, rgb
            yield from written(scheduler.flush())
            while writing:
                yield writing.popleft().result()
        except Cancelled:
            while writing:
                yield writing.popleft().result()
            raise


def finished_before(item: BatchItem, task: Task, before: Records) -> bool:
    """Whether a photo's result exists and is current. Raises ValueError or OSError if its files cannot be read."""
    if item.problem or not item.output.exists():
        return False
    key = task.key(item, photo_file.read_file(item.photo), photo_file.read_file(item.mask))
    return before.state(item.name, key, item.output) == "finished"


def _read_unless_finished(
    item: BatchItem, task: Task, out: Path, before: Records, open_mask: Callable
) -> _Ready | Outcome:
    """Open a photo and its mask, unless its result exists already or cannot be made."""
    started = time.perf_counter()
    try:
        if item.problem:
            raise ValueError(item.problem)
        if not stays_inside(item.output, out):
            raise ValueError(f"{item.output} is a link that leads out of {out}; remove it")
        data, (mask_data, mask) = photo_file.read_file(item.photo), open_mask(item.mask)
        key = task.key(item, data, mask_data)
        state = before.state(item.name, key, item.output)
        if state == "finished":
            return Outcome(item=item, state="finished")
        if state == "foreign" and not task.overwrite:
            raise ValueError(
                f"{item.output} exists and is not what a batch has written there; move it away, or say --overwrite"
            )
        photo = task.files.open_photo(data, item.photo.name)
        if item.turns:
            mask = as_photo(mask, photo.orientation, photo.size)
        images.check_mask(mask, photo.size[::-1])
        mask, notes = grow_by_share(mask, task.grow_mask if item.grows else 0)
        rgb = images.to_rgb(photo.raster)
    except Exception as error:  # any error is this photo's; the others continue
        return _failed(item, error)
    return _Ready(photo, rgb, mask, key, notes, time.perf_counter() - started)


def _open_mask(files: PhotoFiles, path: Path) -> tuple[bytes, np.ndarray]:
    data = photo_file.read_file(path)
    return data, files.open_mask(data, name=path.name)


def _write(item: BatchItem, ready: _Ready, fill: Fill, task: Task, records: RecordsFile) -> Outcome:
    """Encode; then the record, then the file: see `moebius.batch.records`."""
    started = time.perf_counter()
    try:
        encoded = task.files.encode_photo(ready.photo, fill.raster, fill.changed, mark=task.mark)
        notes = (*ready.notes, *ready.photo.notes, *fill.notes, *encoded.notes)
        row = {
            "photo": item.name,
            "key": ready.key,
            "sha256": sha256(encoded.data),
            "seed": task.seed_of(item),
            "changed_pixels": int(fill.changed.sum()),
            "squares": len(fill.squares),
            "model_s": round(fill.seconds["model"], 3),
            "detail_s": round(fill.seconds["detail"], 3),
            "notes": notes,
        }
        records.append(row)
        write_atomic(item.output, encoded.data, make_folder=True)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _DISK:
            raise
        return _failed(item, error)
    seconds = {"read": ready.seconds, **fill.seconds, "write": time.perf_counter() - started}
    return Outcome(item=item, state="done", notes=notes, seconds=seconds)


def _failed(item: BatchItem, error: Exception) -> Outcome:
    text = " ".join(str(error).split())
    plain = isinstance(error, (ValueError, OSError)) and text
    return Outcome(item=item, state="failed", error=text if plain else f"{type(error).__name__}: {text}")
