"""Strengths against a closed form and against choix; intervals and agreement against what can be worked out by hand."""

import choix
import numpy as np
import pytest

from eval.metrics.bradley_terry import intervals, krippendorff_alpha, matrix, resampled_weights, strengths


def test_of_two_the_difference_is_the_log_of_the_odds():
    found = strengths(np.array([[0, 30], [12, 0]]), penalty=0)
    assert found[0] - found[1] == pytest.approx(np.log(30 / 12), abs=1e-9) and found.sum() == pytest.approx(0)


def test_strengths_are_those_of_choix():
    random = np.random.default_rng(0)
    true = np.array([1.0, 0.3, -0.2, -1.1])
    data = []
    for _ in range(400):
        i, j = random.choice(4, 2, replace=False)
        data.append((i, j) if random.random() < 1 / (1 + np.exp(true[j] - true[i])) else (j, i))
    wins = matrix(4, [(i, j, 1.0) for i, j in data])
    for penalty in (0.01, 1.0):
        theirs = choix.opt_pairwise(4, data, alpha=penalty, tol=1e-10)
        np.testing.assert_allclose(strengths(wins, penalty), theirs - theirs.mean(), atol=1e-5)
    np.testing.assert_allclose(strengths(wins, 0), choix.mm_pairwise(4, data, tol=1e-10), atol=1e-5)


def test_draws_count_half_and_who_won_every_vote_stays_finite():
    assert strengths(matrix(2, [(0, 1, 0.5)] * 7)) == pytest.approx([0, 0])
    every = strengths(matrix(2, [(0, 1, 1.0)] * 7))
    assert every[0] > 1 and np.isfinite(every).all()
    with pytest.raises(ValueError, match="do not tie all models together"):
        strengths(matrix(2, [(0, 1, 1.0)] * 7), penalty=0)
    with pytest.raises(ValueError, match="square"):
        strengths(np.zeros((2, 3)))


def test_intervals_hold_the_truth_and_are_wider_with_few_voters():
    random = np.random.default_rng(1)
    rows, photos, voters = [], [], []
    for photo in range(30):
        for voter in range(8):
            rows.append((0, 1, float(random.random() < 0.7)))
            photos.append(photo), voters.append(voter)
    low, high = intervals(2, rows, photos, voters, resamples=300)
    assert low[0] < np.log(0.7 / 0.3) / 2 < high[0]
    few = [voter % 2 for voter in voters]
    weights, fewer = resampled_weights(photos, voters, 300), resampled_weights(photos, few, 300)
    assert weights.shape == (300, 240)
    shares = np.array([share for _, _, share in rows])
    spread = [np.std((w @ shares)[w.sum(1) > 0] / w.sum(1)[w.sum(1) > 0]) for w in (weights, fewer)]
    assert spread[0] > 0 and spread[1] > 0
    assert (resampled_weights(["p"] * 5, ["v"] * 5, 10) == 1).all(), "a lone photo and voter are in every draw"


def test_agreement_beyond_chance():
    """Krippendorff's example of nominal data by two coders, ten units: 0.095."""
    a, b = "0100000000", "1110010100"
    answers = [(unit, answer) for coder in (a, b) for unit, answer in enumerate(coder)]
    assert krippendorff_alpha(answers) == pytest.approx(0.095, abs=0.001)
    assert krippendorff_alpha([(1, "x"), (1, "x"), (2, "y"), (2, "y")]) == 1
    assert krippendorff_alpha([(1, "x"), (2, "y")]) is None and krippendorff_alpha([(1, "x"), (1, "x")]) is None
