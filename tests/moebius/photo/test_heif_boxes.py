"""How AVIF files crop their pictures; the box is put into Pillow's files here by hand."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from moebius.photo import heif_boxes, photo_file
from tests.helpers.deterministic import picture

SIZE = (64, 48)
PIXELS = picture(1, 64)[:48]


def avif(*crops: bytes, orientation: int = 1) -> bytes:
    """A picture of 64×48 with `clap` boxes as its last properties."""
    out, exif = io.BytesIO(), Image.Exif()
    exif[274] = orientation
    Image.fromarray(PIXELS).save(out, "AVIF", quality=90, speed=10, exif=exif.tobytes())
    data = bytearray(out.getvalue())
    for crop in crops:
        properties, links = data.index(b"ipco") - 4, data.index(b"ipma") - 4
        end = properties + struct.unpack_from(">I", data, properties)[0]
        number = sum(1 for _ in heif_boxes._boxes(data, properties + 8, end)) + 1
        assert data[links + 8 : links + 18] == struct.pack(">IIH", 0, data[links + 15], 1)
        linked = data[links + 18]
        data[links + 18] += 1
        data[links + 19 + linked : links + 19 + linked] = bytes([0x80 | number])
        data[end:end] = crop
        for name, more in ((b"ipco", len(crop)), (b"ipma", 1), (b"iprp", len(crop) + 1), (b"meta", len(crop) + 1)):
            at = data.index(name) - 4
            struct.pack_into(">I", data, at, struct.unpack_from(">I", data, at)[0] + more)
        places = data.index(b"iloc")
        assert data[places + 4] == 0 and data[places + 8 : places + 10] == b"\x44\0"
        at = places + 12
        for _ in range(struct.unpack_from(">H", data, places + 10)[0]):
            extents = struct.unpack_from(">H", data, at + 4)[0]
            for extent in range(extents):
                where = at + 6 + 8 * extent
                struct.pack_into(">I", data, where, struct.unpack_from(">I", data, where)[0] + len(crop) + 1)
            at += 6 + 8 * extents
    return bytes(data)


def clap(width: int, height: int, right=(0, 1), down=(0, 1), unit: int = 1) -> bytes:
    numbers = (width * unit, unit, height * unit, unit, *right, *down)
    return struct.pack(">I4sIIIIiIiI", 40, b"clap", *numbers)


CROPS = {
    "in the middle": (clap(32, 24), (16, 12, 48, 36)),
    "in fractions": (clap(32, 24, unit=3), (16, 12, 48, 36)),
    "a corner": (clap(20, 10, (-22, 1), (-19, 1)), (0, 0, 20, 10)),
    "odd sides": (clap(33, 25, (1, 2), (-1, 2)), (16, 11, 49, 36)),
}


@pytest.mark.parametrize("name", CROPS)
def test_what_is_cropped_away_is_neither_shown_nor_written(name):
    crop, box = CROPS[name]
    whole = photo_file.open_photo(avif())
    photo = photo_file.open_photo(avif(crop))
    np.testing.assert_array_equal(photo.raster, whole.raster.crop(box))
    assert photo.notes == (heif_boxes.CROPPED,) and whole.notes == ()
    changed = np.zeros(photo.raster.size[::-1], bool)
    changed[2:6, 2:6] = True
    again = photo_file.open_photo(photo_file.encode_photo(photo, photo.raster, changed).data)
    assert again.size == photo.size and again.notes == ()


def test_it_is_cropped_before_it_is_turned():
    photo = photo_file.open_photo(avif(CROPS["a corner"][0], orientation=6))
    assert photo.size == (10, 20)
    whole = photo_file.open_photo(avif(orientation=6)).raster
    np.testing.assert_array_equal(photo.raster, whole.crop((38, 0, 48, 20)))


@pytest.mark.parametrize(
    "crop",
    [clap(*SIZE), clap(65, 48), clap(32, 24, (40, 1)), clap(32, 24, (1, 3)), clap(32, 24, (0, 0)), clap(0, 24)],
    ids=["all of it", "larger", "outside", "between pixels", "by zero", "nothing"],
)
def test_crops_that_make_no_sense_are_passed_over(crop):
    assert photo_file.open_photo(avif(crop)).size == SIZE


def test_damaged_boxes_crop_nothing():
    data = avif(CROPS["a corner"][0])
    for length in range(0, 600, 5):
        heif_boxes.read_crop(data[:length], SIZE)
    assert heif_boxes.read_crop(b"", SIZE) is None
