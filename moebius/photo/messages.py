"""Messages between a program and the processes that decode files for it: JSON, and raw bytes behind it.

Nothing in a message can run. What comes from a process that a file may have taken over is text, numbers and pixels, and
is checked here before it becomes a photo.
"""

from __future__ import annotations

import json
import struct
from typing import IO, Any

import numpy as np
from PIL import Image

from moebius.photo import images, photo_file
from moebius.photo.errors import NotAPhotoError, PhotoError, TooLargeError
from moebius.photo.photo_file import Encoded, Photo
from moebius.photo.raster import Raster, shape_of

Message = dict[str, Any]
"""Values of JSON's types; bytes and arrays may stand anywhere and come back as bytearrays."""

MAX_TEXT_BYTES = 2**20
MAX_BUFFERS = 8
_HEAD = struct.Struct("<II")  # bytes of JSON, number of buffers; then 8 bytes for the length of each
_BYTES_PER_PIXEL = {"L": 1, "LA": 2, "P": 1, "RGB": 3, "RGBA": 4, "CMYK": 4, "I;16": 2, "I;16L": 2, "I;16B": 2}
_DEEP = "uint16"
"""In place of a Pillow mode: an array of 16-bit colours."""
_ERRORS = {kind.__name__: kind for kind in (TooLargeError, NotAPhotoError, PhotoError, ValueError, RuntimeError)}
"""The most special first."""


class BadMessage(Exception):
    """What came is no message of the kind that was expected."""


# ---- over pipes ----


def send(pipe: IO[bytes], message: Message) -> None:
    """Write a message. Raises OSError where the other side is gone."""
    buffers: list[memoryview] = []

    def buffer(value: Any) -> dict[str, int]:
        buffers.append(memoryview(value).cast("B"))
        return {"buffer": len(buffers) - 1}

    text = json.dumps(message, default=buffer).encode()
    sizes = struct.pack(f"<{len(buffers)}Q", *(view.nbytes for view in buffers))
    _write(pipe, _HEAD.pack(len(text), len(buffers)) + sizes + text)
    for view in buffers:
        _write(pipe, view)


def receive(pipe: IO[bytes], max_bytes: int | None = None) -> Message:
    """Read a message.

    Args:
        max_bytes: of its buffers together; None: of a side that is trusted.

    Raises:
        EOFError: the other side is gone.
        BadMessage: it is too long, or no message.
    """
    size, count = _HEAD.unpack(_read(pipe, _HEAD.size))
    if max_bytes is not None and (size > MAX_TEXT_BYTES or count > MAX_BUFFERS):
        raise BadMessage(f"a message of {size} bytes of text and {count} buffers")
    sizes = struct.unpack(f"<{count}Q", _read(pipe, 8 * count))
    if max_bytes is not None and sum(sizes) > max_bytes:
        raise BadMessage(f"buffers of {sum(sizes)} bytes, allowed are {max_bytes}")
    text = _read(pipe, size)
    buffers = [_read(pipe, one) for one in sizes]
    try:
        message = json.loads(text, object_hook=lambda one: buffers[one["buffer"]] if "buffer" in one else one)
    except (ValueError, TypeError, IndexError, RecursionError) as error:
        raise BadMessage(f"{type(error).__name__}: {error}") from error
    if not isinstance(message, dict):
        raise BadMessage(f"a {type(message).__name__}")
    return message


def _write(pipe: IO[bytes], data: bytes | memoryview) -> None:
    view = memoryview(data)
    while view.nbytes:
        view = view[pipe.write(view) :]


def _read(pipe: IO[bytes], size: int) -> bytearray:
    data = bytearray(size)
    view = memoryview(data)
    while view.nbytes:
        count = pipe.readinto(view)  # type: ignore[attr-defined]
        if not count:
            raise EOFError
        view = view[count:]
    return data


# ---- what they hold ----


def from_raster(raster: Raster) -> Message:
    """A picture's pixels, with its palette, profile and transparency."""
    height, width = shape_of(raster)
    if isinstance(raster, np.ndarray):
        pixels = np.ascontiguousarray(raster)
        return {"mode": _DEEP, "size": [width, height], "channels": raster.shape[2], "pixels": pixels}
    palette = raster.palette if raster.mode == "P" else None
    return {
        "mode": raster.mode,
        "size": [width, height],
        "pixels": raster.tobytes(),
        "palette": [palette.mode, bytes(palette.palette)] if palette else None,
        "profile": raster.info.get("icc_profile"),
        "transparency": raster.info.get("transparency"),
    }


def to_raster(message: Message, max_pixels: int) -> Raster:
    """Raises BadMessage where it is no picture that `photo_file.open_photo` may give."""
    try:
        mode, (width, height), pixels = message["mode"], message["size"], message["pixels"]
        _check(all(type(side) is int and side > 0 for side in (width, height)) and width * height <= max_pixels)
        _check(isinstance(pixels, bytearray))
        if mode == _DEEP:
            _check(message["channels"] in (2, 3, 4))
            return np.frombuffer(pixels, np.uint16).reshape(height, width, message["channels"])
        _check(mode in images.MODES)
        row = (width + 7) // 8 if mode == "1" else width * _BYTES_PER_PIXEL[mode]
        _check(len(pixels) == row * height)
        image = Image.frombytes(mode, (width, height), bytes(pixels) if mode == "1" else pixels)
        if message["palette"]:
            kind, entries = message["palette"]
            _check(kind in ("RGB", "RGBA") and isinstance(entries, bytearray))
            image.putpalette(bytes(entries[: 256 * len(kind)]), kind)
        image.info = {}
        if message["profile"] is not None:
            image.info["icc_profile"] = bytes(memoryview(message["profile"]))
        if message["transparency"] is not None:
            image.info["transparency"] = _transparency(message["transparency"])
    except (ValueError, TypeError, KeyError) as error:
        raise BadMessage(f"no picture: {type(error).__name__}: {error}") from error
    return image


def _transparency(value: Any) -> int | bytes | tuple[int, ...]:
    """Of a PNG or a GIF: a palette's opacities, a grey or an index, or a colour."""
    if isinstance(value, bytearray):  # damaged files may have more than there are colours
        return bytes(value)
    numbers = value if isinstance(value, list) else [value]
    _check(len(numbers) in (1, 3) and all(type(one) is int and 0 <= one < 2**16 for one in numbers))
    return tuple(numbers) if isinstance(value, list) else value


def from_mask(mask: np.ndarray) -> Message:
    """A mask, (H, W) bool, packed into bits."""
    return {"shape": list(mask.shape), "bits": np.packbits(mask)}


def to_mask(message: Message, max_pixels: int) -> np.ndarray:
    """(H, W) bool. Raises BadMessage."""
    try:
        (height, width), bits = message["shape"], message["bits"]
        _check(all(type(side) is int and side > 0 for side in (height, width)) and height * width <= max_pixels)
        _check(len(bits) == (height * width + 7) // 8)
        packed = np.frombuffer(bits, np.uint8)
        return np.unpackbits(packed, count=height * width).reshape(height, width).astype(bool)
    except (ValueError, TypeError, KeyError) as error:
        raise BadMessage(f"no mask: {type(error).__name__}: {error}") from error


def from_photo(photo: Photo) -> Message:
    """All but the file, which the other side has, and its name."""
    return {
        "format": photo.format,
        "orientation": photo.orientation,
        "profile": photo.profile,
        "notes": photo.notes,
        "raster": from_raster(photo.raster),
    }


def to_photo(message: Message, data: bytes, name: str, max_pixels: int) -> Photo:
    """Raises BadMessage."""
    try:
        raster, notes = to_raster(message["raster"], max_pixels), _sentences(message["notes"])
        kind, orientation = message["format"], message["orientation"]
        profile = None if message["profile"] is None else bytes(memoryview(message["profile"]))
        _check(kind in photo_file.SUFFIXES and type(orientation) is int and orientation in range(1, 9))
    except (ValueError, TypeError, KeyError) as error:
        raise BadMessage(f"no photo: {type(error).__name__}: {error}") from error
    return Photo(
        raster=raster, format=kind, data=data, orientation=orientation, name=name, profile=profile, notes=notes
    )


def from_encoded(encoded: Encoded) -> Message:
    """A written file with its notes."""
    return {"data": encoded.data, "format": encoded.format, "notes": encoded.notes}


def to_encoded(message: Message) -> Encoded:
    """Raises BadMessage."""
    try:
        data, kind, notes = message["data"], message["format"], _sentences(message["notes"])
        _check(kind in photo_file.SUFFIXES and isinstance(data, bytearray))
    except (ValueError, TypeError, KeyError) as error:
        raise BadMessage(f"no file: {type(error).__name__}: {error}") from error
    return Encoded(data=bytes(data), format=kind, notes=notes)


def from_error(error: Exception) -> Message:
    """An error by its kind and text; one of unknown kind as a RuntimeError."""
    if isinstance(error, OSError):
        return {"error": "OSError", "number": error.errno, "text": error.strerror or str(error)}
    kind = next((name for name, kind in _ERRORS.items() if isinstance(error, kind)), None)
    return {"error": kind or "RuntimeError", "text": str(error) if kind else f"{type(error).__name__}: {error}"}


def to_error(message: Message) -> Exception:
    """Raises BadMessage."""
    kind, text, number = message.get("error"), message.get("text"), message.get("number")
    if not isinstance(text, str) or not (kind in _ERRORS or kind == "OSError"):
        raise BadMessage("no error")
    if kind == "OSError":
        return OSError(number, text) if type(number) is int else OSError(text)
    return _ERRORS[kind](text)


def _sentences(value: Any) -> tuple[str, ...]:
    _check(isinstance(value, list) and all(isinstance(one, str) for one in value))
    return tuple(value)


def _check(holds: bool) -> None:
    if not holds:
        raise ValueError("not as expected")
