"""A photo while it is filled: which of its tiles the model may be given now, and what came back."""

from __future__ import annotations

import statistics
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from moebius.config import SamplingConfig
from moebius.fill import geometry, seeds
from moebius.fill.result import Fill
from moebius.photo import images
from moebius.photo.raster import Raster
from moebius.progress import Progress

if TYPE_CHECKING:
    import torch


MAX_USUAL_HOLE = 0.7
"""Share of the photo above which a mask is perhaps inverted, which is said."""


@dataclass(frozen=True, eq=False)
class Tile:
    """What the model is given of a photo: a square at the model's size, or the whole photo."""

    image: np.ndarray | Raster
    """(S, S, 3) uint8; the whole photo as it is."""
    mask: np.ndarray
    """(S, S) bool; of the whole photo (H, W)."""
    generator: torch.Generator | None
    job: Job
    square: geometry.Square | None = None


class Job(ABC):
    """One photo, as far as it is filled."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    @abstractmethod
    def ready(self) -> int:
        """How many tiles may go into the next call; 0: the photo is filled."""

    @abstractmethod
    def take(self, max_count: int) -> list[Tile]:
        """Tiles for the next call."""

    @abstractmethod
    def put(self, tile: Tile, filled: Any) -> None:
        """What the model made of a tile: (S, S, 3) float32 in [0, 255], or the whole photo's `Fill`."""

    @abstractmethod
    def finish(self, remarks: tuple[str, ...]) -> Fill:
        """The filled photo, once nothing is left. remarks: see `Inpainter.remarks`."""

    def report(self, tiles: Sequence[Tile], share: float, text: str) -> None:
        """Pass on how far the call is that has these tiles of the photo."""
        self._progress(share, text)

    @abstractmethod
    def spend(self, seconds: float, steps_ms: Sequence[float]) -> None:
        """Add a tile's share of a call: seconds, and milliseconds of each step."""


class SquaresJob(Job):
    """A photo that is filled square by square and keeps its resolution.

    Squares go to the model together only where none sees what another changes, so that the result is the one of
    filling them one after the other.
    """

    def __init__(
        self,
        image: Raster,
        rgb: np.ndarray,
        mask: np.ndarray,
        config: SamplingConfig,
        size: int | None,
        generator: torch.Generator | None,
        progress: Progress,
        started: float,
    ) -> None:
        """
        Args:
            rgb: `image` as (H, W, 3) uint8 or uint16; it is painted in.
            mask: (H, W) bool, neither empty nor full.
            size: side of the model's tiles; None: any.
            started: when work on the photo began, by `time.perf_counter`.
        """
        super().__init__(progress)
        self._image, self._size, self._feather_px = image, size, config.feather_px
        self._canvas, self._todo = rgb, mask.copy()
        self._changed = np.zeros(mask.shape, bool)
        self.squares = tuple(geometry.plan_squares(mask, config.context, config.max_squares, size))
        self._left = dict(enumerate(self.squares))  # by place; what the model has is still among them
        self._generators = seeds.for_squares(generator, len(self.squares))
        self._notes = _large_hole(mask)
        self._model_s, self._steps_ms = 0.0, []
        self._geometry_s = time.perf_counter() - started

    def ready(self) -> int:
        return len(self._ready())

    def _ready(self) -> list[int]:
        """Places of the squares that need not wait for another. One that an earlier square's cores covered is
        dropped."""
        ready: list[int] = []
        for place, square in list(self._left.items()):
            earlier = [other for before, other in self._left.items() if before < place]
            if any(geometry.meet(square, other, self._feather_px) for other in earlier):
                continue
            if geometry.remaining(self._todo, square):
                ready.append(place)
            else:
                del self._left[place]
        return ready

    def take(self, max_count: int) -> list[Tile]:
        started = time.perf_counter()
        tiles = []
        for place in self._ready()[:max_count]:
            square = self.squares[place]
            image, mask = geometry.cut(self._canvas, self._todo, square, self._size)
            tiles.append(Tile(image, mask, self._generators[place], self, square))
        self._geometry_s += time.perf_counter() - started
        return tiles

    def put(self, tile: Tile, filled: np.ndarray) -> None:
        started = time.perf_counter()
        geometry.paste(self._canvas, self._changed, self._todo, filled, tile.square, self._feather_px)
        del self._left[self.squares.index(tile.square)]
        self._geometry_s += time.perf_counter() - started

    def report(self, tiles: Sequence[Tile], share: float, text: str) -> None:
        count = len(self.squares)
        done = count - len(self._left)
        places = [self.squares.index(tile.square) + 1 for tile in tiles]
        where = f" (part {', '.join(map(str, places))} of {count})" if count > 1 else ""
        self._progress((done + share * len(tiles)) / count, text + where)

    def spend(self, seconds: float, steps_ms: Sequence[float]) -> None:
        self._model_s += seconds
        self._steps_ms.extend(steps_ms)

    def finish(self, remarks: tuple[str, ...]) -> Fill:
        self._progress(1.0, "Done")
        started = time.perf_counter()
        raster = images.put_back(self._image, self._canvas, self._changed)
        self._geometry_s += time.perf_counter() - started
        return Fill(
            raster=raster,
            changed=self._changed,
            squares=self.squares,
            seconds={"model": self._model_s, "geometry": self._geometry_s},
            step_ms=statistics.median(self._steps_ms) if self._steps_ms else None,
            notes=(*remarks, *self._notes),
        )


class WholePhotoJob(Job):
    """A photo for a model that takes whole photos, see `moebius.inpainters.base.PhotoInpainter`."""

    def __init__(
        self,
        image: Raster,
        mask: np.ndarray,
        generator: torch.Generator | None,
        progress: Progress,
    ) -> None:
        """mask: (H, W) bool, of the photo's size."""
        super().__init__(progress)
        self._tile, self._fill = Tile(image, mask, generator, self), None

    def ready(self) -> int:
        return int(self._fill is None)

    def take(self, max_count: int) -> list[Tile]:
        return [self._tile][:max_count]

    def put(self, tile: Tile, filled: Fill) -> None:
        self._fill = filled

    def spend(self, seconds: float, steps_ms: Sequence[float]) -> None:
        """Not added: the model's own `Fill` has its times."""

    def finish(self, remarks: tuple[str, ...]) -> Fill:
        """The model's own, which has its remarks."""
        self._progress(1.0, "Done")
        return self._fill


def _large_hole(mask: np.ndarray) -> tuple[str, ...]:
    """The note on a mask that may be inverted."""
    if mask.mean() <= MAX_USUAL_HOLE:
        return ()
    return (f"The mask covers {mask.mean():.0%} of the photo, all of which was painted anew; white = repaint.",)


def unchanged(image: Raster, mask: np.ndarray, seconds: float) -> Fill:
    """The result for an empty mask."""
    return Fill(
        raster=image,
        changed=np.zeros(mask.shape, bool),
        squares=(),
        seconds={"model": 0.0, "geometry": seconds},
        notes=("The mask is empty: nothing was painted, so the picture is unchanged.",),
    )
