"""The mark of an edited picture: that a model, or an algorithm, made part of it. Written into the file's XMP.

The words are IPTC's (Digital Source Type NewsCodes, http://cv.iptc.org/newscodes/digitalsourcetype/): a trained model's
fills are `compositeWithTrainedAlgorithmicMedia`, "edited using generative AI", which the vocabulary explains by
inpainting. PatchMatch learned nothing and copies the photo's own pixels to where a person wants something gone, as a
clone stamp does: `humanEdits`, "augmentation, correction or enhancement by one or more humans using non-generative
tools". `algorithmicallyEnhanced` would be untrue: it is for edits that do not change the main content.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

from moebius import environment
from moebius.photo import jpeg_segments, png
from moebius.photo.ifd import read_directory, read_layout, read_values
from moebius.photo.limits import MAX_TEXT_BYTES
from moebius.photo.xmp import XmpError, with_source_type

_VOCABULARY = "http://cv.iptc.org/newscodes/digitalsourcetype/"
TRAINED = _VOCABULARY + "compositeWithTrainedAlgorithmicMedia"
NOT_TRAINED = _VOCABULARY + "humanEdits"

_JPEG_XMP, _JPEG_EXIF, _APP0, _APP1 = b"http://ns.adobe.com/xap/1.0/\0", b"Exif\0\0", 0xE0, 0xE1
_PNG_XMP = b"XML:com.adobe.xmp\0"
_TIFF_XMP, _TIFF_BYTE = 700, 1


def mark_of(learned: bool) -> str:
    """What the fills of a model are marked with."""
    return TRAINED if learned else NOT_TRAINED


def chosen(learned: bool) -> str | None:
    """The mark for the fills of a model where MOEBIUS_MARK asks for one. ValueError if it is neither 1 nor 0."""
    return mark_of(learned) if environment.MARK.read() else None


def add(data: bytes, kind: str, mark: str) -> tuple[bytes, tuple[str, ...]]:
    """A file with the mark in its XMP, everything else as it was; and a note where that cannot be.

    Args:
        kind: JPEG, PNG or TIFF. Formats that Pillow writes get the packet with their pixels, see `packet`.
    """
    try:
        return _ADD[kind](data, mark), ()
    except IndexError:
        return data, (_unmarked(XmpError("its XMP data break off")),)
    except (ValueError, struct.error, zlib.error) as error:
        return data, (_unmarked(error),)


def packet(old: bytes | None, mark: str) -> tuple[bytes | None, tuple[str, ...]]:
    """An XMP packet with the mark, made from the old one if there is one; and a note where that cannot be."""
    try:
        return with_source_type(old, mark), ()
    except XmpError as error:
        return old, (_unmarked(error),)


def cannot(kind: str) -> str:
    """The note for a format that holds no XMP."""
    return f"The picture carries no mark that it was edited by a model: {kind} files hold no XMP here."


def _unmarked(error: Exception) -> str:
    return f"The picture carries no mark that it was edited by a model, because {str(error) or 'it has no room'}."


def _in_jpeg(data: bytes, mark: str) -> bytes:
    segments, end = jpeg_segments.read_segments(data)
    place = next((i for i, s in enumerate(segments) if s.marker == _APP1 and s.payload.startswith(_JPEG_XMP)), None)
    old = segments[place].payload[len(_JPEG_XMP) :] if place is not None else None
    payload = _JPEG_XMP + with_source_type(old, mark)
    if len(payload) > 65533:
        raise XmpError("its XMP data fill the whole of their segment")
    segment = jpeg_segments.Segment.of(_APP1, payload)
    if place is not None:
        segments[place] = segment
    else:  # behind JFIF and EXIF, which come first
        first = next((i for i, s in enumerate(segments) if not _comes_first(s)), len(segments))
        segments.insert(first, segment)
    return jpeg_segments.join_segments(segments) + data[end:]


def _comes_first(segment: jpeg_segments.Segment) -> bool:
    return segment.marker == _APP0 or (segment.marker == _APP1 and segment.payload.startswith(_JPEG_EXIF))


def _in_png(data: bytes, mark: str) -> bytes:
    chunks = png.read_chunks(data)
    place = next((i for i, (name, c) in enumerate(chunks) if name == b"iTXt" and c.startswith(_PNG_XMP)), None)
    old = None
    if place is not None:
        compressed, rest = chunks[place][1][len(_PNG_XMP)], chunks[place][1][len(_PNG_XMP) + 2 :]
        old = rest.split(b"\0", 2)[2]  # behind language and translated keyword
        if compressed:
            inflate = zlib.decompressobj()
            old = inflate.decompress(old, MAX_TEXT_BYTES)
            if inflate.unconsumed_tail:
                raise XmpError("its XMP data are too large")
    chunk = (b"iTXt", _PNG_XMP + b"\0\0\0\0" + with_source_type(old, mark))
    if place is not None:
        chunks[place] = chunk
    else:
        chunks.insert(next(i for i, (name, _) in enumerate(chunks) if name == b"IDAT"), chunk)
    return png.join_chunks(chunks)


def _in_tiff(data: bytes, mark: str) -> bytes:
    """A new packet and a new first directory at the end of the file; all other offsets stay true."""
    layout = read_layout(data)
    entries, _ = read_directory(data, layout, layout.first)
    old = bytes(read_values(data, layout, entries[_TIFF_XMP])) if _TIFF_XMP in entries else None
    count_format, entry_format, offset_format = ("Q", "HHQQ", "Q") if layout.big else ("H", "HHII", "I")
    count_format, entry_format, offset_format = (layout.order + f for f in (count_format, entry_format, offset_format))
    width, start = struct.calcsize(entry_format), layout.first + struct.calcsize(count_format)
    (count,) = struct.unpack_from(count_format, data, layout.first)
    raw: dict[int, bytes] = {}
    for at in range(start, start + count * width, width):
        raw.setdefault(struct.unpack_from(layout.order + "H", data, at)[0], data[at : at + width])  # as decoders do
    following = data[start + count * width :][: struct.calcsize(offset_format)]
    out = bytearray(data + b"\0" * (len(data) % 2))
    new = with_source_type(old, mark)
    raw[_TIFF_XMP] = struct.pack(entry_format, _TIFF_XMP, _TIFF_BYTE, len(new), len(out))
    out += new + b"\0" * (len(new) % 2)
    struct.pack_into(offset_format, out, 8 if layout.big else 4, len(out))
    out += struct.pack(count_format, len(raw)) + b"".join(raw[tag] for tag in sorted(raw)) + following
    return bytes(out)


_ADD: dict[str, Callable[[bytes, str], bytes]] = {"JPEG": _in_jpeg, "PNG": _in_png, "TIFF": _in_tiff}
IN_PLACE = tuple(_ADD)
"""Formats whose finished files `add` takes."""
