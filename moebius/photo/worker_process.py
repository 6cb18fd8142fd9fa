"""What runs in a process of `moebius.photo.worker`: calls come over standard input, answers go over standard output.

It imports `moebius.photo` alone. It is kept from what it does not need where that is simple: it gets no variables of
the program but a few, writes no core files and no endless ones, gains no privileges, and is the first that the kernel
ends where memory runs out. It is no sandbox: it has the program's rights to files and network.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image

from moebius import environment
from moebius.photo import file_kinds, images, limits, messages, photo_file
from moebius.photo.messages import Message
from moebius.photo.photo_file import Photo, PhotoError
from moebius.photo.raster import Raster
from moebius.photo.silence import quiet

_MAX_FILE_BYTES = 2**32
_NO_NEW_PRIVILEGES = 38
"""PR_SET_NO_NEW_PRIVS of Linux."""
_ENDED_FIRST = "500"
"""Of at most 1000, added to what the kernel thinks of the process's memory."""


def serve() -> None:
    """Answer calls until the other side is gone."""
    calls, answers = os.fdopen(os.dup(0), "rb", buffering=0), os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what libraries print is no answer
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    give_up_rights()
    while True:
        try:
            call = messages.receive(calls)
        except EOFError:
            return
        environment.MAX_BYTES.set(str(call["max_bytes"]))
        environment.MAX_PIXELS.set(str(call["max_pixels"]))
        try:
            if call["task"] != "encode_photo":
                messages.send(answers, {"pixels": _count_pixels(call["data"])})
            messages.send(answers, _answer(call))
        except OSError:
            return
        del call


def give_up_rights() -> None:
    """See the module. What a system does not have is left out."""
    with suppress(ImportError):  # Windows
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # they would hold strangers' pictures
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        most = _MAX_FILE_BYTES if hard == resource.RLIM_INFINITY else min(hard, _MAX_FILE_BYTES)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(_ENDED_FIRST)


def _answer(call: Message) -> Message:
    try:
        return _TASKS[call["task"]](call)
    except (ValueError, OSError) as error:
        return messages.from_error(error)
    except MemoryError:
        return messages.from_error(PhotoError(f"{call['name']} needs more memory than there is; scale it down"))
    except Exception as error:
        return messages.from_error(error)


def _count_pixels(data: bytearray) -> int:
    """As the file's header says; 0 where it cannot be read, of which the task itself will say more."""
    try:
        with quiet(stderr=True), Image.open(io.BytesIO(data), formats=file_kinds.readable_formats()) as image:
            return image.width * image.height
    except Exception:  # Pillow's decoders raise nearly everything on damaged files
        return 0


def _open_photo(call: Message) -> Message:
    photo = photo_file.open_photo(bytes(call["data"]), call["name"])
    if isinstance(photo.raster, Image.Image) and photo.raster.mode == "CMYK":
        _try_profile(photo.raster)
    return messages.from_photo(photo)


def _try_profile(raster: Image.Image) -> None:
    """The program converts colours with the file's profile: one that brings the converter down does so here first."""
    corner = raster.crop((0, 0, 1, 1))
    corner.info = raster.info
    images.put_back(corner, images.to_rgb(corner), np.ones((1, 1), bool))


def _open_mask(call: Message) -> Message:
    size = call["size"]
    return messages.from_mask(photo_file.open_mask(bytes(call["data"]), size and tuple(size), call["name"]))


def _encode_photo(call: Message) -> Message:
    pixels = max(limits.max_pixels(), np.prod(call["changed"]["shape"]))
    raster, before = messages.to_raster(call["raster"], pixels), messages.to_raster(call["before"], pixels)
    if call["box"]:
        before = _with_box(raster, before, call["box"])
    changed = messages.to_mask(call["changed"], pixels)
    photo = Photo(
        raster=before,
        format=call["format"],
        data=bytes(call["data"]),
        orientation=call["orientation"],
        name=call["name"],
    )
    return messages.from_encoded(photo_file.encode_photo(photo, raster, changed, call["suffix"], call["mark"]))


def _with_box(raster: Raster, cut: Raster, box: list[int]) -> Raster:
    left, top, right, bottom = box
    if isinstance(raster, np.ndarray):
        pixels = raster.copy()
        pixels[top:bottom, left:right] = cut
        return pixels
    if isinstance(cut, np.ndarray):
        raise ValueError(f"the photo has 16 bits a channel, the edited one is {raster.mode}")
    out = raster.copy()
    out.paste(cut, (left, top, right, bottom))
    out.info = cut.info
    return out


_TASKS: dict[str, Callable[[Message], Message]] = {
    "open_photo": _open_photo,
    "open_mask": _open_mask,
    "encode_photo": _encode_photo,
}
