"""What the server remembers of a visitor: the photo's file, a mask, results, many photos, what was stopped."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import tempfile
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from moebius.photo import mask_file

if TYPE_CHECKING:
    from moebius.segment import ImageEmbedding
    from moebius.ui.batch.photo_batch import PhotoBatch
    from moebius.ui.compare.state import Comparison
    from moebius.ui.fill.actions import FillResult

IDLE_S = 3600
"""A visitor who did nothing for so long is forgotten, files and all."""

MAX_SESSIONS = 200
"""Beyond that many, the one that has been idle longest is forgotten."""

MAX_RESULTS, MAX_RESULT_BYTES = 10, 256 << 20
"""Of one visitor; beyond either the oldest result goes, never the one that is painted on, nor the newest."""

PREFIX, ABANDONED_S = "moebius-", 24 * 3600
"""How the names of our folders begin; one in which nothing was written for so long is nobody's any more."""


@dataclass(frozen=True)
class Step:
    """A picture that the visitor can go back to: the photo as it was sent, or a result."""

    path: Path
    name: str
    """The file name as the visitor knows it."""
    size: tuple[int, int]
    number: int
    """0: the photo as it was sent; 1: its first result, and so on."""


@dataclass
class Session:
    """One visitor's files, all in one folder that no request can name."""

    folder: Path
    photo: Path | None = None
    name: str = ""
    """The photo's file name as the visitor knows it."""
    size: tuple[int, int] = (0, 0)
    """Width and height of the photo as shown."""
    result: Path | None = None
    steps: list[Step] = field(default_factory=list)
    """The photo as it was sent and its results, oldest first."""
    shown: Step | None = None
    """The one of them that the visitor sees."""
    variants: list[FillResult] = field(default_factory=list)
    """The result of the last fill, and others of the same mask from other seeds."""
    comparison: Comparison | None = None
    batch: PhotoBatch | None = None
    """Many photos at once."""
    public: Path | None = None
    """Where what the canvas shows lies; nobody can guess its name."""
    picture: int = 0
    """Counts the photos and results that were painted on: another number, another picture."""
    serial: int = 0
    """Counts what the page was told to show."""
    batch_photo: str = ""
    """The name of the one that is on the canvas; empty: it is another photo."""
    sample: int | None = None
    """Which of the samples the photo is; None: it is the visitor's."""
    embedding: tuple[tuple, ImageEmbedding] | None = None
    """Of a photo, by the network that selects objects; and which photo that is. See `fill.select`."""
    gone: bool = False
    """The visitor has left: whoever is still at work deletes what they write."""
    used: float = field(default_factory=time.monotonic)
    _tasks: list[tuple[str, weakref.ref[threading.Event]]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    # ---- files ----

    def keep_photo(self, data: bytes, name: str, size: tuple[int, int]) -> None:
        """Take a photo's untouched file; mask, results and comparison of the one before are gone."""
        self.forget_photo()
        path = self.folder / f"photo{Path(name).suffix.lower()}"
        path.write_bytes(data)
        self.steps = [Step(path, Path(name).name, size, number=0)]
        self.go_to(self.steps[0])

    def forget_photo(self) -> None:
        """The photo is gone, with its mask and all that came of it."""
        for step in self.steps[1:]:
            shutil.rmtree(step.path.parent, ignore_errors=True)
        for path in self.folder.glob("photo*"):
            path.unlink()
        self.forget_mask()
        self.steps, self.photo, self.result, self.comparison, self.batch_photo = [], None, None, None, ""
        self.sample = None
        self.variants = []

    def keep_result(self, data: bytes, name: str) -> Path:
        """Write a result, of the photo's size, under the name that it is downloaded as; it becomes the newest step."""
        path = Path(tempfile.mkdtemp(prefix="result-", dir=self.folder)) / Path(name).name
        path.write_bytes(data)
        with self._lock:  # a script may fill twice at a time
            self.result = path
            number = max((step.number for step in self.steps), default=0) + 1
            self.shown = Step(path, path.name, self.size, number)
            self.steps.append(self.shown)
            while old := self._surplus():
                self.steps.remove(old)
                shutil.rmtree(old.path.parent, ignore_errors=True)
        return path

    def _surplus(self) -> Step | None:
        """The oldest result that may go, where there are too many."""
        results = [step for step in self.steps if step.number]
        too_large = sum(step.path.stat().st_size for step in results) > MAX_RESULT_BYTES
        if len(results) <= MAX_RESULTS and not too_large:
            return None
        return next((step for step in results[:-1] if step.path != self.photo), None)

    def go_to(self, step: Step) -> None:
        """Make a step the photo that is painted on."""
        self.forget_mask()
        self.shown, self.variants = step, []
        self.photo, self.name, self.size, self.batch_photo = step.path, step.name, step.size, ""
        self.picture += 1

    def comparison_folder(self) -> Path:
        """A new folder for a comparison. Only the one before stays, to which a run that was stopped may yet write."""
        older = sorted(self.folder.glob("comparison-*"), key=lambda one: one.stat().st_mtime_ns)
        for folder in older[:-1]:
            shutil.rmtree(folder, ignore_errors=True)
        return Path(tempfile.mkdtemp(prefix="comparison-", dir=self.folder))

    def keep_mask(self, mask: np.ndarray) -> None:
        """Take a mask, (H, W) bool, of the photo's size."""
        mask_file.save_bits(mask, self._mask)

    def mask(self) -> np.ndarray | None:
        """The mask that came with a file or a sample, (H, W) bool."""
        return mask_file.load_bits(self._mask) if self._mask.exists() else None

    def forget_mask(self) -> None:
        self._mask.unlink(missing_ok=True)

    @property
    def _mask(self) -> Path:
        return self.folder / "mask.png"

    def public_folder(self, root: Path) -> Path:
        """The empty folder in `root`, from where Gradio serves files without another copy."""
        if self.public is None:
            self.public = root / secrets.token_hex(32)
        shutil.rmtree(self.public, ignore_errors=True)
        self.public.mkdir(mode=0o700, parents=True)
        return self.public

    def delete(self) -> None:
        """All files."""
        if self.public:
            shutil.rmtree(self.public, ignore_errors=True)
        if self.batch:
            self.batch.delete()
        shutil.rmtree(self.folder, ignore_errors=True)

    # ---- stopping ----

    def begin(self, task: str) -> threading.Event:
        """An event of its own for each run: one that is told to stop stays stopped when the next begins."""
        event = threading.Event()
        with self._lock:
            self._tasks = [one for one in self._tasks if one[1]()] + [(task, weakref.ref(event))]
        return event

    def stop(self, *tasks: str) -> None:
        """Tell all runs of these tasks to stop, of all tasks without a name."""
        with self._lock:
            events = [event() for task, event in self._tasks if not tasks or task in tasks]
        for one in events:
            if one:
                one.set()


class Sessions:
    """All visitors by the key that Gradio gives each browser tab. Safe to use from several threads."""

    def __init__(self, idle_s: float = IDLE_S, most: int = MAX_SESSIONS) -> None:
        self._idle_s, self._most = idle_s, most
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()

    def get(self, key: str) -> Session:
        """The visitor's session, a new one for a new key; whoever has been idle for too long is forgotten."""
        with self._lock:
            if key not in self._sessions:
                self._sessions[key] = Session(folder=private_folder())
            session = self._sessions[key]
            session.used = time.monotonic()
        self.forget()
        return session

    def forget(self) -> None:
        """End the sessions of visitors who did nothing for too long, or are too many."""
        now = time.monotonic()
        with self._lock:
            by_age = sorted(self._sessions, key=lambda one: self._sessions[one].used)
            surplus = by_age[: max(0, len(by_age) - self._most)]
            idle = [one for one in by_age if now - self._sessions[one].used > self._idle_s]
            gone = [self._sessions.pop(one) for one in {*surplus, *idle}]
        for one in gone:
            _end(one)

    def keep_forgetting(self, also: Callable[[], None] = lambda: None, every_s: float = 600) -> None:
        """`forget`, and `also`, from time to time until the program ends, also while nobody comes."""

        def watch() -> None:
            while True:
                time.sleep(every_s)
                self.forget()
                also()

        threading.Thread(target=watch, daemon=True).start()

    def close(self, key: str) -> None:
        """The visitor has left: stop what runs, delete the files."""
        with self._lock:
            session = self._sessions.pop(key, None)
        if session:
            _end(session)

    def close_all(self) -> None:
        for key in list(self._sessions):
            self.close(key)


def _end(session: Session) -> None:
    session.gone = True
    session.stop()
    session.delete()


def private_folder() -> Path:
    """A new folder for files of visitors, which nobody else on this machine can read."""
    return Path(tempfile.mkdtemp(prefix=PREFIX))


def clear_abandoned(older_than_s: float = ABANDONED_S) -> list[Path]:
    """Delete the `private_folder`s of pages that were killed; returns them.

    Only folders of this user, with our kind of name, in which nothing was written for `older_than_s`.
    """
    found, now = [], time.time()
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # somebody else's, or just deleted by another page
            ours = re.fullmatch(r"[a-z0-9_]{8}", folder.name.removeprefix(PREFIX)) and not folder.is_symlink()
            if not ours or not folder.is_dir() or hasattr(os, "getuid") and folder.stat().st_uid != os.getuid():
                continue
            if now - max(path.lstat().st_mtime for path in (folder, *folder.rglob("*"))) > older_than_s:
                shutil.rmtree(folder)
                found.append(folder)
    return found
