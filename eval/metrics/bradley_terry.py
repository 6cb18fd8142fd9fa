"""Bradley–Terry strengths from votes between pairs (Bradley & Terry 1952), with intervals, and how far voters agree.

The model: i is preferred to j with probability 1 / (1 + exp(s_j − s_i)). A draw counts as half a vote for each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence

import numpy as np

PENALTY = 0.01
"""Of the squared strengths, subtracted from the log-likelihood: keeps a model that won every vote finite."""
RESAMPLES = 1000
_STEPS = 100


def strengths(wins: np.ndarray, penalty: float = PENALTY) -> np.ndarray:
    """Strengths (n,) of sum zero that maximise the penalised likelihood, by Newton's method.

    wins (n, n): votes for i over j, halves for draws.

    Raises:
        ValueError: wins is not square, or negative, or there is no penalty and the votes do not tie all together.
    """
    wins = np.asarray(wins, np.float64)
    if wins.ndim != 2 or wins.shape[0] != wins.shape[1] or (wins < 0).any():
        raise ValueError(f"wins must be a square matrix of numbers >= 0, got shape {wins.shape}")
    count = len(wins)
    both = wins + wins.T
    np.fill_diagonal(both, 0)
    found = np.zeros(count)

    def value(s: np.ndarray) -> float:
        apart = s[:, None] - s[None, :]
        return float(-(wins * np.logaddexp(0, -apart)).sum() - penalty * (s**2).sum())

    for _ in range(_STEPS):
        chance = 1 / (1 + np.exp(found[None, :] - found[:, None]))  # (n, n): of i over j
        gradient = wins.sum(axis=1) - np.diag(wins) - (both * chance).sum(axis=1) - 2 * penalty * found
        weight = both * chance * (1 - chance)
        hessian = np.diag(weight.sum(axis=1)) - weight + 2 * penalty * np.eye(count) + 1 / count
        try:
            step = np.linalg.solve(hessian, gradient)
        except np.linalg.LinAlgError:
            break
        before = value(found)
        while value(found + step) < before - 1e-12 and np.abs(step).max() > 1e-12:
            step /= 2
        found += step
        found -= found.mean()
        if np.abs(step).max() < 1e-10:
            return found
    raise ValueError("the votes do not tie all models together: some were never compared, or one won every vote")


def matrix(count: int, rows: Iterable[tuple[int, int, float]], weights: Sequence[float] | None = None) -> np.ndarray:
    """Wins (n, n) from (first, second, share of the first: 1, ½ or 0); `weights`: of each row."""
    wins = np.zeros((count, count))
    for place, (first, second, share) in enumerate(rows):
        weight = 1.0 if weights is None else weights[place]
        wins[first, second] += weight * share
        wins[second, first] += weight * (1 - share)
    return wins


def intervals(
    count: int,
    rows: Sequence[tuple[int, int, float]],
    photos: Sequence[Hashable],
    voters: Sequence[Hashable],
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> np.ndarray:
    """2.5 and 97.5 % of the strengths, (2, n): photos and voters are both drawn again, with replacement.

    rows: see `matrix`; photos, voters: of each row.
    """
    firsts, seconds, shares = (np.array(column) for column in zip(*rows, strict=True))
    draws = resampled_weights(photos, voters, resamples, seed)
    found = []
    for weights in draws:
        wins = np.zeros((count, count))
        np.add.at(wins, (firsts, seconds), weights * shares)
        np.add.at(wins, (seconds, firsts), weights * (1 - shares))
        found.append(strengths(wins))
    return np.percentile(found, [2.5, 97.5], axis=0)


def resampled_weights(
    photos: Sequence[Hashable], voters: Sequence[Hashable], resamples: int = RESAMPLES, seed: int = 0
) -> np.ndarray:
    """How often each vote is drawn, (resamples, votes): the product over its photo and its voter.

    A lone voter, or a lone photo, is in every draw.
    """
    random = np.random.RandomState(seed)
    weights = np.ones((resamples, len(photos)))
    for owners in (photos, voters):
        names = {name: index for index, name in enumerate(dict.fromkeys(owners))}
        places = np.array([names[owner] for owner in owners])
        draws = random.multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples)
        weights *= draws[:, places]
    return weights


def krippendorff_alpha(answers: Iterable[tuple[Hashable, Hashable]]) -> float | None:
    """Agreement of voters beyond chance, nominal (Krippendorff 2011): 1 perfect, 0 as by chance.

    answers: (what was asked, answer); of each question at least two are needed. None where no question has two
    answers, or all answers are the same.
    """
    questions: dict[Hashable, Counter] = {}
    for question, answer in answers:
        questions.setdefault(question, Counter())[answer] += 1
    asked = [counts for counts in questions.values() if counts.total() > 1]
    totals: Counter = sum(asked, Counter())
    n = totals.total()
    if not asked or len(totals) < 2:
        return None
    observed = sum(
        sum(count * (counts.total() - count) for count in counts.values()) / (counts.total() - 1) for counts in asked
    )
    expected = sum(count * (n - count) for count in totals.values()) / (n - 1)
    return 1 - observed / expected
