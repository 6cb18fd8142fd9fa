"""Fine detail for a fill that was made small: structure from the fill, texture and grain from the photo.

Coarse to fine. Each level enlarges the estimate below it; what the photo has beyond its own enlarged reduction is its
high band. Patches of the photo whose low and high band look like the estimate's vote for the estimate's high band, so
that low frequencies never leave the given fill. The nearest-neighbour field and the votes are those of patch-based
completion (Wexler et al. 2007, doi:10.1109/TPAMI.2007.60; Barnes et al. 2009, doi:10.1145/1531326.1531330); taking the
band between two levels from examples is the idea of Freeman et al. 2002 (doi:10.1109/38.988747).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from moebius.patchmatch import features, pyramid
from moebius.patchmatch.meter import Meter, Progress, silent
from moebius.patchmatch.search import Field, Workers, bands, grid_of, usable_patches

MIN_KNOWN, MIN_FILLED = 300, 100
"""Sampled pixels that a class of texture energy needs, in the photo and in the fill, for a gain of its own."""
SAMPLE = 3
"""Energies are averaged over every third pixel of every third row."""
NO_GAIN = np.ones(256, np.float32)


@dataclass(frozen=True, kw_only=True)
class DetailConfig:
    look_passes: int = 6
    look_candidates: int = 6
    look_stride: int = 1
    look_gradient: float = 0.5
    """At the fill's own size: PatchMatch passes, random places in each, pixels between patches, weight of gradients."""
    stride: int = 2
    """Pixels between patches at all other levels."""
    rounds: int = 2
    """Searches and votes at each level."""
    passes: int = 2
    candidates: int = 2
    radius: int = 16
    power: int = 2
    last_power: int = 12
    """Of the vote weights; high = nearly the best patch alone, so that texture is not averaged away."""
    sigma: float | None = None
    """Of the weights inside a patch; None = all alike."""
    max_gain: float = 1.1
    """Votes lose energy; the high band is raised by at most this to that of the photo where it is as lively."""

    def __post_init__(self) -> None:
        if self.max_gain < 1 or min(self.stride, self.look_stride, self.rounds, self.passes) < 1:
            raise ValueError(f"strides, rounds, passes and max_gain must be at least 1, got {self}")

    @property
    def calls(self) -> int:
        """Calls of `Workers.each` at a level: features, energies, field, then vote, energies and gain once and in every
        round."""
        return 6 + self.rounds * (self.passes + 3)


DEFAULT = DetailConfig()


def detail(
    image: np.ndarray,
    hole: np.ndarray,
    coarse: np.ndarray,
    *,
    seed: int = 0,
    threads: int | None = None,
    progress: Progress = silent,
    config: DetailConfig = DEFAULT,
) -> np.ndarray:
    """`coarse` enlarged, with the photo's own texture in the hole.

    The result is a function of the known pixels, `hole`, `coarse`, `seed` and `config`: the pixels of `image` under the
    hole have no influence, and neither has the number of threads. Where no 8×8 patch is known, `coarse` is enlarged and
    nothing else.

    Args:
        image: (H, W, 3) uint8 or uint16, or grey (H, W).
        hole: (H, W) bool, True = fill.
        coarse: (h, w, 3) float32 or uint8 in [0, 255], a fill of all of `image` at the size the model works at,
            h <= H and w <= W.
        threads: None: one for each core this process may use.
        progress: may raise to cancel; the work stops within 0.2 s.

    Returns:
        (H, W, 3) float32 in [0, 255]; outside the hole the photo, at 8 bits.
    """
    known = pyramid.as_bytes(image, hole)
    if coarse.ndim != 3 or coarse.shape[2] != 3 or coarse.shape[0] > hole.shape[0] or coarse.shape[1] > hole.shape[1]:
        raise ValueError(f"coarse must be (h, w, 3) and no larger than the photo {hole.shape}, got {coarse.shape}")
    if not hole.any():
        progress(1.0, "Nothing to fill")
        return known.astype(np.float32)
    meter = Meter(progress, costs(hole, coarse.shape[:2]))
    with Workers(threads, meter.tick) as workers:
        filled = add_detail(known, hole, coarse, seed, workers, meter, config)
    meter.finish()
    return filled.astype(np.float32)


def costs(hole: np.ndarray, coarse: tuple[int, int]) -> list[float]:
    """Cost of each stage of `add_detail`: pixels of the hole, and a tenth of all pixels."""
    share = float(hole.mean())
    sizes = pyramid.level_sizes(coarse, hole.shape)
    return [height * width * (share * (4 if level == 0 else 1) + 0.1) for level, (height, width) in enumerate(sizes)]


def add_detail(
    known: np.ndarray,
    hole: np.ndarray,
    coarse: np.ndarray,
    seed: int,
    workers: Workers,
    meter: Meter,
    config: DetailConfig,
) -> np.ndarray:
    """`detail` of a photo (H, W, 3) uint8 that has nothing under its hole, to the same."""
    sizes = pyramid.level_sizes(coarse.shape[:2], hole.shape)
    meter.stage("Looking for similar places", config.look_passes + 1)
    photos, holes = pyramid.reductions(known, hole, sizes, workers.tick)
    estimate = np.where(holes[0][..., None], np.rint(coarse).clip(0, 255).astype(np.uint8), photos[0])
    field = _find_alike(estimate, holes[0], seed, workers, config)
    for level in range(1, len(sizes)):
        height, width = sizes[level]
        meter.stage(f"Adding detail at {width}×{height}", config.calls)
        scale = (height / sizes[level - 1][0], width / sizes[level - 1][1])
        photo, part = photos[level], holes[level]
        photos[level - 1] = holes[level - 1] = None  # a large photo's levels need not stay in memory
        workers.tick(0.0)
        base = pyramid.resize(estimate, part.shape, cv2.INTER_CUBIC)
        workers.tick(0.0)
        margin = next((m for m in (1, 0) if usable_patches(part, m).any()), None)
        if margin is None:
            estimate, field = np.where(part[..., None], base, photo), None
        else:
            estimate, field = _Level(photo, part, base, workers, config).refine(field, scale, margin, seed + level)
    return estimate


def _find_alike(
    estimate: np.ndarray, hole: np.ndarray, seed: int, workers: Workers, config: DetailConfig
) -> Field | None:
    """For the patches of the fill at its own size, where the photo looks like them; None: no patch is known."""
    usable = usable_patches(hole, 1)
    if not usable.any():
        return None
    look = features.look_features(estimate, config.look_gradient)
    grid = grid_of(hole, config.look_stride)
    field = Field(grid, usable, seed, workers).randomise()
    target = np.ascontiguousarray(look[grid.box])
    field.search(target, look, config.look_passes, config.look_candidates, max(hole.shape))
    return field


class _Level:
    """One step of the pyramid: pictures and statistics of a level while its high band is voted."""

    def __init__(
        self, photo: np.ndarray, hole: np.ndarray, base: np.ndarray, workers: Workers, config: DetailConfig
    ) -> None:
        """photo: (h, w, 3) uint8. hole: (h, w) bool. base: (h, w, 3) uint8, the estimate below, enlarged.

        Large pictures are not copied where it can be avoided: the first touch of their memory takes as long as a vote.
        """
        self.hole, self.workers, self.config = hole, workers, config
        grey = features.luma(base)
        workers.tick(0.0)
        energy = features.texture_energy(grey)
        workers.tick(0.0)
        blurred = cv2.blur(grey, (features.LUMA_WINDOW,) * 2)
        workers.tick(0.0)
        self.source = np.empty((*hole.shape, 8), np.uint8)
        workers.each(
            lambda a, b: features.band_features(photo, base, grey, blurred, energy, self.source, a, b),
            bands(*hole.shape),
        )
        self.grid, self.base, self.energy = grid_of(hole, config.stride), base, energy
        workers.tick(0.0)
        self.estimate = photo.copy()
        workers.tick(0.0)
        self.photo_energy = self._energy_by_class(inside=False)

    def refine(
        self, coarse: Field | None, scale: tuple[float, float], margin: int, seed: int
    ) -> tuple[np.ndarray, Field]:
        """The level's estimate (h, w, 3) uint8 and its field, which starts from `coarse`, the field below."""
        config = self.config
        self.workers.tick(0.0)
        usable = usable_patches(self.hole, margin)
        self.workers.tick(0.0)
        field = Field(self.grid, usable, seed, self.workers)
        radius = config.radius
        if coarse is None:
            field.randomise()
            radius = max(self.hole.shape)
        else:
            field.enlarge(coarse, scale)
        self._vote(field, 1)
        for turn in range(config.rounds):
            field.search(self.source, self.source, config.passes, config.candidates, radius)
            self._vote(field, config.last_power if turn == config.rounds - 1 else config.power)
        return self.estimate, field

    def _vote(self, field: Field, power: int) -> None:
        """The patches' mean high band, times its gain, under the hole of `source` and, with the base, of `estimate`."""
        source, hole, place = self.source, self.grid.hole, self.grid.place
        field.vote(
            source, power, lambda a, b, sums: features.write_high(sums, hole, source, place, a), sigma=self.config.sigma
        )
        gain = _gains(self.photo_energy, self._energy_by_class(inside=True), self.config.max_gain)
        self.workers.each(
            lambda a, b: features.add_high(self.base, self.energy, gain, hole, source, self.estimate, place, a, b),
            bands(*hole.shape),
        )

    def _energy_by_class(self, inside: bool) -> tuple[np.ndarray, np.ndarray]:
        """Pixels of each class of texture energy and the sum of their |luma of the high band|, both (40,), in a sample.

        inside: of the hole, else of the known pixels.
        """
        height, width = self.hole.shape
        box = self.grid.box if inside else (slice(0, height), slice(0, width))
        rows, columns = (np.arange(span.start, span.stop, SAMPLE) for span in box)
        counts, sums = np.zeros((2, len(rows), features.CLASSES))
        classes = features.energy_classes()
        self.workers.each(
            lambda a, b: features.add_energies(
                self.source, self.energy, self.hole, inside, classes, rows[a:b], columns, counts[a:b], sums[a:b]
            ),
            bands(len(rows), len(columns) // 4),
        )
        return counts.sum(axis=0), sums.sum(axis=0)


def _gains(photo: tuple[np.ndarray, np.ndarray], fill: tuple[np.ndarray, np.ndarray], limit: float) -> np.ndarray:
    """(256,) float32, in [1, limit]: by texture energy, the photo's mean high band over the fill's."""
    (known, energy_known), (filled, energy_filled) = photo, fill
    enough = (known > MIN_KNOWN) & (filled > MIN_FILLED)
    if limit <= 1 or not enough.any():
        return NO_GAIN
    ratio = (energy_known[enough] / known[enough] + 0.05) / (energy_filled[enough] / filled[enough] + 0.05)
    by_class = np.interp(np.arange(features.CLASSES), np.flatnonzero(enough), ratio.clip(1, limit))
    return by_class.astype(np.float32)[features.energy_classes()]
