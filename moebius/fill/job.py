"""A photo while it is filled: the tiles that the model may get now, and the tiles that it has filled."""

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
"""Above this share of the photo the mask may be inverted, and a note says so."""
MODEL_SHARE = 0.8
"""The model's share of the progress on a tile that gets detail afterwards."""


@dataclass(frozen=True, eq=False)
class Tile:
    """The model's input: a square of a photo at the model's size, or the whole photo."""

    image: np.ndarray | Raster
    """(S, S, 3) uint8; the whole photo as it is."""
    mask: np.ndarray
    """(S, S) bool; of the whole photo (H, W)."""
    generator: torch.Generator | None
    job: Job
    square: geometry.Square | None = None


class Job(ABC):
    """One photo while it is filled."""

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
        """Take a filled tile: (S, S, 3) float32 in [0, 255], or the whole photo's `Fill`."""

    @abstractmethod
    def finish(self, remarks: tuple[str, ...]) -> Fill:
        """The filled photo, once no tile is left. remarks: see `Inpainter.remarks`."""

    def report(self, tiles: Sequence[Tile], share: float, text: str) -> None:
        """Report the progress of the call that fills these tiles of the photo."""
        self._progress(share, text)

    @abstractmethod
    def spend(self, seconds: float, steps_ms: Sequence[float]) -> None:
        """Add a tile's share of a call: seconds, and milliseconds of each step."""


class SquaresJob(Job):
    """A photo that is filled square by square and keeps its resolution.

    A call contains only squares that do not overlap each other's changes, so the result is the same as filling them one
    after the other.
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
            rgb: `image` as (H, W, 3) uint8 or uint16; fills are written into it.
            mask: (H, W) bool, neither empty nor full.
            size: side of the model's tiles; None: any.
            started: when work on the photo began, by `time.perf_counter`.
        """
        super().__init__(progress)
        self._image, self._size, self._config, self._feather_px = image, size, config, config.feather_px
        self._canvas, self._todo = rgb, mask.copy()
        self._changed = np.zeros(mask.shape, bool)
        self.squares = tuple(geometry.plan_squares(mask, config.context, config.max_squares, size))
        self._left = dict(enumerate(self.squares))  # by place; includes the squares that the model is filling
        self._shares = [0.0] * len(self.squares)  # finished share of each
        if any(detail.applies(square, size, config) for square in self.squares):
            detail.prepare()
        self._generators = seeds.for_squares(generator, len(self.squares))
        self._notes = _large_hole(mask)
        self._seeds = [seeds.for_search(generator) for generator in self._generators]
        self._model_s, self._detail_s, self._detailed = 0.0, 0.0, False
        self._steps_ms: list[float] = []
        self._geometry_s = time.perf_counter() - started

    def ready(self) -> int:
        """How many tiles can be filled now, without waiting for others."""
        return len(self._ready())

    def _ready(self) -> list[int]:
        """Places of the squares that need not wait for another one. A square whose hole others have filled is
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
        """The next tiles, at most so many; each is filled once."""
        started = time.perf_counter()
        tiles = []
        for place in self._ready()[:max_count]:
            square = self.squares[place]
            image, mask = geometry.cut(self._canvas, self._todo, square, self._size)
            tiles.append(Tile(image, mask, self._generators[place], self, square))
        self._geometry_s += time.perf_counter() - started
        return tiles

    def put(self, tile: Tile, filled: np.ndarray) -> None:
        """Paste a filled tile; squares that waited for it become ready."""
        place = self.squares.index(tile.square)
        filled = self._with_detail(place, self._in_its_colours(tile, filled))
        started = time.perf_counter()
        geometry.paste(self._canvas, self._changed, self._todo, filled, tile.square, self._feather_px)
        del self._left[place]
        self._shares[place] = 1.0
        self._geometry_s += time.perf_counter() - started

    def _in_its_colours(self, tile: Tile, filled: np.ndarray) -> np.ndarray:
        """Correct the colours of a model's fill at the rim of the hole."""
        if self._size is None or not self._config.match_colours:
            return filled
        from moebius.patchmatch.seam import RIM_PX, match_seam

        started = time.perf_counter()
        filled = match_seam(np.asarray(tile.image), tile.mask, filled, max(RIM_PX, self._feather_px))
        self._geometry_s += time.perf_counter() - started
        return filled

    def _with_detail(self, place: int, filled: np.ndarray) -> np.ndarray:
        """The model's fill of one square, with fine detail if the square was scaled down."""
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
        """Pass on the progress of tiles that are being filled."""
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
        """Add the seconds of a call, and of its steps, to this photo's."""
        self._model_s += seconds
        self._steps_ms.extend(steps_ms)

    def finish(self, remarks: tuple[str, ...]) -> Fill:
        """The photo's fill, when all its tiles are there."""
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
        self._tile = Tile(image, mask, generator, self)
        self._fill: Fill | None = None

    def ready(self) -> int:
        return int(self._fill is None)

    def take(self, max_count: int) -> list[Tile]:
        return [self._tile][:max_count]

    def put(self, tile: Tile, filled: Fill) -> None:
        self._fill = filled

    def spend(self, seconds: float, steps_ms: Sequence[float]) -> None:
        """Ignored: the model's own `Fill` has its times."""

    def finish(self, remarks: tuple[str, ...]) -> Fill:
        """The model's own `Fill`, which already has its remarks."""
        self._progress(1.0, "Done")
        return self._fill


def _large_hole(mask: np.ndarray) -> tuple[str, ...]:
    """A note if the mask may be inverted."""
    if mask.mean() <= MAX_USUAL_HOLE:
        return ()
    return (f"The mask covers {mask.mean():.0%} of the photo, and all of it was repainted; white = repaint.",)


def unchanged(image: Raster, mask: np.ndarray, seconds: float) -> Fill:
    """The result for an empty mask."""
    return Fill(
        raster=image,
        changed=np.zeros(mask.shape, bool),
        squares=(),
        seconds={"model": 0.0, "detail": 0.0, "geometry": seconds},
        notes=("The mask is empty: nothing was painted, so the picture is unchanged.",),
    )
