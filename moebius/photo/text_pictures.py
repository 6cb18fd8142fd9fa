"""Pictures written as text in metadata: base64 or hexadecimal digits, perhaps deflated, in XMP and PNG text."""

from __future__ import annotations

import base64
import io
import re
import zlib
from collections.abc import Callable, Iterator
from functools import partial

from PIL import Image

_RUN = re.compile(rb"(?:[A-Za-z0-9+/=\r\n]|&#x?[0-9A-Fa-f]{1,2};){512,}")
_BREAKS = re.compile(rb"&#x?[0-9A-Fa-f]{1,2};|[\r\n=]")
_HEXADECIMAL = re.compile(rb"[0-9A-Fa-f]+")
_SIGNATURES = (
    *(b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF8", b"WEBPVP8", b"ftypheic", b"ftypmif1", b"ftypavif", b"II*\0"),
    *(b"MM\0*", b"BM"),
)
_FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "AVIF", "TIFF", "BMP")
_HEAD_BYTES = 1024
"""A picture begins within the first 64 of these, the rest is read to tell it from other data."""
_MAX_INFLATED_BYTES = 16 * 2**20
_RAW_PROFILE = re.compile(rb"(\s*\w+\s+\d+\s)([0-9A-Fa-f\s]+)")
"""What ImageMagick writes: a name, the number of bytes, hexadecimal digits."""
_PROFILES = re.compile(rb"\n\w+\s+\d+\s[0-9A-Fa-f\s]{512,}")
"""Such texts inside others."""


def blank_text_pictures(text: bytes) -> bytes:
    """`text` of the same length in which every run of digits that is a picture consists of blanks."""
    return _RUN.sub(lambda run: b" " * len(run[0]) if _is_picture(run[0]) else run[0], text)


def read_raw_profile(text: bytes) -> tuple[bytes, bytes] | None:
    """Head and content of a PNG's "Raw profile type" text; None where it is none."""
    found = _RAW_PROFILE.fullmatch(text)
    digits = b"".join(found[2].split()) if found else b""
    return (found[1], bytes.fromhex(digits.decode())) if found and len(digits) % 2 == 0 else None


def write_raw_profile(head: bytes, content: bytes) -> bytes:
    digits = content.hex().encode()
    return head + b"\n".join(digits[i : i + 72] for i in range(0, len(digits), 72)) + b"\n"


def read_text_pictures(text: bytes) -> Iterator[bytes]:
    """What every run of digits that is a picture, or a raw profile, stands for."""
    for run in _RUN.finditer(text):
        if content := _picture_in(run[0]):
            yield content
    for found in _PROFILES.finditer(text):
        if profile := read_raw_profile(found[0]):
            yield profile[1]


def _is_picture(run: bytes) -> bool:
    return _picture_in(run) is not None


def _picture_in(run: bytes) -> bytes | None:
    """The bytes in which a picture begins that the digits stand for; None where they are something else."""
    digits = _BREAKS.sub(b"", run)
    for decode in _decoders(digits):
        head = decode(_HEAD_BYTES)
        if _may_be_picture(head) and _opens(whole := decode(len(digits))):
            return whole
        if _may_be_picture(_inflate(head, _HEAD_BYTES)) or _may_be_picture(_inflate(head[3:], _HEAD_BYTES)):
            whole = decode(len(digits))
            for data in (whole, whole[3:]):  # 3: "gz12" in base64
                if _opens(plain := _inflate(data, _MAX_INFLATED_BYTES)):
                    return plain
    return None


def _decoders(digits: bytes) -> Iterator[Callable[[int], bytes]]:
    """Functions from a number of digits to bytes, for every way of reading them."""
    if _HEXADECIMAL.fullmatch(digits):
        yield partial(_from_hexadecimal, digits)
    for skip in range(4):  # other letters may stand before the picture
        yield partial(_from_base64, digits[skip:])


def _from_hexadecimal(digits: bytes, count: int) -> bytes:
    """The bytes of the first `count` digits."""
    return bytes.fromhex(digits[: count // 2 * 2].decode())


def _from_base64(digits: bytes, count: int) -> bytes:
    """The bytes of the first `count` digits."""
    digits = digits[:count]
    digits = digits[:-1] if len(digits) % 4 == 1 else digits
    return base64.b64decode(digits + b"=" * (-len(digits) % 4))


def _may_be_picture(data: bytes) -> bool:
    return any(0 <= data.find(signature, 0, 64) for signature in _SIGNATURES)


def _opens(data: bytes) -> bool:
    """Whether a picture begins within the first bytes."""
    before = {b"WEBPVP8": 8, b"ftypheic": 4, b"ftypmif1": 4, b"ftypavif": 4}  # bytes of the file before its name
    found = {name: data.find(name, 0, 64) for name in _SIGNATURES}
    starts = [at - before.get(name, 0) for name, at in found.items() if at >= before.get(name, 0)]
    for start in starts:
        try:
            if data[start + 4 : start + 8] == b"ftyp":
                return True
            with Image.open(io.BytesIO(data[start:]), formats=_FORMATS):
                return True
        except Exception:  # Pillow raises nearly everything
            continue
    return False


def _inflate(data: bytes, max_bytes: int) -> bytes:
    for window in (15, 31):  # zlib, gzip
        try:
            return zlib.decompressobj(window).decompress(data, max_bytes)
        except zlib.error:
            continue
    return b""
