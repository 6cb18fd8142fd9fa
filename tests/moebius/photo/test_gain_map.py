"""Ultra HDR stays Ultra HDR: the map is kept, its hole filled, and XMP and MPF tell its true length and place."""

import io
import re
import struct

import numpy as np
import pytest
from PIL import Image, MpoImagePlugin

from moebius.photo import ai_mark
from moebius.photo.jpeg_segments import read_segments
from moebius.photo.photo_file import encode_photo, open_photo

W, H, OBJECT = 320, 240, (128, 96, 192, 152)
NAMESPACES = (
    b'xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" xmlns:C="http://ns.google.com/photos/1.0/container/" '
    b'xmlns:Item="http://ns.google.com/photos/1.0/container/item/" hdrgm:Version="1.0"'
)
ISO = b"urn:iso:std:iso:ts:21496:-1\0" + bytes(4)


def segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def xmp(content: bytes) -> bytes:
    packet = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    packet += (
        b'<rdf:Description rdf:about="" ' + NAMESPACES + b">" + content + b"</rdf:Description></rdf:RDF></x:xmpmeta>"
    )
    return segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet)


def jpeg(picture: Image.Image, head: bytes) -> bytes:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=92)
    return out.getvalue()[:2] + head + out.getvalue()[2:]


def make(mode: str = "L", orientation: int = 1) -> tuple[bytes, bytes]:
    """The photo and its map, a quarter of its side; a bright object on an even ground in both."""
    noise = np.random.default_rng(1).normal(120, 6, (H, W, 3)).clip(0, 255).astype(np.uint8)
    left, top, right, bottom = OBJECT
    noise[top:bottom, left:right] = (250, 0, 220)
    ground = np.add.outer(np.arange(H // 4), np.arange(W // 4)).astype(np.uint8) // 4 + 20
    ground[top // 4 : bottom // 4, left // 4 : right // 4] = 240
    own = jpeg(Image.fromarray(ground).convert(mode), xmp(b"") + segment(0xE2, ISO))
    item = b'<rdf:li rdf:parseType="Resource"><C:Item Item:Length="%d" Item:Semantic="GainMap"/></rdf:li>' % len(own)
    head = b""
    if orientation != 1:
        exif = Image.Exif()
        exif[274] = orientation
        head = segment(0xE1, exif.tobytes())
    head += xmp(b"<C:Directory><rdf:Seq>" + item + b"</rdf:Seq></C:Directory>") + segment(0xE2, ISO)
    return jpeg(Image.fromarray(noise), head), own


def filled(data: bytes, mark: str | None = None, suffix: str | None = None):
    photo = open_photo(data)
    changed = np.zeros((H, W), bool)
    left, top, right, bottom = OBJECT
    changed[top - 4 : bottom + 4, left - 4 : right + 4] = True
    if photo.orientation == 6:
        changed = np.rot90(changed, -1)
    picture = np.asarray(photo.raster).copy()
    picture[changed] = 120
    return encode_photo(photo, Image.fromarray(picture), changed, suffix, mark)


def map_of(data: bytes) -> bytes:
    return data[read_segments(data)[1] :]


@pytest.mark.parametrize("mark", [None, ai_mark.TRAINED])
@pytest.mark.parametrize(("mode", "orientation"), [("L", 1), ("RGB", 1), ("L", 6)])
def test_the_map_is_kept_filled_and_described_truly(mode, orientation, mark):
    photo, own = make(mode, orientation)
    new = filled(photo + own, mark)
    assert new.notes == ()
    after = map_of(new.data)
    before, now = (np.asarray(Image.open(io.BytesIO(one)).convert("L")).astype(int) for one in (own, after))
    left, top, right, bottom = (edge // 4 for edge in OBJECT)
    ground = np.add.outer(np.arange(H // 4), np.arange(W // 4)) // 4 + 20
    hole = np.s_[top:bottom, left:right]
    assert before[hole].min() > 200 and abs(now[hole] - ground[hole]).max() <= 12
    touched = np.zeros(now.shape, bool)  # blocks that the hole, grown by one and two pixels, reaches
    side = 16 if mode == "RGB" else 8  # with colours at half the size
    touched[top - 3 : bottom + 3, left - 3 : right + 3] = True
    for row, column in np.argwhere(touched) // side:
        touched[row * side : (row + 1) * side, column * side : (column + 1) * side] = True
    far = ~touched
    if mode == "RGB":  # readers smooth the colours over a block's edge
        far[1:-1, 1:-1] &= far[:-2, 1:-1] & far[2:, 1:-1] & far[1:-1, :-2] & far[1:-1, 2:]
    np.testing.assert_array_equal(now[far], before[far])
    assert far.mean() > 0.6
    assert [int(n) for n in re.findall(rb'Item:Length="(\d+)"', new.data)] == [len(after)]
    assert new.data.count(ISO) == 2 and new.data.count(b"hdrgm:Version") == 2
    assert (b"DigitalSourceType" in new.data) == (mark is not None)
    image = MpoImagePlugin.MpoImageFile(io.BytesIO(new.data))  # Pillow follows the index
    assert image.n_frames == 2
    image.seek(1)
    np.testing.assert_array_equal(np.asarray(image.convert("L")), now)
    again = filled(new.data)
    assert again.notes == () and map_of(again.data)[:2] == b"\xff\xd8"


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_other_formats_lose_the_map_and_say_so(suffix):
    new = filled(b"".join(make()), suffix=suffix)
    assert any("gain map behind the photo was left out" in note for note in new.notes)
    assert b"hdrgm:Version" not in new.data


def test_a_map_that_is_not_the_last_thing_is_left_out():
    """A video behind it shows the object, and a Container directory of three is not rewritten."""
    new = filled(b"".join(make()) + b"\0\0\0\x14ftypmp42" + bytes(range(1, 200)) + b"mdat")
    assert new.data.endswith(b"\xff\xd9") and map_of(new.data) == b"" and b"hdrgm:" not in new.data
    assert new.notes == (
        "A gain map and a video behind the photo were left out: they would still show what was removed.",
    )
