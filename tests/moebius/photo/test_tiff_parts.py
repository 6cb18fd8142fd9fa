"""Copies of the picture in a TIFF: layers, thumbnails, pyramids."""

import io
import struct

import numpy as np
import pytest
import tifffile
from PIL import Image

from moebius.photo.photo_file import PhotoError, encode_photo, open_photo

W, H = 96, 64
OBJECT = bytes((250, 0, 220)) * 12
LAYERS, SKETCHBOOK, UNKNOWN = 37724, 50784, 54321


def scene() -> np.ndarray:
    pixels = np.random.default_rng(5).integers(90, 150, (H, W, 3)).astype(np.uint8)
    pixels[20:40, 30:50] = (250, 0, 220)
    return pixels


def private(tag: int, pixels: np.ndarray, kind: int = 7) -> tuple:
    content = b"Adobe Photoshop Document Data Block\0" + pixels.tobytes()
    return (tag, kind, len(content), content, True)


def layered(tags: tuple[int, ...] = (LAYERS,), **options) -> bytes:
    out = io.BytesIO()
    extra = [private(tag, scene()) for tag in tags]
    tifffile.imwrite(out, scene(), photometric="rgb", metadata=None, rowsperstrip=16, extratags=extra, **options)
    return out.getvalue()


def filled(data: bytes, suffix: str | None = None):
    photo = open_photo(data)
    picture, changed = np.asarray(photo.raster).copy(), np.zeros((H, W), bool)
    changed[18:42, 28:52] = True
    picture[changed] = 120
    return encode_photo(photo, Image.fromarray(picture), changed, suffix), picture


@pytest.mark.parametrize("options", [{}, {"byteorder": ">"}, {"bigtiff": True}, {"compression": "lzw"}])
def test_layers_are_left_out_and_reported(options):
    data = layered((LAYERS, SKETCHBOOK, UNKNOWN), software="kept", **options)
    assert data.count(OBJECT) >= 60
    new, picture = filled(data)
    assert OBJECT not in new.data and len(new.data) <= len(data)
    assert [note.split(" were left out")[0] for note in new.notes] == [
        "Photoshop's layers",
        "SketchBook's layers",
        f"Private data (tag {UNKNOWN}), which may hold a picture,",
    ]
    with tifffile.TiffFile(io.BytesIO(new.data)) as file:
        tags = file.pages[0].tags
        assert not {LAYERS, SKETCHBOOK, UNKNOWN} & {tag.code for tag in tags} and tags[305].value == "kept"
        np.testing.assert_array_equal(file.pages[0].asarray(), picture)


def test_private_tags_that_hold_no_picture_stay():
    short, text = (54322, 7, 40, bytes(range(40)), True), (54323, 2, 8101, "words and" * 900, True)
    geography = (33550, 12, 3, (0.5, 0.5, 0.0), True)
    out = io.BytesIO()
    tifffile.imwrite(out, scene(), photometric="rgb", metadata=None, extratags=[short, text, geography])
    new, _ = filled(out.getvalue())
    assert new.notes == ()
    with tifffile.TiffFile(io.BytesIO(new.data)) as file:
        tags = {tag.code: tag.value for tag in file.pages[0].tags}
    assert (tags[54322], tags[54323], tags[33550]) == (bytes(range(40)), "words and" * 900, (0.5, 0.5, 0.0))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".avif", ".heic"])
def test_no_other_format_gets_the_layers(suffix):
    new, _ = filled(layered(software="kept"), suffix)
    assert any("Photoshop's layers were left out" in note for note in new.notes)
    exif = Image.open(io.BytesIO(new.data)).getexif()
    assert LAYERS not in exif and exif[305] == "kept" and len(new.data) < W * H * 3 + 1500


def with_copies(second: int, sub: bool = False) -> bytes:
    out = io.BytesIO()
    with tifffile.TiffWriter(out) as file:
        file.write(scene(), photometric="rgb", metadata=None, subifds=1 if sub else 0, software="kept")
        file.write(np.ascontiguousarray(scene()[::2]), photometric="rgb", metadata=None, subfiletype=second)
    return out.getvalue()


@pytest.mark.parametrize("sub", [False, True])
def test_smaller_copies_are_no_pages_and_are_left_out(sub):
    data = with_copies(second=1, sub=sub)
    new, picture = filled(data)
    assert data.count(OBJECT) == 30 and OBJECT not in new.data
    assert new.notes == (
        "The TIFF's smaller copies of the picture were left out: they would still show what was removed.",
    )
    with tifffile.TiffFile(io.BytesIO(new.data)) as file:
        assert len(file.pages) == 1 and 330 not in file.pages[0].tags and file.pages[0].tags[305].value == "kept"
        np.testing.assert_array_equal(file.pages[0].asarray(), picture)


def test_several_pages_are_still_refused():
    with pytest.raises(PhotoError, match="holds 2 pictures"):
        open_photo(with_copies(second=0))


def test_a_strip_that_a_copy_shares_with_the_picture_stays():
    """The second directory points to the strips of the first: they must not be blanked with it."""
    data = bytearray(with_copies(second=1))
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as file:
        first, second = (page.tags[273] for page in file.pages)
        (start,) = file.pages[0].dataoffsets
    struct.pack_into("<I", data, second.valueoffset, start)
    new, picture = filled(bytes(data))
    np.testing.assert_array_equal(tifffile.imread(io.BytesIO(new.data), key=0), picture)


def test_pixels_of_an_earlier_version_that_no_tag_refers_to_go():
    """Programs that edit a TIFF in place write new strips behind the old ones, which stay in the file."""
    out = io.BytesIO()
    tifffile.imwrite(out, scene(), photometric="rgb", metadata=None, rowsperstrip=H, software="kept")
    data = bytearray(out.getvalue())
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        tag = file.pages[0].tags[273]
        where, length = file.pages[0].dataoffsets[0], file.pages[0].databytecounts[0]
    struct.pack_into("<I", data, tag.valueoffset, len(data))
    data += bytes(data[where : where + length])
    assert data.count(OBJECT) == 40
    new, picture = filled(bytes(data))
    assert OBJECT not in new.data and new.data[where : where + length] == bytes(length)
    assert new.notes == ("Data that no tag of the TIFF refers to were left out: they may show what was removed.",)
    with tifffile.TiffFile(io.BytesIO(new.data)) as file:
        assert file.pages[0].tags[305].value == "kept"
        np.testing.assert_array_equal(file.pages[0].asarray(), picture)
