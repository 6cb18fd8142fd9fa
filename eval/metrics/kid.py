"""Kernel distance (Bińkowski 2018, arXiv:1801.01401): unbiased MMD² with the cubic kernel, by torchmetrics."""

from __future__ import annotations

import numpy as np

SUBSETS, SUBSET_SIZE = 100, 1000


def kernel_distance(
    real: np.ndarray, fake: np.ndarray, subsets: int = SUBSETS, subset_size: int = SUBSET_SIZE, seed: int = 0
) -> tuple[float, float]:
    """Mean and standard deviation over random subsets of features (N, D); with no more than `subset_size` pictures
    there is one subset: all of them, and the deviation is 0. Slightly below zero means: no difference found."""
    import torch
    from torchmetrics.image.kid import poly_mmd

    if real.ndim != 2 or fake.ndim != 2 or real.shape[1] != fake.shape[1]:
        raise ValueError(f"features must be (N, D) of one D, got {real.shape} and {fake.shape}")
    smaller = min(len(real), len(fake))
    if smaller < 2:
        raise ValueError(f"a kernel distance needs at least 2 pictures, got {smaller}")
    size = min(subset_size, smaller)
    random = np.random.RandomState(seed)
    values = []
    for _ in range(subsets if max(len(real), len(fake)) > size else 1):
        chosen = [np.sort(random.choice(len(each), size, replace=False)) for each in (real, fake)]
        a, b = (
            torch.from_numpy(np.asarray(each[rows], np.float64))
            for each, rows in zip((real, fake), chosen, strict=True)
        )
        values.append(float(poly_mmd(a, b)))
    return float(np.mean(values)), float(np.std(values))
