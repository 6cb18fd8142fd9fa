"""The distance of Gaussians against closed forms and against two libraries."""

import numpy as np
import pytest
import torch

from eval.metrics import frechet


def of(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    moments = frechet.Moments(features.shape[1])
    for part in np.array_split(features, 3):
        moments.update(part)
    return moments.gaussian()


def between(a: np.ndarray, b: np.ndarray) -> float:
    (mean_a, cov_a), (mean_b, cov_b) = of(a), of(b)
    return frechet.distance(mean_a, frechet.root(cov_a), mean_b, frechet.root(cov_b))[0]


def test_gaussians_with_a_known_distance():
    """For diagonal covariances it is |Δμ|² + Σ (σa - σb)²; a common rotation changes nothing."""
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    sigma_a, sigma_b, shift = np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 0.5]), np.array([3.0, 0.0, 4.0])
    root_a, root_b = (rotation @ np.diag(sigma) @ rotation.T for sigma in (sigma_a, sigma_b))
    np.testing.assert_allclose(frechet.root(root_a @ root_a), root_a, atol=1e-12)
    value, means = frechet.distance(np.zeros(3), root_a, rotation @ shift, root_b)
    assert means == pytest.approx(25.0)
    assert value == pytest.approx(25.0 + 1.0 + 0.0 + 6.25)


def test_running_sums_are_mean_and_covariance():
    features = np.random.default_rng(1).normal(5, 2, (37, 6)).astype(np.float32)
    mean, covariance = of(features)
    np.testing.assert_allclose(mean, features.astype(np.float64).mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(covariance, np.cov(features.astype(np.float64), rowvar=False), rtol=1e-9)


def test_it_equals_torchmetrics_and_torch_fidelity():
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
    from torchmetrics.image.fid import _compute_fid

    random = np.random.default_rng(2)
    a = random.normal(size=(200, 12)) @ random.normal(size=(12, 12))
    b = random.normal(0.3, 1.5, (150, 12))
    statistics = [fid_features_to_statistics(torch.from_numpy(x)) for x in (a, b)]
    theirs = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    tensors = [torch.from_numpy(x) for pair in (of(a), of(b)) for x in pair]
    assert between(a, b) == pytest.approx(theirs, rel=1e-9)
    assert between(a, b) == pytest.approx(float(_compute_fid(*tensors)), rel=1e-9)


def test_equal_sets_are_at_distance_zero_even_with_fewer_pictures_than_features():
    features = np.random.default_rng(3).normal(size=(5, 40))
    assert between(features, features) == pytest.approx(0.0, abs=1e-10)
    assert between(features, features + 1.0) == pytest.approx(40.0, rel=1e-10)


def test_the_other_denominator():
    random = np.random.default_rng(4)
    a, b = random.normal(size=(30, 4)), random.normal(1, 2, (30, 4))
    value, means = frechet.distance(*(x for f in (a, b) for x in (f.mean(axis=0), frechet.root(np.cov(f.T)))))
    wanted, _ = frechet.distance(*(x for f in (a, b) for x in (f.mean(axis=0), frechet.root(np.cov(f.T, ddof=0)))))
    assert frechet.with_population_covariance(value, means, 30) == pytest.approx(wanted)


def test_few_pictures_go_a_shorter_way_to_the_same_distance():
    random = np.random.default_rng(5)
    a, b = random.normal(size=(9, 30)), random.normal(1, 2, (12, 30))
    short = frechet.distance(*frechet.factor_of_few(a), *frechet.factor_of_few(b))[0]
    assert short == pytest.approx(between(a, b), rel=1e-6)


def test_what_is_no_set_of_features_is_refused():
    moments = frechet.Moments(4)
    with pytest.raises(ValueError, match=r"features must be \(N, 4\), got \(2, 3\)"):
        moments.update(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="NaN or infinity"):
        moments.update(np.full((1, 4), np.nan))
    moments.update(np.zeros((1, 4)))
    with pytest.raises(ValueError, match="at least 2 pictures, got 1"):
        moments.gaussian()
