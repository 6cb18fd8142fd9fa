"""What a seed means: one number gives a photo one fill, whoever asks for it."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

MAX_SEED = 2**63 - 1
"""Of a signed number of 64 bits, which is what seeds are drawn and kept as."""


def check_seed(seed: int, name: str = "the seed") -> int:
    """The seed. Raises ValueError, which calls it `name`, if it is out of range."""
    if not 0 <= seed <= MAX_SEED:
        raise ValueError(f"{name} must be between 0 and 2**63 - 1, got {seed}")
    return seed


def random_seed() -> int:
    """Short enough to be typed again."""
    return secrets.randbits(32)


def generator(seed: int | None) -> torch.Generator | None:
    """The randomness of a photo's fill; None for a model that takes none. Raises ValueError for a seed out of range."""
    if seed is None:
        return None
    check_seed(seed)
    import torch

    return torch.Generator().manual_seed(seed)


def for_squares(photo: torch.Generator | None, count: int) -> list[torch.Generator | None]:
    """One for each square, so that its noise depends neither on how many others there are nor on which share its call.

    The first square has the photo's own, the others have seeds that are drawn from a copy of it.
    """
    if photo is None or count == 1:
        return [photo] * count
    import torch

    copy = torch.Generator(photo.device)
    copy.set_state(photo.get_state())
    seeds = torch.randint(2**63 - 1, (count - 1,), generator=copy, device=copy.device).tolist()
    return [photo, *(torch.Generator(copy.device).manual_seed(seed) for seed in seeds)]


def for_search(generator: torch.Generator | None) -> int:
    """Of the search for patches in a photo or a square: what its generator began with, in 31 bits; 0 without one."""
    return 0 if generator is None else generator.initial_seed() % (2**31 - 1)
