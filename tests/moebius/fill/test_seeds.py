"""One meaning of a seed."""

from pathlib import Path

import pytest
import torch

from moebius.fill import seeds

ROOT = Path(__file__).parents[3]


def test_a_seed_is_torchs_own():
    """So that whoever knows torch gets the same noise."""
    expected = torch.randn(4, generator=torch.Generator().manual_seed(7))
    assert torch.equal(torch.randn(4, generator=seeds.generator(7)), expected)
    assert seeds.generator(None) is None
    largest = seeds.generator(2**63 - 1)
    assert largest.initial_seed() == seeds.MAX_SEED == 2**63 - 1


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_a_seed_out_of_range_is_named(seed):
    with pytest.raises(ValueError, match=rf"--seed must be between 0 and 2\*\*63 - 1, got {seed}"):
        seeds.check_seed(seed, "--seed")
    with pytest.raises(ValueError, match="the seed must be between"):
        seeds.generator(seed)


def test_squares_draw_from_their_own_however_many_there_are():
    alone, few, many = (seeds.for_squares(seeds.generator(3), count) for count in (1, 3, 5))
    values = [[torch.randn(2, generator=one).tolist() for one in photo] for photo in (alone, few, many)]
    assert values[0] == values[1][:1] and values[1] == values[2][:3]
    assert len({tuple(value) for value in values[2]}) == 5
    assert seeds.for_squares(None, 2) == [None, None]


def test_fills_are_seeded_in_one_place():
    """Training, whose numbers are its own, networks, benchmarks and the check of number types aside."""
    aside = ("training", "bench", "inpainters/precision.py", "fill/seeds.py")
    sources = [*(ROOT / "moebius").rglob("*.py"), *(ROOT / "eval").rglob("*.py")]
    seeding = [
        path.relative_to(ROOT).as_posix()
        for path in sources
        if "manual_seed(" in path.read_text(encoding="utf-8")
        and not path.relative_to(ROOT).as_posix().startswith(tuple(f"moebius/{name}" for name in aside))
    ]
    assert seeding == []
