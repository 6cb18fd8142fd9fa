"""Controls are what they say, and a metric's agreement with people is counted right."""

from pathlib import Path

import numpy as np
import pytest

from eval import validate
from eval.judge import Metrics
from eval.report.figures import VALIDATION, failures, figures, validation_of
from eval.settings import Settings
from eval.validate import CONTROLS, ORIGINAL, PAIRS, fills, wilson
from eval.workers import Workers
from tests.helpers.synthetic import picture


@pytest.fixture(scope="module")
def made() -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    truth, other = picture(1, 256), picture(2, 256)
    hole = np.zeros((256, 256), bool)
    hole[64:192, 64:192] = True
    return truth, other, hole, fills(truth, hole, other, seed=5)


def test_controls_change_the_hole_alone_and_the_same_every_time(made):
    truth, other, hole, controls = made
    assert list(controls) == [ORIGINAL, *CONTROLS]
    again = fills(truth, hole, other, seed=5)
    for name, fill in controls.items():
        np.testing.assert_array_equal(fill[~hole], truth[~hole])
        np.testing.assert_array_equal(fill, again[name])
        assert (name == ORIGINAL) == np.array_equal(fill, truth)


def test_controls_are_what_they_say(made):
    truth, other, hole, controls = made
    step = controls["colour step"][hole].astype(int) - truth[hole]
    assert step.max() == 8 and (step[truth[hole] <= 247] == 8).all()
    changed = (controls["seam"] != truth).any(axis=2)
    inner = np.zeros_like(hole)
    inner[66:190, 66:190] = True
    assert changed.any() and not changed[inner].any()
    np.testing.assert_array_equal(controls["object left"][hole], other[hole])
    half = controls["half an object left"]
    np.testing.assert_array_equal(half[64:192, 64:127], other[64:192, 64:127])
    np.testing.assert_array_equal(half[64:192, 128:192], truth[64:192, 128:192])
    disc = (controls["object invented"] != truth).any(axis=2)
    assert disc.sum() == pytest.approx(np.pi * 32**2, rel=0.03)
    swapped = controls["patches swapped"]
    patches = [
        photo[64:192, 64:192].reshape(4, 32, 4, 32, 3).swapaxes(1, 2).reshape(16, -1) for photo in (truth, swapped)
    ]
    assert sorted(map(bytes, patches[0])) == sorted(map(bytes, patches[1]))
    assert not (patches[0] == patches[1]).all(axis=1).any(), "no patch stays"


def test_wilsons_interval():
    assert wilson(5, 10) == (pytest.approx(0.2366, abs=1e-4), pytest.approx(0.7634, abs=1e-4))  # from his formula
    assert wilson(10, 10) == (pytest.approx(0.7225, abs=1e-4), pytest.approx(1.0))


def test_shares_are_counted_per_metric_and_pair_and_scored_once(pictures, tmp_path, monkeypatch):
    """Scores given by hand: the distance orders as people do, RC-S the other way round, one picture has none."""
    worst_last = {name: place for place, name in enumerate([ORIGINAL, *CONTROLS])}
    settings = Settings(data=str(pictures), masks="object", features="efficientnet-lite0")
    keys = [one.key for one in figures(settings.metrics)["pictures"]]
    calls = []

    def scores(fills_, judged, networks):
        calls.append(len(fills_))
        ranks = range(len(fills_))
        rows = [dict.fromkeys(keys, 1.0) for _ in ranks]
        for rank, row in zip(ranks, rows, strict=True):
            row["effnet_lite0_distance_hole"] = float(rank)
            row["rc_s_effnet_lite2"] = None if len(calls) == 1 else float(rank)
            row["rc_s_spread_effnet_lite2"] = -float(rank)
        return rows

    monkeypatch.setattr(validate.judge, "picture_scores", scores)
    monkeypatch.setattr(validate.judge, "Networks", lambda metrics, device: None)
    result = validate.validate(settings, tmp_path, Workers(), quiet=True)
    assert calls == [8] * 7 and (tmp_path / VALIDATION).is_file()
    assert validate.validate(settings, tmp_path, Workers(), quiet=True) == result and len(calls) == 7
    by_key = {one["key"]: one["pairs"] for one in result["metrics"]}
    for key, pictures_, right in (
        ("effnet_lite0_distance_hole", 7, True),
        ("rc_s_effnet_lite2", 6, False),
        ("rc_s_spread_effnet_lite2", 7, True),
    ):
        for pair, (better, worse) in zip(by_key[key], PAIRS, strict=True):
            expected = (worst_last[better] < worst_last[worse]) == right
            assert (pair["better"], pair["worse"], pair["pictures"]) == (better, worse, pictures_)
            assert pair["share"] == float(expected)
    assert {pair["share"] for pair in by_key["psnr"]} == {0.0}, "a tie is not ordered"
    shown = validate.table(result)
    assert shown.rows[0][0] == "EffNet-Lite0 distance in the hole" and shown.rows[0][1] == "1.00"
    assert shown.rows[2][1] == "0.00 ✗" and len(shown.header) == 1 + len(PAIRS)
    failed = failures(result)
    assert "original > blurred" in failed["rc_s_effnet_lite2"]
    assert not failed["effnet_lite0_distance_hole"]
    marked = {one.key: one.fails for one in figures(settings.metrics, validation=result)["pictures"]}
    assert marked == {key: failed[key] for key in keys}


def test_the_shipped_test_covers_every_offline_metric_and_stands_in_the_document(tmp_path):
    shipped = validation_of(tmp_path)
    offline = figures(Metrics(features="efficientnet-lite0"))["pictures"]
    assert [one["key"] for one in shipped["metrics"]] == [one.key for one in offline]
    assert shipped["data"]["pictures"] == shipped["data"]["photos"], "one of each photo"
    document = Path(__file__).parents[2] / "benchmarks" / "metrics.md"
    assert validate.table(shipped).markdown() in document.read_text(encoding="utf-8")
