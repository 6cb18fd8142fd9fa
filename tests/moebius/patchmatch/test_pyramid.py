import numpy as np
import pytest

from moebius.patchmatch import pyramid


def test_pixels_under_the_hole_are_grey_and_16_bits_become_8():
    image = np.full((4, 5, 3), 257 * 9, np.uint16)
    hole = np.zeros((4, 5), bool)
    hole[1, 2] = True
    known = pyramid.as_bytes(image, hole)
    assert known.dtype == np.uint8
    assert (known[hole] == pyramid.UNDER_HOLE).all() and (known[~hole] == 9).all()


def test_grey_becomes_three_equal_channels():
    image = np.arange(12, dtype=np.uint8).reshape(3, 4)
    known = pyramid.as_bytes(image, np.zeros((3, 4), bool))
    np.testing.assert_array_equal(known, np.stack([image] * 3, axis=2))


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="uint8 or uint16"):
        pyramid.as_bytes(np.zeros((4, 4, 3), np.float32), np.zeros((4, 4), bool))
    with pytest.raises(ValueError, match="do not fit"):
        pyramid.as_bytes(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5), bool))


@pytest.mark.parametrize(
    ("coarse", "full", "sizes"),
    [
        ((64, 64), (64, 64), [(64, 64)]),
        ((64, 32), (256, 128), [(64, 32), (128, 64), (256, 128)]),
        ((10, 10), (11, 10), [(10, 10), (11, 10)]),
    ],
)
def test_level_sizes(coarse, full, sizes):
    assert pyramid.level_sizes(coarse, full) == sizes


def test_reduced_hole_holds_every_pixel_that_the_hole_touches():
    hole = np.zeros((600, 600), bool)
    hole[299, 300] = True
    photo = np.full((600, 600, 3), 40, np.uint8)
    photos, holes = pyramid.reductions(photo, hole, [(37, 37), (150, 150), (600, 600)])
    assert [h.sum() for h in holes] == [1, 1, 1]
    assert all((p == 40).all() for p in photos)


def test_halving_means_known_pixels_only():
    picture = np.zeros((4, 4, 3), np.uint8)
    picture[0, 0], picture[0, 1] = 100, 50
    hole = np.ones((4, 4), bool)
    hole[0, :2] = False
    small, small_hole = pyramid.halve(picture, hole)
    np.testing.assert_array_equal(small[0, 0], 75)
    np.testing.assert_array_equal(small_hole, [[False, True], [True, True]])


def test_surroundings_are_bounded():
    hole = np.zeros((9000, 9000), bool)
    hole[4000:8000, 100:4100] = True
    rows, columns = pyramid.surroundings(hole)
    assert (rows, columns) == (slice(2976, 9000), slice(0, 5124))


def test_smooth_fill_of_one_colour_is_that_colour():
    image = np.full((40, 33, 3), 70, np.uint8)
    hole = np.zeros((40, 33), bool)
    hole[3:35, 2:30] = True
    image[hole] = 200
    np.testing.assert_allclose(pyramid.smooth_fill(image, hole), 70, atol=1e-3)
