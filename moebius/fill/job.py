"""A photo while it is filled: which of its tiles the model may be given now, and what came back."""

from __future__ import annotations

import statistics
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from moebius import devices
from moebius.config import SamplingConfig
from moebius.fill import detail, geometry, seeds
from moebius.fill.result import Fill
from moebius.photo import images
from moebius.photo.raster import Raster
from moebius.progress import Progress

if TYPE_CHECKING:
    import torch


MAX_USUAL_HOLE = 0.7
"""Share of the photo above which a mask is perhaps inverted, which is said."""
MODEL_SHARE = 0.8
"""Of the work on a tile that gets detail after the model, as its progress counts it."""


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
        self._image, self._size, self._config, self._feather_px = image, size, config, config.feather_px
        self._canvas, self._todo = rgb, mask.copy()
        self._changed = np.zeros(mask.shape, bool)
        self.squares = tuple(geometry.plan_squares(mask, config.context, config.max_squares, size))
        self._left = dict(enumerate(self.squares))  # by place; what the model has is still among them
        self._shares = [0.0] * len(self.squares)  # how far each is
        if any(detail.applies(square, size, config) for square in self.squares):
            detail.prepare()
        self._generators = seeds.for_squares(generator, len(self.squares))
        self._notes = _large_hole(mask)
        self._seeds = [seeds.for_search(generator) for generator in self._generators]
        self._model_s, self._detail_s, self._detailed, self._steps_ms = 0.0, 0.0, False, []
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
                self._shares[place] = 1.0
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
        place = self.squares.index(tile.square)
        filled = self._with_detail(place, self._in_its_colours(tile, filled))
        started = time.perf_counter()
        geometry.paste(self._canvas, self._changed, self._todo, filled, tile.square, self._feather_px)
        del self._left[place]
        self._shares[place] = 1.0
        self._geometry_s += time.perf_counter() - started

    def _in_its_colours(self, tile: Tile, filled: np.ndarray) -> np.ndarray:
        """The fill of a model that paints all of its tile, with the photo's colours at the rim of the hole."""
        if self._size is None or not self._config.match_colours:
            return filled
        from moebius.patchmatch.seam import RIM_PX, match_seam

        started = time.perf_counter()
        filled = match_seam(tile.image, tile.mask, filled, max(RIM_PX, self._feather_px))
        self._geometry_s += time.perf_counter() - started
        return filled

    def _with_detail(self, place: int, filled: np.ndarray) -> np.ndarray:
        """The fill of one square as it comes from the model, with fine detail if it needs it."""
        square = self.squares[place]
        if not detail.applies(square, self._size, self._config):
            return filled
        started = time.perf_counter()

        def report(share: float, text: str) -> None:
            self._report([place], MODEL_SHARE + (1 - MODEL_SHARE) * share, text)

        threads = devices.cpu_threads()
        filled = detail.add(
            self._canvas, self._todo, filled, square, self._feather_px, self._seeds[place], threads, report
        )
        self._detail_s += time.perf_counter() - started
        self._detailed = True
        return filled

    def report(self, tiles: Sequence[Tile], share: float, text: str) -> None:
        places = [self.squares.index(tile.square) for tile in tiles]
        scaled = [detail.applies(self.squares[place], self._size, self._config) for place in places]
        self._report(places, share * (MODEL_SHARE if any(scaled) else 1.0), text)

    def _report(self, places: Sequence[int], share: float, text: str) -> None:
        for place in places:
            self._shares[place] = share
        count = len(self.squares)
        where = f" (part {', '.join(str(place + 1) for place in places)} of {count})" if count > 1 else ""
        self._progress(sum(self._shares) / count, text + where)

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
            detail=self._detailed,
            seconds={"model": self._model_s, "detail": self._detail_s, "geometry": self._geometry_s},
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
        seconds={"model": 0.0, "detail": 0.0, "geometry": seconds},
        notes=("The mask is empty: nothing was painted, so the picture is unchanged.",),
    )
