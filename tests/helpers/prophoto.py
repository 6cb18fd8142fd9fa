"""A file as raw developers hand it over: a 16-bit TIFF in ROMM RGB (ProPhoto), with EXIF and XMP. All made here."""

from __future__ import annotations

import io
import struct

import numpy as np
import tifffile

PRIMARIES = ((0.734699, 0.265301), (0.159597, 0.840403), (0.036598, 0.000105))
"""ISO 22028-2: x and y of red, green, blue."""
WHITE = (0.9642, 1.0, 0.8249)
"""D50, XYZ."""
GAMMA = 1.8
EXIF = {33434: (1, 250), 33437: (28, 10), 34855: 400, 36867: "2026:05:06 07:08:09", 42036: "A lens"}
"""Exposure, aperture, ISO, time, lens."""
XMP = (
    b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    b'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="4"/></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)


def colorants() -> np.ndarray:
    """XYZ of red, green and blue, one a column; white is their sum."""
    unscaled = np.array([(x / y, 1.0, (1 - x - y) / y) for x, y in PRIMARIES]).T
    return unscaled * np.linalg.solve(unscaled, WHITE)


def profile() -> bytes:
    """An ICC v2 profile of three colorants and a gamma."""
    curve = b"curv" + struct.pack(">IIH", 0, 1, round(GAMMA * 256)) + b"\0\0"
    tags = {
        b"desc": b"desc" + struct.pack(">II", 0, 5) + b"ROMM\0" + bytes(12 + 67),
        b"cprt": b"text\0\0\0\0none\0",
        b"wtpt": _xyz(WHITE),
        **{name: _xyz(column) for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), colorants().T, strict=True)},
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve),
    }
    table, body, start = b"", b"", 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        table += name + struct.pack(">II", start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    header = struct.pack(">I4sI4s4s4s", start + len(body), b"none", 0x02100000, b"mntr", b"RGB ", b"XYZ ")
    header += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    header += struct.pack(">iii", *(round(value * 65536) for value in WHITE))
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def tiff(width: int = 90, height: int = 60) -> bytes:
    """The file: smooth colours with noise, deflated with a predictor in strips."""
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    pixels = np.dstack([x, y, 1 - x * y]) * 50_000 + np.random.default_rng(5).integers(0, 9000, (height, width, 3))
    tags = [
        (271, 2, 0, "A camera", True),
        (700, 1, len(XMP), XMP, True),
        (34675, 7, len(profile()), profile(), True),
        (34664, 4, 1, 0, True),
    ]
    out = io.BytesIO()
    options = {"photometric": "rgb", "compression": "zlib", "predictor": 2, "rowsperstrip": 16, "metadata": None}
    tifffile.imwrite(out, software="A raw developer", data=pixels.astype(np.uint16), extratags=tags, **options)
    with tifffile.TiffFile(io.BytesIO(out.getvalue())) as file:
        tag = file.pages[0].tags[34664]  # tifffile writes no directory of EXIF: its place is kept by a tag that is none
    data = bytearray(out.getvalue())
    data += bytes(len(data) % 2)
    struct.pack_into("<H", data, tag.offset, 34665)
    struct.pack_into("<I", data, tag.valueoffset, len(data))
    return bytes(data + _exif(len(data)))


def _xyz(values: tuple[float, ...] | np.ndarray) -> bytes:
    return b"XYZ " + struct.pack(">I3i", 0, *(round(float(value) * 65536) for value in values))


def _exif(start: int) -> bytes:
    """The EXIF directory, little-endian, as it stands at `start` of the file."""
    entries, body, after = b"", b"", start + 2 + 12 * len(EXIF) + 4
    for tag, value in EXIF.items():
        if isinstance(value, int):
            entries += struct.pack("<HHIHH", tag, 3, 1, value, 0)
            continue
        kind, count, content = (5, 1, struct.pack("<II", *value)) if isinstance(value, tuple) else _text(value)
        entries += struct.pack("<HHII", tag, kind, count, after + len(body))
        body += content + bytes(len(content) % 2)
    return struct.pack("<H", len(EXIF)) + entries + bytes(4) + body


def _text(value: str) -> tuple[int, int, bytes]:
    content = value.encode() + b"\0"
    return 2, len(content), content
