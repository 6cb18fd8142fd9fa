"""Fréchet distance of two sets of features, each seen as a Gaussian (Heusel 2017, arXiv:1706.08500)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass
class Moments:
    """Running sums of features (N, D) in float64: memory does not grow with N. Order does not matter to 1e-12."""

    dims: int
    count: int = 0
    total: np.ndarray = field(init=False)
    outer: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.total, self.outer = np.zeros(self.dims), np.zeros((self.dims, self.dims))

    def update(self, features: np.ndarray) -> None:
        """Add features (N, D). Raises ValueError for another width or values that are not finite."""
        if features.ndim != 2 or features.shape[1] != self.dims:
            raise ValueError(f"features must be (N, {self.dims}), got {features.shape}")
        if not np.isfinite(features).all():
            raise ValueError("features hold NaN or infinity")
        wide = features.astype(np.float64)
        self.count += len(wide)
        self.total += wide.sum(axis=0)
        self.outer += wide.T @ wide

    def gaussian(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean (D,) and covariance (D, D), divided by N - 1."""
        if self.count < 2:
            raise ValueError(f"a covariance needs at least 2 pictures, got {self.count}")
        mean = self.total / self.count
        return mean, (self.outer - self.count * np.outer(mean, mean)) / (self.count - 1)


def root(covariance: np.ndarray) -> np.ndarray:
    """The symmetric square root of a covariance; eigenvalues below zero are rounding and count as zero."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T


def factor_of_few(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (D,) and a factor F (N, D) of the covariance FᵀF of no more than about D pictures: without eigenvalues."""
    if len(features) < 2:
        raise ValueError(f"a covariance needs at least 2 pictures, got {len(features)}")
    wide = features.astype(np.float64)
    mean = wide.mean(axis=0)
    return mean, (wide - mean) / np.sqrt(len(wide) - 1)


def distance(mean_a: np.ndarray, factor_a: np.ndarray, mean_b: np.ndarray, factor_b: np.ndarray) -> tuple[float, float]:
    """|μa - μb|² + Tr(A + B - 2 (A B)^½) from means and factors, A = FaᵀFa and B = FbᵀFb (a square root is a factor).

    Tr (A B)^½ is the sum of the singular values of Fa Fbᵀ; so computed, equal sets have distance zero to rounding
    even where pictures are fewer than features, and the square root of a rounding error is never taken.

    Returns:
        The distance with covariances divided by N - 1 (torchmetrics, torch-fidelity, pytorch-fid), and its part
        |μa - μb|².
    """
    between = float(np.square(mean_a - mean_b).sum())
    overlap = float(np.linalg.svd(factor_a @ factor_b.T, compute_uv=False).sum())
    return between + float(np.square(factor_a).sum() + np.square(factor_b).sum()) - 2 * overlap, between


def with_population_covariance(value: float, between: float, count: int) -> float:
    """The same distance with covariances divided by N, as MAT's code has it, for two sets of `count` pictures."""
    return between + (value - between) * (count - 1) / count
