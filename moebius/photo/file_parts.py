"""A finished photo file taken apart into all that is not its main picture, for the check of `privacy`."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image

from moebius.photo import gif, jpeg_metadata, png
from moebius.photo.ifd import read_directory, read_layout, read_values
from moebius.photo.jpeg_segments import read_segments
from moebius.photo.tiff_tags import LAYERS, holds_pictures

_PADDING_BYTES = 64


@dataclass(frozen=True)
class FilePart:
    name: str
    """As messages call it."""
    data: bytes = b""
    is_opaque: bool = False
    """It is known to hold a picture, or may do so, in a form that cannot be looked at."""
    is_tiff: bool = False
    """`data` are a whole TIFF, whose first picture is the main one."""


def read_parts(data: bytes, kind: str) -> Iterator[FilePart]:
    """All parts of a file but its main picture.

    Args:
        kind: a key of `photo_file.SUFFIXES`.

    Raises:
        ValueError, struct.error: the file is damaged.
    """
    yield from {"JPEG": _jpeg, "PNG": _png, "TIFF": _tiff, "WEBP": _webp, "BMP": _bmp}.get(kind, _by_pillow)(data)
    for extension in gif.read_extensions(data) if kind == "GIF" else ():
        yield FilePart(f"the extension {extension.name.decode('latin1')}", extension.content)


def _jpeg(data: bytes) -> Iterator[FilePart]:
    segments, end = read_segments(data)
    for name, content, is_opaque in jpeg_metadata.read_contents(segments):
        yield FilePart(name, content, is_opaque)
    trailer = data[end:]
    if len(trailer) > _PADDING_BYTES:
        has_video = b"ftyp" in trailer and (b"mdat" in trailer or b"moov" in trailer)
        yield FilePart("what stands behind the photo", trailer, is_opaque=has_video)


def _png(data: bytes) -> Iterator[FilePart]:
    at, chunks = len(png.SIGNATURE), png.read_chunks(data)
    for name, content in chunks:
        at += 12 + len(content)
        title = f"a {name.decode('latin1')} chunk"
        if name in (b"tEXt", b"zTXt", b"iTXt"):
            try:
                chunk = png.read_text(name, content)
            except png.TextTooLong:
                yield FilePart(title, is_opaque=True)
                continue
            yield FilePart(title, b"\n" + chunk.text.lstrip(b"\n") if chunk else b"")
        elif name not in (b"IHDR", b"PLTE", b"IDAT", b"IEND", b"iCCP"):
            yield FilePart(title, content, is_opaque=name == b"fdAT" or png.is_large_unknown(name, chunks))
    yield FilePart("what stands behind the photo", data[at:])


def _webp(data: bytes) -> Iterator[FilePart]:
    at = 12
    while at + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, at)
        if name not in (b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ICCP"):
            content = data[at + 8 : at + 8 + length]
            yield FilePart(f"a {name.decode('latin1')} chunk", content, is_opaque=name == b"ANMF")
        at += 8 + length + length % 2
    yield FilePart("what stands behind the photo", data[at:])


def _bmp(data: bytes) -> Iterator[FilePart]:
    yield FilePart("what stands behind the photo", data[int.from_bytes(data[2:6], "little") :])


def _tiff(data: bytes) -> Iterator[FilePart]:
    layout = read_layout(data)
    entries, _ = read_directory(data, layout, layout.first)
    for tag, entry in entries.items():
        if holds_pictures(tag, entry):
            yield FilePart(LAYERS.get(tag, f"tag {tag}"), is_opaque=True)
    spans = []
    for where, lengths in ((273, 279), (324, 325)):
        if {where, lengths} <= entries.keys():
            places = (read_values(data, layout, entries[tag]) for tag in (where, lengths))
            spans += [(offset, offset + length) for offset, length in zip(*places, strict=False)]
    at = 0
    for start, end in sorted(spans):
        if start > at:
            yield FilePart("the metadata", data[at:start])
        at = max(at, end)
    yield FilePart("the metadata", data[at:])
    yield FilePart("a smaller copy of the picture", data, is_tiff=True)


def _by_pillow(data: bytes) -> Iterator[FilePart]:
    """GIF, AVIF, HEIF, which Pillow and its plugin write: what they find in them."""
    with Image.open(io.BytesIO(data)) as image:
        info, frames = dict(image.info), getattr(image, "n_frames", 1)
    names = {"exif": "the EXIF data", "xmp": "the XMP data", "comment": "the comment"}
    for key, name in names.items():
        content = info.get(key) or b""
        yield FilePart(name, content if isinstance(content, bytes) else str(content).encode())
    for key, name in {"thumbnails": "thumbnails", "depth_images": "a depth map", "aux": "an auxiliary picture"}.items():
        if info.get(key):
            yield FilePart(name, is_opaque=True)
    if frames > 1:
        yield FilePart("a further picture", is_opaque=True)
