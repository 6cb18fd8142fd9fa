"""Training samples: a square of a picture, a hole, and the kind of the hole, all drawn from the run's seed and a
number.

A sample depends only on (configuration, seed, number), not on the process or thread that makes it, so the position in
the data is the whole state.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from itertools import tee
from pathlib import Path
from typing import Any, Protocol, TypeVar

import cv2
import numpy as np
import torch

from moebius import heldout, masks
from moebius.masks import Random
from moebius.photo import photo_file
from moebius.photo.raster import bounding_box
from moebius.read_ahead import read_ahead
from moebius.training.config import SHAPES, ConfigError, Data, Source
from moebius.training.data import fills, pictures
from moebius.training.data.pictures import Index, Picture

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class Sample:
    picture: np.ndarray
    """(S, S, 3) uint8: the truth, or a teacher's finished fill."""
    mask: np.ndarray
    """(S, S) bool, True = hole."""
    foreground: bool
    """The hole is an object's own mask, so the network gets the foreground tokens."""


class Items(Protocol):
    """A source of samples."""

    @property
    def found(self) -> Sequence[Any]:
        """The files of the items: `Picture`s, or `fills.Fill`s."""

    def __len__(self) -> int: ...

    def sample(self, item: int, random: Random) -> Sample: ...


class Samples:
    """All items of all sources, shuffled in each epoch, without the validation pictures."""

    def __init__(self, config: Data, seed: int, known: Path | None = None, workers: int = 2):
        """Read and check every file.

        Args:
            known: file that keeps the result of reading, see `pictures.index`.

        Raises:
            ConfigError: a source is empty or of the wrong kind.
            heldout.HeldOutError: a picture is held out for evaluation.
        """
        self.seed, self.size = seed, config.size
        refused = pictures.heldout_hashes(config.heldout)
        self.broken: list[tuple[Path, str]] = []
        sources: list[Items] = []
        self.validation: Items | None = None
        for source in config.sources:
            if source.kind == "fills":
                sources.append(Fills(source, config, refused))
                continue
            found = pictures.index(pictures.find(source.path), refused, known, workers)
            self.broken += found.broken
            train = found
            if self.validation is None and config.validation:
                train, apart = _set_apart(found, config.validation)
                self.validation = _items(source, config, apart)
            sources.append(_items(source, config, train))
        if config.validation and self.validation is None:
            raise ConfigError("data.validation needs a source of pictures or objects; say validation = 0")
        self.items = [
            (items, i)
            for s, items in zip(config.sources, sources, strict=True)
            for _ in range(s.repeat)
            for i in range(len(items))
        ]
        if not self.items:
            reasons = "; ".join(f"{path}: {why}" for path, why in self.broken[:3])
            raise ConfigError(f"nothing is left to train on{f' ({reasons})' if reasons else ''}")

    def __len__(self) -> int:
        """Samples in an epoch."""
        return len(self.items)

    def sample(self, position: int) -> Sample:
        """The sample at a position of the endless stream, epoch after epoch."""
        epoch, place = divmod(position, len(self.items))
        return self.drawn(shuffled(self.seed, epoch, len(self.items))[place], f"sample:{position}")

    def drawn(self, item: int, name: str) -> Sample:
        """A sample of one item; `name` seeds its crop and its hole."""
        items, i = self.items[item]
        return items.sample(i, masks.random_of(masks.seed_of(self.seed, name)))

    def origin(self, position: int) -> Picture:
        """The file from which the sample at a position is made."""
        epoch, place = divmod(position, len(self.items))
        items, i = self.items[shuffled(self.seed, epoch, len(self.items))[place]]
        return items.found[i]

    def held_back(self, number: int) -> Sample:
        """Validation picture `number`, with the same crop and hole for every seed of the run."""
        return self.validation.sample(number, masks.random_of(masks.seed_of(0, f"validation:{number}")))


@lru_cache(maxsize=2)
def shuffled(seed: int, epoch: int, count: int) -> list[int]:
    """The order of an epoch's items."""
    generator = torch.Generator().manual_seed(masks.seed_of(seed, f"epoch:{epoch}") >> 1)
    return torch.randperm(count, generator=generator).tolist()


def _set_apart(found: Index, count: int) -> tuple[Index, Index]:
    """Split off the `count` pictures with the lowest hashes: adding files hardly changes this choice."""
    if count >= len(found.pictures):
        raise ConfigError(f"data.validation sets {count} pictures apart, but only {len(found.pictures)} can be read")
    apart = {picture.sha256 for picture in sorted(found.pictures, key=lambda picture: picture.sha256)[:count]}
    parts = ([p for p in found.pictures if (p.sha256 in apart) is inside] for inside in (False, True))
    train, validation = (Index(pictures=tuple(part), broken=found.broken) for part in parts)
    return train, validation


# ---- sources ----


class Pictures:
    """Source of background samples: any hole in any square."""

    def __init__(self, source: Source, config: Data, found: Index):
        self.config, self.kinds, self.found = config, source.masks, found.pictures
        self.read = _reader(config)
        self.shapes = pictures.find(source.shapes) if source.shapes else []

    def __len__(self) -> int:
        return len(self.found)

    def sample(self, item: int, random: Random) -> Sample:
        picture, size = self.read(self.found[item].path), self.config.size
        crop = square(random, picture.shape[:2], size, self.config.crop)
        picture = cut(picture, crop, size)
        if self.config.flip and random.random_sample() < 0.5:
            picture = picture[:, ::-1]
        return Sample(picture=np.ascontiguousarray(picture), mask=self.hole(random), foreground=False)

    def hole(self, random: Random) -> np.ndarray:
        """(S, S) bool, of one of the source's kinds."""
        kind, size = self.kinds[random.randint(len(self.kinds))], self.config.size
        if kind == SHAPES:
            return placed(random, _mask(self.shapes[random.randint(len(self.shapes))]), size)
        return masks.KINDS[kind].generate(random, size)


class Objects:
    """Source of foreground samples: the hole is the object's own mask."""

    def __init__(self, source: Source, config: Data, found: Index):
        self.config, self.found, self.read = config, found.pictures, _reader(config)
        self.masks = [_beside(picture, source.object_masks) for picture in self.found]

    def __len__(self) -> int:
        return len(self.found)

    def sample(self, item: int, random: Random) -> Sample:
        found, size = self.found[item], self.config.size
        mask = _mask(self.masks[item])
        if mask.shape != (found.height, found.width):
            raise ConfigError(
                f"{self.masks[item]} is {mask.shape[::-1]}, its picture {found.width, found.height} pixels"
            )
        picture, mask = self.read(found.path), pictures.shrunk(mask.astype(np.uint8), self.read.short).astype(bool)
        crop = square(random, picture.shape[:2], size, self.config.crop, bounding_box(mask))
        picture, mask = cut(picture, crop, size), cut(mask.astype(np.uint8), crop, size).astype(bool)
        if self.config.flip and random.random_sample() < 0.5:
            picture, mask = picture[:, ::-1], mask[:, ::-1]
        return Sample(picture=np.ascontiguousarray(picture), mask=np.ascontiguousarray(mask), foreground=True)


class Fills:
    """Source of another model's fills (`moebius.training.data.fills`): the fill is the target, its mask the hole."""

    def __init__(self, source: Source, config: Data, refused: frozenset[str]):
        self.config, self.found, self.read = config, fills.read(source.path), _reader(config)
        for fill in self.found:
            if {fill.source_sha256, fill.source_pixels_sha256} & refused:
                raise heldout.HeldOutError(f"{source.path}: {fill.id} was made of a held-out picture ({fill.source})")

    def __len__(self) -> int:
        return len(self.found)

    def sample(self, item: int, random: Random) -> Sample:
        fill, size = self.found[item], self.config.size
        picture, mask = self.read(fill.fill), pictures.shrunk(_mask(fill.mask).astype(np.uint8), self.read.short)
        whole = (0, 0, min(mask.shape))
        picture, mask = cut(picture, whole, size), cut(mask, whole, size).astype(bool)
        if self.config.flip and random.random_sample() < 0.5:
            picture, mask = picture[:, ::-1], mask[:, ::-1]
        return Sample(picture=np.ascontiguousarray(picture), mask=np.ascontiguousarray(mask), foreground=False)


def _reader(config: Data) -> pictures.Reader:
    return pictures.Reader(math.ceil(config.size / config.crop[0]), config.memory_gib)


def _items(source: Source, config: Data, found: Index) -> Items:
    return Pictures(source, config, found) if source.kind == "pictures" else Objects(source, config, found)


def _beside(picture: Picture, folder: Path) -> Path:
    mask = folder / f"{picture.path.stem}.png"
    if not mask.is_file():
        raise ConfigError(f"{picture.path} has no mask {mask}")
    return mask


def _mask(path: Path) -> np.ndarray:
    mask = photo_file.open_mask(path)
    if not mask.any() or mask.all():
        raise ConfigError(
            f"{path} is {'empty' if not mask.any() else 'all white'}; a hole has an inside and an outside"
        )
    return mask


# ---- geometry of a sample ----


def square(
    random: Random, shape: tuple[int, int], size: int, shares: tuple[float, float], around: tuple | None = None
) -> tuple[int, int, int]:
    """A random square (x, y, side) in a picture of `shape` (H, W); its side is a share of the short side, at least
    `size` if possible.

    around: a box (left, top, right, bottom) that the square contains, or as much of its middle as fits.
    """
    short = min(shape)
    side = min(short, max(round(short * random.uniform(*shares)), min(size, short)))
    if around is None:
        return random.randint(shape[1] - side + 1), random.randint(shape[0] - side + 1), side
    left, top, right, bottom = around
    side = min(short, max(side, right - left + 2, bottom - top + 2))

    def along(low: int, high: int, length: int) -> int:
        first, last = max(0, high - side), min(length - side, low)
        if first > last:  # the box is longer than the square
            return min(max((low + high - side) // 2, 0), length - side)
        return first + random.randint(last - first + 1)

    return along(left, right, shape[1]), along(top, bottom, shape[0]), side


def cut(array: np.ndarray, crop: tuple[int, int, int], size: int) -> np.ndarray:
    """(H, W[, 3]) uint8 -> the crop (x, y, side) at `size`. Masks of 0 and 1 keep these values."""
    x, y, side = crop
    part = array[y : y + side, x : x + side]
    if part.ndim == 2:
        return cv2.resize(part, (size, size), interpolation=cv2.INTER_NEAREST)
    return cv2.resize(part, (size, size), interpolation=cv2.INTER_AREA if side > size else cv2.INTER_CUBIC)


def placed(random: Random, shape: np.ndarray, size: int) -> np.ndarray:
    """An outline (h, w) bool at a random size and place, perhaps mirrored, in (size, size) bool."""
    left, top, right, bottom = bounding_box(shape)
    outline = shape[top:bottom, left:right].astype(np.uint8)
    if random.random_sample() < 0.5:
        outline = outline[:, ::-1]
    factor = size * random.uniform(0.15, 0.6) / max(outline.shape)
    width, height = (max(2, round(length * factor)) for length in (outline.shape[1], outline.shape[0]))
    scaled = cv2.resize(outline, (width, height), interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_NEAREST)
    mask = np.zeros((size, size), bool)
    x, y = random.randint(size - width + 1), random.randint(size - height + 1)
    mask[y : y + height, x : x + width] = scaled > 0
    return mask


# ---- ahead of the network ----


def ahead(
    prepare: Callable[[int], _T], groups: Iterator[list[int]], workers: int, depth: int = 2
) -> Iterator[list[_T]]:
    """`[prepare(number) for number in group]` for each group, in order, `depth` groups ahead in threads."""
    groups, coming = tee(groups)
    longest = 1

    def numbers() -> Iterator[int]:
        nonlocal longest
        for group in coming:
            longest = max(longest, len(group))
            yield from group

    with closing(read_ahead(numbers(), prepare, lambda: depth * longest, workers)) as prepared:
        for group in groups:
            yield [next(prepared)[1] for _ in group]
