"""TIFF tags as bytes: copied between TIFF files and EXIF data without interpreting them, so that none is rewritten.

Tags are grouped by what happens to them when the picture changes: those of `STRUCTURE` describe how pixels are stored,
those that `holds_pictures` names would still show what was removed, all others are kept.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from moebius.photo.ifd import Entry, Layout, read_directory, read_layout, value_size

EXIF, GPS, INTEROPERABILITY = 34665, 34853, 40965
XMP, PROFILE, IPTC, PHOTOSHOP = 700, 34675, 33723, 34377
DIRECTORIES = (EXIF, GPS, INTEROPERABILITY)
STRUCTURE = frozenset(
    (254, 255, 256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 288, 289, 292, 293, 317, 320, 322, 323)
    + (324, 325, 330, 338, 339, 347, 512, 513, 514, 515, 517, 518, 519, 520, 521, 529, 530, 531, 532)
)
LAYERS = {37724: "Photoshop's layers", 50784: "SketchBook's layers"}
"""Private tags that hold an application's own copy of the picture."""
_METADATA = frozenset(
    (IPTC, PHOTOSHOP, EXIF, PROFILE, GPS, 33432, 33550, 33922, 34118, 34264, 34680, 34682, 34735, 34736, 34737)
    + (37500, 37510, 40091, 40092, 40093, 40094, 40095, 42112, 42113, 50838, 50839)
)
"""Private tags (from 32768 on) that hold no picture: rights, geography, microscopes' and operating systems' data."""
MAX_UNKNOWN_BYTES = 4096
"""A private tag of unknown meaning with more bytes than that may hold a picture."""
_ASCII = 2
_RESOLUTION = {282: 5, 283: 5, 296: 3}
"""Tags that Pillow reads while it opens a JPEG, which fails where they have another type than these."""
_WORD = {3: 2, 8: 2, 4: 4, 9: 4, 5: 4, 10: 4, 11: 4, 12: 8, 13: 4}
"""Bytes that are swapped together when the byte order changes; types that are not listed have single bytes."""


@dataclass(frozen=True)
class Tag:
    """One tag's type and values: as stored, or the tags of the directory that it points to."""

    kind: int
    values: bytes
    order: str
    """Byte order of `values`, "<" or ">"."""
    directory: dict[int, Tag] | None = None


def bytes_tag(values: bytes, kind: int = 7) -> Tag:
    """A tag of single bytes (type 7, undefined)."""
    return Tag(kind, values, "<")


def holds_pictures(tag: int, entry: Entry) -> bool:
    """Whether a tag is an application's copy of the picture, or unknown and so long that it may be one."""
    if tag in LAYERS:
        return True
    unknown = tag >= 32768 and tag not in _METADATA and entry.kind != _ASCII
    return unknown and entry.count * value_size(entry.kind) > MAX_UNKNOWN_BYTES


def picture_note(tag: int) -> str:
    """The note on a tag that was left out because of `holds_pictures`."""
    what = LAYERS.get(tag, f"private data (tag {tag}), which may hold a picture,")
    return f"{what[0].upper()}{what[1:]} were left out: they would still show what was removed."


def read_tags(data: bytes, layout: Layout, at: int, above: tuple[int, ...] = ()) -> tuple[dict[int, Tag], list[str]]:
    """The tags of the directory at `at` that may be copied to another file, and notes on those that may not.

    Tags of `STRUCTURE`, tags whose values lie outside the data and a resolution of another type than TIFF's are left
    aside.

    Args:
        above: offsets of the directories that this one lies in.

    Raises:
        ValueError: the directory does not lie within the data.
    """
    tags, notes = {}, []
    for tag, entry in read_directory(data, layout, at)[0].items():
        size = entry.count * value_size(entry.kind)
        if tag in STRUCTURE or entry.offset + size > len(data) or _RESOLUTION.get(tag, entry.kind) != entry.kind:
            continue
        if holds_pictures(tag, entry):
            notes.append(picture_note(tag))
            continue
        values = bytes(data[entry.offset : entry.offset + size])
        if tag in DIRECTORIES and size in (4, 8):
            where = int.from_bytes(values, "little" if layout.order == "<" else "big")
            try:
                inner, more = read_tags(data, layout, where, (*above, at)) if where not in (*above, at) else ({}, [])
            except ValueError:
                continue
            tags[tag] = Tag(4, b"", layout.order, inner)
            notes += more
        elif entry.kind <= 13:  # BigTIFF's own types have no place in EXIF data
            tags[tag] = Tag(entry.kind, values, layout.order)
    return tags, notes


def read_exif(exif: bytes) -> dict[int, Tag]:
    """The tags of EXIF data, with or without their "Exif" header; none where they are damaged."""
    body = exif.removeprefix(b"Exif\0\0")
    try:
        layout = read_layout(body)
        return read_tags(body, layout, layout.first)[0]
    except ValueError:
        return {}


def pack_exif(tags: dict[int, Tag]) -> bytes:
    """EXIF data with their "Exif" header."""
    order = next((tag.order for tag in tags.values()), "<")
    head = b"II*\0" if order == "<" else b"MM\0*"
    return b"Exif\0\0" + head + struct.pack(order + "I", 8) + pack_directory(tags, order, 8)


def pack_directory(tags: dict[int, Tag], order: str, start: int) -> bytes:
    """A directory for offset `start`, with its values and the directories below it. No other directory follows it."""
    at = start + 2 + 12 * len(tags) + 4
    entries, behind = struct.pack(order + "H", len(tags)), b""
    for number, tag in sorted(tags.items()):
        values, count = _in_order(tag, order), len(tag.values) // value_size(tag.kind)
        if tag.directory is not None:
            values, count = pack_directory(tag.directory, order, at + len(behind)), 1
        if tag.directory is not None or len(values) > 4:
            place = struct.pack(order + "I", at + len(behind))
            behind += values + b"\0" * (len(values) % 2)
        else:
            place = values.ljust(4, b"\0")
        entries += struct.pack(order + "HHI", number, tag.kind, count) + place
    return entries + bytes(4) + behind


def add_tags(tiff: bytes, tags: dict[int, Tag]) -> bytes:
    """A TIFF (not BigTIFF) with further tags; those that it has stay. They stand in a new directory at its end."""
    layout = read_layout(tiff)
    order, out = layout.order, bytearray(tiff + b"\0" * (len(tiff) % 2))
    own = {}
    for tag, entry in read_directory(tiff, layout, layout.first)[0].items():
        size = entry.count * value_size(entry.kind)
        own[tag] = Tag(entry.kind, bytes(tiff[entry.offset : entry.offset + size]), order)
    struct.pack_into(order + "I", out, 4, len(out))
    return bytes(out + pack_directory({**tags, **own}, order, len(out)))


def _in_order(tag: Tag, order: str) -> bytes:
    word = _WORD.get(tag.kind, 1)
    if tag.order == order or word == 1:
        return tag.values
    return b"".join(tag.values[i : i + word][::-1] for i in range(0, len(tag.values), word))
