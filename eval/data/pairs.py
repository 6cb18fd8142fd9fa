"""Pairs: a photo with an object, the same photo without it, and the object's mask; so a removal has a truth.

A folder of pairs has three folders, with files of one name in each: the photos with the object, those without it, and
the masks (white = the object). `python -m eval pairs` composes such folders; cameras on tripods make them, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from moebius.files import read_json

WITH = ("with", "input", "img", "image", "images", "source")
WITHOUT = ("without", "gt", "truth", "target", "background")
MASKS = ("masks", "mask")
"""What the three folders may be called."""
MANIFEST = "manifest.json"
NAME = "moebius-pairs"
EFFECT_LEVELS = 10
"""Grey levels, after a mean of 5×5 pixels against noise, from which the photos of a pair differ."""
CLEAR_PX = 2
"""Pixels around the object that are no effect: its soft edge."""


@dataclass(frozen=True)
class Judged:
    """What a fill is compared with. Pictures (H, W, 3) uint8, regions (H, W) bool."""

    truth: np.ndarray
    region: np.ndarray
    """What the figures of the hole are taken over: the hole; of a pair, the object as well."""
    picture: np.ndarray | None = None
    """Of a pair: the photo with the object, which the model was given."""
    object: np.ndarray | None = None
    effect: np.ndarray | None = None
    """See `effect_region`."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Files of one pair."""

    id: str
    group: str
    """The photograph; intervals resample photographs."""
    picture: Path
    truth: Path
    mask: Path


def find(folder: Path, suffixes: Sequence[str]) -> list[Pair]:
    """The pairs of a folder by name.

    Raises:
        ValueError: a folder or a file of a pair is missing; the message names it.
    """
    places = {role: _folder(folder, role, names) for role, names in _ROLES.items()}
    files = {role: _by_name(place, suffixes) for role, place in places.items()}
    if not files["with"]:
        raise ValueError(f"{places['with']} holds no picture")
    groups = _groups(folder)
    found = []
    for name, picture in files["with"].items():
        for role in ("without", "masks"):
            if name not in files[role]:
                raise ValueError(f"{places[role]} has no picture named {name}, which {places['with']} has")
        pair = Pair(
            id=name,
            group=groups.get(name, name),
            picture=picture,
            truth=files["without"][name],
            mask=files["masks"][name],
        )
        found.append(pair)
    return found


_ROLES = {"with": WITH, "without": WITHOUT, "masks": MASKS}


def _folder(folder: Path, role: str, names: tuple[str, ...]) -> Path:
    if place := next((folder / name for name in names if (folder / name).is_dir()), None):
        return place
    raise ValueError(
        f"{folder} is no folder of pairs: it has no folder {' or '.join(names)}; a pair is a picture of one name in "
        f"each of {', '.join(_ROLES)}"
    )


def _by_name(folder: Path, suffixes: Sequence[str]) -> dict[str, Path]:
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in suffixes and path.is_file())
    names = [path.stem.removesuffix("_mask") for path in paths]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"{folder} has two pictures named {twice!r}")
    return dict(zip(names, paths, strict=True))


def _groups(folder: Path) -> dict[str, str]:
    """The photograph of each pair, where the folder says so."""
    path = folder / MANIFEST
    if not path.is_file():
        return {}
    manifest = read_json(path)
    return {row["id"]: row["group"] for row in manifest["pairs"]} if manifest.get("name") == NAME else {}


def effect_region(picture: np.ndarray, truth: np.ndarray, object_mask: np.ndarray) -> np.ndarray:
    """Where the photos of a pair differ outside the object, (H, W) bool. Pictures (H, W, 3) uint8, mask (H, W) bool."""
    import cv2

    difference = cv2.absdiff(picture, truth).max(axis=2)
    smooth = cv2.blur(difference, (5, 5))
    near = cv2.dilate(object_mask.astype(np.uint8), np.ones((2 * CLEAR_PX + 1,) * 2, np.uint8)).astype(bool)
    return (smooth >= EFFECT_LEVELS) & ~near
