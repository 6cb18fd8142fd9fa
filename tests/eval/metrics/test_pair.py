"""Effect and object figures against values by hand."""

import numpy as np
import pytest

from eval.data.pairs import Judged
from eval.metrics.pair import pair_scores

TRUTH = np.full((40, 40, 3), 100, np.uint8)
OBJECT = np.zeros((40, 40), bool)
OBJECT[10:20, 10:20] = True
EFFECT = np.zeros((40, 40), bool)
EFFECT[20:25, 10:20] = True
SEEN = TRUTH.copy()
SEEN[OBJECT], SEEN[EFFECT] = (220, 100, 100), 60
ONE = Judged(TRUTH, OBJECT, SEEN, OBJECT, EFFECT)


def test_nothing_done_leaves_all_of_the_effect_and_the_object():
    assert pair_scores(SEEN, ONE) == {"effect_error": 40.0, "effect_left": 1.0, "object_stays": 1.0}


def test_the_truth_leaves_nothing():
    assert pair_scores(TRUTH, ONE) == {"effect_error": 0.0, "effect_left": 0.0, "object_stays": 0.0}


def test_one_pixel_in_a_hundred_is_enough_to_stay_and_a_quarter_of_the_shadow_is_a_quarter():
    fill = TRUTH.copy()
    fill[EFFECT] = 90
    assert pair_scores(fill, ONE)["effect_left"] == pytest.approx(0.25)
    fill[10, 10] = (215, 100, 100)
    assert pair_scores(fill, ONE)["object_stays"] == 1.0
    fill[10, 10] = (200, 100, 100)  # no longer the object's colour
    assert pair_scores(fill, ONE)["object_stays"] == 0.0


def test_what_cannot_be_told_has_no_figure():
    hidden = Judged(TRUTH, OBJECT, TRUTH, OBJECT, np.zeros_like(EFFECT))
    assert set(pair_scores(TRUTH, hidden).values()) == {None}
