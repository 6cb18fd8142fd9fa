"""Sharpness and pieces of large pictures: what can be worked out by hand comes out."""

import math

import numpy as np
import pytest

from eval.metrics.crops import MAX_CROPS, chosen_crops, crops, window
from eval.metrics.sharpness import fine_energy, gradient_energy, grey, octaves, sharpness, surroundings


def columns(values: list[int], height: int = 96, width: int = 96) -> np.ndarray:
    """A grey picture whose columns repeat `values`."""
    row = np.resize(np.array(values, np.uint8), width)
    return np.repeat(np.broadcast_to(row, (height, width))[..., None], 3, axis=2).copy()


def square_hole(low: int = 24, high: int = 72, side: int = 96) -> np.ndarray:
    mask = np.zeros((side, side), bool)
    mask[low:high, low:high] = True
    return mask


def test_a_fill_blurred_in_half_of_the_hole_is_three_quarters_as_sharp():
    truth = columns([228, 128, 28, 128])  # a wave of four pixels; gradient 50 everywhere a column is 128, else 0
    blurred = columns([178, 128, 78, 128])  # the same through 1/4, 1/2, 1/4: half the height
    mask = square_hole()
    filled = truth.copy()
    filled[24:48] = blurred[24:48]
    # The rows at the seam add vertical gradients; rows 25 to 46 and 49 to 70 are clean, so look at the halves.
    upper, lower = mask.copy(), mask.copy()
    upper[47:] = lower[:49] = False
    energies = [gradient_energy(grey(filled), half) for half in (upper, lower)]
    assert energies == pytest.approx([25.0, 50.0], rel=1e-5)  # mean of 0 and 50; of 0 and 100
    assert sharpness(blurred, truth, mask)["gradient_truth"] == pytest.approx(0.5, rel=1e-5)
    assert sum(energies) / 2 / 50 == pytest.approx(0.75, rel=1e-5)


def test_sharpness_beside_the_surroundings_and_of_the_finest_frequencies():
    mask = square_hole()
    truth = columns([100, 140])  # alternating columns: the highest frequency there is
    filled = np.where(mask[..., None], columns([110, 130]), truth)
    found = sharpness(filled, truth, mask)
    assert found["fine_truth"] == pytest.approx(0.5, rel=1e-3)
    assert found["fine_around"] == pytest.approx(0.5, rel=1e-3)
    assert found["truth_fine_around"] == pytest.approx(1.0, rel=1e-3)


def test_white_noise_has_the_share_of_its_variance_above_half_the_nyquist_frequency():
    noise = np.random.RandomState(0).normal(128, 10, (512, 512)).astype(np.float32)
    power, count = fine_energy(noise, np.ones(noise.shape, bool), 32)
    assert count == 31 * 31
    assert power == pytest.approx(100 * (1 - np.pi / 16), rel=0.02)


def test_a_flat_truth_has_no_sharpness_to_compare_with():
    flat = columns([77])
    found = sharpness(columns([70, 80]), flat, square_hole())
    assert found["gradient_truth"] is None and found["fine_around"] is None


def test_surroundings_are_known_pixels_near_the_hole():
    mask = square_hole(80, 100, side=180)
    ring = surroundings(mask)
    assert not (ring & mask).any()
    assert ring[79, 90] and ring[48, 90] and not ring[47, 90]  # 32 pixels away, and 33


def test_octaves_are_the_same_above_and_below():
    assert octaves(0.5) == octaves(2.0) == 1.0 and octaves(1.0) == 0.0 and octaves(None) is None
    assert octaves(0.0) == math.log2(64)


@pytest.mark.parametrize("place", [(0, 40), (700, 900), (100, 1100)])
def test_crops_cover_the_hole_and_stay_inside(place):
    mask = np.zeros((1200, 1200), bool)
    mask[slice(*place), 30:1000] = True
    seen = np.zeros_like(mask)
    for y, x in crops(mask):
        assert 0 <= y <= 1200 - 512 and 0 <= x <= 1200 - 512
        seen[y : y + 512, x : x + 512] = True
    assert seen[mask].all()


def test_of_many_pieces_some_are_chosen_and_a_window_stays_inside():
    mask = np.zeros((3000, 3000), bool)
    mask[10:2900, 100:2990] = True
    assert len(crops(mask)) == 36 and len(chosen_crops(mask)) == MAX_CROPS
    assert window(mask, 20) == (slice(0, 2920), slice(80, 3010))
    assert mask[window(mask, 20)].shape == (2920, 2920)
