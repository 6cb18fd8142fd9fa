"""The filler without weights: what it fills, what it leaves alone, that it repeats itself and can be cancelled."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image

from moebius.config import SamplingConfig
from moebius.fill.scheduler import fill_photo
from moebius.inpainters import classical
from moebius.inpainters.classical import ClassicalInpainter, patch_match, working_size
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


def test_the_working_size_shrinks_with_the_work():
    assert working_size(hole_in(512, 0, 400)) == 512
    large = hole_in(3000, 500, 2500)  # 9 million pixels and 12 times 4 million of hole: 57 of 12 million
    assert working_size(large) == int(3000 * (12 / 57) ** 0.5) == 1376


def test_a_square_that_is_too_much_work_is_filled_smaller_and_enlarged(monkeypatch):
    sizes = []

    def spy(image, hole):
        sizes.append(image.shape[0])
        return patch_match(image, hole)

    monkeypatch.setattr(classical, "MAX_WORK", 20_000)
    monkeypatch.setattr(classical, "patch_match", spy)
    ramp = np.linspace(20, 230, 200).astype(np.uint8)
    image = np.repeat(np.tile(ramp, (200, 1))[..., None], 3, axis=2)
    mask = hole_in(200, 90, 110)
    red = image.copy()
    red[mask] = (255, 0, 0)
    filled = fill(red, mask)
    assert sizes == [working_size(mask)] and sizes[0] < 200
    assert filled.shape == image.shape and filled.min() >= 0 and filled.max() <= 255
    assert np.abs(filled[mask] - image[mask]).mean() < 8


def test_progress_runs_from_nothing_to_done(stripes):
    seen = []
    fill(stripes, hole_in(96, 30, 60), lambda share, text: seen.append((share, text)))
    assert seen[0] == (0.0, "Filling") and seen[-1] == (1.0, "Filled")


def test_a_running_fill_can_be_cancelled(monkeypatch):
    monkeypatch.setattr(classical, "POLL_S", 0.01)
    image = np.random.default_rng(1).integers(0, 256, (256, 256, 3), np.uint8)

    def cancel(share: float, text: str) -> None:
        if text.endswith(" s"):  # only while it runs
            raise Cancelled

    with pytest.raises(Cancelled):
        fill(image, hole_in(256, 60, 190), cancel)


def test_without_the_compiled_part_it_says_what_to_do(monkeypatch, stripes):
    import patchmatch

    monkeypatch.setattr(patchmatch, "patchmatch_available", False)
    with pytest.raises(ValueError, match="pip install --force-reinstall"):
        fill(stripes, hole_in(96, 40, 50))


def test_a_photo_keeps_its_mode_alpha_and_unpainted_pixels(stripes):
    photo = Image.fromarray(np.dstack([stripes, np.full((96, 96), 77, np.uint8)]))
    mask = hole_in(96, 40, 56)
    result = fill_photo(ClassicalInpainter(), photo, Image.fromarray(mask), SamplingConfig(feather_px=0)).raster
    assert result.mode == "RGBA" and result.size == photo.size
    before, after = np.asarray(photo), np.asarray(result)
    np.testing.assert_array_equal(after[~mask], before[~mask])
    np.testing.assert_array_equal(after[..., 3], before[..., 3])
