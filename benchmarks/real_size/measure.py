"""How good a fill is beside the truth and beside what surrounds it. Pure functions on arrays.

Pictures are (H, W, 3) uint8, masks (H, W) bool with True = hole. All figures are of the hole at native resolution;
sharpness and distances are the evaluation's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch

from eval.metrics.crops import SIDE, chosen_crops
from eval.metrics.intervals import Bootstrap, Interval
from eval.metrics.perceptual import EffNetDistance, Perceptual


def psnr(fill: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> float:
    """Over the hole's pixels, in dB; an error of nothing counts as one of 1e-9."""
    error = np.mean((truth[mask].astype(np.float64) - fill[mask]) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


JUDGES: dict[str, Callable[[], Perceptual]] = {
    "lite0": partial(EffNetDistance, 0),
    "lite2": partial(EffNetDistance, 2),  # a second judge, which nothing was tuned on
}
"""Names of the distances in records, and what makes them."""


def distance(judge: Perceptual, fill: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> float:
    """Mean of the judge's distance map over the hole's pixels, the network seeing crops at native resolution.

    A pixel that two crops share counts twice.
    """
    total, count = 0.0, 0
    for y, x in chosen_crops(mask):
        window = np.s_[y : y + SIDE, x : x + SIDE]
        a, b = (torch.from_numpy(picture[window].transpose(2, 0, 1).copy())[None] for picture in (fill, truth))
        inside = torch.from_numpy(mask[window].copy())[None]
        pixels = int(inside.sum())
        total += float(judge(a, b, inside)[1]) * pixels
        count += pixels
    return total / count


# ---- differences ----


def paired(ours: Sequence[float], theirs: Sequence[float], photos: Sequence[str]) -> Interval:
    """Mean of ours - theirs over cases, and its 95 % interval; photos are resampled, not cases."""
    return Bootstrap(list(photos)).interval(np.asarray(ours, float) - np.asarray(theirs, float))
