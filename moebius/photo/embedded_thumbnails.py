"""Pictures inside metadata (EXIF, MakerNotes, Photoshop, XMP): they must not show what was removed."""

from __future__ import annotations

import io
import struct

from PIL import Image, ImageOps

from moebius.photo.ifd import Layout, read_directory, read_layout, read_values, value_size
from moebius.photo.jpeg_segments import SOS, read_segments
from moebius.photo.text_pictures import blank_text_pictures
from moebius.photo.tiff_tags import LAYERS

_EXIF = b"Exif\0\0"
_STRIPS, _JPEG = (273, 279), (513, 514)
"""Offset and length of an uncompressed thumbnail, and of a JPEG thumbnail."""
_THUMBNAILS, _THUMBNAIL_HEAD = (b"8BIM\x04\x09", b"8BIM\x04\x0c"), 28
"""Photoshop's resources, and the bytes before their picture."""
_DIRECTORIES = (34665, 34853, 40965)


def hide_pictures(metadata: bytes, picture: Image.Image) -> bytes:
    """Metadata of the same length in which every embedded JPEG shows `picture`, and other pictures are blank.

    Offsets inside the metadata (MakerNotes have absolute ones) stay true, because nothing moves: a new thumbnail
    has the pixels of the old one, is compressed until it fits into its bytes, and zeros fill up the rest.

    Args:
        metadata: EXIF data (with or without the "Exif" header), XMP, Photoshop resources, or anything else.
        picture: the edited picture as stored, RGB; a preview will do.
    """
    out, spans = bytearray(metadata), _spans(metadata)
    at = metadata.find(b"\xff\xd8\xff")
    while at >= 0:
        # a preview without an end marker goes no further than the tag that holds it
        limit = min((end for start, end in spans if start <= at < end), default=len(metadata))
        end = _end_of_jpeg(metadata[:limit], at)
        if end is not None:
            out[at:end] = _thumbnail(metadata[at:end], picture)
        at = metadata.find(b"\xff\xd8\xff", end or at + 2)
    _blank_raw_pictures(out)
    _blank_raw_resources(out)
    return blank_text_pictures(bytes(out))


def _end_of_jpeg(data: bytes, start: int) -> int | None:
    """Offset behind the JPEG that begins at `start`; None where only its first three bytes happen to stand."""
    try:
        segments, length = read_segments(data[start:], strict=True)
    except ValueError:
        return None
    return start + length if any(s.marker == SOS for s in segments) else None


def _thumbnail(old: bytes, picture: Image.Image) -> bytes:
    """A JPEG of `picture` with the pixel size of the JPEG `old`, in as many bytes; zeros where it cannot be."""
    try:
        with Image.open(io.BytesIO(old), formats=("JPEG",)) as image:
            size = image.size
    except Exception:  # whatever the decoder says: what it cannot read, nobody sees
        return bytes(len(old))
    same_shape = abs(size[0] * picture.height / (size[1] * picture.width) - 1) < 0.03
    is_thin = min(picture.size) * min(size[0] / picture.width, size[1] / picture.height) < 1
    small = picture.resize(size) if same_shape or is_thin else ImageOps.pad(picture, size)  # cameras add black bars
    for quality in range(90, 4, -5):
        out = io.BytesIO()
        small.save(out, "JPEG", quality=quality, optimize=True)
        if out.tell() <= len(old):
            return out.getvalue().ljust(len(old), b"\0")
    return bytes(len(old))


def _spans(metadata: bytes) -> list[tuple[int, int]]:
    """(start, end) of every tag's values in EXIF data, and of the JPEG thumbnail; none where there are no EXIF data."""
    start, exif = _body(metadata)
    spans: list[tuple[int, int]] = []
    try:
        layout = read_layout(exif)
        _collect(exif, layout, layout.first, spans, set())
    except ValueError:
        pass
    return [(start + first, start + end) for first, end in spans]


def _collect(exif: bytes, layout: Layout, at: int, spans: list[tuple[int, int]], seen: set[int]) -> None:
    """Add the spans of the directory at `at`, of those below it and of the next one."""
    if not at or at in seen:
        return
    seen.add(at)
    try:
        entries, following = read_directory(exif, layout, at)
    except ValueError:
        return
    for tag, entry in entries.items():
        size = entry.count * value_size(entry.kind)
        if tag in _DIRECTORIES and size == 4:
            _collect(exif, layout, read_values(exif, layout, entry)[0], spans, seen)
        elif size > 4:
            spans.append((entry.offset, entry.offset + size))
    if set(_JPEG) <= entries.keys():
        where, length = (read_values(exif, layout, entries[tag])[0] for tag in _JPEG)
        spans.append((where, where + length))
    _collect(exif, layout, following, spans, seen)


def _blank_raw_pictures(metadata: bytearray) -> None:
    """Zero, in place, the uncompressed thumbnail of EXIF data (the picture of the second directory) and layers."""
    start, exif = _body(metadata)

    def blank(offset: int, length: int) -> None:
        end = min(offset + length, len(exif))
        metadata[start + offset : start + end] = bytes(max(0, end - offset))

    try:
        layout = read_layout(exif)
        first, second = read_directory(exif, layout, layout.first)
        for tag in LAYERS.keys() & first.keys():
            blank(first[tag].offset, first[tag].count * value_size(first[tag].kind))
        entries = read_directory(exif, layout, second)[0] if second else {}
        if set(_STRIPS) <= entries.keys():
            offsets, lengths = (read_values(exif, layout, entries[tag]) for tag in _STRIPS)
            for offset, length in zip(offsets, lengths, strict=False):
                blank(offset, length)
    except ValueError:
        return  # no EXIF, or damaged: then nobody finds a thumbnail by it


def _blank_raw_resources(metadata: bytearray) -> None:
    """Zero, in place, Photoshop's thumbnails of format 0, which are not compressed; 1 is JPEG (Adobe's specification,
    resources 1033 and 1036)."""
    for resource in _THUMBNAILS:
        at = metadata.find(resource)
        while at >= 0:
            name = at + len(resource)
            size = name + 2 * (metadata[name] // 2 + 1) if name < len(metadata) else len(metadata)
            if size + 8 <= len(metadata):
                length, form = struct.unpack_from(">II", metadata, size)
                end = min(size + 4 + length, len(metadata))
                if form == 0 and length > _THUMBNAIL_HEAD:
                    start = min(size + 4 + _THUMBNAIL_HEAD, end)
                    metadata[start:end] = bytes(end - start)
            at = metadata.find(resource, at + 1)


def _body(metadata: bytes | bytearray) -> tuple[int, bytes]:
    """EXIF data without their header, and the header's length."""
    start = len(_EXIF) if metadata.startswith(_EXIF) else 0
    return start, bytes(metadata[start:])
