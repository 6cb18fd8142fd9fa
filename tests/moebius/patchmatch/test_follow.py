"""A second picture's hole takes its values from where the first one's fill looks alike."""

import numpy as np

from moebius.patchmatch.follow import follow


def texture(seed: int, low: int, shape: tuple[int, int]) -> np.ndarray:
    grain = np.random.default_rng(seed).integers(0, 60, shape)
    return np.repeat((low + grain)[..., None], 3, axis=2).astype(np.uint8)


def test_a_copied_lamp_shines():
    guide = np.concatenate([texture(0, 30, (80, 90)), texture(1, 180, (80, 70))], axis=1)
    values = np.full((80, 160), 40, np.uint8)
    values[:, 90:] = 210
    hole = np.zeros((80, 160), bool)
    hole[20:60, 20:60] = True
    lamp = np.zeros_like(hole)
    lamp[32:48, 32:48] = True
    guide[lamp] = guide[32:48, 112:128].reshape(-1, 3)  # the fill copied a part of the bright half
    result = follow(np.where(hole, np.uint8(120), values), guide, hole).astype(int)
    inner, ground = np.s_[34:46, 34:46], hole.copy()
    ground[28:52, 28:52] = False
    assert abs(result[inner] - 210).max() <= 6
    assert abs(result[ground] - 40).max() <= 6
    np.testing.assert_array_equal(result[~hole], values[~hole])


def test_slow_changes_go_on_across_the_hole_and_nothing_inside_is_read():
    guide = texture(2, 90, (60, 90))
    slope = np.tile(np.arange(90, dtype=np.uint8) * 2, (60, 1))
    hole = np.zeros((60, 90), bool)
    hole[20:40, 30:60] = True
    results = [follow(np.where(hole, np.uint8(inside), slope), guide, hole) for inside in (0, 255)]
    np.testing.assert_array_equal(*results)
    assert abs(results[0].astype(int) - slope).max() <= 16
    colours = np.stack([slope, slope[:, ::-1], np.full_like(slope, 77)], axis=2)
    result = follow(np.where(hole[..., None], np.uint8(255), colours), guide, hole).astype(int)
    assert result.shape == colours.shape and abs(result - colours).max() <= 16
    np.testing.assert_array_equal(follow(colours, guide, np.zeros_like(hole)), colours)


def test_without_a_known_patch_the_hole_is_smooth():
    hole = np.ones((30, 20), bool)
    hole[:, :3] = False
    values = np.where(hole, np.uint8(0), np.uint8(150))
    assert (follow(values, texture(3, 90, (30, 20)), hole) == 150).all()
