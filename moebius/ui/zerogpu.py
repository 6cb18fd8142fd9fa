"""ZeroGPU, Spaces that lend a GPU for the seconds of a call: fills run there, everything else stays as it is.

Elsewhere, and where its package `spaces` is absent, nothing here does anything. What ZeroGPU asks for: models are
loaded before the page starts, by a process that never computes on the GPU; a call runs in a forked process, so what
goes in and comes out must pickle; nothing is compiled.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

import gradio as gr
import numpy as np

from moebius import environment, model_cache, paper, registry
from moebius.config import MODEL_SIZE, SamplingConfig
from moebius.fill import detail, geometry, seeds
from moebius.fill.call_progress import CallProgress
from moebius.fill.result import Fill
from moebius.fill.scheduler import fill_photo
from moebius.inpainters.base import Facts, Inpainter, PhotoInpainter
from moebius.photo.raster import Raster
from moebius.ui.gpu_seconds import Ledger, Row

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

OVERHEAD_S, MARGIN, MAX_S = 10, 4, 120
"""Seconds for weights to reach the GPU and a picture to come back; how many times slower than the paper's GPU its steps
may be, in float32; and what no visitor's quota should be asked for more than."""
DETAIL_S = 1.0
"""Seconds of the detail stage for a million pixels of a square that was scaled down, generously."""

LEDGER = Ledger()
"""Of the fills that ran here. Until there are some, seconds are guessed from the paper's."""


def is_available() -> bool:
    """Whether this is a Space with ZeroGPU."""
    return environment.SPACES_ZERO_GPU.read().lower() in ("1", "t", "true") and find_spec("spaces") is not None


def start(options: registry.LoadOptions) -> None:
    """Have every model run on the GPU that is lent, and load the one that `auto` takes; before the page is launched."""
    import spaces

    lent = spaces.GPU(duration=seconds_for)(run)
    model_cache.lend_through(lambda name, options, model: Borrowing(name, options, model, lent))
    card, why = registry.resolve(registry.AUTO, options)
    log.info("ZeroGPU: %s", why)
    model_cache.acquire(card.name, options)


def seconds_for(
    name: str, options: registry.LoadOptions, image: Raster, mask: np.ndarray, config: SamplingConfig, seed: int | None
) -> int:
    """How long a fill may take on the GPU, from its steps, squares and model; arguments as for `run`."""
    squares = geometry.plan_squares(mask, config.context, config.max_squares, MODEL_SIZE) if mask.any() else ()
    steps = len(squares) * (config.num_inference_steps or 0)
    known = LEDGER.seconds(name, steps)
    if known is None:
        timing = paper.TIMINGS.get(name)
        known = OVERHEAD_S + steps * (MARGIN * timing.step_ms / 1000 if timing else 0.0)
    scaled = sum(square.side**2 for square in squares if detail.applies(square, MODEL_SIZE, config))
    return math.ceil(min(known + DETAIL_S * scaled / 1e6, MAX_S, environment.MAX_SECONDS.read()))


def run(
    name: str, options: registry.LoadOptions, image: Raster, mask: np.ndarray, config: SamplingConfig, seed: int | None
) -> tuple[Fill | None, str, float]:
    """A fill, in the process that has the GPU, and its seconds; or none and the reason: an error would lose its message
    on the way.

    Args:
        mask: (H, W) bool.
        config: with the model's own steps and guidance.
        seed: None: the model is not seeded.
    """
    started, progress = time.perf_counter(), gr.Progress()
    generator = seeds.generator(seed)
    try:
        model = model_cache.acquire(name, options)
        model = model.model if isinstance(model, Borrowing) else model
        fill = fill_photo(model, image, mask, config, generator, lambda share, text: progress(share, desc=text))
        return fill, "", time.perf_counter() - started
    except (ValueError, MemoryError) as error:
        return None, str(error) or type(error).__name__, 0.0


class Borrowing(Inpainter, PhotoInpainter):
    """A model whose fills are done by `lent`, which is `run` on a GPU of somebody else's.

    A run that the visitor stops is left alone; it ends after the seconds that it was given.
    """

    def __init__(self, name: str, options: registry.LoadOptions, model: Inpainter, lent: Callable) -> None:
        self.name, self.size, self.defaults, self.model = model.name, model.size, model.defaults, model
        self._loaded, self._lent = (name, options), lent

    def whole_photos(self, config: SamplingConfig) -> PhotoInpainter:
        return self

    def fill_photos(
        self,
        photos: Sequence[Raster],
        masks: Sequence[np.ndarray],
        config: SamplingConfig,
        generators: Sequence[torch.Generator | None],
        progress: CallProgress,
    ) -> list[Fill]:
        """One after the other, each from the seed that its generator began with."""
        fills = []
        for index, (photo, mask, generator) in enumerate(zip(photos, masks, generators, strict=True)):
            progress(index / len(photos), "Waiting for the GPU")
            seed = None if generator is None else generator.initial_seed()
            try:
                fill, wrong, seconds = self._lent(*self._loaded, photo, mask, config, seed)
            except Exception:  # most often: it took longer than was asked for
                LEDGER.forget(self.name)
                raise
            if wrong:
                raise ValueError(wrong)
            if fill.step_ms:
                steps = len(fill.squares) * (config.num_inference_steps or 0)
                LEDGER.add(self.name, Row(steps, fill.step_ms / 1000, seconds - fill.seconds["detail"]))
            fills.append(fill)
        return fills

    def fill_squares(
        self,
        tiles: Sequence[np.ndarray],
        masks: Sequence[np.ndarray],
        config: SamplingConfig,
        generators: Sequence[torch.Generator | None],
        progress: CallProgress,
    ) -> list[np.ndarray]:
        return self.model.fill_squares(tiles, masks, config, generators, progress)

    def facts(self) -> Facts:
        return self.model.facts()

    def remarks(self) -> tuple[str, ...]:
        return self.model.remarks()
