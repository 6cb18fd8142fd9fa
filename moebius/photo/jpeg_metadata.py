"""A JPEG's metadata segments for the edited photo: which stay, which show the edited photo, which are left out."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator

from PIL import Image

from moebius.photo.embedded_thumbnails import hide_pictures
from moebius.photo.jpeg_segments import Segment
from moebius.photo.xmp import blank_descriptions

APP0, APP1, APP2, APP11, COMMENT = 0xE0, 0xE1, 0xE2, 0xEB, 0xFE
EXIF, XMP, PHOTOSHOP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"Photoshop 3.0\0"
EXTENDED_XMP = b"http://ns.adobe.com/xmp/extension/\0"
_ISO_GAIN_MAP = b"urn:iso:std:iso:ts:21496:-1\0"
_PROFILE, _MPF, _JFIF, _JFXX = b"ICC_PROFILE\0", b"MPF\0", b"JFIF\0", b"JFXX\0"
_HEADERS = {EXIF: len(EXIF), PHOTOSHOP: len(PHOTOSHOP), EXTENDED_XMP: len(EXTENDED_XMP) + 32 + 8}
"""Data that may go on in further segments, and the bytes before each part; Extended XMP has its digest, the whole
length and the part's offset there (Adobe XMP specification, part 3)."""
_METADATA = (*_HEADERS, XMP, _PROFILE, _MPF, _JFIF, _JFXX, _ISO_GAIN_MAP, b"Adobe", b"Ducky", b"GoPro\0")
_PICTURES = {b"FLIR\0": "the thermal camera's raw picture", b"HDR_RI": "the JPEG-HDR ratio picture"}
_NAMES = {
    EXIF: "the EXIF data",
    XMP: "the XMP data",
    EXTENDED_XMP: "the extended XMP data",
    PHOTOSHOP: "Photoshop's resources",
    _JFXX: "the JFIF thumbnail",
    _JFIF: "the JFIF thumbnail",
}
_MAX_UNKNOWN_BYTES = 32768
"""Segments of one marker that are unknown and together longer than that may hold a picture."""


def keep_metadata(
    segments: list[Segment], preview: Image.Image, has_trailer: bool = False
) -> tuple[list[Segment], list[str]]:
    """The metadata segments for the edited file, and notes on those that were left out.

    Args:
        preview: what thumbnails show from now on.
        has_trailer: something stood behind the photo and is left out; then nothing may describe it.
    """
    kept, notes, unknown = [], [], _unknown_bytes(segments)
    for segment in segments:
        if not segment.is_metadata:
            continue
        content, name = segment.payload, next((one for one in _PICTURES if segment.payload.startswith(one)), None)
        if segment.marker == APP2 and content.startswith(_MPF):
            continue  # an index of the pictures behind the photo, which are gone
        if has_trailer and segment.marker == APP2 and content.startswith(_ISO_GAIN_MAP):
            continue
        if segment.marker == APP11 and content.startswith(b"JP"):
            notes.append("Content credentials were left out: their signature does not hold for an edited photo.")
        elif name:
            notes.append(_left_out(_PICTURES[name]))
        elif not content.startswith(_METADATA) and unknown[segment.marker] > _MAX_UNKNOWN_BYTES:
            notes.append(_left_out(f"private data (APP{segment.marker - 0xE0}), which may hold a picture,"))
        elif content.startswith(_JFXX) and content[5:6] != b"\x10":
            continue  # an uncompressed thumbnail
        else:
            kept.append(_without_jfif_thumbnail(segment))
    return _hide(kept, preview, has_trailer), list(dict.fromkeys(notes))


def _left_out(what: str) -> str:
    return f"{what[0].upper()}{what[1:]} was left out: it would still show what was removed."


def _without_jfif_thumbnail(segment: Segment) -> Segment:
    """JFIF holds an uncompressed thumbnail behind its size, bytes 12 and 13 (ITU-T T.871)."""
    if segment.marker == APP0 and segment.payload.startswith(_JFIF) and len(segment.payload) > 14:
        return Segment.of(APP0, segment.payload[:12] + b"\0\0")
    return segment


def _hide(segments: list[Segment], preview: Image.Image, has_trailer: bool) -> list[Segment]:
    """Segments whose pictures show `preview`; data in several segments are put together for that."""
    out, digests = list(segments), {}
    for group in _groups(segments):
        first = segments[group[0]].payload
        start = next((size for name, size in (*_HEADERS.items(), (XMP, len(XMP))) if first.startswith(name)), 0)
        heads = [segments[i].payload[:start] for i in group]
        bodies = [segments[i].payload[start:] for i in group]
        whole = b"".join(bodies)
        new = hide_pictures(whole, preview)
        if has_trailer and first.startswith((XMP, EXTENDED_XMP)):
            new = blank_descriptions(new)
        if new == whole:
            continue
        if first.startswith(EXTENDED_XMP):
            old_digest, digest = first[35:67], hashlib.md5(new, usedforsecurity=False).hexdigest().upper().encode()
            heads = [head[:35] + digest + head[67:] for head in heads]
            digests[old_digest] = digest
        at = 0
        for i, head, body in zip(group, heads, bodies, strict=True):
            out[i] = Segment(segments[i].marker, segments[i].raw[:4] + head + new[at : at + len(body)])
            at += len(body)
    for i, segment in enumerate(out):
        if segment.payload.startswith(XMP):  # it names its extension by the digest
            for old, new in digests.items():
                segment = out[i] = Segment(segment.marker, segment.raw.replace(old, new))
    return out


def _groups(segments: list[Segment]) -> list[list[int]]:
    """Indices of segments that belong together, in the order of their data."""
    groups: list[list[int]] = []
    last = None
    extended: dict[bytes, list[int]] = {}
    for i, segment in enumerate(segments):
        content = segment.payload
        if content.startswith(_PROFILE):
            continue
        if content.startswith(EXTENDED_XMP):
            extended.setdefault(content[:67], []).append(i)
            continue
        name = next((name for name in (EXIF, PHOTOSHOP) if content.startswith(name)), None)
        begins = content[len(EXIF) :][:4] in (b"II*\0", b"MM\0*")
        if name and name == last and not begins and groups[-1][-1] == i - 1:
            groups[-1].append(i)
        else:
            groups.append([i])
        last = name
    return groups + [sorted(some, key=lambda i: segments[i].payload[71:75]) for some in extended.values()]


def read_contents(segments: list[Segment]) -> Iterator[tuple[str, bytes, bool]]:
    """What a JPEG's metadata segments hold: a name, the bytes put together, and whether it may be a picture in a form
    that only its maker reads."""
    segments = [segment for segment in segments if segment.is_metadata]
    unknown = _unknown_bytes(segments)
    for group in _groups(segments):
        marker, first = segments[group[0]].marker, segments[group[0]].payload
        if first.startswith(_PROFILE):
            continue
        header = next((name for name in (*_NAMES, *_PICTURES) if first.startswith(name)), b"")
        start = _HEADERS.get(header, len(header) if header in _NAMES else 0)
        content = b"".join(segments[i].payload[start:] for i in group)
        where = "the comment" if marker == COMMENT else f"private data (APP{marker - 0xE0})"
        is_known = marker == COMMENT or first.startswith(_METADATA)
        is_opaque = header in _PICTURES or (not is_known and unknown[marker] > _MAX_UNKNOWN_BYTES)
        is_opaque |= first.startswith(_JFIF) and len(first) > 14
        yield _NAMES.get(header) or _PICTURES.get(header) or where, content, is_opaque


def _unknown_bytes(segments: list[Segment]) -> dict[int, int]:
    """Bytes of unknown metadata segments, by marker."""
    sizes: dict[int, int] = defaultdict(int)
    for segment in segments:
        if segment.is_metadata and segment.marker != COMMENT and not segment.payload.startswith(_METADATA):
            sizes[segment.marker] += len(segment.payload)
    return sizes
