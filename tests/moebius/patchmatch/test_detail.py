import cv2
import numpy as np
import pytest

from moebius.patchmatch.detail import DetailConfig, detail

SIDE, SMALL = 192, 64


def texture(seed=0, side=SIDE, channels=3):
    """Calm waves on the left half, lively grain on the right."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((side, side))
    waves = 110 + 40 * np.sin(x / 23) + 20 * np.cos(y / 31)
    grain = cv2.GaussianBlur(rng.normal(0, 60, (side, side, channels)), (0, 0), 0.7).reshape(side, side, channels)
    picture = waves[..., None] + np.where(x[..., None] < side // 2, 0, grain)
    return picture.clip(0, 255).astype(np.uint8)


def hole_in(side=SIDE):
    hole = np.zeros((side, side), bool)
    hole[side // 3 : side * 2 // 3, side // 4 : side * 3 // 4] = True
    return hole


def reduced(picture, side=SMALL):
    return cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32)


def enlarged(coarse, side=SIDE):
    return cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)


def energy(picture, where):
    dy, dx = np.gradient(picture.astype(float).mean(axis=2))
    return np.hypot(dx, dy)[where].mean()


def test_sharp_regions_stay_sharp_and_calm_ones_calm():
    photo, hole = texture(), hole_in()
    coarse = reduced(photo)
    filled = detail(photo, hole, coarse)
    inner = cv2.erode(hole.view(np.uint8), np.ones((5, 5), np.uint8)) > 0
    left, right = inner.copy(), inner.copy()
    left[:, SIDE // 2 - 12 :] = False
    right[:, : SIDE // 2 + 12] = False
    assert energy(enlarged(coarse), right) < 0.5 * energy(photo, right)
    assert 0.7 < energy(filled, right) / energy(photo, right) < 1.2
    assert 0.8 < energy(filled, left) / energy(photo, left) < 1.3


def test_low_band_stays_the_models():
    photo, hole = texture(), hole_in()
    coarse = reduced(photo)
    filled = detail(photo, hole, coarse)
    inner = cv2.erode(hole.view(np.uint8), np.ones((17, 17), np.uint8)) > 0
    difference = cv2.GaussianBlur(filled, (0, 0), 6) - cv2.GaussianBlur(enlarged(coarse), (0, 0), 6)
    assert np.abs(difference[inner]).mean() < 3


def test_known_pixels_come_back_as_they_were():
    photo, hole = texture(), hole_in()
    np.testing.assert_array_equal(detail(photo, hole, reduced(photo))[~hole], photo[~hole])


def test_pixels_under_the_hole_have_no_influence():
    photo, hole = texture(), hole_in()
    coarse = reduced(photo)
    other = photo.copy()
    other[hole] = np.random.default_rng(9).integers(0, 256, (hole.sum(), 3))
    assert detail(photo, hole, coarse).tobytes() == detail(other, hole, coarse).tobytes()


def test_threads_change_nothing_and_seeds_do():
    photo, hole = texture(), hole_in()
    coarse = reduced(photo)
    one = detail(photo, hole, coarse, threads=1)
    for threads in (2, 8):
        assert detail(photo, hole, coarse, threads=threads).tobytes() == one.tobytes()
    assert detail(photo, hole, coarse, seed=1).tobytes() != one.tobytes()


def test_grey_stays_grey_and_16_bits_are_8_bits_times_257():
    photo, hole = texture(channels=1), hole_in()
    grey = np.repeat(photo, 3, axis=2)
    coarse = reduced(grey)
    filled = detail(grey, hole, coarse)
    assert (filled == filled[..., :1]).all()
    np.testing.assert_array_equal(detail(photo[..., 0], hole, coarse), filled)
    np.testing.assert_array_equal(detail(grey.astype(np.uint16) * 257, hole, coarse), filled)


def test_photo_that_is_not_square():
    photo, hole = texture()[:130], hole_in()[:130]
    coarse = cv2.resize(photo, (SMALL, 44), interpolation=cv2.INTER_AREA)
    filled = detail(photo, hole, coarse)
    assert filled.shape == photo.shape and filled.dtype == np.float32
    np.testing.assert_array_equal(filled[~hole], photo[~hole])


@pytest.mark.parametrize("shape", [(20, 20), (9, 40), (5, 7)])
def test_without_a_known_patch_the_fill_is_enlarged(shape):
    hole = np.ones(shape, bool)
    hole[0] = False
    photo = np.full((*shape, 3), 90, np.uint8)
    coarse = np.full(((shape[0] + 1) // 2, (shape[1] + 1) // 2, 3), 60, np.float32)
    filled = detail(photo, hole, coarse)
    assert np.isfinite(filled).all()
    assert (filled[-2:] == 60).all() and (filled[0] == 90).all()


def test_hole_over_everything_gives_the_fill_enlarged():
    coarse = np.full((16, 16, 3), 33, np.float32)
    filled = detail(np.zeros((64, 64, 3), np.uint8), np.ones((64, 64), bool), coarse)
    assert (filled == 33).all()


@pytest.mark.parametrize("edge", [(0, 0, 60, 60), (150, 140, 192, 192), (80, 0, 110, 192)])
def test_hole_at_the_edge(edge):
    top, left, bottom, right = edge
    hole = np.zeros((SIDE, SIDE), bool)
    hole[top:bottom, left:right] = True
    photo = texture()
    filled = detail(photo, hole, reduced(photo))
    assert np.abs(filled[hole] - photo[hole]).mean() < 45
    np.testing.assert_array_equal(filled[~hole], photo[~hole])


def test_progress_rises_to_one_and_names_the_sizes():
    photo, hole, log = texture(), hole_in(), []
    detail(photo, hole, reduced(photo), progress=lambda share, text: log.append((share, text)))
    shares = [share for share, _ in log]
    assert shares[0] == 0 and shares[-1] == 1 and shares == sorted(shares)
    assert any(f"{SIDE}×{SIDE}" in text for _, text in log)


@pytest.mark.parametrize("threads", [1, 2])
def test_cancel_ends_it(threads):
    photo, hole, calls = texture(), hole_in(), []

    def progress(share, text):
        calls.append(share)
        if share > 0.5:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        detail(photo, hole, reduced(photo), threads=threads, progress=progress)
    assert calls[-1] > 0.5 and len([share for share in calls if share > 0.5]) == 1


def test_nothing_to_fill():
    photo = texture()
    np.testing.assert_array_equal(detail(photo, np.zeros((SIDE, SIDE), bool), reduced(photo)), photo)


def test_a_fill_larger_than_the_photo_is_refused():
    with pytest.raises(ValueError, match="no larger than the photo"):
        detail(np.zeros((20, 20, 3), np.uint8), np.ones((20, 20), bool), np.zeros((30, 30, 3), np.float32))


def test_config_is_checked():
    with pytest.raises(ValueError, match="at least 1"):
        DetailConfig(max_gain=0.5)
