"""Pictures inside bytes: found by what they begin with, in any wrapping, and decoded small."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
from PIL import Image

from moebius.photo.ifd import Entry, Layout, read_directory, read_layout, read_values
from moebius.photo.jpeg_segments import SOS, read_segments
from moebius.photo.text_pictures import read_text_pictures

_SIDE = 256
"""A JPEG is decoded at about this size, which is cheap."""
_MAX_PIXELS = 2**26
_JPEG = b"\xff\xd8\xff"
_STARTS = {
    b"\x89PNG\r\n\x1a\n": ("PNG", 0),
    b"GIF89a": ("GIF", 0),
    b"GIF87a": ("GIF", 0),
    b"WEBPVP8": ("WEBP", 8),
    b"ftypavif": ("AVIF", 4),
}
"""First bytes that are looked for, Pillow's name of the format, and how many bytes stand before them."""
_HEIF = (b"ftypheic", b"ftypheix", b"ftypmif1")
_TIFF = (b"II*\0", b"MM\0*")
_MORE_SCAN = b"\x35\x5a" * 2048 + b"\xff\xd9"
"""Behind a JPEG that breaks off, so that the decoder gives what there is."""
_MAX_DEPTH = 3


def read_pictures(data: bytes, depth: int = 0) -> Iterator[Image.Image]:
    """Every picture that begins somewhere in `data`, also in text, in a profile of its own or behind other bytes.

    What no decoder reads is passed over: nobody sees it either. JPEGs come at about `_SIDE` pixels.
    """
    at = data.find(_JPEG)
    while at >= 0:
        if (end := _end_of_jpeg(data, at)) and (picture := _open(data[at:end] + _MORE_SCAN, "JPEG")):
            yield picture
        at = data.find(_JPEG, at + 2)
    for start, (kind, before) in _STARTS.items():
        at = data.find(start)
        while at >= 0:
            if at >= before and (picture := _open(data[at - before :], kind)):
                yield picture
            at = data.find(start, at + 1)
    for start in _HEIF:
        if (at := data.find(start)) >= 4 and (picture := _open(data[at - 4 :], "HEIF")):
            yield picture
    for start in _TIFF:
        at = data.find(start)
        while at >= 0:
            yield from read_tiff_pictures(data[at:])
            at = data.find(start, at + 1)
    if depth < _MAX_DEPTH:
        for content in read_text_pictures(data):
            yield from read_pictures(content, depth + 1)


def read_tiff_pictures(data: bytes, skip_first: bool = False) -> Iterator[Image.Image]:
    """The uncompressed pictures of 8 and 16 bits in the directories of EXIF data or a TIFF, those below included.

    Args:
        skip_first: leave out the first directory's own.
    """
    try:
        layout = read_layout(data)
    except ValueError:
        return
    waiting: list[int] = [layout.first]
    seen: set[int] = set()
    while waiting and len(seen) < 64:
        at = waiting.pop(0)
        if not at or at in seen:
            continue
        seen.add(at)
        try:
            entries, following = read_directory(data, layout, at)
            waiting.append(following)
            for tag in {330, 34665} & entries.keys():
                waiting.extend(read_values(data, layout, entries[tag])[:16])
            if len(seen) > 1 or not skip_first:
                yield from _raw_picture(data, layout, entries)
        except ValueError:
            continue


def _raw_picture(data: bytes, layout: Layout, entries: dict[int, Entry]) -> Iterator[Image.Image]:
    def get(tag: int, default: tuple = ()) -> tuple:
        return read_values(data, layout, entries[tag]) if tag in entries else default

    if not {256, 257, 273, 279} <= entries.keys() or get(259, (1,)) != (1,):
        return
    (width,), (height,), samples, bits = get(256), get(257), get(277, (1,))[0], get(258, (8,))[0]
    if bits not in (8, 16) or samples not in (1, 3, 4) or not 0 < width * height <= _MAX_PIXELS:
        return
    strips = b"".join(data[o : o + n] for o, n in zip(get(273), get(279), strict=False))
    kind = np.dtype(np.uint8) if bits == 8 else np.dtype(np.uint16).newbyteorder(layout.order)
    count = width * height * samples
    if len(strips) < count * kind.itemsize:
        return
    pixels = np.frombuffer(strips, kind, count).reshape(height, width, samples)[..., : min(samples, 3)]
    pixels = pixels.mean(axis=2) / (257 if bits == 16 else 1)
    yield Image.fromarray(pixels.astype(np.uint8))


def _end_of_jpeg(data: bytes, start: int) -> int | None:
    try:
        segments, length = read_segments(data[start:], strict=True)
    except ValueError:
        return None
    return start + length if any(segment.marker == SOS for segment in segments) else None


def _open(data: bytes, kind: str) -> Image.Image | None:
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "MPO") if kind == "JPEG" else (kind,)) as image:
            if kind == "JPEG":
                image.draft("L", (_SIDE, _SIDE))
            if image.width * image.height > _MAX_PIXELS:
                return None
            image.load()
            return image.convert("RGBA" if "transparency" in image.info else "RGB").convert("L")
    except Exception:  # Pillow raises nearly everything
        return None
