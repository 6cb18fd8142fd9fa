"""The random numbers against published ones, another implementation and what a distribution is."""

import numpy as np
import torch

from moebius.training import counter


def split_mix(seed: int, count: int) -> list[int]:
    """SplitMix64 as it is written everywhere, one number after the other in Python's whole numbers."""
    found, wrap = [], 2**64
    for _ in range(count):
        seed = (seed + 0x9E3779B97F4A7C15) % wrap
        z = ((seed ^ (seed >> 30)) * 0xBF58476D1CE4E5B9) % wrap
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) % wrap
        found.append(z ^ (z >> 31))
    return found


def unsigned(tensor: torch.Tensor) -> list[int]:
    return tensor.numpy().astype(np.uint64).tolist()


def test_it_is_split_mix():
    known = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821]
    assert split_mix(1234567, 5) == known  # often quoted for this seed
    keys = torch.tensor([1234567, 0, 2**63 - 1])
    for key, row in zip(keys.tolist(), counter.bits(keys, 300), strict=True):
        assert unsigned(row) == split_mix(key, 300)


def test_uniform_numbers_are_the_upper_bits_and_fill_the_interval():
    numbers = counter.uniform(torch.arange(2000), 50)
    assert numbers[5, 7].item() == (split_mix(5, 8)[-1] >> 40) / 2**24
    assert numbers.min() >= 0 and numbers.max() < 1
    counts = np.histogram(numbers.numpy(), 20, (0, 1))[0]
    np.testing.assert_allclose(counts / counts.sum(), 0.05, atol=0.002)


def test_normal_numbers_are_normal_within_a_key_and_between_keys():
    numbers = counter.normal(torch.arange(3000), 41).double()
    assert torch.isfinite(numbers).all()
    for moment, expected in ((1, 0), (2, 1), (3, 0), (4, 3)):
        assert abs((numbers**moment).mean().item() - expected) < 0.05
    correlations = np.corrcoef(numbers.T.numpy()) - np.eye(41)
    assert np.abs(correlations).max() < 0.1
    for at in (-1.5, 0.0, 0.7):  # the distribution function
        expected = torch.special.ndtr(torch.tensor(at)).item()
        assert abs((numbers < at).double().mean().item() - expected) < 0.005


def test_a_keys_numbers_do_not_depend_on_the_others():
    assert torch.equal(counter.normal(torch.tensor([3, 9]), 7)[1:], counter.normal(torch.tensor([9]), 7))
