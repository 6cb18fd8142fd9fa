"""U-IDS and P-IDS (Zhao 2021, arXiv:2103.10428): can a linear classifier tell fills from real pictures?"""

from __future__ import annotations

import warnings

import numpy as np


def inception_discriminative(real: np.ndarray, fake: np.ndarray) -> tuple[float, float]:
    """Two shares in [0, 1], higher is better, from features (N, D) of pictures and their fills in the same order.

    U-IDS: how often a linear SVM, on the features that it was fitted to, is wrong: 0 separable, 0.5 no difference.
    P-IDS: how often a fill looks more real to it than its own picture. With fewer pictures than features any two sets
    are separable, so both say little below some thousands of pictures.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.svm import LinearSVC

    if real.ndim != 2 or real.shape != fake.shape:
        raise ValueError(f"features must be pairs of one shape (N, D), got {real.shape} and {fake.shape}")
    inputs = np.concatenate([real, fake]).astype(np.float64)
    targets = np.concatenate([np.ones(len(real)), np.zeros(len(fake))])
    machine = LinearSVC(dual=False, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        machine.fit(inputs, targets)
    real_scores, fake_scores = (
        machine.decision_function(inputs[: len(real)]),
        machine.decision_function(inputs[len(real) :]),
    )
    return float(1 - machine.score(inputs, targets)), float(np.mean(fake_scores > real_scores))
