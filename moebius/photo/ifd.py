"""The directory structure of TIFF files, which EXIF data share: entries found, read and overwritten in place."""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import dataclass
from typing import Literal

_TYPES = {1: "B", 2: "B", 3: "H", 4: "I", 6: "b", 7: "B", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}


@dataclass(frozen=True)
class Layout:
    """How numbers are stored: byte order, and 8-byte offsets in BigTIFF."""

    order: Literal["<", ">"]
    """Little or big endian, as in `struct`."""
    big: bool
    first: int
    """Offset of the first directory."""


@dataclass(frozen=True)
class Entry:
    kind: int
    count: int
    offset: int
    """Where the values lie, be it in the entry itself."""


def read_layout(data: bytes | bytearray) -> Layout:
    """Raises ValueError where `data` does not begin like a TIFF."""
    orders: dict[bytes, Literal["<", ">"]] = {b"II": "<", b"MM": ">"}
    order = orders.get(bytes(data[:2]))
    if order is None or len(data) < 8:
        raise ValueError("no TIFF structure: it begins with neither II nor MM")
    magic = struct.unpack_from(order + "H", data, 2)[0]
    if magic not in (42, 43) or (magic == 43 and len(data) < 16):
        raise ValueError(f"no TIFF structure: version {magic}, not 42 or 43")
    first = struct.unpack_from(order + ("Q" if magic == 43 else "I"), data, 8 if magic == 43 else 4)[0]
    return Layout(order, magic == 43, first)


def read_directory(data: bytes | bytearray, layout: Layout, at: int) -> tuple[dict[int, Entry], int]:
    """Entries by tag of the directory at offset `at`, and the offset of the next one (0: none).

    Raises:
        ValueError: the directory does not lie within the data.
    """
    order, big = layout.order, layout.big
    count_format, entry_format, next_format = ("Q", "HHQ", "Q") if big else ("H", "HHI", "I")
    inline = 8 if big else 4
    try:
        (count,) = struct.unpack_from(order + count_format, data, at)
        at += struct.calcsize(order + count_format)
        head = struct.calcsize(order + entry_format)
        entries: dict[int, Entry] = {}
        for _ in range(min(count, 65536)):
            tag, kind, length = struct.unpack_from(order + entry_format, data, at)
            offset = at + head
            size = length * value_size(kind)
            if size > inline:
                (offset,) = struct.unpack_from(order + next_format, data, at + head)
            entries.setdefault(tag, Entry(kind, length, offset))
            at += head + inline
        (following,) = struct.unpack_from(order + next_format, data, at)
    except struct.error as error:
        raise ValueError("the TIFF directory is damaged: it does not lie within the data") from error
    return entries, following


def repeated_tags(data: bytes | bytearray, layout: Layout, at: int) -> set[int]:
    """Tags that stand more than once in the directory at `at`: some decoders take the first one, others the last.

    Raises:
        ValueError: as `read_directory`.
    """
    read_directory(data, layout, at)
    count_format, width = ("Q", 20) if layout.big else ("H", 12)
    (count,) = struct.unpack_from(layout.order + count_format, data, at)
    start = at + struct.calcsize(layout.order + count_format)
    places = range(start, start + width * min(count, 65536), width)
    times = Counter(struct.unpack_from(layout.order + "H", data, place)[0] for place in places)
    return {tag for tag in times if times[tag] > 1}


def read_values(data: bytes | bytearray, layout: Layout, entry: Entry) -> tuple:
    """The numbers of an entry. Raises ValueError if they are not integers or lie outside the data."""
    if entry.kind not in _TYPES:
        raise ValueError(f"TIFF values of type {entry.kind} are not integers")
    if entry.offset + entry.count * value_size(entry.kind) > len(data):
        raise ValueError("the TIFF directory is damaged: values lie outside the data")
    return struct.unpack_from(f"{layout.order}{entry.count}{_TYPES[entry.kind]}", data, entry.offset)


def write_values(data: bytearray, layout: Layout, entry: Entry, values: tuple) -> None:
    """Overwrite an entry's numbers, as many as before. Raises struct.error where one does not fit its type."""
    struct.pack_into(f"{layout.order}{entry.count}{_TYPES[entry.kind]}", data, entry.offset, *values)


def value_size(kind: int) -> int:
    """Bytes of one value; rationals (5, 10) and doubles (12) have 8, floats (11) 4, unknown types 1."""
    return {5: 8, 10: 8, 11: 4, 12: 8}.get(kind) or struct.calcsize("<" + _TYPES.get(kind, "B"))
