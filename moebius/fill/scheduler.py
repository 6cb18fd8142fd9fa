"""Photos whose squares share the model's calls, as many squares a call as were asked for.

A photo alone, with one square a call, goes the same way.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from moebius.fill.job import Filling, Piece
from moebius.fill.result import Fill
from moebius.photo.raster import Raster
from moebius.progress import Cancelled, Progress

if TYPE_CHECKING:
    import numpy as np
    import torch

    from moebius.config import SamplingConfig
    from moebius.inpainters.base import Inpainter

Result = tuple[Any, Fill | Exception]
"""The name that a photo was given, and what became of it."""


class Together:
    """Photos go in one by one, and come out as soon as they are filled.

    At most `batch_size` - 1 photos wait for others to fill up a call with. While none waits the model is not held, so
    that another one may take its place in memory.
    """

    def __init__(self, load: Callable[[], Inpainter], config: SamplingConfig | None, batch_size: int = 1) -> None:
        """
        Args:
            load: gives the model, asked for with every photo; it may have been loaded anew.
            batch_size: squares that fill one call.

        Raises:
            ValueError: the batch size is below 1.
        """
        if batch_size < 1:
            raise ValueError(f"the batch size must be at least 1, got {batch_size}")
        self.batch_size = batch_size
        """What was asked for, or less where memory ran out with it."""
        self._load, self._config = load, config
        self._model: Inpainter | None = None
        self._open: list[tuple[Any, Filling]] = []

    def add(
        self,
        name: Any,
        image: Raster,
        mask_image: Raster,
        generator: torch.Generator | None = None,
        progress: Progress = lambda share, text: None,
        rgb: np.ndarray | None = None,
    ) -> Iterator[Result]:
        """Take a photo; then the model works as long as there are squares enough for a call. An error is its photo's.

        rgb: see `Inpainter.begin`.

        Raises:
            Cancelled: a photo's `progress` raised it.
        """
        self._model = self._load()
        try:
            photo = self._model.begin(image, mask_image, self._config, generator, progress, rgb)
        except Cancelled:
            raise
        except Exception as error:
            photo = error
        if isinstance(photo, Filling):
            self._open.append((name, photo))
            yield from self._work(self.batch_size)
            return
        self._rest()
        results = deque([(name, photo)])
        del photo
        yield from _handed_over(results)

    def rest(self) -> Iterator[Result]:
        """Fill what is still waiting."""
        yield from self._work(1)

    def _work(self, least: int) -> Iterator[Result]:
        while self._open and sum(photo.ready() for _, photo in self._open) >= least:
            failed, notes = self._call(self._pieces()), self._model.remarks()
            self.batch_size = min(self.batch_size, self._model.fits or self.batch_size)
            done = [(name, photo) for name, photo in self._open if photo in failed or photo.ready() == 0]
            self._open = [one for one in self._open if one not in done]
            self._rest()
            results = deque((name, failed.get(photo) or _finished(photo, notes)) for name, photo in done)
            del failed, done
            yield from _handed_over(results)

    def _rest(self) -> None:
        if not self._open:
            self._model = None

    def _pieces(self) -> list[Piece]:
        """For the next call: of the photo that came first, and of others with pieces of that shape."""
        pieces: list[Piece] = []
        for _, photo in self._open:
            if photo.shape == self._open[0][1].shape and len(pieces) < self.batch_size:
                pieces += photo.take(self.batch_size - len(pieces))
        return pieces

    def _call(self, pieces: list[Piece]) -> dict[Filling, Exception]:
        """Have pieces filled, and put into their photos; the photos where that failed."""
        failed: dict[Filling, Exception] = {}
        for piece, filled in zip(pieces, self._model.fill_pieces(pieces, self._config), strict=True):
            try:
                if isinstance(filled, Exception):
                    raise filled
                piece.photo.put(piece, filled)
            except Cancelled:
                raise
            except Exception as error:
                failed[piece.photo] = error
        return failed


def _handed_over(results: deque[Result]) -> Iterator[Result]:
    """One after the other, and nothing of it is kept here: an error has the model in its frames."""
    while results:
        yield results.popleft()


def _finished(photo: Filling, notes: tuple[str, ...]) -> Fill | Exception:
    try:
        return photo.fill(notes)
    except Cancelled:
        raise
    except Exception as error:
        return error
