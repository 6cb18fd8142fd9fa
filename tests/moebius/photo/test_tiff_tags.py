"""Tags copied byte for byte between TIFF files and EXIF data, and IPTC data between TIFF and JPEG."""

import io
import struct

import numpy as np
import pytest
import tifffile
from PIL import Image

from moebius.photo import iptc, tiff_tags
from moebius.photo.photo_file import encode_photo, open_photo

ARTIST, COPYRIGHT, DESCRIPTION = "Fotobüro".encode(), "© Fotobüro 2024".encode(), "Łódź, Straße".encode()
TEXTS = {315: ARTIST, 33432: COPYRIGHT, 270: DESCRIPTION}
IIM = b"\x1c\x02\x5a\0\x04City"  # IPTC IIM 2:90


def pixels() -> np.ndarray:
    return np.random.default_rng(6).integers(80, 160, (48, 64, 3)).astype(np.uint8)


def tiff(iptc_kind: int = 7, **options) -> bytes:
    out = io.BytesIO()
    texts = [(tag, 2, len(text) + 1, text + b"\0", True) for tag, text in TEXTS.items()]
    values = IIM + b"\0" * (-len(IIM) % 4)
    count = len(values) // (4 if iptc_kind == 4 else 1)
    if iptc_kind == 4:
        values = struct.unpack(f"<{count}I", values)
    tags = [*texts, (33723, iptc_kind, count, values, True)]
    tifffile.imwrite(out, pixels(), photometric="rgb", metadata=None, extratags=tags, **options)
    return out.getvalue()


def jpeg() -> bytes:
    out = io.BytesIO()
    tags = {tag: tiff_tags.bytes_tag(text + b"\0", 2) for tag, text in TEXTS.items()}
    tags[34665] = tiff_tags.Tag(4, b"", ">", {36867: tiff_tags.bytes_tag(b"2026:01:02 03:04:05\0", 2)})
    tags[282] = tiff_tags.Tag(5, struct.pack(">II", 72, 1), ">")
    Image.fromarray(pixels()).save(out, "JPEG", quality=95, exif=tiff_tags.pack_exif(tags))
    resource = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(IIM)) + IIM + b"\0" * (len(IIM) % 2)
    segment = iptc.jpeg_segments(resource)[0]
    return out.getvalue()[:2] + segment.raw + out.getvalue()[2:]


def converted(data: bytes, suffix: str | None):
    photo, changed = open_photo(data), np.zeros((48, 64), bool)
    changed[:8, :8] = True
    return encode_photo(photo, photo.raster, changed, suffix)


@pytest.mark.parametrize(
    ("make", "suffix"), [(tiff, ".jpg"), (tiff, ".png"), (tiff, ".webp"), (jpeg, ".tif"), (jpeg, ".png"), (tiff, None)]
)
def test_text_beyond_ascii_stays_byte_for_byte(make, suffix):
    new = converted(make(), suffix).data
    for text in TEXTS.values():
        assert text + b"\0" in new
    exif = Image.open(io.BytesIO(new)).getexif()  # Pillow reads Latin-1
    assert {tag: exif[tag].encode("latin-1") for tag in TEXTS} == TEXTS


def test_an_odd_compression_keeps_text_and_iptc():
    """Strips that are not edited one by one: the file is written anew."""
    new = converted(tiff(compression="zstd"), None).data
    with tifffile.TiffFile(io.BytesIO(new)) as file:
        tags = file.pages[0].tags
        assert tags[33723].value[: len(IIM)] == IIM and file.pages[0].compression == tifffile.COMPRESSION.ZSTD
    assert all(text + b"\0" in new for text in TEXTS.values())


@pytest.mark.parametrize("kind", [7, 4])
def test_iptc_goes_from_tiff_to_jpeg_and_back(kind):
    new = converted(tiff(kind), ".jpg")
    assert new.notes == ()
    assert Image.open(io.BytesIO(new.data)).info["photoshop"][0x0404][: len(IIM)] == IIM
    again = converted(new.data, ".tif")
    with tifffile.TiffFile(io.BytesIO(again.data)) as file:
        assert file.pages[0].tags[33723].value[: len(IIM)] == IIM


@pytest.mark.parametrize("suffix", [".png", ".webp", ".avif", ".heic", ".bmp", ".gif"])
def test_iptc_that_has_no_place_is_reported(suffix):
    assert any("IPTC data were left out" in note for note in converted(jpeg(), suffix).notes)


def test_directories_of_the_exif_data_go_into_a_compressed_tiff():
    new = converted(jpeg(), ".tif").data
    with tifffile.TiffFile(io.BytesIO(new)) as file:
        assert file.pages[0].compression == tifffile.COMPRESSION.ADOBE_DEFLATE
    assert Image.open(io.BytesIO(new)).getexif().get_ifd(34665)[36867] == "2026:01:02 03:04:05"


@pytest.mark.parametrize("order", ["<", ">"])
def test_numbers_change_their_byte_order(order):
    tag = tiff_tags.Tag(5, struct.pack(order + "II", 300, 7), order)
    with_number = tiff_tags.add_tags(tiff(byteorder={"<": ">", ">": "<"}[order]), {283 + 40000: tag})
    with tifffile.TiffFile(io.BytesIO(with_number)) as file:
        assert file.pages[0].tags[40283].value == (300, 7)


def test_exif_data_that_are_too_long_for_a_jpeg_lose_their_longest_part():
    out = io.BytesIO()
    note = (37500, 7, 70000, bytes(70000), True)
    tifffile.imwrite(out, pixels(), photometric="rgb", metadata=None, extratags=[note], software="kept")
    new = converted(out.getvalue(), ".jpg")
    assert new.notes == ("The EXIF data were too long for a JPEG: tag 37500 was left out.",)
    assert Image.open(io.BytesIO(new.data)).getexif()[305] == "kept"


def test_a_resolution_of_another_type_goes_into_no_jpeg_which_pillow_could_not_open():
    data = bytearray(tiff(resolution=(72, 72)))
    at = data.index(struct.pack("<HHI", 282, 5, 1))
    struct.pack_into("<H", data, at + 2, 7)
    photo = open_photo(bytes(data))
    result = encode_photo(photo, photo.raster, np.ones((48, 64), bool), ".jpg").data
    assert open_photo(result).size == (64, 48) and ARTIST in result


def test_directories_that_hold_each_other_are_read_once():
    body = b"II*\0" + struct.pack("<I", 8)
    body += struct.pack("<HHHIII", 1, 34665, 4, 1, 26, 0) + struct.pack("<HHHIII", 1, 34853, 4, 1, 8, 0)
    tags = tiff_tags.read_exif(body)
    assert tags[34665].directory[34853].directory == {}
