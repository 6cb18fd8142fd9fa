"""Pictures written as base64 or hexadecimal digits: found by decoding them, everything else stays."""

import base64
import gzip
import io
import zlib

import numpy as np
import pytest
from PIL import Image

from moebius.photo.text_pictures import blank_text_pictures, read_raw_profile, write_raw_profile


def picture(kind: str) -> bytes:
    out = io.BytesIO()
    noise = np.random.default_rng(2).integers(0, 256, (40, 40, 3)).astype(np.uint8)
    Image.fromarray(noise).save(out, kind)
    return out.getvalue()


WRAPPINGS = {
    "base64": base64.b64encode,
    "base64 lines": base64.encodebytes,
    "base64 entities": lambda data: base64.encodebytes(data).replace(b"\n", b"&#xA;"),
    "hexadecimal": lambda data: data.hex().encode(),
    "base64 of zlib": lambda data: base64.b64encode(zlib.compress(data)),
    "base64 of gzip": lambda data: base64.b64encode(gzip.compress(data)),
    "darktable": lambda data: b"gz12" + base64.b64encode(zlib.compress(data)),
    "behind other bytes": lambda data: base64.b64encode(b"header " + data),
    "behind a letter": lambda data: b"A" + base64.b64encode(data),
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF", "BMP"])
def test_a_picture_in_any_wrapping_is_blanked(kind, wrapping):
    digits = WRAPPINGS[wrapping](picture(kind))
    text = b'<a title="%b" b="before">%b</a><c>behind</c>' % (b"x" * 30, digits)
    blank = blank_text_pictures(text)
    assert len(blank) == len(text) and blank.startswith(text[: text.index(digits)]) and blank.endswith(b"behind</c>")
    assert digits[8:-8] not in blank and blank.count(b" ") > 500


@pytest.mark.parametrize(
    "digits",
    [
        np.random.default_rng(3).bytes(400).hex().encode(),
        b"gz12" + base64.b64encode(np.random.default_rng(4).bytes(450)),
        base64.b64encode(zlib.compress(np.random.default_rng(5).bytes(900))),
        base64.b64encode(b"BM and text, which begins like a picture. " * 30),
        base64.b64encode(b"\xff\xd8\xff but no picture" * 30),
        b"A" * 4000,
    ],
)
def test_what_is_no_picture_stays(digits):
    text = b'<rdf:li darktable:params="%b"/>' % digits
    assert len(digits) >= 512 and blank_text_pictures(text) == text


def test_raw_profiles_read_and_written():
    content = bytes(range(256))
    head = b"\nexif\n     256\n"
    text = write_raw_profile(head, content)
    assert text.startswith(head + b"000102") and max(map(len, text.split(b"\n"))) == 72
    assert read_raw_profile(text) == (head, content)
    assert read_raw_profile(b"no profile") is None and read_raw_profile(b"\nexif\n  2\nabc\n") is None
