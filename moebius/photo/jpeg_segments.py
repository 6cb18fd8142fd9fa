"""JPEG marker segments: a file taken apart and joined again, byte for byte (ITU-T T.81, annex B)."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

SOI, EOI, SOS = 0xD8, 0xD9, 0xDA
FRAMES = (*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0))
_PROGRESSIVE = (0xC2, 0xC6, 0xCA, 0xCE)
_DNL = 0xDC
_BETWEEN_SCANS = (0xC4, 0xCC, SOS, 0xDB, 0xDD, *range(0xE0, 0xF0), 0xFE)
_BARE = (0x01, *range(0xD0, 0xD8))  # markers without a length
_MARKER = re.compile(rb"\xff+([^\x00\xff])")
_NEXT_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")  # what ends a scan's data


@dataclass(frozen=True)
class Segment:
    """One marker segment; for a scan, its header and the coded data that follow."""

    marker: int
    raw: bytes

    @classmethod
    def of(cls, marker: int, payload: bytes) -> Segment:
        """A metadata segment. Raises struct.error where `payload` has more than 65533 bytes."""
        return cls(marker, struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload)

    @property
    def payload(self) -> bytes:
        return self.raw[4:]

    @property
    def is_metadata(self) -> bool:
        return 0xE0 <= self.marker <= 0xEF or self.marker == 0xFE


def read_segments(data: bytes, strict: bool = False) -> tuple[list[Segment], int]:
    """All segments between start and end of the (first) picture, and the offset behind its end.

    Args:
        strict: refuse stray bytes between segments, which decoders skip.

    Raises:
        ValueError: this is not a JPEG.
    """
    if data[:2] != bytes((0xFF, SOI)):
        raise ValueError("not a JPEG: no start marker")
    segments: list[Segment] = []
    at = 2
    while (found := _MARKER.search(data, at)) is not None:
        if strict and found.start() != at:
            raise ValueError(f"damaged JPEG: no marker at byte {at}")
        at, marker = found.start(1) - 1, found[1][0]
        if marker == EOI:
            return segments, at + 2
        end = at + 2 if marker in _BARE else at + 2 + max(2, int.from_bytes(data[at + 2 : at + 4], "big"))
        if marker == SOS:
            found = _NEXT_MARKER.search(data, end)
            end = found.start() if found else len(data)
        segments.append(Segment(marker, data[at:end]))
        at = end
    return segments, len(data)


def join_segments(segments: list[Segment]) -> bytes:
    """The bytes of a JPEG with these segments."""
    return bytes((0xFF, SOI)) + b"".join(s.raw for s in segments) + bytes((0xFF, EOI))


def with_clean_end(data: bytes, segments: list[Segment] | None = None) -> bytes | None:
    """A JPEG that ends without its end marker, cut behind its scans and with one; None where its end is regular.

    Phones' panoramas have a trailer at once behind the scan. What of it stands before the first marker stays; decoders
    skip it. Whether the pixels are whole is left to the decoder.

    Args:
        segments: of `data`, where they have been read.

    Raises:
        ValueError: this is not a JPEG.
    """
    segments = segments or read_segments(data)[0]
    frame = next((s for s in segments if s.marker in FRAMES), None)
    scan = next((i for i, s in enumerate(segments) if s.marker == SOS), None)
    if frame is None or scan is None or len(frame.payload) < 6 or not segments[scan].payload:
        return None
    only_scan = frame.marker not in _PROGRESSIVE and segments[scan].payload[0] == frame.payload[5]
    at = 2 + sum(len(s.raw) for s in segments[: scan + 1])
    if join_segments(segments[: scan + 1])[:-2] != data[:at]:  # stray bytes between segments
        return None
    for segment in [] if only_scan else segments[scan + 1 :]:
        if segment.marker not in _BETWEEN_SCANS or data[at : at + len(segment.raw)] != segment.raw:
            break
        at += len(segment.raw)
    if data[at : at + 4] == bytes((0xFF, _DNL, 0, 4)):  # the number of lines may stand behind the first scan
        at += 6
    return None if data[at : at + 64].lstrip(b"\xff")[:1] == bytes((EOI,)) else data[:at] + bytes((0xFF, EOI))


def bits_per_sample(data: bytes) -> int | None:
    """8, or 12 in rare files; None where `data` is no JPEG, or too damaged to tell."""
    try:
        return next((s.payload[0] for s in read_segments(data)[0] if s.marker in FRAMES), None)
    except (ValueError, IndexError):
        return None
