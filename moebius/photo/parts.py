"""The parts of photo files, and what happens to each when pixels change in one place.

The table in docs/formats.md is the output of `python -c "from moebius.photo.parts import table; print(table())"`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from moebius.photo.tiff_tags import LAYERS

Action = Literal["kept", "rewritten", "filled", "blanked", "left out"]
"""Kept: byte for byte. Rewritten: shows or describes the edited photo. Filled: its own hole is filled, too.
Blanked: zeros or spaces of the same length. Left out: removed, and named in a note."""


@dataclass(frozen=True, kw_only=True)
class Part:
    formats: tuple[str, ...]
    """Keys of `photo_file.SUFFIXES`."""
    name: str
    action: Action
    remark: str = ""


_LOSSY = ("AVIF", "HEIF")
_ALL_METADATA = ("JPEG", "PNG", "WEBP", "TIFF", *_LOSSY)

PARTS = (
    Part(formats=("JPEG",), name="8×8 blocks without a changed pixel", action="kept", remark="coefficients"),
    Part(formats=("JPEG",), name="8×8 blocks with a changed pixel", action="filled", remark="the file's own tables"),
    Part(formats=("TIFF",), name="strips and tiles without a changed pixel", action="kept"),
    Part(formats=("PNG", "TIFF", "BMP", "GIF"), name="pixels that did not change", action="kept"),
    Part(
        formats=("WEBP",), name="pixels that did not change", action="kept", remark="lossy files: rewritten, reported"
    ),
    Part(formats=_LOSSY, name="what is cropped away", action="left out"),
    Part(formats=_LOSSY, name="pixels", action="rewritten", remark="the whole photo, at high quality; reported"),
    Part(formats=("JPEG", "PNG", "WEBP", "TIFF", "AVIF"), name="orientation", action="kept"),
    Part(formats=_ALL_METADATA, name="ICC profile", action="kept"),
    Part(formats=("PNG", *_LOSSY), name="colours named by CICP numbers", action="kept"),
    Part(formats=_ALL_METADATA, name="EXIF, GPS, MakerNotes, XMP", action="kept", remark="TIFF: tags"),
    Part(formats=("GIF",), name="XMP, ICC profile, comment and small extensions", action="kept"),
    Part(formats=("GIF",), name="unknown extensions of more than 4 KiB", action="left out"),
    Part(formats=("JPEG", "TIFF"), name="IPTC and Photoshop's resources", action="kept"),
    Part(formats=("PNG",), name="text, resolution and small unknown chunks that are safe to copy", action="kept"),
    Part(formats=("PNG",), name="unknown chunks of more than 4 KiB together", action="left out"),
    Part(formats=("WEBP",), name="unknown chunks", action="left out"),
    Part(formats=("BMP",), name="ICC profile", action="left out"),
    Part(
        formats=_ALL_METADATA, name="JPEG thumbnails and previews in metadata", action="rewritten", remark="same length"
    ),
    Part(
        formats=_ALL_METADATA, name="uncompressed thumbnails in EXIF data and Photoshop's resources", action="blanked"
    ),
    Part(
        formats=_ALL_METADATA,
        name="pictures written as text in XMP",
        action="blanked",
        remark="base64 or hexadecimal, also deflated; only what decodes to a picture",
    ),
    Part(formats=("PNG",), name="pictures in text chunks and raw profiles", action="rewritten", remark="or blanked"),
    Part(formats=("JPEG",), name="gain map of Ultra HDR", action="filled", remark="left out with a video behind it"),
    Part(formats=("JPEG",), name="other pictures, videos and data behind the end", action="left out"),
    Part(formats=("JPEG",), name="what describes them (XMP, MPF, ISO 21496-1)", action="blanked"),
    Part(formats=("JPEG",), name="thermal raw pictures, JPEG-HDR", action="left out"),
    Part(formats=("JPEG",), name="unknown segments of more than 32 KiB together", action="left out"),
    Part(
        formats=("JPEG", "PNG", "GIF"),
        name="content credentials (C2PA)",
        action="left out",
        remark="signatures do not hold",
    ),
    Part(
        formats=("TIFF",),
        name="further channels (infrared, spot colours, selections)",
        action="filled",
        remark="smoothly; left out with a compression that is rewritten",
    ),
    Part(formats=("TIFF",), name=" and ".join(LAYERS.values()), action="left out"),
    Part(formats=("TIFF",), name="smaller copies (thumbnails, pyramids, SubIFDs)", action="left out"),
    Part(formats=("TIFF",), name="private tags of more than 4 KiB that are not known", action="left out"),
    Part(formats=("TIFF",), name="more than 4 KiB to which no tag refers", action="left out"),
    Part(formats=("HEIF",), name="thumbnails, depth and gain maps, further pictures", action="left out"),
)


def table() -> str:
    """All parts, in Markdown, one line each."""
    lines = ["| format | part | what happens | |", "|---|---|---|---|"]
    lines += [f"| {_names(part.formats)} | {part.name} | {part.action} | {part.remark} |" for part in PARTS]
    return "\n".join(lines) + "\n"


def _names(formats: tuple[str, ...]) -> str:
    return ", ".join({"WEBP": "WebP", "HEIF": "HEIC"}.get(name, name) for name in formats)
