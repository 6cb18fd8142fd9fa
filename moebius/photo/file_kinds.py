"""What a file is, by its first bytes: the formats that are read, and words for all others."""

from __future__ import annotations

from moebius.photo import jpeg_segments

_READ = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF")  # nothing else of Pillow's many decoders
KNOWN = "JPEG, PNG, WebP, TIFF, BMP, GIF, AVIF or HEIC"
RAW = "a camera's raw file, not developed yet"
_OTHERS = (
    *(
        (magic, RAW)
        for magic in (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FOVb", b"\0MRM", b"II\x1a\0")
    ),
    (b"%PDF", "a PDF"),
    (b"%!PS", "PostScript"),
    (b"8BPS", "a Photoshop document"),
    (b"PK\3\4", "a ZIP archive or an office document"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"<svg", "an SVG drawing"),
    (b"<!doctype html", "a web page"),
    (b"<html", "a web page"),
    (b"<?xml", "an XML document"),
)
"""First bytes of files that people take for photos."""
_BEGINNINGS = (
    (b"\xff\xd8", "JPEG"),
    (b"\x89PNG", "PNG"),
    (b"RIFF", "WebP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
)
_HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")
"""Brands of HEIF files (ISO/IEC 23008-12), 8 bytes from the start."""


def readable_formats() -> tuple[str, ...]:
    """Pillow's names of the formats that are read; HEIF only where pillow_heif is installed."""
    try:
        import pillow_heif
    except ImportError:
        return _READ
    pillow_heif.register_heif_opener()
    return (*_READ, "HEIF")


def guess(data: bytes) -> str:
    """What an unknown file seems to be, as a predicate."""
    start = data[:512].lstrip(b"\xef\xbb\xbf \t\r\n")
    for magic, what in _OTHERS:
        if start[: len(magic)].lower() == magic.lower() or data.startswith(magic):
            return f"is {what}"
    if data[4:8] == b"ftyp":
        if data[8:12] == b"crx ":
            return f"is {RAW}"
        if data[8:12] in _HEIC:
            what = (
                "a damaged HEIC photo"
                if "HEIF" in readable_formats()
                else "a HEIC photo, which needs pillow-heif (pip install pillow-heif)"
            )
            return f"is {what}"
        return "is a damaged AVIF photo" if data[8:12] in (b"avif", b"avis") else "is a video"
    if jpeg_segments.bits_per_sample(data) not in (None, 8):
        return f"is a JPEG with {jpeg_segments.bits_per_sample(data)} bits a channel, which is not supported"
    for magic, kind in _BEGINNINGS:
        if data.startswith(magic):
            return f"begins like a {kind}, but it is damaged, cut off or of a rare kind"
    if len(data) > 16 and all(32 <= byte < 127 or byte in b"\t\r\n" for byte in data[:64]):
        return "is text"
    return "is not an image that can be read here, or its beginning is damaged"
