"""Ultra HDR: the gain map behind a JPEG is kept, its hole filled, and what describes it is made true.

Facts: Android's Ultra HDR 1.0 (XMP with a Container directory), CIPA DC-007 (the index of pictures, MPF), ISO 21496-1.
"""

from __future__ import annotations

import io
import re
import struct

import numpy as np
from PIL import Image

from moebius.photo import jpeg
from moebius.photo.jpeg_metadata import APP1, APP2, XMP
from moebius.photo.jpeg_segments import SOS, Segment, join_segments, read_segments
from moebius.photo.silence import quiet

_DESCRIBES_MAP = (b"http://ns.adobe.com/hdr-gain-map/1.0/", b"urn:iso:std:iso:ts:21496:-1\0")
_ITEM = re.compile(rb"<[^<>]*\bSemantic\s*=\s*[\"']GainMap[\"'][^<>]*>")
_LENGTH = re.compile(rb"(\bLength\s*=\s*[\"'])\d+(?=[\"'])")
_MAX_PADDING_BYTES = 64
_SPREAD_PX = 2
"""Map pixels around the hole that are filled too: readers enlarge the map, which blurs it."""
_MPF_BYTES = 4 + 8 + 2 + 3 * 12 + 4 + 2 * 16


def read(data: bytes) -> bytes | None:
    """The gain map of an Ultra HDR photo, a JPEG of its own; None where there is none that can be kept.

    Kept is one that stands at once behind the photo, is the last thing in the file, and whose length the photo's XMP
    gives as an attribute or not at all.
    """
    try:
        segments, end = read_segments(data)
        inner, length = read_segments(data[end:], strict=True)
    except ValueError:
        return None
    if len(data) - end - length > _MAX_PADDING_BYTES or not any(segment.marker == SOS for segment in inner):
        return None
    own, photos = (b"".join(s.raw for s in some if s.is_metadata) for some in (inner, segments))
    if not any(name in own and name in photos for name in _DESCRIBES_MAP):
        return None
    items = _ITEM.findall(photos)
    if b"GainMap</" in photos or len(items) > 1 or not all(_LENGTH.search(item) for item in items):
        return None
    return data[end : end + length]


def fill(gain_map: bytes, changed: np.ndarray, edited: Image.Image) -> bytes:
    """The gain map, filled where the photo changed; blocks without a changed pixel keep their coefficients.

    Its values come from where the photo looks like its fill: a lamp that was copied shines.

    Args:
        gain_map: a JPEG, grey or RGB, of any size; it covers the whole photo.
        changed: (H, W) bool, the photo's pixels that changed, as stored.
        edited: the photo after that, of the same size.
    """
    from moebius.patchmatch.follow import follow

    with quiet(), Image.open(io.BytesIO(gain_map), formats=("JPEG", "MPO")) as image:
        image.load()
        picture = image.copy()
    hole = np.asarray(Image.fromarray(changed.astype(np.float32)).resize(picture.size, Image.Resampling.BOX)) > 0
    hole = _grown(hole, _SPREAD_PX)
    guide = np.asarray(edited.convert("RGB").resize(picture.size, Image.Resampling.BOX))
    return jpeg.encode_jpeg(gain_map, Image.fromarray(follow(np.asarray(picture), guide, hole)), hole)[0]


def attach(photo: bytes, gain_map: bytes) -> bytes:
    """The finished JPEG `photo` with the gain map behind it; XMP and MPF give its true length and place."""
    segments, _ = read_segments(photo)
    for i, segment in enumerate(segments):
        if segment.marker == APP1 and segment.payload.startswith(XMP):
            segments[i] = Segment.of(APP1, _ITEM.sub(lambda item: _with_length(item[0], gain_map), segment.payload))
    place = next((i for i, segment in enumerate(segments) if not segment.is_metadata), len(segments))
    base = 2 + sum(len(segment.raw) for segment in segments[:place]) + 4 + 4  # MPF counts from its byte order mark
    length = len(join_segments(segments)) + 4 + _MPF_BYTES
    segments.insert(place, Segment.of(APP2, _mpf(length, len(gain_map), length - base)))
    return join_segments(segments) + gain_map


def _with_length(item: bytes, gain_map: bytes) -> bytes:
    return _LENGTH.sub(rb"\g<1>%d" % len(gain_map), item)


def _mpf(photo_bytes: int, map_bytes: int, map_offset: int) -> bytes:
    """An index of two pictures (CIPA DC-007, 5.2): the photo, which is the main one, and its map."""
    entries = struct.pack(">IIIHH", 0x030000, photo_bytes, 0, 0, 0) + struct.pack(
        ">IIIHH", 0, map_bytes, map_offset, 0, 0
    )
    tags = struct.pack(">HHI4s", 0xB000, 7, 4, b"0100") + struct.pack(">HHII", 0xB001, 4, 1, 2)
    tags += struct.pack(">HHII", 0xB002, 7, len(entries), 8 + 2 + 3 * 12 + 4)
    return b"MPF\0MM\0*" + struct.pack(">IH", 8, 3) + tags + bytes(4) + entries


def _grown(mask: np.ndarray, px: int) -> np.ndarray:
    for _ in range(px):
        padded = np.pad(mask, 1)
        mask = padded[1:-1, 1:-1] | padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:]
    return mask
