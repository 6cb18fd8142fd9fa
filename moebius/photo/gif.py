"""GIF's application extensions (GIF89a, section 26): XMP and colour profile, which Pillow neither reads nor writes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from PIL import Image

from moebius.photo.embedded_thumbnails import hide_pictures
from moebius.photo.xmp import blank_descriptions

XMP, PROFILE = b"XMP DataXMP", b"ICCRGBG1012"
_ANIMATION = (b"NETSCAPE2.0", b"ANIMEXTS1.0")
_CREDENTIALS = b"C2PA_GIF"
_MAGIC = bytes(range(255, -1, -1))
"""Behind an XMP packet, which is not in sub-blocks: it leads readers that know nothing of it to its end."""
_TRAILER = b"\1" + _MAGIC + b"\0"
_LARGEST_UNKNOWN = 4096


class Extension(NamedTuple):
    name: bytes
    raw: bytes
    """As it stands in the file."""

    @property
    def content(self) -> bytes:
        """Its data without the lengths of its blocks."""
        if self.name == XMP:
            return self.raw[14:].removesuffix(_TRAILER)
        return b"".join(_sub_blocks(self.raw, 14))


def read_extensions(data: bytes) -> list[Extension]:
    """All application extensions of a GIF, as far as it is whole."""
    found, at = [], 13 + _table_bytes(data[10:11])
    while at + 1 < len(data) and data[at] in b"!,":
        start = at
        at += 2 if data[at : at + 1] == b"!" else 11 + _table_bytes(data[at + 9 : at + 10])
        for block in _sub_blocks(data, at):
            at += 1 + len(block)
        at += 1
        if data[start : start + 3] == b"!\xff\x0b":
            found.append(Extension(data[start + 3 : start + 14], data[start:at]))
    return found


def read_metadata(data: bytes) -> tuple[bytes | None, bytes | None]:
    """Colour profile and XMP packet of a GIF."""
    contents = {one.name: one.content for one in read_extensions(data)}
    return contents.get(PROFILE), contents.get(XMP)


def keep_extensions(old: bytes, new: bytes, preview: Image.Image) -> tuple[bytes, tuple[str, ...]]:
    """The GIF `new` with the metadata of `old` before its picture, and notes on what was left out.

    Args:
        preview: the edited photo, for pictures in the metadata.
    """
    kept, notes = b"", []
    for one in read_extensions(old):
        title = one.name.decode("latin1").strip("\0 ")
        if one.name in _ANIMATION:
            continue
        if one.name.startswith(_CREDENTIALS):
            notes.append("Content credentials (C2PA) were left out: they do not hold for an edited photo.")
        elif one.name == XMP:
            packet = blank_descriptions(hide_pictures(one.content, preview)).replace(b"\0", b" ")
            kept += one.raw[:14] + packet + _TRAILER
        elif one.name == PROFILE or len(one.raw) <= _LARGEST_UNKNOWN:
            kept += one.raw
        else:
            notes.append(f"The extension {title} was left out: it may hold a picture of what was there.")
    at = 13 + _table_bytes(new[10:11])
    return new[:at] + kept + new[at:], tuple(notes)


def _table_bytes(flags: bytes) -> int:
    """Length of the colour table that the flags of a screen or of a picture announce."""
    return 3 << (flags[0] & 7) + 1 if flags and flags[0] & 0x80 else 0


def _sub_blocks(data: bytes, at: int) -> Iterator[bytes]:
    while at < len(data) and data[at]:
        yield data[at + 1 : at + 1 + data[at]]
        at += 1 + data[at]
