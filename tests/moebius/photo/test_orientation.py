import numpy as np
import pytest
from PIL import Image, ImageOps

from moebius.photo.orientation import as_shown, as_stored

PIXELS = np.random.default_rng(1).integers(0, 256, (5, 7, 3), np.uint8)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_shown_as_pillow_shows_it_and_back(orientation):
    image = Image.fromarray(PIXELS)
    image.getexif()[274] = orientation
    expected = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(np.asarray(as_shown(Image.fromarray(PIXELS), orientation)), expected)
    np.testing.assert_array_equal(as_shown(PIXELS, orientation), expected)
    np.testing.assert_array_equal(as_stored(expected, orientation), PIXELS)
    np.testing.assert_array_equal(np.asarray(as_stored(Image.fromarray(expected), orientation)), PIXELS)
