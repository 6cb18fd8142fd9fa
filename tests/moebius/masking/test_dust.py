"""Spots put into a sky whose places are known."""

import numpy as np
import pytest

from moebius.masking.dust import Spot, find_dust, shared
from tests.helpers.dusty import HEIGHT, SPOTS, WIDTH, sky


def test_every_spot_in_the_sky_is_found_and_nothing_in_the_texture():
    found = find_dust(sky())
    assert len(found) == len(SPOTS)
    for x, y, radius in SPOTS:
        nearest = min(found, key=lambda spot: np.hypot(spot.x * WIDTH - x, spot.y * WIDTH - y))
        assert np.hypot(nearest.x * WIDTH - x, nearest.y * WIDTH - y) < 2
        assert 0.6 < nearest.radius * WIDTH / radius < 1.7
    assert find_dust(sky([])) == []


def test_what_is_no_dust_is_left():
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    wire, bird, bright = sky([]), sky([]), sky([], seed=1)
    wire[np.abs(rows - 0.3 * columns - 50) < 2] = 90
    bird[100:112, 200:212] = 20
    bright[np.hypot(rows - 150, columns - 500) < 6] += 25
    for picture in (wire, bird, bright, np.zeros((60, 60, 3), np.uint8), np.full((3, 4, 3), 200, np.uint8)):
        assert find_dust(picture) == []


def test_a_spot_at_the_same_place_in_two_photos_is_the_sensors():
    birds = [[(200.0 + 60 * one, 150.0, 5.0)] for one in range(3)]
    photos = [find_dust(sky([*SPOTS[:2], *birds[one]], seed=one)) for one in range(3)]
    assert [len(one) for one in photos] == [3, 3, 3]
    found = sorted(shared(photos), key=lambda spot: spot.x)
    for spot, (x, y, _) in zip(found, SPOTS[:2], strict=True):
        assert (spot.x * WIDTH, spot.y * WIDTH) == pytest.approx((x, y), abs=2)
    assert shared([[Spot(0.1, 0.1, 0.01, 9)], []]) == []
