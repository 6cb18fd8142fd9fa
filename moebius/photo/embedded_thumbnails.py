"""Pictures inside metadata (EXIF, MakerNotes, Photoshop, XMP): they must not show what was removed."""

from __future__ import annotations

import io
import re

from PIL import Image, ImageOps

from moebius.photo.ifd import read_directory, read_layout, read_values
from moebius.photo.jpeg_segments import SOS, read_segments

_BASE64 = re.compile(rb"(?:[A-Za-z0-9+/=\r\n]|&#x?[0-9A-Fa-f]{1,2};){512,}")
_EXIF = b"Exif\0\0"
_EXTENDED_XMP = b"http://ns.adobe.com/xmp/extension/"
_STRIP_OFFSETS, _STRIP_BYTES = 273, 279


def hide_pictures(metadata: bytes, picture: Image.Image) -> bytes:
    """Metadata of the same length in which every embedded JPEG shows `picture`, and other pictures are blank.

    Offsets inside the metadata (MakerNotes have absolute ones) stay true, because nothing moves: a new thumbnail
    has the pixels of the old one, is compressed until it fits into its bytes, and zeros fill up the rest.

    Args:
        metadata: EXIF data (with or without the "Exif" header), XMP, Photoshop resources, or anything else.
        picture: the edited picture as stored, RGB; a preview will do.
    """
    out = bytearray(metadata)
    at = metadata.find(b"\xff\xd8\xff")
    while at >= 0:
        end = _end_of_jpeg(metadata, at)
        if end is not None:
            out[at:end] = _thumbnail(metadata[at:end], picture)
        at = metadata.find(b"\xff\xd8\xff", end or at + 2)
    if b"<x:xmpmeta" in metadata[:512] or metadata.startswith(_EXTENDED_XMP):
        return _BASE64.sub(lambda found: b" " * len(found[0]), bytes(out))
    _blank_strips(out)
    return bytes(out)


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
    small = picture.resize(size) if same_shape else ImageOps.pad(picture, size)  # cameras add black bars
    for quality in range(90, 4, -5):
        out = io.BytesIO()
        small.save(out, "JPEG", quality=quality, optimize=True)
        if out.tell() <= len(old):
            return out.getvalue().ljust(len(old), b"\0")
    return bytes(len(old))


def _blank_strips(metadata: bytearray) -> None:
    """Zero the uncompressed thumbnail of EXIF data, in place: the picture of the second directory."""
    start = len(_EXIF) if metadata.startswith(_EXIF) else 0
    exif = bytes(metadata[start:])
    try:
        layout = read_layout(exif)
        _, second = read_directory(exif, layout, layout.first)
        entries = read_directory(exif, layout, second)[0] if second else {}
        if _STRIP_OFFSETS in entries and _STRIP_BYTES in entries:
            offsets = read_values(exif, layout, entries[_STRIP_OFFSETS])
            for offset, length in zip(offsets, read_values(exif, layout, entries[_STRIP_BYTES]), strict=False):
                end = min(offset + length, len(exif))
                metadata[start + offset : start + end] = bytes(max(0, end - offset))
    except ValueError:
        return  # no EXIF, or damaged: then nobody finds a thumbnail by it
