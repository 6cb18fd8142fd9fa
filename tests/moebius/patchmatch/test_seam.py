import cv2
import numpy as np

from moebius.patchmatch.seam import RIM_PX, match_seam, membrane


def smooth_photo(side=160):
    y, x = np.indices((side, side))
    return np.stack([100 + x / 4, 90 + y / 3, 140 - x / 8 + y / 8], axis=2).astype(np.uint8)


def hole_in(side=160):
    hole = np.zeros((side, side), bool)
    hole[50:110, 40:120] = True
    return hole


def test_membrane_of_a_linear_border_is_linear():
    y, x = np.indices((70, 90))
    plane = np.stack([x + 2 * y, 3 * x, y], axis=2).astype(np.float32)
    free = np.zeros((70, 90), bool)
    free[10:50, 20:80] = True
    start = plane.copy()
    start[free] = 0
    np.testing.assert_allclose(membrane(start, free)[free], plane[free], atol=3)


def test_a_colour_cast_goes():
    photo, hole = smooth_photo(), hole_in()
    cast = photo + np.array([9, -6, 4], np.float32)
    corrected = match_seam(photo, hole, cast)
    assert np.abs(corrected[hole] - photo[hole]).mean() < 1.2
    rim = (cv2.dilate(hole.view(np.uint8), np.ones((2 * RIM_PX + 1,) * 2, np.uint8)) > 0) & ~hole
    assert np.abs(corrected[rim] - photo[rim]).mean() < 1.2, "what is blended has no cast either"
    np.testing.assert_array_equal(corrected[~hole & ~rim], cast[~hole & ~rim])


def test_a_fill_without_a_cast_stays():
    photo, hole = smooth_photo(), hole_in()
    fill = photo.astype(np.float32)
    fill[hole] = 30
    np.testing.assert_allclose(match_seam(photo, hole, fill), fill, atol=0.01)


def test_a_fill_of_something_else_stays():
    photo, hole = smooth_photo(), hole_in()
    green = np.full(photo.shape, (0, 220, 0), np.float32)
    np.testing.assert_array_equal(match_seam(photo, hole, green), green)


def test_a_hole_far_from_the_edges_sees_only_what_is_near():
    photo, hole = smooth_photo(400), np.zeros((400, 400), bool)
    hole[150:200, 180:230] = True
    fill = photo + np.float32(6)
    far = fill.copy()
    far[:60] = 0
    np.testing.assert_array_equal(match_seam(photo, hole, fill)[60:], match_seam(photo, hole, far)[60:])


def test_pixels_under_the_hole_have_no_influence():
    photo, hole = smooth_photo(), hole_in()
    fill = photo + np.float32(5)
    other = photo.copy()
    other[hole] = 0
    assert match_seam(photo, hole, fill).tobytes() == match_seam(other, hole, fill).tobytes()


def test_a_textured_rim_is_left_alone():
    rng = np.random.default_rng(0)
    photo = cv2.GaussianBlur(rng.normal(128, 400, (160, 160, 3)), (0, 0), 2).clip(0, 255).astype(np.uint8)
    fill = cv2.GaussianBlur(rng.normal(128, 400, (160, 160, 3)), (0, 0), 2).clip(0, 255).astype(np.float32)
    hole = hole_in()
    assert np.abs(match_seam(photo, hole, fill) - fill)[hole].mean() < 2
