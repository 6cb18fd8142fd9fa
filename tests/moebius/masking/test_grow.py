import numpy as np
import pytest
from scipy import ndimage

from moebius.masking.grow import grow, grow_by_share, radius_of


def test_growing_is_by_distance():
    mask = np.random.default_rng(0).random((40, 60)) < 0.01
    for radius in (1, 2, 5, 30):
        expected = ndimage.distance_transform_edt(~mask) <= radius
        np.testing.assert_array_equal(grow(mask, radius), expected)
    np.testing.assert_array_equal(grow(mask, 0), mask)
    assert not grow(np.zeros((4, 5), bool), 3).any() and grow(np.ones((4, 5), bool), 3).all()
    with pytest.raises(ValueError, match="-1"):
        grow(mask, -1)


def test_a_share_is_of_the_side_of_a_square_of_the_masks_area():
    mask = np.zeros((300, 500), bool)
    mask[100:200, 100:200] = True
    assert [radius_of(mask, share) for share in (0, 0.001, 0.02, 0.2)] == [0, 1, 2, 20]
    mask[100:200, 200:400] = mask[0, 0] = True  # 30,001 pixels, 173 a side
    assert radius_of(mask, 0.1) == 17
    assert radius_of(np.zeros((4, 4), bool), 0.1) == 0
    for wrong in (-0.1, 0.21, float("nan")):
        with pytest.raises(ValueError, match="share of its size from 0 to 0.2"):
            radius_of(mask, wrong)


def test_what_grew_is_told_and_a_photo_is_never_covered_whole():
    mask = np.zeros((60, 60), bool)
    mask[20:40, 20:40] = True
    grown, notes = grow_by_share(mask, 0.05)
    np.testing.assert_array_equal(grown, ndimage.distance_transform_edt(~mask) <= 1)
    assert notes == ("The mask was grown by 1 pixel.",)
    assert grow_by_share(mask, 0.1)[1] == ("The mask was grown by 2 pixels.",)
    same, notes = grow_by_share(mask, 0)
    assert same is mask and notes == ()
    nearly = np.ones((60, 60), bool)
    nearly[0, 0] = False
    assert grow_by_share(nearly, 0.02)[0] is nearly
