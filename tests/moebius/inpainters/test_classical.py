"""The filler without weights: what it fills, what it leaves alone, that it repeats itself and can be cancelled."""

from __future__ import annotations

import re

import cv2
import numpy as np
import pytest
from PIL import Image

from moebius.config import SamplingConfig
from moebius.fill.scheduler import fill_photo
from moebius.inpainters.classical import ClassicalInpainter
from moebius.progress import Cancelled


def silent(share: float, text: str) -> None:
    pass


def fill(image, mask, progress=silent):
    return ClassicalInpainter().fill_square(image, mask, SamplingConfig(), None, progress)


def hole_in(side: int, low: int, high: int) -> np.ndarray:
    mask = np.zeros((side, side), bool)
    mask[low:high, low:high] = True
    return mask


@pytest.fixture
def stripes():
    """(96, 96, 3) uint8: vertical stripes, 8 pixels a period, which copying continues and smoothing does not."""
    row = np.where(np.arange(96) % 8 < 4, 40, 220).astype(np.uint8)
    return np.repeat(np.tile(row, (96, 1))[..., None], 3, axis=2)


def test_a_flat_picture_stays_flat():
    image = np.full((64, 64, 3), (10, 120, 250), np.uint8)
    filled = fill(image, hole_in(64, 20, 44))
    assert filled.dtype == np.float32 and filled.shape == image.shape
    np.testing.assert_allclose(filled, image, atol=1)


def test_a_pattern_goes_on_through_the_hole(stripes):
    mask = hole_in(96, 32, 64)
    damaged = np.where(mask[..., None], np.uint8(0), stripes)
    error = np.abs(fill(damaged, mask)[mask] - stripes[mask]).mean()
    smooth = cv2.inpaint(damaged, mask.astype(np.uint8), 5, cv2.INPAINT_TELEA).astype(float)
    assert error < 0.5 * np.abs(smooth[mask] - stripes[mask]).mean()  # which is 93 off


def test_what_stands_under_the_hole_does_not_matter(stripes):
    mask = hole_in(96, 40, 60)
    red, green = stripes.copy(), stripes.copy()
    red[mask], green[mask] = (255, 0, 0), (0, 255, 0)
    np.testing.assert_array_equal(fill(red, mask), fill(green, mask))


def test_the_same_photo_and_hole_give_the_same_fill():
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    mask = hole_in(64, 16, 48)
    np.testing.assert_array_equal(fill(image, mask), fill(image, mask))


def test_known_pixels_come_back_as_they_were(stripes):
    mask = hole_in(96, 30, 70)
    np.testing.assert_array_equal(fill(stripes, mask)[~mask], stripes[~mask])


@pytest.mark.parametrize("side", [2, 7, 16, 100])
@pytest.mark.parametrize("known", ["one pixel", "a checkerboard", "the rim"])
def test_tiny_squares_and_almost_full_holes_are_filled_from_what_is_known(side, known):
    mask = np.ones((side, side), bool)
    if known == "one pixel":
        mask[0, 0] = False
    elif known == "a checkerboard":
        mask = np.indices((side, side)).sum(axis=0) % 2 == 0
    else:
        mask[0] = mask[-1] = mask[:, 0] = mask[:, -1] = False
        mask[side // 2, side // 2] = True
    image = np.full((side, side, 3), 200, np.uint8)
    image[mask] = 0
    np.testing.assert_allclose(fill(image, mask), 200, atol=10)  # nothing of it stays black or grey


def test_a_large_square_is_filled_at_its_own_size():
    """Texture of two pixels a period, which would not survive being made smaller."""
    rows, columns = np.indices((900, 900))
    image = np.repeat(np.where((rows + columns) % 2, 90, 160).astype(np.uint8)[..., None], 3, axis=2)
    mask = hole_in(900, 300, 600)
    damaged = np.where(mask[..., None], np.uint8(0), image)
    filled = fill(damaged, mask)[mask]
    assert abs(filled.std() / image[mask].std() - 1) < 0.1


def test_the_number_of_threads_changes_nothing(monkeypatch):
    image = np.random.default_rng(3).integers(0, 256, (300, 300, 3), np.uint8)
    results = []
    for threads in ("1", "3"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        results.append(fill(image, hole_in(300, 100, 200)))
    np.testing.assert_array_equal(*results)


def test_progress_begins_with_an_estimate_and_rises_to_one(stripes):
    seen = []
    fill(stripes, hole_in(96, 30, 60), lambda share, text: seen.append((share, text)))
    shares = [share for share, _ in seen]
    assert re.fullmatch(r"Filling, about \d+ s", seen[0][1]) and seen[-1] == (1.0, "Filled")
    assert shares[0] == 0 and shares == sorted(shares) and len(set(shares)) > 5


def test_a_fill_can_be_cancelled_at_any_moment():
    image, mask = np.random.default_rng(1).integers(0, 256, (256, 256, 3), np.uint8), hole_in(256, 60, 190)
    before, reports = image.copy(), []
    fill(image, mask, lambda share, text: reports.append(share))
    for moment in np.random.default_rng(2).integers(0, len(reports), 20):
        heard = []

        def cancel(share: float, text: str, heard: list = heard, moment: int = moment) -> None:
            heard.append(share)
            if len(heard) > moment:
                raise Cancelled

        with pytest.raises(Cancelled):
            fill(image, mask, cancel)
        assert len(heard) == moment + 1, "nothing is reported after the stop"
    np.testing.assert_array_equal(image, before)


def test_a_photo_keeps_its_mode_alpha_and_unpainted_pixels(stripes):
    photo = Image.fromarray(np.dstack([stripes, np.full((96, 96), 77, np.uint8)]))
    mask = hole_in(96, 40, 56)
    result = fill_photo(ClassicalInpainter(), photo, Image.fromarray(mask), SamplingConfig(feather_px=0)).raster
    assert result.mode == "RGBA" and result.size == photo.size
    before, after = np.asarray(photo), np.asarray(result)
    np.testing.assert_array_equal(after[~mask], before[~mask])
    np.testing.assert_array_equal(after[..., 3], before[..., 3])
