"""Photo files opened and written in a process of its own: native code that a stranger's file brings down takes only
that process along, and its death is an error in words.

The process is started once and kept; one that died is started anew by the next call. It imports `moebius.photo` alone.
Calls go one at a time, as they do in one process (`silence.quiet`). A message is a length, a pickle, and its large
buffers behind it, over pipes; the pixels that an edit left alone are not sent twice.
"""

from __future__ import annotations

import atexit
import pickle
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image

from moebius import environment
from moebius.photo import photo_file
from moebius.photo.photo_file import Encoded, Photo, PhotoError, read_file
from moebius.photo.raster import Raster, bounding_box

MAX_SECONDS = 180.0
"""The longest that one file may take."""
_HEAD = struct.Struct("<QI")


class PhotoWorker:
    """`photo_file`'s functions `open_photo`, `open_mask` and `encode_photo`, in a process of its own.

    Safe to use from several threads.
    """

    def __init__(self, max_seconds: float = MAX_SECONDS) -> None:
        self._max_seconds = max_seconds
        self._lock = threading.Lock()
        self._process: subprocess.Popen | None = None
        atexit.register(self.close)

    @property
    def pid(self) -> int | None:
        """Of the process, while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self) -> None:
        """Start the process if it does not run, so that the first file need not wait for it."""
        with self._lock:
            self._ready()

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end()

    def open_photo(self, source: Path | str | bytes, name: str | None = None) -> Photo:
        """See `photo_file.open_photo`."""
        name = photo_file.name_of(source, name)
        data = read_file(source, name)
        photo = self._call("open_photo", name, data)
        return replace(photo, raster=_unpacked(photo.raster), data=data)

    def open_mask(
        self, source: Path | str | bytes, size: tuple[int, int] | None = None, name: str | None = None
    ) -> np.ndarray:
        """See `photo_file.open_mask`."""
        name = name or ("the mask" if isinstance(source, bytes) else photo_file.name_of(source))
        bits, shape = self._call("open_mask", name, read_file(source, name), size)
        return np.unpackbits(bits, count=shape[0] * shape[1]).reshape(shape).astype(bool)

    def encode_photo(
        self, photo: Photo, raster: Raster, changed: np.ndarray, suffix: str | None = None, mark: str | None = None
    ) -> Encoded:
        """See `photo_file.encode_photo`."""
        bare, box, old = replace(photo, raster=None), None, _packed(photo.raster)
        if photo_file.size_of(raster) == photo.size and _kind(raster) == _kind(photo.raster):
            box = bounding_box(changed) if changed.any() else (0, 0, 1, 1)
            old = _packed(_cut(photo.raster, box))
        bits = np.packbits(changed), changed.shape
        return self._call("encode_photo", photo.name, bare, box, old, _packed(raster), bits, suffix, mark)

    def _call(self, task: str, name: str, *arguments: Any) -> Any:
        limits = environment.MAX_BYTES.read(), environment.MAX_PIXELS.read()
        with self._lock:
            process = self._ready()
            expired = threading.Event()
            late = threading.Timer(self._max_seconds, lambda: (expired.set(), process.kill()))
            late.daemon = True
            late.start()
            try:
                send(process.stdin, (task, name, limits, arguments))
                result = receive(process.stdout)
            except (EOFError, OSError):  # it died
                self._end()
                why = f"took longer than {self._max_seconds:.0f} s" if expired.is_set() else "crashed the decoder"
                raise PhotoError(f"{name} {why}; save it anew with another program, or as PNG") from None
            finally:
                late.cancel()
        if isinstance(result, Exception):
            raise result
        return result

    def _ready(self) -> subprocess.Popen:
        if self.pid is None:
            self._end()
            command = [sys.executable, "-c", "from moebius.photo.worker import serve; serve()"]
            root = str(Path(__file__).parents[2])
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, cwd=root, start_new_session=True
            )
        return self._process

    def _end(self) -> None:
        if self._process:
            self._process.kill()
            for pipe in (self._process.stdin, self._process.stdout):
                pipe.close()
            self._process.wait()
            self._process = None


# ---- messages ----


def send(pipe: IO[bytes], message: Any) -> None:
    """Write a message. Raises OSError where the other side is gone."""
    large: list[pickle.PickleBuffer] = []
    body = pickle.dumps(message, protocol=5, buffer_callback=large.append)
    views = [buffer.raw() for buffer in large]
    _write(pipe, _HEAD.pack(len(body), len(views)) + b"".join(struct.pack("<Q", view.nbytes) for view in views) + body)
    for view in views:
        _write(pipe, view)


def receive(pipe: IO[bytes]) -> Any:
    """Read a message. Raises EOFError where the other side is gone."""
    size, count = _HEAD.unpack(_read(pipe, _HEAD.size))
    sizes = struct.unpack(f"<{count}Q", _read(pipe, 8 * count))
    body = _read(pipe, size)
    return pickle.loads(body, buffers=[_read(pipe, one) for one in sizes])


def _write(pipe: IO[bytes], data: bytes | memoryview) -> None:
    view = memoryview(data)
    while view.nbytes:
        view = view[pipe.write(view) :]


def _read(pipe: IO[bytes], size: int) -> bytearray:
    data = bytearray(size)
    view = memoryview(data)
    while view.nbytes:
        count = pipe.readinto(view)
        if not count:
            raise EOFError
        view = view[count:]
    return data


def _packed(raster: Raster) -> tuple:
    """A picture whose pixels travel as a buffer."""
    if isinstance(raster, np.ndarray):
        return ("array", raster.shape, pickle.PickleBuffer(np.ascontiguousarray(raster)))
    palette = (raster.palette.mode, bytes(raster.palette.palette)) if raster.mode == "P" and raster.palette else None
    return (raster.mode, raster.size, palette, raster.info, pickle.PickleBuffer(raster.tobytes()))


def _unpacked(packed: tuple) -> Raster:
    if packed[0] == "array":
        return np.frombuffer(packed[2], np.uint16).reshape(packed[1])
    mode, size, palette, info, pixels = packed
    image = Image.frombytes(mode, size, bytes(pixels) if mode == "1" else pixels)
    if palette:
        image.putpalette(palette[1], palette[0])
    image.info = info
    return image


def _kind(raster: Raster) -> str:
    return f"array {raster.shape[2]}" if isinstance(raster, np.ndarray) else raster.mode


def _cut(raster: Raster, box: tuple[int, int, int, int]) -> Raster:
    if isinstance(raster, np.ndarray):
        return raster[box[1] : box[3], box[0] : box[2]]
    cut = raster.crop(box)
    cut.info = raster.info
    return cut


# ---- in the process ----


def serve() -> None:
    """Answer calls until the other side is gone."""
    import os

    calls, answers = os.fdopen(os.dup(0), "rb", buffering=0), os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what libraries print is no answer
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the page, which ends this process
    _write_no_core_files()
    tasks: dict[str, Callable] = {"open_photo": _open_photo, "open_mask": _open_mask, "encode_photo": _encode_photo}
    while True:
        try:
            task, name, (max_bytes, max_pixels), arguments = receive(calls)
        except EOFError:
            return
        environment.MAX_BYTES.set(str(max_bytes))
        environment.MAX_PIXELS.set(str(max_pixels))
        try:
            result = tasks[task](name, *arguments)
        except (ValueError, OSError) as error:
            result = error
        except MemoryError:
            result = PhotoError(f"{name} needs more memory than there is; scale it down")
        except Exception as error:
            result = RuntimeError(f"{type(error).__name__}: {error}")
        try:
            send(answers, result)
        except OSError:
            return
        del task, name, arguments, result


def _write_no_core_files() -> None:
    """No core files: they would hold strangers' pictures."""
    try:
        import resource
    except ImportError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _open_photo(name: str, data: bytearray) -> Photo:
    photo = photo_file.open_photo(bytes(data), name)
    return replace(photo, raster=_packed(photo.raster), data=b"")


def _open_mask(name: str, data: bytearray, size: tuple[int, int] | None) -> tuple[np.ndarray, tuple[int, int]]:
    mask = photo_file.open_mask(bytes(data), size, name)
    return np.packbits(mask), mask.shape


def _encode_photo(
    name: str, bare: Photo, box: tuple | None, old: tuple, new: tuple, bits: tuple, suffix: str | None, mark: str | None
) -> Encoded:
    raster, before = _unpacked(new), _unpacked(old)
    if box:
        before = _with_box(raster, before, box)
    packed, shape = bits
    changed = np.unpackbits(packed, count=shape[0] * shape[1]).reshape(shape).astype(bool)
    return photo_file.encode_photo(replace(bare, raster=before), raster, changed, suffix, mark)


def _with_box(raster: Raster, cut: Raster, box: tuple[int, int, int, int]) -> Raster:
    out = raster.copy()
    if isinstance(raster, np.ndarray):
        out[box[1] : box[3], box[0] : box[2]] = cut
    else:
        out.paste(cut, box)
        out.info = cut.info
    return out
