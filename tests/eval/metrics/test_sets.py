"""Kernel distance, U-IDS and P-IDS on sets whose answers are known."""

import numpy as np
import pytest

from eval.metrics.kid import kernel_distance
from eval.metrics.uids import inception_discriminative


@pytest.fixture
def random() -> np.random.Generator:
    """A generator of its own for every test."""
    return np.random.default_rng(0)


def direct_mmd(real: np.ndarray, fake: np.ndarray) -> float:
    """The formula written out, term by term."""

    def kernel(a, b):
        return (a @ b / len(a) + 1) ** 3

    n, m = len(real), len(fake)
    within = sum(kernel(real[i], real[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    other = sum(kernel(fake[i], fake[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    across = sum(kernel(a, b) for a in real for b in fake) / (n * m)
    return within + other - 2 * across


def test_kernel_distance_is_the_formula(random):
    real, fake = random.normal(size=(12, 5)), random.normal(0.5, 1, (12, 5))
    assert kernel_distance(real, fake) == (pytest.approx(direct_mmd(real, fake)), 0.0)


def test_kernel_distance_over_subsets_is_repeatable_and_near_the_whole(random):
    real, fake = random.normal(size=(300, 4)), random.normal(1, 1, (300, 4))
    once = kernel_distance(real, fake, subsets=40, subset_size=100)
    assert once == kernel_distance(real, fake, subsets=40, subset_size=100)
    assert once[0] == pytest.approx(kernel_distance(real, fake)[0], rel=0.1) and once[1] > 0


def test_separable_sets_are_told_apart_always(random):
    real = random.normal(size=(300, 4))
    assert inception_discriminative(real, real + 20.0) == (0.0, 0.0)


def test_identical_sets_are_told_apart_by_chance(random):
    real = random.normal(size=(300, 4))
    u_ids, p_ids = inception_discriminative(real, real.copy())
    assert u_ids == pytest.approx(0.5, abs=0.02)
    assert p_ids == 0.0  # never more real than itself


def test_two_draws_of_one_distribution_are_hardly_told_apart(random):
    u_ids, p_ids = inception_discriminative(random.normal(size=(2000, 4)), random.normal(size=(2000, 4)))
    assert u_ids == pytest.approx(0.5, abs=0.04) and p_ids == pytest.approx(0.5, abs=0.06)


def test_shapes_must_fit():
    with pytest.raises(ValueError, match="of one D"):
        kernel_distance(np.zeros((3, 4)), np.zeros((3, 5)))
    with pytest.raises(ValueError, match="pairs of one shape"):
        inception_discriminative(np.zeros((3, 4)), np.zeros((4, 4)))
