import numpy as np
import pytest

from moebius.photo.photo_file import SUFFIXES, suffixes
from moebius.photo.raster import bounding_box


def test_bounding_boxes():
    mask = np.zeros((7, 9), bool)
    mask[2, 3] = True
    assert bounding_box(mask) == (3, 2, 4, 3)
    mask[5, 1] = mask[6, 8] = True
    left, top, right, bottom = bounding_box(mask)
    assert (left, top, right, bottom) == (1, 2, 9, 7) and mask[top:bottom, left:right].sum() == mask.sum() == 3
    assert bounding_box(np.ones((2, 3), bool)) == (0, 0, 3, 2)
    with pytest.raises(ValueError, match="the mask is empty"):
        bounding_box(np.zeros((4, 4), bool))


def test_suffixes_of_formats():
    assert suffixes("PNG", "TIFF") == (".png", ".tif", ".tiff")
    assert suffixes()[0] == ".jpg" and len(set(suffixes())) == len(suffixes()) == sum(map(len, SUFFIXES.values()))
