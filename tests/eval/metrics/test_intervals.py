"""Bootstrap intervals against theory and against mistakes that are easily made."""

import numpy as np
import pytest

from eval.metrics.intervals import Bootstrap
from eval.report.summary import verdict


def test_the_interval_of_a_mean_is_that_of_theory():
    values = np.random.default_rng(0).normal(10, 2, 400)
    interval = Bootstrap([str(index) for index in range(400)]).interval(values)
    half = 1.96 * values.std(ddof=1) / 20
    assert interval.mean == pytest.approx(values.mean())
    assert interval.low == pytest.approx(values.mean() - half, abs=0.03)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.03)


def test_photos_are_drawn_not_crops():
    """Ten equal crops of each photo hold no more information than one."""
    values = np.random.default_rng(1).normal(size=50)
    alone = Bootstrap([str(index) for index in range(50)]).interval(values)
    crops = Bootstrap([str(index) for index in range(50) for _ in range(10)]).interval(np.repeat(values, 10))
    assert (crops.low, crops.high) == (pytest.approx(alone.low), pytest.approx(alone.high))


def test_paired_differences_are_sharper_than_the_intervals_suggest():
    random = np.random.default_rng(2)
    base = random.normal(20, 8, 100)
    ours, theirs = base + 0.5 + random.normal(0, 0.5, 100), base
    bootstrap = Bootstrap([str(index) for index in range(100)])
    a, b = bootstrap.interval(ours), bootstrap.interval(theirs)
    assert a.low < b.high  # they overlap widely
    difference = bootstrap.interval(ours - theirs)
    assert verdict(difference, higher_is_better=True) == "better"
    assert verdict(difference, higher_is_better=False) == "worse"
    assert verdict(bootstrap.interval(random.normal(0, 1, 100) - 0.0), True) == "not told apart"


def test_one_photo_and_infinite_values_have_no_interval():
    assert Bootstrap(["a", "a"]).interval(np.array([1.0, 3.0])).low is None
    infinite = Bootstrap(["a", "b"]).interval(np.array([1.0, np.inf]))
    assert (infinite.mean, infinite.low, infinite.high) == (np.inf, None, None)


def test_it_is_repeatable_and_checks_its_input():
    values = np.arange(9.0)
    bootstrap = Bootstrap(list("aabbccdde"))
    assert bootstrap.interval(values) == bootstrap.interval(values)
    with pytest.raises(ValueError, match="9 pictures but values"):
        bootstrap.interval(values[:3])
    with pytest.raises(ValueError, match="needs pictures"):
        Bootstrap([])


def test_pictures_without_a_value_count_for_nothing():
    values, groups = np.array([1.0, np.nan, 3.0, 5.0]), ["a", "b", "b", "c"]
    found = Bootstrap(groups).interval(values)
    alone = Bootstrap(["a", "b", "c"]).interval(values[[0, 2, 3]])
    assert (found.mean, found.low, found.high, found.missing) == (3.0, alone.low, alone.high, 1)
    assert Bootstrap(groups).interval(np.full(4, np.nan)).mean is None
