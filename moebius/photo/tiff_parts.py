"""What a TIFF holds beside its picture: copies of it that would still show what was removed are taken out."""

from __future__ import annotations

import struct

from moebius.photo.ifd import Entry, Layout, read_directory, read_layout, read_values, value_size
from moebius.photo.tiff_tags import MAX_UNKNOWN_BYTES, holds_pictures, picture_note

_KIND, _REDUCED = 254, 1  # NewSubfileType and its bit for a smaller copy of another picture
_SUBDIRECTORIES = 330
_WHERE = ((273, 279), (324, 325), (513, 514))
"""Offsets and byte counts of strips, of tiles, and of a JPEG thumbnail."""
_MAX_DIRECTORIES = 1000


def count_pages(data: bytes) -> int:
    """Number of pictures in the file; smaller copies of another one (thumbnails, pyramids) do not count.

    Raises:
        ValueError: a directory is damaged.
    """
    layout = read_layout(data)
    return 1 + sum(not _is_reduced(data, layout, at) for at in _directories(data, layout)[1:])


def without_other_pictures(data: bytes) -> tuple[bytes, tuple[str, ...]]:
    """The TIFF without private tags that hold pictures, without smaller copies and without long stretches that no tag
    refers to, and notes on what went. Programs that edit a TIFF in place leave the old pixels in such stretches.

    Nothing moves: what is taken out becomes zeros, and is cut off where it ends the file.

    Raises:
        ValueError: a directory is damaged.
    """
    layout = read_layout(data)
    entries, following = read_directory(data, layout, layout.first)
    gone = {tag: entry for tag, entry in entries.items() if holds_pictures(tag, entry)}
    copies = [at for at in _directories(data, layout)[1:] if _is_reduced(data, layout, at)]
    if _SUBDIRECTORIES in entries:
        gone[_SUBDIRECTORIES] = entries[_SUBDIRECTORIES]
        copies += read_values(data, layout, entries[_SUBDIRECTORIES])
    notes = [picture_note(tag) for tag in gone if tag != _SUBDIRECTORIES]
    if copies:
        notes.append("The TIFF's smaller copies of the picture were left out: they would still show what was removed.")
    out = bytearray(data)
    kept = _places(data, layout, {tag: entry for tag, entry in entries.items() if tag not in gone})
    kept.append((layout.first, layout.first + _directory_size(layout, len(entries))))
    kept.append((0, 16 if layout.big else 8))
    blank = [_span(entry) for entry in gone.values()]
    for at in copies:
        inner = read_directory(data, layout, at)[0]
        blank += _places(data, layout, inner)
        blank.append((at, at + _directory_size(layout, len(inner))))
    for start, end in blank:
        zero(out, start, min(end, len(out)), kept)
    unused = [(start, end) for start, end in _gaps(kept, len(out)) if out.count(0, start, end) < end - start]
    for start, end in unused:
        out[start:end] = bytes(end - start)
    if unused:
        notes.append("Data that no tag of the TIFF refers to were left out: they may show what was removed.")
    if not gone and not copies and not unused:
        return data, ()
    _write_directory(out, layout, {tag for tag in entries if tag not in gone}, 0 if copies else following)
    end = max(end for _, end in kept)
    return bytes(out[: max(end, len(out.rstrip(b"\0")))]), tuple(notes)


def _directories(data: bytes, layout: Layout) -> list[int]:
    """Offsets of the directories in the file's chain."""
    found: list[int] = []
    at = layout.first
    while at and at not in found and len(found) < _MAX_DIRECTORIES:
        found.append(at)
        at = read_directory(data, layout, at)[1]
    return found


def _is_reduced(data: bytes, layout: Layout, at: int) -> bool:
    entries = read_directory(data, layout, at)[0]
    return _KIND in entries and bool(read_values(data, layout, entries[_KIND])[0] & _REDUCED)


def _span(entry: Entry) -> tuple[int, int]:
    return entry.offset, entry.offset + entry.count * value_size(entry.kind)


def _places(
    data: bytes, layout: Layout, entries: dict[int, Entry], above: tuple[int, ...] = ()
) -> list[tuple[int, int]]:
    """(start, end) of all values and pixels of a directory, and of the directories below it.

    Args:
        above: offsets of the directories that this one lies in.
    """
    spans = [_span(entry) for entry in entries.values()]
    for where, lengths in _WHERE:
        if where in entries and lengths in entries:
            pairs = zip(
                read_values(data, layout, entries[where]), read_values(data, layout, entries[lengths]), strict=False
            )
            spans += [(start, start + length) for start, length in pairs]
    for tag in (34665, 34853, 40965):
        if tag in entries:
            at = read_values(data, layout, entries[tag])[0]
            try:
                inner = read_directory(data, layout, at)[0]
            except ValueError:
                continue
            spans.append((at, at + _directory_size(layout, len(inner))))
            if at not in above:
                spans += _places(data, layout, inner, (*above, at))
    return spans


def zero(out: bytearray, start: int, end: int, kept: list[tuple[int, int]]) -> None:
    """Zero [start, end) of `out`, but for the spans in `kept`."""
    for left, right in sorted(kept):
        if left < end and right > start:
            out[start : max(start, left)] = bytes(max(0, left - start))
            start = max(start, right)
    out[start:end] = bytes(max(0, end - start))


def _gaps(kept: list[tuple[int, int]], length: int) -> list[tuple[int, int]]:
    """What lies between the spans in `kept`, where it is long enough to be a picture."""
    gaps, at = [], 0
    for start, end in (*sorted(kept), (length, length)):
        if min(start, length) - at > MAX_UNKNOWN_BYTES:
            gaps.append((at, min(start, length)))
        at = max(at, end)
    return gaps


def _formats(layout: Layout) -> tuple[str, int, str]:
    """Format of a directory's count, bytes of an entry, format of an offset."""
    return (layout.order + "Q", 20, layout.order + "Q") if layout.big else (layout.order + "H", 12, layout.order + "I")


def _directory_size(layout: Layout, count: int) -> int:
    count_format, width, offset_format = _formats(layout)
    return struct.calcsize(count_format) + count * width + struct.calcsize(offset_format)


def _write_directory(out: bytearray, layout: Layout, keep: set[int], following: int) -> None:
    """Leave only the tags `keep` in the first directory, in place."""
    count_format, width, offset_format = _formats(layout)
    start = layout.first + struct.calcsize(count_format)
    (count,) = struct.unpack_from(count_format, out, layout.first)
    raw = [bytes(out[at : at + width]) for at in range(start, start + count * width, width)]
    raw = [one for one in raw if struct.unpack_from(layout.order + "H", one)[0] in keep]
    struct.pack_into(count_format, out, layout.first, len(raw))
    rest = b"".join(raw) + struct.pack(offset_format, following)
    size = count * width + struct.calcsize(offset_format)
    out[start : start + size] = rest.ljust(size, b"\0")
