import numpy as np
import pytest
from scipy.sparse import lil_matrix
from scipy.sparse.linalg import spsolve

from moebius.patchmatch import blend
from moebius.patchmatch.blend import BlendConfig
from moebius.patchmatch.search import Field, Workers, grid_of, usable_patches


def test_sweeps_end_at_the_solution_of_the_equation():
    """Against scipy's sparse solver, with a hole that reaches the picture's edge."""
    height, width, screen = 13, 17, 0.05
    random = np.random.RandomState(3)
    colours = random.uniform(0, 255, (height, width, 3)).astype(np.float32)
    steps = random.uniform(-20, 20, (height, width, 6)).astype(np.float32)
    hole = np.zeros((height, width), bool)
    hole[2:9, 3:] = True
    places = {tuple(place): n for n, place in enumerate(np.argwhere(hole))}
    expected = colours.copy()
    for c in range(3):
        matrix, right = lil_matrix((len(places),) * 2), np.zeros(len(places))
        for (y, x), n in places.items():
            matrix[n, n], right[n] = screen, screen * colours[y, x, c]
            for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0)):
                near = (y + dy, x + dx)
                if not (0 <= near[0] < height and 0 <= near[1] < width):
                    continue
                ahead = dy + dx > 0
                at = (y, x) if ahead else near
                step = steps[at[0], at[1], c if dx else 3 + c] * (-1 if ahead else 1)  # what lies here minus there
                matrix[n, n] += 1
                right[n] += step
                if near in places:
                    matrix[n, places[near]] = -1
                else:
                    right[n] += colours[near[0], near[1], c]
        expected[hole, c] = spsolve(matrix.tocsr(), right)
    solution = colours.copy()
    for _ in range(60):
        blend.relax(solution, colours, steps, hole, np.float32(screen), np.float32(1.5))
    np.testing.assert_allclose(solution, expected, atol=0.01)
    np.testing.assert_array_equal(solution[~hole], colours[~hole])


def test_differences_rise_or_fall():
    rgb = np.array([[[10, 0, 255], [13, 255, 0]], [[10, 4, 250], [15, 255, 0]]], np.uint8)
    along_x, along_y = (blend.differences(rgb, axis) for axis in (0, 1))
    assert along_x[0, 0].tolist() == [3, 255, 0, 0, 0, 255, 171, 1] and along_x[0, 1].tolist() == [0] * 7 + [1]
    assert along_y[0].tolist() == [[0, 4, 0, 0, 0, 5, 3, 1], [2, 0, 0, 0, 0, 0, 1, 1]]
    assert along_y[1].tolist() == [[0] * 7 + [1]] * 2


@pytest.mark.parametrize("threads", [1, 2])
def test_two_copied_areas_of_other_brightness_meet_without_a_step(threads):
    """The photo: a left half of 100, a right half of 130, joined by a slope; a copy of each half meets in the hole."""
    source = np.full((64, 120, 8), 128, np.uint8)
    source[..., :3] = np.clip(np.linspace(-200, 430, 120), 100, 130).astype(np.uint8)[None, :, None]
    source[..., 7] = 1
    hole = np.zeros((64, 120), bool)
    hole[20:44, 45:75] = True
    grid = grid_of(hole, 1)
    with Workers(threads) as workers:
        field = Field(grid, usable_patches(hole), 0, workers)
        middle = grid.active.shape[1] // 2
        field.places[:, :middle], field.places[:, middle:] = (2, 2), (2, 100)
        field.cost[:] = 10
        target = source[grid.box].copy()
        colours = target[..., :3]
        inside = np.arange(target.shape[1]) + grid.left
        colours[grid.hole] = (
            np.where(inside < 60, 100, 130)[None, :, None].repeat(len(target), 0).repeat(3, 2)[grid.hole]
        )
        before = target.copy()
        heard = []
        blend.join(field, source, target, np.ones(grid.active.shape, np.float32), BlendConfig(), heard.append)
    steps = [np.abs(np.diff(picture[12:30, 2:-2, :3].astype(int), axis=1)).max() for picture in (before, target)]
    assert steps[0] == 30 and steps[1] <= 4
    np.testing.assert_array_equal(target[~grid.hole], before[~grid.hole])
    assert len(heard) == BlendConfig().sweeps and not any(heard)
