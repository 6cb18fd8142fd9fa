"""Which hole a picture gets: one that ships with it, one from a folder, or a generated one seeded by its name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from moebius import masks
from moebius.photo.photo_file import open_mask, suffixes

SUFFIXES = suffixes("PNG", "JPEG", "BMP", "TIFF", "WEBP")

SHIPPED = "shipped"

MaskOf = Callable[[str, tuple[int, int]], np.ndarray]
"""(picture's id, (H, W)) -> (H, W) bool. Raises ValueError if there is none that fits."""


def chooser(spec: str, set_seed: int) -> MaskOf:
    """The function that gives every picture its mask.

    Args:
        spec: a kind of `moebius.masks.KINDS`; `lama-thin`, `lama-medium` or `lama-thick` for the setting that belongs
            to the picture's size; or a folder with one mask per picture of the same name.
        set_seed: another seed is another set of masks.
    """
    if spec in masks.KINDS or f"{spec}-512" in masks.KINDS:
        return lambda image_id, size: generated(spec, set_seed, image_id, size)
    folder = Path(spec)
    if not folder.is_dir():
        kinds = ", ".join(masks.KINDS)
        raise ValueError(f"--masks {spec!r} is neither a folder nor a kind; kinds: {kinds}, {SHIPPED} (held-out set)")
    return lambda image_id, size: from_folder(folder, image_id, size)


def generated(spec: str, set_seed: int, image_id: str, size: tuple[int, int]) -> np.ndarray:
    """The mask that belongs to this id: the same for every model, machine, run and number of workers."""
    height, width = size
    if height != width:
        raise ValueError(f"generated masks are square but the picture is {width}×{height}; say --size to crop it")
    kind = spec if spec in masks.KINDS else f"{spec}-{width}"
    return masks.make(kind, masks.seed_of(set_seed, image_id), width)


def from_folder(folder: Path, image_id: str, size: tuple[int, int]) -> np.ndarray:
    """The mask of the same name as the picture, also with `_mask` or `_mask000` behind it (LaMa's way)."""
    for name in (image_id, f"{image_id}_mask", f"{image_id}_mask000"):
        for suffix in SUFFIXES:
            if (path := folder / f"{name}{suffix}").is_file():
                return read(path, size)
    raise ValueError(f"no mask named {image_id} in {folder}")


def read(path: Path, size: tuple[int, int]) -> np.ndarray:
    """A mask file, white = repaint, checked against the picture's size (H, W)."""
    mask = open_mask(path)
    check(mask, size, str(path))
    return mask


def check(mask: np.ndarray, size: tuple[int, int], name: str) -> None:
    """Raises ValueError for a mask of another size, an empty one and a full one."""
    if mask.shape != tuple(size):
        raise ValueError(f"{name} is {mask.shape[1]}×{mask.shape[0]} but its picture is {size[1]}×{size[0]}")
    if not mask.any():
        raise ValueError(f"{name} is empty (white = repaint)")
    if mask.all():
        raise ValueError(f"{name} covers the whole picture (white = repaint; perhaps it is inverted)")
