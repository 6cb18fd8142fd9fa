"""Colours named by numbers (CICP, ITU-T H.273) in AVIF, HEIC and PNG, and ICC profiles for formats that need one."""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np

from moebius.photo import png

_XY = {
    1: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}
"""Chromaticities of red, green and blue of BT.709, BT.2020 and Display P3; white is D65 (H.273, table 2)."""
_D65 = (0.3127, 0.3290)
_D50 = np.array([0.9642, 1.0, 0.8249])  # the profile connection space's white (ICC.1)
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_GAMMA = {4: 2.2, 5: 2.8, 8: 1.0}
_BT709, _SRGB = (1, 6, 14, 15), 13
_HDR = {16: "PQ", 18: "HLG"}
_UNSPECIFIED = 2
_CURVE_POINTS = 1024


class Cicp(NamedTuple):
    primaries: int
    transfer: int

    @property
    def is_srgb(self) -> bool:
        """Whether readers that know nothing of CICP show these colours rightly."""
        return self.primaries in (1, _UNSPECIFIED) and self.transfer in (_SRGB, _UNSPECIFIED, *_BT709)

    def note(self, kind: str) -> str:
        """The note on colours that a file of the format `kind` cannot name."""
        what = _HDR.get(self.transfer, f"of the kind {self.primaries}/{self.transfer} (H.273)")
        return f"The photo's colours are {what}, which {kind} files cannot say here: they may look different."


def read_cicp(data: bytes, kind: str, info: dict) -> Cicp | None:
    """What a PNG, HEIC or AVIF says of its colours; None where it says nothing or has an ICC profile.

    Args:
        kind: the format, as `photo_file.SUFFIXES` names it.
        info: Pillow's.
    """
    if info.get("icc_profile"):
        return None
    if kind == "PNG":
        content = dict(png.read_chunks(data)).get(b"cICP", b"")
        return Cicp(*content[:2]) if len(content) >= 2 else None
    if kind == "HEIF" and info.get("nclx_profile"):
        colours = info["nclx_profile"]
        return Cicp(int(colours["color_primaries"]), int(colours["transfer_characteristics"]))
    at = data.find(b"colrnclx") if kind == "AVIF" else -1
    return Cicp(*struct.unpack_from(">HH", data, at + 8)) if 0 <= at <= len(data) - 12 else None


def write_into_avif(avif: bytes, colours: Cicp) -> bytes:
    """An AVIF whose `colr` box (ISO/IEC 14496-12) names these colours; Pillow always writes sRGB there."""
    out, at = bytearray(avif), avif.find(b"colrnclx")
    if at >= 0:
        struct.pack_into(">HH", out, at + 8, *colours)
    return bytes(out)


def avif_depth(data: bytes) -> int:
    """Bits a channel of an AVIF, from its first `av1C` box (AV1 in ISOBMFF, 2.3.3)."""
    at = data.find(b"av1C")
    flags = data[at + 6] if 0 <= at < len(data) - 6 else 0
    return 8 if not flags & 0x40 else 12 if flags & 0x20 else 10


def make_profile(colours: Cicp) -> bytes | None:
    """An ICC profile (version 2, matrix and curves); None for HDR and for primaries that are not in `_XY`."""
    if colours.primaries not in _XY or colours.transfer not in (*_GAMMA, *_BT709, _SRGB):
        return None
    curve = np.rint(_linear(np.linspace(0, 1, _CURVE_POINTS), colours.transfer) * 65535).astype(">u2")
    trc = b"curv" + bytes(4) + struct.pack(">I", _CURVE_POINTS) + curve.tobytes()
    name = f"CICP {colours.primaries}/{colours.transfer}".encode() + b"\0"
    desc = b"desc" + bytes(4) + struct.pack(">I", len(name)) + name + bytes(78)
    tags = {b"desc": desc, b"cprt": b"text" + bytes(4) + b"No copyright\0", b"wtpt": _xyz(_D50)}
    tags |= dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), map(_xyz, _to_d50(_XY[colours.primaries]).T), strict=True))
    tags |= {b"rTRC": trc, b"gTRC": trc, b"bTRC": trc}
    start, table, body, placed = 128 + 4 + 12 * len(tags), b"", b"", {}
    for tag, content in tags.items():
        if content not in placed:
            placed[content] = start + len(body)
            body += content + b"\0" * (-len(content) % 4)
        table += struct.pack(">4sII", tag, placed[content], len(content))
    head = struct.pack(">I4xI4s4s4s12x4s", start + len(body), 0x02400000, b"mntr", b"RGB ", b"XYZ ", b"acsp")
    head = head.ljust(68, b"\0") + _xyz(_D50)[8:]
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def _linear(encoded: np.ndarray, transfer: int) -> np.ndarray:
    if transfer in _GAMMA:
        return encoded ** _GAMMA[transfer]
    slope, offset, power, below = (12.92, 0.055, 2.4, 0.04045) if transfer == _SRGB else (4.5, 0.099, 1 / 0.45, 0.081)
    return np.where(encoded <= below, encoded / slope, ((encoded + offset) / (1 + offset)) ** power)


def _to_d50(primaries: tuple[tuple[float, float], ...]) -> np.ndarray:
    """Columns: XYZ of red, green and blue, adapted from D65 to D50 by Bradford's matrix."""
    columns = np.array([(x / y, 1, (1 - x - y) / y) for x, y in primaries]).T
    x, y = _D65
    white = np.array([x / y, 1, (1 - x - y) / y])
    scaled = columns * np.linalg.solve(columns, white)
    gain = (_BRADFORD @ _D50) / (_BRADFORD @ white)
    return np.linalg.inv(_BRADFORD) @ (gain[:, None] * (_BRADFORD @ scaled))


def _xyz(values: np.ndarray) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(float(v) * 65536) for v in values))
