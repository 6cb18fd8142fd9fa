"""The boxes of AVIF and HEIC files (ISO/IEC 14496-12 and 23008-12) that say how the main picture is cropped."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from fractions import Fraction

from PIL import Image

Box = tuple[bytes, int, int]
"""Its name, and where its content begins and ends."""


CROPPED = "The file holds more than is shown: it is cropped, and the result holds what is shown."
"""The note on such a photo."""


def cropped(image: Image.Image, data: bytes) -> Image.Image | None:
    """What is shown of a picture that was decoded whole; None where all of it is."""
    box = read_crop(data, image.size)
    if box is None:
        return None
    cut = image.crop(box)
    cut.format, cut.info = image.format, image.info
    return cut


def read_crop(data: bytes, size: tuple[int, int]) -> tuple[int, int, int, int] | None:
    """(left, top, right, bottom) of what is shown of the main picture; None where all of it is, or nothing sensible.

    Args:
        size: width and height of the stored picture.
    """
    try:
        properties = _properties(data)
    except (struct.error, StopIteration, IndexError):
        return None
    for name, start, end in properties:
        if name == b"clap" and end - start >= 32:
            return _window(struct.unpack_from(">IIIIiIiI", data, start), size)
    return None


def _window(numbers: tuple[int, ...], size: tuple[int, int]) -> tuple[int, int, int, int] | None:
    """Of a clean aperture (14496-12, 12.1.4): its width, height, and how far its centre is from the picture's."""
    if 0 in numbers[1::2]:
        return None
    width, height, right, down = (Fraction(*numbers[i : i + 2]) for i in range(0, 8, 2))
    left, top = right + (size[0] - width) / 2, down + (size[1] - height) / 2
    sides = left, top, left + width, top + height
    box = int(left), int(top), int(left + width), int(top + height)
    is_inside = 0 <= box[0] < box[2] <= size[0] and 0 <= box[1] < box[3] <= size[1]
    if any(side.denominator != 1 for side in sides) or not is_inside or box == (0, 0, *size):
        return None
    return box


def _properties(data: bytes) -> list[Box]:
    """Of the main picture, in their order."""
    _, start, end = _find(_boxes(data, 0, len(data)), b"meta")
    meta = list(_boxes(data, start + 4, end))
    _, start, _ = _find(meta, b"pitm")
    main = struct.unpack_from(">I" if data[start] else ">H", data, start + 4)[0]
    _, start, end = _find(meta, b"iprp")
    both = list(_boxes(data, start, end))
    _, start, end = _find(both, b"ipco")
    known = list(_boxes(data, start, end))
    _, at, _ = _find(both, b"ipma")
    version, wide = data[at], data[at + 3] & 1
    at, count = at + 8, struct.unpack_from(">I", data, at + 4)[0]
    for _ in range(min(count, len(data))):
        item, number = struct.unpack_from(">IB" if version else ">HB", data, at)
        at += 5 if version else 3
        if item == main:
            indices = struct.unpack_from(f">{number}{'H' if wide else 'B'}", data, at)
            return [known[(index & (0x7FFF if wide else 0x7F)) - 1] for index in indices if index & 0x7F]
        at += number * (2 if wide else 1)
    return []


def _find(boxes: Iterator[Box] | list[Box], name: bytes) -> Box:
    return next(box for box in boxes if box[0] == name)


def _boxes(data: bytes, at: int, end: int) -> Iterator[Box]:
    while at + 8 <= end:
        length, name = struct.unpack_from(">I4s", data, at)
        start = at + 8
        if length == 1:
            length, start = struct.unpack_from(">Q", data, start)[0], start + 8
        after = end if length == 0 else at + length
        if after < start or after > end:
            return
        yield name, start, after
        at = after
