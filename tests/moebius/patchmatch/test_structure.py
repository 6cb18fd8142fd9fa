import numpy as np
import pytest

from moebius.patchmatch import structure
from moebius.patchmatch.blend import BlendConfig
from moebius.patchmatch.meter import Meter, silent
from moebius.patchmatch.search import Workers
from moebius.patchmatch.structure import StructureConfig, fill_structure


def run(known, hole, **options):
    config = StructureConfig(**({"min_side": 40, "onion_passes": 3, "rounds": (1, 2), "passes": (2,)} | options))
    with Workers(2) as workers:
        return fill_structure(known, hole, 0, workers, Meter(silent, structure.costs(hole, config)), config)


@pytest.mark.parametrize("exact_work", [0, 10_000_000])
def test_stripes_go_on(exact_work):
    x = np.indices((96, 96))[1]
    image = np.repeat(np.where(x // 4 % 2, 200, 50)[..., None], 3, axis=2).astype(np.uint8)
    hole = np.zeros((96, 96), bool)
    hole[40:60, 35:60] = True
    known = image.copy()
    known[hole] = 128
    filled = run(known, hole, exact_work=exact_work)
    assert np.abs(filled.astype(int) - image)[hole].mean() < 8
    np.testing.assert_array_equal(filled[~hole], image[~hole])


def test_copied_areas_meet_without_a_step():
    """A saddle of brightness, of which no place is a copy of another one."""
    y, x = np.indices((96, 96)) - 48
    image = np.repeat((128 + (x**2 - y**2) / 22)[..., None], 3, axis=2).round().astype(np.uint8)
    hole = np.zeros((96, 96), bool)
    hole[30:66, 30:66] = True
    known = image.copy()
    known[hole] = 128
    steps = {}
    for name, blend in (("joined", BlendConfig()), ("as voted", BlendConfig(sweeps=0))):
        filled = run(known, hole, blend=blend).astype(int)
        steps[name] = max(np.abs(np.diff(filled[28:68, 28:68, 0], axis=axis)).max() for axis in (0, 1))
    assert 2 * steps["joined"] <= steps["as voted"], steps


def test_number_of_stages_is_the_number_of_costs():
    """One for the rim, one for each level: `costs` and `fill_structure` must agree, or the meter runs out."""
    hole = np.zeros((170, 300), bool)
    hole[60:100, 50:120] = True
    costs = structure.costs(hole, StructureConfig(min_side=40))
    assert len(costs) == 1 + 3
    run(np.full((170, 300, 3), 90, np.uint8), hole)


def test_without_a_known_patch_colours_are_smooth():
    hole = np.ones((50, 50), bool)
    hole[:, 0] = False
    filled = run(np.full((50, 50, 3), 61, np.uint8), hole)
    assert np.abs(filled.astype(int) - 61).max() <= 1, "Telea rounds down"
