"""What stands behind the end of a JPEG: a gain map, a second picture, a video, or a maker's data."""

from __future__ import annotations

from moebius.photo.jpeg_segments import SOS, Segment, read_segments, with_clean_end

_MIN_BYTES = 64
"""Fewer bytes are padding."""
_GAIN_MAP = (b"hdr-gain-map", b"urn:iso:std:iso:ts:21496", b"HDRGainMap")


def describe_left_out(data: bytes, segments: list[Segment], end: int) -> str | None:
    """A note on what stands behind the picture of a JPEG file, for a result without it; None where nothing does.

    Args:
        segments, end: as `jpeg_segments.read_segments` gives them.
    """
    metadata = b"".join(segment.raw for segment in segments if segment.is_metadata)
    if with_clean_end(data, segments):
        return describe_irregular(data[data.index(b"\xff\xda") :], metadata)
    return describe(data[end:], metadata)


def describe(trailer: bytes, metadata: bytes) -> str | None:
    """A note on what was left out with the trailer; None for padding.

    Args:
        metadata: the photo's own metadata, which name a gain map.
    """
    if len(trailer) <= _MIN_BYTES or not trailer.strip(trailer[:1]):
        return None
    found = _contents(trailer, metadata)
    if not found:
        return f"{len(trailer):,} bytes behind the photo were left out: they may still show what was removed."
    what, them = " and ".join(found), ("were", "they") if len(found) > 1 else ("was", "it")
    note = f"{what} behind the photo {them[0]} left out: {them[1]} would still show what was removed."
    return note[0].upper() + note[1:]


def describe_irregular(scans: bytes, metadata: bytes) -> str:
    """The note on a JPEG without an end marker, in which trailer and scans run into each other."""
    found = _contents(scans, metadata)
    what = f"{' and '.join(found)} behind it" if found else "what stood behind it"
    return f"The JPEG had no end marker. It has one now, and {what} was left out."


def _contents(data: bytes, metadata: bytes) -> list[str]:
    found = []
    if _holds_jpeg(data):
        gain_map = any(name in metadata or name in data for name in _GAIN_MAP)
        found.append("a gain map" if gain_map else "another picture")
    if b"ftyp" in data and (b"mdat" in data or b"moov" in data):
        found.append("a video")
    return found


def _holds_jpeg(data: bytes) -> bool:
    """Whether a JPEG begins anywhere; its first three bytes alone also occur in videos."""
    at = data.find(b"\xff\xd8\xff")
    while at >= 0:
        try:
            if any(segment.marker == SOS for segment in read_segments(data[at:], strict=True)[0]):
                return True
        except ValueError:
            pass
        at = data.find(b"\xff\xd8\xff", at + 1)
    return False
