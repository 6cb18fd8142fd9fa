import io
import struct
import zlib

import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageCms

from moebius.photo import png
from moebius.photo.patch import encode_patch


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_patch_has_its_pixels_its_place_and_its_profile(dtype):
    layer = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (9, 13, 4), dtype)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = encode_patch(layer, (1234, 56), profile)
    np.testing.assert_array_equal(imagecodecs.png_decode(data), layer)
    with Image.open(io.BytesIO(data)) as image:
        assert image.info["icc_profile"] == profile
    names = [name for name, _ in png.read_chunks(data)]
    assert names[0] == b"IHDR" and names.index(b"oFFs") < names.index(b"IDAT")
    at = data.index(b"oFFs")
    expected = b"oFFs" + struct.pack(">ii", 1234, 56) + b"\0"
    assert data[at - 4 : at + 17] == struct.pack(">I", 9) + expected + struct.pack(">I", zlib.crc32(expected))


def test_a_patch_without_a_profile():
    data = encode_patch(np.zeros((2, 3, 4), np.uint8), (0, 7))
    assert dict(png.read_chunks(data))[b"oFFs"] == bytes([0, 0, 0, 0, 0, 0, 0, 7, 0])
    assert b"iCCP" not in dict(png.read_chunks(data))
