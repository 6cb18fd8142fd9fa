"""The filler that needs no weights: structure at a few hundred pixels, then detail up to the photo's full size."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import cv2
import numpy as np

from moebius.patchmatch import detail as detail_stage
from moebius.patchmatch import pyramid, structure
from moebius.patchmatch.detail import DetailConfig
from moebius.patchmatch.meter import Meter, Progress, silent
from moebius.patchmatch.search import Workers, usable_cores
from moebius.patchmatch.structure import StructureConfig

SECONDS = (0.3, 5e-8, 1e-6)
"""On one core: a fill, a pixel around the hole, a pixel of the hole (benchmarks/detail.md)."""
PARALLEL = 0.85
"""Share of the work that several threads divide."""


@dataclass(frozen=True, kw_only=True)
class FillConfig:
    base: int = 512
    """Longer side, in pixels, at which the structure is made; smaller photos are filled at their own size."""
    direct: float = 1.25
    """A photo up to this factor larger than `base` is also filled at its own size."""
    structure: StructureConfig = field(default_factory=StructureConfig)
    detail: DetailConfig = field(default_factory=DetailConfig)


DEFAULT = FillConfig()


def fill(
    image: np.ndarray,
    hole: np.ndarray,
    *,
    seed: int = 0,
    threads: int | None = None,
    progress: Progress = silent,
    config: FillConfig = DEFAULT,
) -> np.ndarray:
    """`image` with its hole filled at full resolution, all other pixels as they were.

    The result is a function of the known pixels, `hole`, `seed` and `config`; the number of threads has no influence.
    A photo of 16 bits is filled with values of 8 (times 257).
    Only the hole's box and a margin of at most 1,024 pixels are read. Beside photo and result this needs about 40 bytes
    of memory for each of their pixels.

    Args:
        image: (H, W, 3) uint8 or uint16, or grey (H, W).
        hole: (H, W) bool, True = fill.
        threads: None: one for each core this process may use.
        progress: may raise to cancel; the work stops within 0.2 s.

    Raises:
        ValueError: the hole covers all of the photo, or the arrays do not fit.
    """
    if image.shape[:2] != hole.shape or hole.dtype != bool:
        raise ValueError(
            f"image {image.shape} and hole {hole.shape} {hole.dtype} do not fit: (H, W, 3) and (H, W) bool"
        )
    if not hole.any():
        progress(1.0, "Nothing to fill")
        return image.copy()
    if hole.all():
        raise ValueError("the hole covers the whole photo, so there is nothing to fill it from")
    window = pyramid.surroundings(hole)
    part = np.ascontiguousarray(hole[window])
    progress(0.0, "Starting")
    known = pyramid.as_bytes(image[window], part)
    progress(0.0, "Starting")
    size = base_size(part.shape, config)
    meter = Meter(progress, _costs(part, size, config))
    with Workers(threads, meter.tick) as workers:
        filled = _fill(known, part, size, seed, workers, meter, config)
    meter.tick(0.0)
    out = image.copy()
    meter.tick(0.0)
    values = filled if image.ndim == 3 else np.ascontiguousarray(filled[..., 0])
    if image.dtype == np.uint16:
        values = values.astype(np.uint16) * np.uint16(257)
    cv2.copyTo(values, part.view(np.uint8), out[window])
    meter.finish()
    return out


def base_size(shape: tuple[int, int], config: FillConfig = DEFAULT) -> tuple[int, int]:
    """(h, w) at which the structure of a part (H, W) of a photo is made."""
    longer = max(shape)
    if longer <= config.base * config.direct:
        return shape
    height, width = (max(1, round(side * config.base / longer)) for side in shape)
    return height, width


def estimate_seconds(hole: np.ndarray, threads: int | None = None) -> float:
    """About how long `fill` takes for `hole` (H, W) bool, on a machine like that of benchmarks/detail.md."""
    if not hole.any():
        return 0.0
    start, near, inside = SECONDS
    pixels = math.prod(span.stop - span.start for span in pyramid.surroundings(hole))
    alone = start + near * pixels + inside * float(np.count_nonzero(hole))
    return alone * (1 - PARALLEL + PARALLEL / (threads or usable_cores()))


def _costs(hole: np.ndarray, size: tuple[int, int], config: FillConfig) -> list[float]:
    scale = math.prod(size) / hole.size
    small = np.zeros(size, bool)
    small.flat[: max(1, round(np.count_nonzero(hole) * scale))] = True
    first = structure.costs(small, config.structure)
    return first if size == hole.shape else [*first, *detail_stage.costs(hole, size)]


def _fill(
    known: np.ndarray,
    hole: np.ndarray,
    size: tuple[int, int],
    seed: int,
    workers: Workers,
    meter: Meter,
    config: FillConfig,
) -> np.ndarray:
    """`known` (H, W, 3) uint8 with `hole` (H, W) bool filled."""
    if size == hole.shape:
        return structure.fill_structure(known, hole, seed, workers, meter, config.structure)
    (photo, _), (part, _) = pyramid.reductions(known, hole, [size, hole.shape], workers.tick)
    photo[part] = pyramid.UNDER_HOLE
    if part.all():  # a hole that leaves a few thin lines
        base = pyramid.resize(pyramid.smooth_fill(known, hole), size, cv2.INTER_AREA)
    else:
        base = structure.fill_structure(photo, part, seed, workers, meter, config.structure)
    return detail_stage.add_detail(known, hole, base, seed, workers, meter, config.detail)
