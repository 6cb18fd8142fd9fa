"""JPEG marker segments: a file taken apart and joined again, byte for byte (ITU-T T.81, annex B)."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

SOI, EOI, SOS = 0xD8, 0xD9, 0xDA
FRAMES = (*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0))
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
    segments, at = [], 2
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
    return bytes((0xFF, SOI)) + b"".join(s.raw for s in segments) + bytes((0xFF, EOI))


def bits_per_sample(data: bytes) -> int | None:
    """8, or 12 in rare files; None where `data` is no JPEG, or too damaged to tell."""
    try:
        return next((s.payload[0] for s in read_segments(data)[0] if s.marker in FRAMES), None)
    except (ValueError, IndexError):
        return None
