"""A fill at a few hundred pixels: from the rim inwards at the coarsest level, then refined up to the given size.

Patch-based completion: Wexler et al. 2007 (doi:10.1109/TPAMI.2007.60) with the field of Barnes et al. 2009
(doi:10.1145/1531326.1531330), texture strength as a feature after Newson et al. 2014 (doi:10.1137/140954933).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from moebius.patchmatch import blend, features, pyramid
from moebius.patchmatch.blend import BlendConfig
from moebius.patchmatch.kernels import FAR
from moebius.patchmatch.meter import Meter
from moebius.patchmatch.search import Field, Grid, Workers, grid_of, usable_patches
from moebius.patchmatch.vectors import CHANNELS, PATCH

ONION_COST = 4.0
"""Of the first level, as a multiple of the same pixels' cost at the next."""


@dataclass(frozen=True, kw_only=True)
class StructureConfig:
    min_side: int = 200
    """A level's shorter side is not smaller, unless the photo's is."""
    ring: int = 2
    """Pixels by which the first level grows inwards at a time."""
    onion_passes: int = 8
    onion_candidates: int = 8
    rounds: tuple[int, ...] = (2, 4)
    """Searches and votes, of the finest level first; the last number holds for all others."""
    passes: tuple[int, ...] = (2, 2)
    candidates: int = 6
    power: int = 2
    last_power: int = 2
    fade: float = 1.1
    """A vote weighs less by this factor for each pixel that its patch lies deeper in the hole."""
    exact_work: int = 2_000_000
    """Pairs of patches up to which all are compared; PatchMatch beyond."""
    nearness: float = 500
    """What a patch as far away as the picture is long costs, see `Field`: near ones tend to be of the same surface."""
    gradient: float = 0.25
    texture: float = 2.0
    """Weights of the gradients and of texture strength against colour."""
    blend: BlendConfig = BlendConfig()
    """Of the finest level, once its last vote is counted."""

    def at(self, values: tuple[int, ...], level: int) -> int:
        return values[min(level, len(values) - 1)]


@dataclass(frozen=True, eq=False)
class _Level:
    """One size of the photo while it is filled."""

    source: np.ndarray
    """(h, w, 8) uint8; smooth colours under the hole."""
    target: np.ndarray
    """(H, W, 8) uint8, the grid's box of it, which the votes change under the hole."""
    field: Field
    trust: np.ndarray
    """(gh, gw) float32, see `StructureConfig.fade`."""
    config: StructureConfig

    @property
    def grid(self) -> Grid:
        return self.field.grid

    def search(self, passes: int) -> None:
        if self.field.pairs <= self.config.exact_work:
            self.field.search_all(self.target, self.source)
        else:
            reach = max(self.source.shape[:2])
            self.field.search(self.target, self.source, passes, self.config.candidates, reach)

    def vote(self, power: int) -> None:
        hole, target = self.grid.hole, self.target
        self.field.vote(
            self.source, power, lambda a, b, sums: features.write_mean(sums, hole, target, a), trust=self.trust
        )


def costs(hole: np.ndarray, config: StructureConfig) -> list[float]:
    """Cost of each stage of `fill_structure`, in pixels of the hole."""
    levels = _count(hole.shape, config)
    pixels = [np.count_nonzero(hole) / 4**level + 1 for level in range(levels)]
    return [ONION_COST * pixels[-1], *(config.at(config.rounds, k) * pixels[k] for k in range(levels - 1, -1, -1))]


def _count(shape: tuple[int, int], config: StructureConfig) -> int:
    count, side = 1, min(shape)
    while side // 2 >= config.min_side:
        count, side = count + 1, (side + 1) // 2
    return count


def fill_structure(
    known: np.ndarray, hole: np.ndarray, seed: int, workers: Workers, meter: Meter, config: StructureConfig
) -> np.ndarray:
    """`known` (H, W, 3) uint8 with `hole` (H, W) bool filled; smooth where no 8×8 patch is known."""
    levels = [(known, hole)]
    for _ in range(_count(hole.shape, config) - 1):
        levels.append(pyramid.halve(*levels[-1]))
    field, below = None, None
    meter.stage("Filling from the rim inwards")
    for number in range(len(levels) - 1, -1, -1):
        picture, part = levels[number]
        if not part.any() or not usable_patches(part).any():
            field = None
            continue
        level = _prepare(picture, part, seed * 131 + number, workers, config)
        rounds, passes = config.at(config.rounds, number), config.at(config.passes, number)
        text, calls = f"Filling at {part.shape[1]}×{part.shape[0]}", rounds * (passes + 1) + (number == 0)
        if field is None:
            _from_the_rim(level, meter)
            meter.stage(text, calls)
        else:
            meter.stage(text, calls + 2)
            level.field.enlarge(field, tuple(a / b for a, b in zip(part.shape, below, strict=True)))
            level.vote(1)
        for turn in range(rounds):
            level.search(passes)
            level.vote(config.last_power if number == 0 and turn == rounds - 1 else config.power)
        if number == 0:
            blend.join(level.field, level.source, level.target, level.trust, config.blend, workers.tick)
        field, below = level.field, part.shape
    if field is None:
        return pyramid.smooth_fill(known, hole).clip(0, 255).astype(np.uint8)
    out = known.copy()
    out[level.grid.box][level.grid.hole] = level.target[..., :3][level.grid.hole]
    return out


def _prepare(picture: np.ndarray, hole: np.ndarray, seed: int, workers: Workers, config: StructureConfig) -> _Level:
    """A level's features, field and trust."""
    smooth = pyramid.smooth_fill(picture, hole).clip(0, 255).astype(np.uint8)
    rgb = np.where(hole[..., None], smooth, picture)
    source = np.empty((*hole.shape, CHANNELS), np.uint8)
    source[..., :3], source[..., 7] = rgb, 1
    source[..., 3], source[..., 4] = features.gradients(features.luma(rgb), config.gradient)
    source[..., 5:7] = features.texture_strength(picture, hole, config.texture, max(5, (min(hole.shape) // 48) | 1))
    grid = grid_of(hole, 1)
    depth = cv2.distanceTransform(hole.view(np.uint8), cv2.DIST_L2, 3)[grid.box][PATCH // 2 :, PATCH // 2 :]
    depth = depth[: grid.active.shape[0], : grid.active.shape[1]]
    trust = np.maximum(np.float32(config.fade) ** -depth, np.float32(1e-12))
    field = Field(grid, usable_patches(hole), seed, workers, config.nearness)
    return _Level(source, source[grid.box].copy(), field, trust, config)


def _from_the_rim(level: _Level, meter: Meter) -> None:
    """Fill `level.target` ring by ring: patches that are half known are matched by what is known of them and vote."""
    field, grid, target, config = level.field.randomise(), level.grid, level.target, level.config
    known, done = ~grid.hole, np.zeros_like(grid.active)
    height, width = grid.active.shape
    ring_kernel = np.ones((2 * config.ring + 1,) * 2, np.uint8)
    total = np.count_nonzero(grid.hole)
    while not known.all():
        share = cv2.boxFilter(
            known.astype(np.float32), cv2.CV_32F, (PATCH, PATCH), anchor=(0, 0), borderType=cv2.BORDER_CONSTANT
        )[:height, :width]
        missing = grid.active & (share < 0.9999)
        requested = missing & (share >= 0.5)
        if not requested.any():
            requested = missing & (share >= 0.8 * share[missing].max())
        mask = _known_bytes(known)
        if field.pairs <= config.exact_work:
            field.search_all(target, level.source, mask, requested)
        else:
            field.search(
                target,
                level.source,
                config.onion_passes,
                config.onion_candidates,
                max(field.usable.shape),
                mask=mask,
                requested=requested,
                known=requested | done,
            )
        done |= requested
        ring = (cv2.dilate(known.view(np.uint8), ring_kernel) > 0) & ~known
        voted = np.zeros_like(known)

        def use(first: int, last: int, sums: np.ndarray, ring: np.ndarray = ring, voted: np.ndarray = voted) -> None:
            voted[first:last] = sums[..., 7] > 0
            features.write_mean(sums, ring, target, first)

        cost = np.minimum(field.cost / np.maximum(share, 0.05), FAR // 2).astype(np.int32)
        field.vote(level.source, config.power, use, trust=share * share, active=requested, cost=cost)
        if not (ring & voted).any():  # cannot be: the patches at the rim reach over it
            break
        known |= ring & voted
        meter.at(1 - np.count_nonzero(~known) / total)


def _known_bytes(known: np.ndarray) -> np.ndarray:
    """(H, W, 8) uint8: 255 for the bytes of known pixels; gradients count only where all neighbours are known."""
    mask = np.repeat((known.view(np.uint8) * np.uint8(255))[..., None], CHANNELS, axis=2)
    inner = cv2.erode(known.view(np.uint8), np.ones((3, 3), np.uint8), borderValue=1) * np.uint8(255)
    mask[..., 3:5] = inner[..., None]
    return mask
