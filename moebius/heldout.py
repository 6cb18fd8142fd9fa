"""The held-out pictures of the evaluation. No model may be trained on them; training code checks this here."""

from __future__ import annotations

from functools import cache

import numpy as np

from moebius.files import packaged, sha256

LIST = packaged("heldout.txt")
"""The hashes of `samples/heldout/manifest.json`, which an installed package does not have; a test compares them."""


class HeldOutError(ValueError):
    """A picture of the held-out set was about to be used for training."""


@cache
def hashes() -> frozenset[str]:
    """SHA-256 of every held-out file and of its decoded pixels.

    Raises:
        ValueError: the list is missing, so no picture could be refused.
    """
    if not LIST.is_file():
        raise ValueError(f"{LIST} is missing, so held-out pictures cannot be recognised; restore it")
    return frozenset(LIST.read_text(encoding="ascii").split())


def pixels_sha256(rgb: np.ndarray) -> str:
    """SHA-256 of a decoded picture, (H, W, 3) uint8: the same for a JPEG and for a lossless copy of it."""
    return sha256(f"{rgb.shape[1]}x{rgb.shape[0]}:".encode() + np.ascontiguousarray(rgb).tobytes())


def refuse(name: str, data: bytes | None = None, rgb: np.ndarray | None = None) -> None:
    """Raise `HeldOutError` if a file's bytes, or its pixels (H, W, 3) uint8, are in the held-out set."""
    found = {sha256(data)} if data is not None else set()
    if rgb is not None:
        found.add(pixels_sha256(rgb))
    if found & hashes():
        raise HeldOutError(f"{name} belongs to the held-out set that evaluation is done on; leave it out of training")
