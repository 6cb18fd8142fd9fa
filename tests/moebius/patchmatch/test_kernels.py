"""Distances, searches and votes against plain numpy."""

import numpy as np
import pytest

from moebius.patchmatch import kernels
from moebius.patchmatch.kernels import CHANNELS, PATCH


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def picture(rng, height, width):
    return rng.integers(0, 256, (height, width, CHANNELS), dtype=np.uint8)


def patch(pixels, y, x):
    return pixels[y : y + PATCH, x : x + PATCH].astype(np.int64)


def distance(target, mask, at, source, place, limit=kernels.FAR):
    return kernels.patch_distance(
        target.reshape(-1), mask.reshape(-1), (at[0] * target.shape[1] + at[1]) * CHANNELS, target.shape[1] * CHANNELS,
        source.reshape(-1), (place[0] * source.shape[1] + place[1]) * CHANNELS, source.shape[1] * CHANNELS, limit,
    )  # fmt: skip


EMPTY = np.empty(0, np.uint8)
GRID = np.array([0, 0, 1])


def test_distance_is_the_sum_of_absolute_differences(rng):
    target, source = picture(rng, 14, 11), picture(rng, 20, 17)
    for at, place in (((0, 0), (0, 0)), ((6, 3), (12, 9)), ((2, 1), (5, 8))):
        expected = np.abs(patch(target, *at) - patch(source, *place)).sum()
        assert distance(target, EMPTY, at, source, place) == expected


def test_distance_of_black_and_white_does_not_overflow():
    black, white = np.zeros((8, 8, 8), np.uint8), np.full((8, 8, 8), 255, np.uint8)
    assert distance(black, EMPTY, (0, 0), white, (0, 0)) == 8 * 8 * 8 * 255
    assert distance(white, EMPTY, (0, 0), black, (0, 0)) == 8 * 8 * 8 * 255


def test_masked_distance_leaves_bytes_out(rng):
    target, source = picture(rng, 12, 12), picture(rng, 12, 12)
    mask = np.where(rng.random((12, 12, CHANNELS)) < 0.5, 255, 0).astype(np.uint8)
    expected = (np.abs(patch(target, 2, 3) - patch(source, 4, 1)) * (patch(mask, 2, 3) > 0)).sum()
    assert distance(target, mask, (2, 3), source, (4, 1)) == expected


def test_distance_may_stop_after_the_even_rows(rng):
    target, source = picture(rng, 8, 8), picture(rng, 8, 8)
    even = np.abs(target.astype(int) - source)[::2].sum()
    assert distance(target, EMPTY, (0, 0), source, (0, 0), limit=even) == even


def test_hash_is_the_published_one():
    value = 12345
    value ^= value >> 16
    value = value * 0x7FEB352D & 0xFFFFFFFF
    value ^= value >> 15
    value = value * 0x846CA68B & 0xFFFFFFFF
    value ^= value >> 16
    assert kernels.hashed(12345) == value


def test_exact_search_finds_the_nearest_patch(rng):
    target, source = picture(rng, 10, 9), picture(rng, 18, 15)
    places = np.argwhere(rng.random((11, 8)) < 0.7).astype(np.int32)
    field, cost = np.zeros((3, 2, 2), np.int32), np.zeros((3, 2), np.int32)
    requested = np.ones((3, 2), bool)
    requested[1, 1] = False
    kernels.exact_band(
        target.reshape(-1), EMPTY, 9, source.reshape(-1), 15, places, field, cost, requested, 0, 3, GRID, 0
    )
    for row, column in np.argwhere(requested):
        distances = [np.abs(patch(target, row, column) - patch(source, *place)).sum() for place in places]
        assert cost[row, column] == min(distances)
        assert tuple(field[row, column]) == tuple(places[int(np.argmin(distances))])
    assert cost[1, 1] == 0


@pytest.mark.parametrize("stride", [1, 2])
def test_votes_are_weighted_means_of_the_patches(rng, stride):
    source = picture(rng, 20, 20)
    rows, columns = 4, 5
    height, width = (rows - 1) * stride + PATCH, (columns - 1) * stride + PATCH
    field = rng.integers(0, 13, (rows, columns, 2)).astype(np.int32)
    cost = rng.integers(0, 5000, (rows, columns)).astype(np.int32)
    trust = rng.random((rows, columns)).astype(np.float32)
    active = rng.random((rows, columns)) < 0.8
    window = rng.random((PATCH, PATCH)).astype(np.float32)
    flat_window = np.repeat(window, CHANNELS, axis=1).ravel()
    total = np.empty((6, width * CHANNELS), np.float32)
    kernels.vote_band(
        source.reshape(-1), 20, field, cost, trust, active, np.float32(900), 3, stride, flat_window, 3, 9, total
    )
    expected = np.zeros((height, width, CHANNELS))
    for row, column in np.argwhere(active):
        weight = (900 / (cost[row, column] + 900)) ** 3 * trust[row, column]
        top, left = row * stride, column * stride
        values = patch(source, *field[row, column])
        expected[top : top + PATCH, left : left + PATCH] += weight * window[..., None] * values
    np.testing.assert_allclose(total.reshape(6, width, CHANNELS), expected[3:9], rtol=1e-4, atol=1e-3)


def test_search_never_gets_worse_and_takes_only_usable_patches(rng):
    target, source = picture(rng, 24, 24), picture(rng, 40, 40)
    usable = rng.random((33, 33)) < 0.5
    grid = (17, 17)
    field, cost = np.zeros((*grid, 2), np.int32), np.zeros(grid, np.int32)
    active = np.ones(grid, bool)
    kernels.random_band(usable, field, active, 7, 0, 17)
    assert usable[field[..., 0], field[..., 1]].all()
    before = field.copy()
    worst = None
    for turn in range(3):
        kernels.search_band(
            target.reshape(-1), EMPTY, 24, source.reshape(-1), 40, usable, field, cost, field.copy(), active, active,
            0, 17, GRID, 0, bool(turn & 1), 6, 40, turn, turn == 0,
        )  # fmt: skip
        assert usable[field[..., 0], field[..., 1]].all()
        assert worst is None or (cost <= worst).all()
        worst = cost.copy()
    assert (field != before).any()
    for row, column in ((0, 0), (9, 4), (16, 16)):
        expected = np.abs(patch(target, row, column) - patch(source, *field[row, column])).sum()
        assert cost[row, column] == expected


def test_enlarged_field_keeps_offsets(rng):
    coarse = np.zeros((5, 5, 2), np.int32)
    coarse[..., 0], coarse[..., 1] = np.indices((5, 5)) + 3  # offset 3, 3
    active, usable = np.ones((10, 10), bool), np.ones((40, 40), bool)
    field = np.zeros((10, 10, 2), np.int32)
    grid = np.array([0, 0, 1])
    kernels.enlarge_band(
        coarse, np.ones((5, 5), bool), grid, field, active, grid, 2.0, 2.0, usable, np.zeros(2, np.int32), 1, 0, 10
    )
    np.testing.assert_array_equal(field - np.indices((10, 10)).transpose(1, 2, 0), 6)


def test_of_equal_patches_the_near_one_is_taken(rng):
    tile = picture(rng, 8, 8)
    source = np.tile(tile, (1, 4, 1))  # the same patch at columns 0, 8, 16 and 24
    places = np.array([[0, 0], [0, 8], [0, 16], [0, 24]], np.int32)
    field, cost = np.zeros((1, 1, 2), np.int32), np.zeros((1, 1), np.int32)
    requested, grid = np.ones((1, 1), bool), np.array([0, 17, 1])
    kernels.exact_band(
        tile.reshape(-1), EMPTY, 8, source.reshape(-1), 32, places, field, cost, requested, 0, 1, grid, 512
    )
    assert tuple(field[0, 0]) == (0, 16) and cost[0, 0] == 2
    assert kernels.far_cost(-3, 5, 256) == 8
