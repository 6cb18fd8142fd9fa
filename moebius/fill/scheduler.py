"""The steps of a fill: plan squares, cut tiles, let the model fill them, paste.

One call of the model can fill several tiles, of one photo or of several. This works with any model: see
`moebius.inpainters.base` for the interface.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from moebius import devices
from moebius.config import SamplingConfig
from moebius.fill.call_progress import CallProgress
from moebius.fill.job import Job, SquaresJob, Tile, WholePhotoJob, unchanged
from moebius.fill.result import Fill
from moebius.photo import images
from moebius.photo.raster import Raster, shape_of
from moebius.progress import Cancelled, Progress, no_progress

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from moebius.inpainters.base import Inpainter

Result = tuple[Any, Fill | Exception]
"""A photo's name, and its fill or the error."""


def fill_photo(
    model: Inpainter,
    image: Raster,
    mask_image: Image.Image | np.ndarray,
    config: SamplingConfig | None = None,
    generator: torch.Generator | None = None,
    progress: Progress = no_progress,
    batch_size: int = 1,
) -> Fill:
    """Fill the white part of `mask_image` in one photo.

    Args:
        image: Pillow image in RGB, RGBA (alpha is kept), L, LA, P, CMYK, 1 or I;16, or an array (H, W, 2, 3 or 4)
            uint16.
        mask_image: same size; white = repaint, see `images.mask_array`.
        config: None in a field: the model's own choice.
        generator: see `moebius.fill.seeds.generator`; None: a random seed.
        batch_size: tiles that may share a call of the model.

    Returns:
        A picture of the same size and mode; pixels further than `config.feather_px` from the hole are identical.

    Raises:
        ValueError: sizes differ, the mask is full, the mode is not supported.
        MemoryError: the model does not fit into memory, even alone.
        Cancelled: `progress` raised it.
    """
    scheduler = Scheduler(lambda: model, config, batch_size)
    results = [*scheduler.add(None, image, mask_image, generator, progress), *scheduler.flush()]
    ((_, result),) = results
    if isinstance(result, Exception):
        raise result
    return result


class Scheduler:
    """Takes photos one by one, and returns each as soon as it is filled.

    At most `batch_size` - 1 photos wait for others to share a call with. While no photo waits, no reference to the
    model is kept, so that another model may replace it in memory.
    """

    def __init__(
        self, load: Callable[[], Inpainter], config: SamplingConfig | None = None, batch_size: int = 1
    ) -> None:
        """
        Args:
            load: returns the model; called for every photo, because the model may have been loaded again.
            batch_size: tiles that share a call of the model.

        Raises:
            ValueError: the batch size is below 1.
        """
        if batch_size < 1:
            raise ValueError(f"the batch size must be at least 1, got {batch_size}")
        self.batch_size = batch_size
        """The requested size, or less after memory ran out with it."""
        self._load, self._open_config = load, config or SamplingConfig()
        self._config = self._open_config
        self._model: Inpainter | None = None
        self._open: list[tuple[Any, Job]] = []

    def add(
        self,
        name: Any,
        image: Raster,
        mask_image: Image.Image | np.ndarray,
        generator: torch.Generator | None = None,
        progress: Progress = no_progress,
        rgb: np.ndarray | None = None,
    ) -> Iterator[Result]:
        """Take a photo, and call the model while there are enough tiles. An error becomes the result of its photo.

        Arguments as for `fill_photo`.

        Args:
            name: returned with the result.
            rgb: `images.to_rgb(image)` if the caller has it; it is changed.

        Raises:
            Cancelled: a photo's `progress` raised it.
        """
        self._model = self._load()
        self._config = self._open_config.with_defaults(self._model.defaults)
        begun: Job | Fill | Exception
        try:
            begun = self._begin(image, mask_image, generator, progress, rgb)
        except Cancelled:
            raise
        except Exception as error:
            begun = error
        if isinstance(begun, Job):
            self._open.append((name, begun))
            yield from self._work(self.batch_size)
            return
        self._release_idle_model()
        results: deque[Result] = deque([(name, begun)])
        del begun
        yield from _hand_over(results)

    def flush(self) -> Iterator[Result]:
        """Fill the photos that still wait."""
        yield from self._work(1)

    def _begin(
        self,
        image: Raster,
        mask_image: Image.Image | np.ndarray,
        generator: torch.Generator | None,
        progress: Progress,
        rgb: np.ndarray | None,
    ) -> Job | Fill:
        """The photo as a job, or its result if there is nothing to fill."""
        started = time.perf_counter()
        whole = self._model.whole_photos(self._config) is not None
        if rgb is None and not whole:
            rgb = images.to_rgb(image)  # (H, W, 3) uint8 or uint16
        mask = images.mask_array(mask_image)  # (H, W) bool
        images.check_mask(mask, shape_of(image))
        if whole:
            return WholePhotoJob(image, mask, generator, progress)
        if not mask.any():
            return unchanged(image, mask, time.perf_counter() - started)
        return SquaresJob(image, rgb, mask, self._config, self._model.size, generator, progress, started)

    def _work(self, min_tiles: int) -> Iterator[Result]:
        while self._open and sum(job.ready() for _, job in self._open) >= min_tiles:
            failed = self._call(self._take())
            remarks = self._model.remarks()
            done = [(name, job) for name, job in self._open if job in failed or job.ready() == 0]
            self._open = [one for one in self._open if one not in done]
            self._release_idle_model()
            results = deque((name, failed.get(job) or _finish(job, remarks)) for name, job in done)
            del failed, done
            yield from _hand_over(results)

    def _release_idle_model(self) -> None:
        if not self._open:
            self._model = None

    def _take(self) -> list[Tile]:
        """Tiles for the next call; earlier photos first."""
        tiles: list[Tile] = []
        for _, job in self._open:
            if len(tiles) < self.batch_size:
                tiles += job.take(self.batch_size - len(tiles))
        return tiles

    def _call(self, tiles: list[Tile]) -> dict[Job, Exception]:
        """Fill tiles and put them into their photos; returns the photos that failed, with their errors."""
        failed: dict[Job, Exception] = {}
        for tile, filled in zip(tiles, self._fill(tiles), strict=True):
            try:
                if isinstance(filled, Exception):
                    raise filled
                tile.job.put(tile, filled)
            except Cancelled:
                raise
            except Exception as error:
                failed[tile.job] = error
        return failed

    def _fill(self, tiles: list[Tile]) -> list[np.ndarray | Fill | Exception]:
        """Fill tiles in one call; the result is each tile's fill or error.

        If memory runs out, another model is unloaded, then the call is halved, then this model shrinks. If a call fails
        for another reason, it is halved until the tile that causes it is found, and the others are filled.

        Raises:
            Cancelled: a photo's progress raised it.
        """
        states = [tile.generator.get_state() if tile.generator is not None else None for tile in tiles]
        while True:
            try:
                return self._ask_model(tiles)
            except Cancelled:
                raise
            except Exception as error:
                out_of_memory = devices.is_out_of_memory(error)
                if not out_of_memory and len(tiles) == 1:
                    return [error]
            # outside of `except` the error is freed, and with it the tensors in its frames
            for tile, state in zip(tiles, states, strict=True):
                if state is not None:
                    tile.generator.set_state(state)  # the same fill as without the failure
            if out_of_memory:
                devices.release_memory()
                if self._model.make_room():
                    continue
            if len(tiles) > 1:
                half = len(tiles) // 2
                if out_of_memory:
                    self.batch_size = min(self.batch_size, half)
                return self._fill(tiles[:half]) + self._fill(tiles[half:])
            if self._model.shrink() is None:
                return [MemoryError(f"not enough memory for {self._model.name}, even with nothing else loaded")]

    def _ask_model(self, tiles: list[Tile]) -> list[Any]:
        """One call of the model; each photo gets its progress and its share of the time."""
        by_job = {tile.job: [other for other in tiles if other.job is tile.job] for tile in tiles}

        def tell(share: float, text: str) -> None:
            for job, own in by_job.items():
                job.report(own, share, text)

        tell(0.0, "Starting")
        report, started = CallProgress(tell), time.perf_counter()
        whole = self._model.whole_photos(self._config)
        fill: Callable[..., list[Any]] = self._model.fill_squares if whole is None else whole.fill_photos
        filled = fill(
            [tile.image for tile in tiles],
            [tile.mask for tile in tiles],
            self._config,
            [tile.generator for tile in tiles],
            report,
        )
        seconds = (time.perf_counter() - started) / len(tiles)
        steps_ms = [step_ms / len(tiles) for step_ms in report.steps_ms]
        for tile in tiles:
            tile.job.spend(seconds, steps_ms)
        return filled


def _hand_over(results: deque[Result]) -> Iterator[Result]:
    """Yield the results one by one without keeping them: an error holds the model in its frames."""
    while results:
        yield results.popleft()


def _finish(job: Job, remarks: tuple[str, ...]) -> Fill | Exception:
    try:
        return job.finish(remarks)
    except Cancelled:
        raise
    except Exception as error:
        return error
