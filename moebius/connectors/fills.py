"""A caller's photo on its way: in the page's queue, with its models, limits and photo files. Nothing is kept of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import anyio
import numpy as np
from fastapi import Request
from PIL import Image

from moebius import devices, environment, model_cache, registry, segment
from moebius.config import SamplingConfig
from moebius.connectors.errors import BusyError, UnknownError
from moebius.fill import seeds
from moebius.fill.result import Fill
from moebius.fill.scheduler import fill_photo
from moebius.photo import ai_mark, images
from moebius.photo.photo_file import Encoded, Photo
from moebius.photo.raster import Raster
from moebius.ui import photo_files, queue
from moebius.ui.fill.select import device
from moebius.ui.handlers import Stoppable
from moebius.ui.session import Session

T = TypeVar("T")

WATCH_S = 0.5
"""How often it is looked whether a caller is still there."""


@dataclass(frozen=True, kw_only=True)
class Filled:
    """A caller's photo with its fill."""

    photo: Photo
    mask: np.ndarray
    """(H, W) bool."""
    fill: Fill
    card: registry.ModelCard
    seed: int


class Fills:
    """What the connectors share; one for the whole server."""

    def __init__(self, options: registry.LoadOptions, max_waiting: int) -> None:
        self.options = options
        self._max, self._count, self._lock = max_waiting + 1, 0, threading.Lock()
        self._threads: anyio.CapacityLimiter | None = None

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place among those who wait or are served. Raises BusyError where all are taken."""
        with self._lock:
            if self._count >= self._max:
                raise BusyError(f"{self._max - 1} callers wait here already; try again later")
            self._count += 1
        try:
            yield
        finally:
            with self._lock:
                self._count -= 1

    async def run(
        self, request: Request, work: Callable[[Stoppable], T], tell: Callable[[float], None] = lambda share: None
    ) -> T:
        """Do `work` in a thread; it is told to stop when the caller has gone.

        Args:
            tell: gets the share that is done.
        """
        self._threads = self._threads or anyio.CapacityLimiter(self._max)
        caller = Session(folder=Path())
        report = Stoppable(lambda share, desc: tell(share), caller, "call", environment.MAX_SECONDS.read())

        async def watch() -> None:
            while not await request.is_disconnected():
                await asyncio.sleep(WATCH_S)
            caller.stop()

        def do() -> T:
            try:
                return work(report)
            finally:
                devices.trim()

        watcher = asyncio.create_task(watch())
        try:
            return await anyio.to_thread.run_sync(do, limiter=self._threads)
        finally:
            watcher.cancel()
            with suppress(asyncio.CancelledError):
                await watcher

    # ---- work: in a thread ----

    def card(self, name: str) -> registry.ModelCard:
        """The model of that name, or what `auto` takes. Raises UnknownError, or ValueError: none can run here."""
        if name != registry.AUTO and name not in registry.MODELS:
            raise UnknownError(f"unknown model {name!r:.80}; choose from {registry.AUTO}, {registry.known()}")
        return registry.resolve(name, self.options)[0]

    def fill(
        self,
        data: bytes,
        mask_of: Callable[[Photo], np.ndarray],
        *,
        model: str,
        seed: int | None,
        config: SamplingConfig,
        report: Stoppable,
    ) -> Filled:
        """Open a photo, fill what its mask says.

        Args:
            mask_of: gives the mask, (H, W) bool, once the photo is known.
            seed: None: by chance.
        """
        card = self.card(model)
        seed = seeds.random_seed() if seed is None else seeds.check_seed(seed)
        report(0.0, "Reading the photo")
        photo = photo_files.open_photo(data, "the photo")  # before the turn: others need not wait for a slow file
        mask = mask_of(photo)
        with queue.take(report):
            inpainter = model_cache.acquire(card.name, self.options, report)
            generator = seeds.generator(seed if card.seeded else None)
            fill = fill_photo(inpainter, photo.raster, mask, config, generator, report)
        return Filled(photo=photo, mask=mask, fill=fill, card=card, seed=seed)

    def encode(self, filled: Filled) -> Encoded:
        """The photo's file with the fill in it."""
        fill = filled.fill
        mark = ai_mark.chosen(filled.card.learned)
        return photo_files.encode_photo(filled.photo, fill.raster, fill.changed, mark=mark)

    def can_select(self) -> bool:
        """Whether what selects objects is here."""
        try:
            segment.locate_weights(self.options.weights)
        except ValueError:
            return False
        return True

    def select(self, data: bytes, clicks: list[tuple[float, float, bool]], report: Stoppable) -> np.ndarray:
        """The object that clicks show, (H, W) bool; `clicks`: x, y and whether it is on the object."""
        files = segment.locate_weights(self.options.weights)
        photo = photo_files.open_photo(data, "the photo")
        with queue.take(report):
            selector = segment.load(files, device())
            return selector.predict_object(selector.embed(photo.raster), clicks)


def grey(raster: Raster) -> np.ndarray:
    """A mask's picture as (H, W) uint8, its transparency left aside."""
    if isinstance(raster, Image.Image) and raster.mode in ("1", "L"):
        return np.asarray(raster.convert("L"))
    return np.asarray(Image.fromarray(images.to_rgb8(raster)).convert("L"))
