"""IPTC data and Photoshop's image resources, which JPEG and TIFF files store in different places (IPTC IIM 4.2)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from moebius.photo import tiff_tags
from moebius.photo.ifd import read_layout
from moebius.photo.jpeg_segments import Segment, read_segments
from moebius.photo.tiff_tags import Tag, bytes_tag

_APP13, _HEADER = 0xED, b"Photoshop 3.0\0"
_IPTC = 0x0404
_MAX_PART_BYTES = 65000


def read_resources(data: bytes, kind: str) -> bytes:
    """Photoshop's image resources of a JPEG or TIFF file, with its IPTC data among them; empty where there are none."""
    try:
        if kind == "JPEG":
            parts = [s.payload for s in read_segments(data)[0] if s.marker == _APP13 and s.payload.startswith(_HEADER)]
            return b"".join(part[len(_HEADER) :] for part in parts)
        if kind == "TIFF":
            layout = read_layout(data)
            tags = tiff_tags.read_tags(data, layout, layout.first)[0]
            resources = tags[tiff_tags.PHOTOSHOP].values if tiff_tags.PHOTOSHOP in tags else b""
            if tiff_tags.IPTC in tags and not holds_iptc(resources):
                resources += _resource(_IPTC, _as_bytes(tags[tiff_tags.IPTC]))
            return resources
    except ValueError:
        pass
    return b""


def holds_iptc(resources: bytes) -> bool:
    return any(number == _IPTC for number, _ in _split(resources))


def jpeg_segments(resources: bytes) -> list[Segment]:
    """APP13 segments; long resources go on in the next segment, as Photoshop writes them."""
    parts = [resources[i : i + _MAX_PART_BYTES] for i in range(0, len(resources), _MAX_PART_BYTES)]
    return [Segment.of(_APP13, _HEADER + part) for part in parts]


def tags(resources: bytes) -> dict[int, Tag]:
    """Tags for a TIFF: IPTC data in the tag of their own, other resources in Photoshop's."""
    found = dict(_split(resources))
    out = {tiff_tags.IPTC: bytes_tag(found[_IPTC])} if _IPTC in found else {}
    if found.keys() - {_IPTC}:
        out[tiff_tags.PHOTOSHOP] = bytes_tag(resources, 1)
    return out


def _split(resources: bytes) -> Iterator[tuple[int, bytes]]:
    """(number, content) of every resource, up to where they are damaged."""
    at = 0
    while resources[at : at + 4] == b"8BIM" and at + 12 <= len(resources):
        number, name_bytes = struct.unpack_from(">HB", resources, at + 4)
        at += 6 + (name_bytes + 2) // 2 * 2  # a name with its length, padded to an even number
        (size,) = struct.unpack_from(">I", resources.ljust(at + 4, b"\0"), at)
        yield number, resources[at + 4 : at + 4 + size]
        at += 4 + size + size % 2


def _resource(number: int, content: bytes) -> bytes:
    return b"8BIM" + struct.pack(">HHI", number, 0, len(content)) + content + b"\0" * (len(content) % 2)


def _as_bytes(tag: Tag) -> bytes:
    """The tag's bytes; old writers call them numbers of four bytes, in the file's byte order."""
    if tag.kind != 4 or tag.values[:1] == b"\x1c":
        return tag.values
    return b"".join(tag.values[i : i + 4][::-1] for i in range(0, len(tag.values), 4))
