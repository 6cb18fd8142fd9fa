"""Bootstrap intervals over photos: crops of one photo are not independent, so photos are drawn, not crops."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

RESAMPLES = 2000
_AT_A_TIME = 4_000_000
"""Draws held in memory at once."""


@dataclass(frozen=True)
class Interval:
    mean: float | None
    """None where no picture has a value."""
    low: float | None
    """2.5 %; None where there is none: one photo, or an infinite value."""
    high: float | None
    missing: int = 0
    """Pictures without a value; they count for nothing."""


class Bootstrap:
    """Resamples of photos, the same for every metric and model, so that differences are paired.

    Args:
        groups: the photo that each picture is from.
    """

    def __init__(self, groups: list[str], resamples: int = RESAMPLES, seed: int = 0) -> None:
        if not groups:
            raise ValueError("a bootstrap needs pictures, got none")
        if resamples < 1:
            raise ValueError(f"resamples must be >= 1, got {resamples}")
        names = {name: index for index, name in enumerate(sorted(set(groups)))}
        self.groups, self.owner = groups, np.array([names[name] for name in groups])
        self.photos, self.resamples, self.seed = len(names), resamples, seed

    def interval(self, values: np.ndarray) -> Interval:
        """Mean over pictures, (N,), and its 95 % percentile interval; a NaN is a picture without a value."""
        values = np.asarray(values, np.float64)
        if values.shape != self.owner.shape:
            raise ValueError(f"{len(self.owner)} pictures but values of shape {values.shape}")
        if (unknown := np.isnan(values)).any():
            known = np.flatnonzero(~unknown)
            if not len(known):
                return Interval(None, None, None, len(values))
            others = Bootstrap([self.groups[index] for index in known], self.resamples, self.seed)
            return dataclasses.replace(others.interval(values[known]), missing=int(unknown.sum()))
        mean = float(values.mean())
        if self.photos < 2 or not np.isfinite(values).all():
            return Interval(mean, None, None)
        sums = np.bincount(self.owner, values, self.photos)
        counts = np.bincount(self.owner, minlength=self.photos).astype(float)
        random = np.random.RandomState(self.seed)
        means = []
        block = max(1, _AT_A_TIME // self.photos)
        for start in range(0, self.resamples, block):
            draws = random.randint(self.photos, size=(min(block, self.resamples - start), self.photos))
            means.append(sums[draws].sum(axis=1) / counts[draws].sum(axis=1))
        low, high = np.percentile(np.concatenate(means), [2.5, 97.5])
        return Interval(mean, float(low), float(high))
