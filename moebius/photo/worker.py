"""Photo files opened and written in processes of their own: native code that a stranger's file brings down takes only
its process along, and that is an error in words; a file that takes long does not keep others waiting.

A process is started when all others are busy, up to a number, and kept; one that died is started again by the next
call. What goes over its pipes is data alone (`moebius.photo.messages`); what it answers is checked.
`moebius.photo.worker_process` is what runs in it.
"""

from __future__ import annotations

import atexit
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from moebius import environment
from moebius.photo import limits, messages, photo_file
from moebius.photo.messages import BadMessage, Message
from moebius.photo.photo_file import Encoded, Photo, PhotoError, read_file
from moebius.photo.raster import Raster, bounding_box

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_PROCESSES = 4
"""A batch needs two at a time; the others are for those who come meanwhile."""
MAX_SECONDS = 180.0
"""The longest that one file may take."""
_SECONDS, _SECONDS_PER_MEGAPIXEL = 30.0, 2.0
"""The longest that a file of so many pixels may take: many times what the slowest format does on a busy core."""
_PROGRAM = "from moebius.photo.worker_process import serve; serve()"
_PIPE_BYTES = 2**20

Answer = TypeVar("Answer")


class PhotoWorkers:
    """`photo_file`'s functions `open_photo`, `open_mask` and `encode_photo`, in processes of their own.

    Safe to use from several threads.

    Args:
        count: most processes at a time; further calls wait for one.
        max_seconds: the longest that one file may take, however large it is.
    """

    def __init__(self, count: int = MAX_PROCESSES, max_seconds: float = MAX_SECONDS) -> None:
        self._max_seconds = max_seconds
        self._turns = threading.Semaphore(count)
        self._lock = threading.Lock()
        self._all: list[_Process] = []
        self._idle: list[_Process] = []
        atexit.register(self.close)

    @property
    def pids(self) -> list[int]:
        """Of the processes that run."""
        with self._lock:
            return [process.pid for process in self._all if process.pid is not None]

    def start(self) -> None:
        """Start a process if none runs, so that the first file need not wait for it."""
        with self._turn() as process:
            process.start()

    def close(self) -> None:
        """End the processes. Calls under way fail as if their process had died."""
        with self._lock:
            busy = [process for process in self._all if process not in self._idle]
            idle, self._all, self._idle = self._idle, [], []
        for process in idle:
            process.end()
        for process in busy:
            process.kill()

    def open_photo(self, source: Path | str | bytes, name: str | None = None) -> Photo:
        """See `photo_file.open_photo`."""
        name = photo_file.name_of(source, name)
        data, pixels = read_file(source, name), limits.max_pixels()
        call = {"task": "open_photo", "name": name, "data": data}
        return self._call(call, 0, lambda answer: messages.to_photo(answer, data, name, pixels))

    def open_mask(
        self, source: Path | str | bytes, size: tuple[int, int] | None = None, name: str | None = None
    ) -> np.ndarray:
        """See `photo_file.open_mask`."""
        name = name or ("the mask" if isinstance(source, bytes) else photo_file.name_of(source))
        pixels = limits.max_pixels()
        call = {"task": "open_mask", "name": name, "data": read_file(source, name), "size": size}
        return self._call(call, 0, lambda answer: messages.to_mask(answer, pixels))

    def encode_photo(
        self, photo: Photo, raster: Raster, changed: np.ndarray, suffix: str | None = None, mark: str | None = None
    ) -> Encoded:
        """See `photo_file.encode_photo`."""
        box, before = None, photo.raster
        if photo_file.size_of(raster) == photo.size and _kind(raster) == _kind(photo.raster):
            box = bounding_box(changed) if changed.any() else (0, 0, 1, 1)  # all else is in the new picture
            before = _cut(photo.raster, box)
        call = {
            "task": "encode_photo",
            "name": photo.name,
            "data": photo.data,
            "format": photo.format,
            "orientation": photo.orientation,
            "box": box,
            "before": messages.from_raster(before),
            "raster": messages.from_raster(raster),
            "changed": messages.from_mask(changed),
            "suffix": suffix,
            "mark": mark,
        }
        return self._call(call, changed.size, messages.to_encoded)

    def _call(self, call: Message, pixels: int, read: Callable[[Message], Answer]) -> Answer:
        """Have a process do a task.

        Args:
            pixels: of the picture, 0 where that is not known yet: the process then says it before it begins.
        """
        max_pixels, max_bytes = limits.max_pixels(), limits.max_bytes()
        call |= {"max_bytes": max_bytes, "max_pixels": max_pixels}
        most = 8 * max(max_pixels, pixels) + 2 * max_bytes  # 8 bytes are the largest pixel; and the file's other parts
        with self._turn() as process:
            deadline = _Deadline(process, self._seconds(pixels))
            try:
                process.start()
                messages.send(process.calls, call)
                answer = messages.receive(process.answers, most)
                if "pixels" in answer:
                    told = answer["pixels"]
                    deadline.extend(self._seconds(min(told if type(told) is int else 0, max_pixels)))
                    answer = messages.receive(process.answers, most)
                if "error" not in answer:
                    return read(answer)
                error = messages.to_error(answer)
            except (EOFError, OSError, BadMessage):  # it died, or is not itself any more
                process.end()
                why = f"took longer than {deadline.seconds:.0f} s" if deadline.expired else "crashed the decoder"
                raise PhotoError(f"{call['name']} {why}; save it again with another program, or as PNG") from None
            finally:
                deadline.cancel()
        try:
            raise error
        finally:
            del error, call, answer  # in its frame they would keep each other, and the pictures, in memory

    def _seconds(self, pixels: int) -> float:
        return min(_SECONDS + _SECONDS_PER_MEGAPIXEL * pixels / 1e6, self._max_seconds)

    @contextmanager
    def _turn(self) -> Iterator[_Process]:
        """A process that nobody else uses meanwhile: the last one that became idle, else another one."""
        with self._turns:
            with self._lock:
                process = self._idle.pop() if self._idle else _Process()
                if process not in self._all:
                    self._all.append(process)
            try:
                yield process
            finally:
                with self._lock:
                    kept = process in self._all
                    if kept:
                        self._idle.append(process)
                if not kept:
                    process.end()


@cache
def shared() -> PhotoWorkers:
    """Those of this program: page and batches take turns."""
    return PhotoWorkers()


class _Process:
    """A process and its pipes; it may be started any number of times."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """While it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self) -> None:
        """Start it if it does not run."""
        if self.pid is not None:
            return
        self.end()
        try:
            self._process = self._popen(_PIPE_BYTES)
        except OSError:  # a user's pipes may hold so much together, and no more
            self._process = self._popen(-1)
        self.calls, self.answers = self._process.stdin, self._process.stdout

    def _popen(self, pipe_bytes: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            pipesize=pipe_bytes,
            cwd=str(Path(__file__).parents[2]),
            env=environment.few(),  # keys and passwords of the program are none of its business
            start_new_session=True,  # Ctrl-C is for the program, which ends this process
        )

    def kill(self) -> None:
        if self._process:
            self._process.kill()

    def end(self) -> None:
        if self._process:
            process, self._process = self._process, None
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe:
                    pipe.close()


class _Deadline:
    """Kills a process when its time is over."""

    def __init__(self, process: _Process, seconds: float) -> None:
        self.process = process
        self.seconds = seconds  # all of the time that it has
        self.expired = False
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._start()

    def extend(self, seconds: float) -> None:
        """Give it that many seconds in all, where it has fewer."""
        if seconds > self.seconds:
            self.cancel()
            self.seconds = seconds
            self._start()

    def cancel(self) -> None:
        """From then on nothing is killed."""
        with self._lock:
            self._timer.cancel()
            self._timer = None

    def _start(self) -> None:
        left = self._began + self.seconds - time.monotonic()
        timer = threading.Timer(left, self._end)
        timer.daemon = True
        self._timer = timer
        timer.start()

    def _end(self) -> None:
        with self._lock:
            if self._timer is threading.current_thread():
                self.expired = True
                self.process.kill()


def _kind(raster: Raster) -> str:
    return f"array {raster.shape[2]}" if isinstance(raster, np.ndarray) else raster.mode


def _cut(raster: Raster, box: tuple[int, int, int, int]) -> Raster:
    if isinstance(raster, np.ndarray):
        return raster[box[1] : box[3], box[0] : box[2]]
    cut = raster.crop(box)
    cut.info = raster.info
    return cut
