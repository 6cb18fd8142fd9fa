import base64
import io
import struct

import numpy as np
import pytest
from PIL import Image

from moebius.photo.embedded_thumbnails import hide_pictures
from moebius.photo.photo_file import encode_photo, open_photo
from tests.helpers.thumbnails import BLUE, RED, jpeg, mean


def exif_with_thumbnail(thumbnail: bytes, orientation: int = 1) -> bytes:
    """EXIF by hand: IFD0 with orientation and a MakerNote-like blob, IFD1 with the thumbnail."""
    maker_note = b"maker note \x00\x01\x02" * 20
    ifd0 = struct.pack("<HHHIIHHII", 2, 274, 3, 1, orientation, 0x927C, 7, len(maker_note), 200)
    ifd0 += struct.pack("<I", 100)
    start = 200 + len(maker_note)
    ifd1 = struct.pack("<HHHIIHHIII", 2, 513, 4, 1, start, 514, 4, 1, len(thumbnail), 0)
    body = (b"II*\0\x08\0\0\0" + ifd0).ljust(100, b"\0") + ifd1
    return b"Exif\0\0" + body.ljust(200, b"\0") + maker_note + thumbnail


def thumbnail_of(exif: bytes) -> Image.Image:
    """The thumbnail as readers find it: by the tags of IFD1."""
    body = exif.removeprefix(b"Exif\0\0")
    at = struct.unpack_from("<I", body, 8 + 2 + 24)[0]
    start = struct.unpack_from("<I", body, at + 2 + 8)[0]
    length = struct.unpack_from("<I", body, at + 2 + 12 + 8)[0]
    image = Image.open(io.BytesIO(body[start : start + length]))
    image.load()
    return image


def test_exif_thumbnail_shows_the_new_picture_and_nothing_else_moves():
    exif = exif_with_thumbnail(jpeg(RED))
    new = hide_pictures(exif, Image.new("RGB", (1600, 1200), BLUE))
    assert len(new) == len(exif)
    start = exif.index(b"\xff\xd8\xff")
    assert new[:start] == exif[:start]
    small = thumbnail_of(new)
    assert small.size == (160, 120)
    np.testing.assert_allclose(mean(small), BLUE, atol=4)


def test_a_thumbnail_of_another_shape_gets_bars():
    new = hide_pictures(exif_with_thumbnail(jpeg(RED)), Image.new("RGB", (1500, 1000), BLUE))
    small = np.asarray(thumbnail_of(new)).astype(int)
    assert small[:4].max() < 40 and small[-4:].max() < 40  # 160×120 around 160×107
    np.testing.assert_allclose(small[60, 80], BLUE, atol=6)


def test_a_photo_that_is_thinner_than_its_thumbnail_allows():
    out = io.BytesIO()
    Image.new("RGB", (160, 120), "red").save(out, "JPEG", quality=95)
    hidden = hide_pictures(out.getvalue(), Image.new("RGB", (16000, 8), (0, 0, 200)))
    thumbnail = Image.open(io.BytesIO(hidden))
    assert thumbnail.size == (160, 120) and abs(np.asarray(thumbnail).astype(int) - (0, 0, 200)).max() <= 4


def test_a_thumbnail_that_cannot_fit_is_blanked():
    out = io.BytesIO()
    Image.new("L", (160, 120), 90).save(out, "JPEG", quality=1, optimize=True)
    tiny = out.getvalue()
    assert len(tiny) < 500  # less than tables for three colours need
    noise = np.random.default_rng(0).integers(0, 256, (1200, 1600, 3), np.uint8)
    exif = exif_with_thumbnail(tiny)
    new = hide_pictures(exif, Image.fromarray(noise))
    start = exif.index(b"\xff\xd8\xff")
    assert new[start:] == bytes(len(exif) - start)


def test_uncompressed_thumbnails_are_blanked():
    pixels = bytes(RED) * 100
    ifd1 = struct.pack("<HHHIIHHIII", 2, 273, 4, 1, 60, 279, 4, 1, len(pixels), 0)
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<HI", 0, 14) + ifd1
    exif = exif.ljust(6 + 60, b"\0") + pixels + b"after"
    new = hide_pictures(exif, Image.new("RGB", (8, 8)))
    assert new == exif.replace(pixels, bytes(len(pixels)))


@pytest.mark.parametrize("name", [b"", b"a", b"ab"])
def test_photoshops_uncompressed_thumbnails_are_blanked(name):
    """Resource, name, length; format, width, height, bytes a row, in all, packed, bits, planes; pixels."""
    pixels = bytes((250, 0, 220)) * 48
    head = struct.pack(">6I2H", 0, 8, 6, 24, 144, 144, 24, 1)
    padded = bytes([len(name)]) + name + bytes(1 - len(name) % 2)
    first = b"8BIM\x04\x0c" + padded + struct.pack(">I", 28 + 144) + head
    behind = b"8BIM\x04\x04\0\0" + struct.pack(">I", 6) + b"\x1c\x02\x50\0\1a"
    assert hide_pictures(first + pixels + behind, Image.new("RGB", (80, 60))) == first + bytes(144) + behind
    assert hide_pictures(first[:10], Image.new("RGB", (80, 60))) == first[:10]


def test_photoshop_and_xmp_thumbnails():
    resource = b"Photoshop 3.0\x008BIM\x04\x0c\0\0" + bytes(32) + jpeg(RED)
    new = hide_pictures(resource, Image.new("RGB", (1600, 1200), BLUE))
    image = Image.open(io.BytesIO(new[new.index(b"\xff\xd8\xff") :]))
    np.testing.assert_allclose(mean(image), BLUE, atol=4)
    encoded = base64.b64encode(jpeg(RED)).replace(b"/", b"&#xA;/")
    xmp = b'http://ns.adobe.com/xap/1.0/\0<x:xmpmeta a="b"><xmpGImg:image>%b</xmpGImg:image><dc:title>Sea</dc:title>'
    blank = hide_pictures(xmp % encoded, Image.new("RGB", (8, 8)))
    assert blank == xmp % (b" " * len(encoded))


def test_a_preview_without_an_end_goes_no_further_than_its_tag():
    """MakerNotes hold previews cut to their length; GPS and text lie behind them."""
    preview = jpeg(RED)[:-2]
    note, text = b"ACME\0\1\0\0" + preview, b"kept behind the note\0"
    entries = struct.pack("<HHII", 270, 2, len(text), 100 + len(note)) + struct.pack("<HHII", 37500, 7, len(note), 100)
    exif = (
        b"Exif\0\0" + (b"II*\0\x08\0\0\0" + struct.pack("<H", 2) + entries + bytes(4)).ljust(100, b"\0") + note + text
    )
    new = hide_pictures(exif, Image.new("RGB", (1600, 1200), BLUE))
    start = exif.index(preview)
    assert new[:start] == exif[:start] and new[start + len(preview) :] == text and len(new) == len(exif)
    np.testing.assert_allclose(mean(Image.open(io.BytesIO(new[start:]))), BLUE, atol=4)


def test_layers_in_exif_data_are_blanked():
    layers = bytes(RED) * 300
    entry = struct.pack("<HHII", 37724, 7, len(layers), 60)
    exif = (
        b"Exif\0\0"
        + (b"II*\0\x08\0\0\0" + struct.pack("<H", 1) + entry + bytes(4)).ljust(60, b"\0")
        + layers
        + b"behind"
    )
    assert hide_pictures(exif, Image.new("RGB", (8, 8))) == exif.replace(layers, bytes(len(layers)))


def test_damaged_metadata_pass_unchanged():
    for metadata in (b"", b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"\xff\xd8\xff", b"II*\0\x08\0\0\0\xff\xff"):
        assert hide_pictures(metadata, Image.new("RGB", (8, 8))) == metadata


def test_in_jpeg_png_and_webp_files():
    exif = exif_with_thumbnail(jpeg(RED), orientation=6)
    for kind, options in (("JPEG", {}), ("PNG", {}), ("WEBP", {"lossless": True})):
        out = io.BytesIO()
        Image.new("RGB", (320, 240), RED).save(out, kind, exif=exif, **options)
        photo = open_photo(out.getvalue())
        assert photo.orientation == 6 and photo.size == (240, 320)
        edited, changed = Image.new("RGB", photo.size, BLUE), np.ones((320, 240), bool)
        new = encode_photo(photo, edited, changed)
        after = Image.open(io.BytesIO(new.data))
        assert after.getexif()[274] == 6
        small = thumbnail_of(after.info["exif"])
        assert small.size == (160, 120)
        np.testing.assert_allclose(mean(small), BLUE, atol=4)
        start = exif.index(b"\xff\xd8\xff") - 6
        assert after.info["exif"].removeprefix(b"Exif\0\0")[:start] == exif[6:][:start]  # MakerNote verbatim
