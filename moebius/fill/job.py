"""A photo while it is filled: which of its squares the model may be given now, and what came back."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from moebius.fill import geometry
from moebius.fill.result import Fill
from moebius.photo import images
from moebius.photo.raster import Raster
from moebius.progress import Progress

if TYPE_CHECKING:
    import torch

    from moebius.config import SamplingConfig


@dataclass(frozen=True, eq=False)
class Piece:
    """What the model is given of a photo: a square, or all of it, at the model's size."""

    image: np.ndarray
    """(S, S, 3) uint8."""
    mask: np.ndarray
    """(S, S) bool."""
    generator: torch.Generator | None
    photo: Filling
    square: geometry.Square | None = None


class Filling:
    """One photo, as far as it is filled: in squares, or as a whole."""

    squares: tuple[geometry.Square, ...] = ()
    shape: tuple[int, int] | None = None
    """(H, W) of its pieces; None: of any. Only pieces of one shape go into one call."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._model_s = self._geometry_s = 0.0
        self._steps: list[float] = []

    def ready(self) -> int:
        """How many pieces may go into the next call; 0: it is done."""
        raise NotImplementedError

    def take(self, most: int) -> list[Piece]:
        """At most so many of them, which are then in the model's hands."""
        raise NotImplementedError

    def put(self, piece: Piece, filled: np.ndarray) -> None:
        """What became of a piece: (S, S, 3) float32 in [0, 255]."""
        raise NotImplementedError

    def fill(self, notes: tuple[str, ...]) -> Fill:
        """All of it, when nothing is left."""
        raise NotImplementedError

    def report(self, pieces: Sequence[Piece], share: float, text: str) -> None:
        """Tell how far the call is that has these pieces of the photo."""
        self._progress(share, text)

    def spent(self, seconds: float, steps_ms: Sequence[float]) -> None:
        """A piece's share of a call: seconds, and milliseconds of each step."""
        self._model_s += seconds
        self._steps.extend(steps_ms)

    @property
    def step_ms(self) -> float | None:
        return statistics.median(self._steps) if self._steps else None

    @property
    def seconds(self) -> dict[str, float]:
        return {"model": self._model_s, "geometry": self._geometry_s}


class FillingSquares(Filling):
    """A square of context around every hole; the photo keeps its resolution.

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
        """rgb: `image` as (H, W, 3) uint8 or uint16, which is painted in. mask: (H, W) bool, neither empty nor full.
        size: side of the model's squares; None: any. started: when work on the photo began, by `time.perf_counter`."""
        super().__init__(progress)
        self.image, self.shape, self._size, self._feather_px = image, size and (size, size), size, config.feather_px
        self._canvas, self._todo = rgb, mask.copy()
        self._changed = np.zeros(mask.shape, bool)
        self.squares = tuple(geometry.plan_squares(mask, config.context, config.max_squares, size))
        self._left = dict(enumerate(self.squares))  # by place; what the model has is still among them
        self._generators = _generators(generator, len(self.squares))
        self._geometry_s += time.perf_counter() - started

    def ready(self) -> int:
        return len(self._ready())

    def _ready(self) -> list[int]:
        """Places of the squares that can be filled without waiting for another. One that an earlier square's core
        covered is dropped."""
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

    def take(self, most: int) -> list[Piece]:
        started = time.perf_counter()
        pieces = []
        for place in self._ready()[:most]:
            square = self.squares[place]
            tile, hole = geometry.cut(self._canvas, self._todo, square, self._size)
            pieces.append(Piece(tile, hole, self._generators[place], self, square))
        self._geometry_s += time.perf_counter() - started
        return pieces

    def put(self, piece: Piece, filled: np.ndarray) -> None:
        started = time.perf_counter()
        geometry.paste(self._canvas, self._changed, self._todo, filled, piece.square, self._feather_px)
        del self._left[self.squares.index(piece.square)]
        self._geometry_s += time.perf_counter() - started

    def report(self, pieces: Sequence[Piece], share: float, text: str) -> None:
        count = len(self.squares)
        done = count - len(self._left)
        places = [self.squares.index(piece.square) + 1 for piece in pieces]
        where = f" (part {', '.join(map(str, places))} of {count})" if count > 1 else ""
        self._progress((done + share * len(pieces)) / count, text + where)

    def fill(self, notes: tuple[str, ...]) -> Fill:
        self._progress(1.0, "Done")
        started = time.perf_counter()
        raster = images.put_back(self.image, self._canvas, self._changed)
        self._geometry_s += time.perf_counter() - started
        return Fill(
            raster=raster,
            changed=self._changed,
            squares=self.squares,
            seconds=self.seconds,
            step_ms=self.step_ms,
            notes=notes,
        )


def _generators(generator: torch.Generator | None, count: int) -> list[torch.Generator | None]:
    """One for each square, so that its noise depends neither on how many others there are nor on which share its call.

    The first square has the photo's own, the others have seeds that are drawn from a copy of it.
    """
    if generator is None or count == 1:
        return [generator] * count
    import torch

    copy = torch.Generator(generator.device)
    copy.set_state(generator.get_state())
    seeds = torch.randint(2**63 - 1, (count - 1,), generator=copy, device=copy.device).tolist()
    return [generator, *(torch.Generator(copy.device).manual_seed(seed) for seed in seeds)]
