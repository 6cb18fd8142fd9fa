"""PSNR and SSIM against numbers worked by hand, and the gate before every metric."""

import math

import numpy as np
import pytest

from eval.metrics import pixels
from tests.helpers.synthetic import picture

TRUTH = picture(0)
MASK = np.zeros((64, 64), bool)
MASK[16:32, 16:48] = True  # an eighth of the picture


def test_psnr_by_hand():
    fill = TRUTH.copy()
    fill[MASK] = np.where(TRUTH[MASK] < 128, TRUTH[MASK] + 10, TRUTH[MASK] - 10)
    whole, hole = pixels.psnr(fill, TRUTH, MASK)
    assert hole == pytest.approx(20 * math.log10(255 / 10))
    assert whole == pytest.approx(hole + 10 * math.log10(8))  # the error is spread over eight times the pixels


def test_the_truth_is_infinitely_good():
    assert pixels.psnr(TRUTH, TRUTH, MASK) == (math.inf, math.inf)
    assert pixels.ssim(TRUTH, TRUTH, MASK) == (pytest.approx(1.0), pytest.approx(1.0))


def test_ssim_of_two_flat_pictures_by_formula():
    """Without variance it is (2ab + c1) / (a² + b² + c1) with c1 = 0.01²."""
    a, b = np.full((64, 64, 3), 51, np.uint8), np.full((64, 64, 3), 102, np.uint8)
    wanted = (2 * 0.2 * 0.4 + 1e-4) / (0.2**2 + 0.4**2 + 1e-4)
    assert pixels.ssim(a, b, MASK) == (pytest.approx(wanted, rel=1e-4), pytest.approx(wanted, rel=1e-4))


def test_ssim_in_the_hole_is_lower_when_only_the_hole_differs():
    fill = TRUTH.copy()
    fill[MASK] = 128
    whole, hole = pixels.ssim(fill, TRUTH, MASK)
    assert hole < whole < 1


@pytest.mark.parametrize("bad", [TRUTH.astype(np.float32), TRUTH[..., 0], TRUTH[..., :2], TRUTH.tolist()])
def test_only_bytes_are_scored(bad):
    with pytest.raises(ValueError, match=r"fill must be \(H, W, 3\) uint8"):
        pixels.psnr(bad, TRUTH, MASK)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="do not fit"):
        pixels.psnr(TRUTH[:32], TRUTH, MASK)
    with pytest.raises(ValueError, match="mask is empty"):
        pixels.ssim(TRUTH, TRUTH, np.zeros((64, 64), bool))
    with pytest.raises(ValueError, match="one size"):
        pixels.to_bytes([TRUTH, TRUTH[:32]])
