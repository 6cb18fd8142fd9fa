"""Seeds: the same seed gives a photo the same fill everywhere."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

MAX_SEED = 2**63 - 1
"""The largest signed 64-bit integer."""


def check_seed(seed: int, name: str = "the seed") -> int:
    """Returns the seed. Raises ValueError, which names it `name`, if it is out of range."""
    if not 0 <= seed <= MAX_SEED:
        raise ValueError(f"{name} must be between 0 and 2**63 - 1, got {seed}")
    return seed


def random_seed() -> int:
    """A random seed of 32 bits, short enough to type."""
    return secrets.randbits(32)


def generator(seed: int | None) -> torch.Generator | None:
    """A random generator for a photo's fill; None for seed None. Raises ValueError for a seed out of range."""
    if seed is None:
        return None
    check_seed(seed)
    import torch

    return torch.Generator().manual_seed(seed)


def for_squares(photo: torch.Generator | None, count: int) -> list[torch.Generator | None]:
    """A generator for each square, so that its noise does not depend on the other squares or on the size of a call.

    The first square gets the photo's own generator, the others get seeds drawn from a copy of it.
    """
    if photo is None or count == 1:
        return [photo] * count
    import torch

    copy = torch.Generator(photo.device)
    copy.set_state(photo.get_state())
    seeds = torch.randint(2**63 - 1, (count - 1,), generator=copy, device=copy.device).tolist()
    return [photo, *(torch.Generator(copy.device).manual_seed(seed) for seed in seeds)]


def for_search(generator: torch.Generator | None) -> int:
    """A 31-bit seed for the search of patches: the generator's initial seed; 0 without a generator."""
    return 0 if generator is None else generator.initial_seed() % (2**31 - 1)
