"""What a model gives: `Inpainter`, tiles and masks in, filled tiles out. All else is `moebius.fill.scheduler`'s."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from moebius.config import MODEL_SIZE, ModelDefaults, SamplingConfig
from moebius.fill.call_progress import CallProgress
from moebius.fill.result import Fill
from moebius.photo.raster import Raster

if TYPE_CHECKING:
    import torch

Facts = dict[str, str | int | None]


class PhotoInpainter(ABC):
    """Who is given whole photos: the published recipe, a GPU that is lent."""

    @abstractmethod
    def fill_photos(
        self,
        photos: Sequence[Raster],
        masks: Sequence[np.ndarray],
        config: SamplingConfig,
        generators: Sequence[torch.Generator | None],
        progress: CallProgress,
    ) -> list[Fill]:
        """Fill photos, each as if it were alone.

        Args:
            photos: see `Raster`, of any sizes.
            masks: (H, W) bool of the photos' sizes, True = repaint; not full.
            config: with the model's own steps and guidance filled in.
            generators: as for `Inpainter.fill_squares`.

        Returns:
            The results, with everything that is to be said about them.
        """


class Inpainter(ABC):
    """A model that fills tiles: squares that the scheduler cuts out of photos, and pastes back."""

    name: str
    """As in the registry: `classical`, `moebius`."""
    size: int | None = MODEL_SIZE
    """Side of the tiles it works on; None: any size, squares are not scaled."""
    defaults: ModelDefaults | None = None
    """Steps and guidance where a `SamplingConfig` leaves them open; None: it has neither."""

    @abstractmethod
    def fill_squares(
        self,
        tiles: Sequence[np.ndarray],
        masks: Sequence[np.ndarray],
        config: SamplingConfig,
        generators: Sequence[torch.Generator | None],
        progress: CallProgress,
    ) -> list[np.ndarray]:
        """Fill tiles, each as if it were alone.

        Args:
            tiles: (S, S, 3) uint8 RGB each, S = `size`, grey under the hole. Without a `size` they may differ in S.
            masks: (S, S) bool, True = repaint; neither empty nor full.
            config: with the model's own steps and guidance filled in.
            generators: a source of randomness for each tile; None: seeded by the clock.
            progress: how far all tiles are; its `step_ended` at the end of every denoising step.

        Returns:
            (S, S, 3) float32 in [0, 255] each; values outside the hole may differ from the tile, the scheduler blends.
        """

    def facts(self) -> Facts:
        """What is reported about the model as it is loaded: `variant`, `weights`, `device`, `dtype`, `plan`, and
        `parameters` where they can be counted."""
        return {"device": "cpu"}

    # ---- for models that need more ----

    def whole_photos(self, config: SamplingConfig) -> PhotoInpainter | None:
        """Who fills whole photos with these settings; None: photos are filled in squares."""
        return None

    def remarks(self) -> tuple[str, ...]:
        """Plain sentences about how it runs, which belong beside every result."""
        return ()

    def shrink(self) -> str | None:
        """Take less memory from now on, and say how; None: it cannot."""
        return None

    make_room: Callable[[], bool] = staticmethod(lambda: False)
    """Drops another model from memory; False: there is none. `moebius.model_cache` sets it."""


def one_by_one(
    fill_square: Callable[[np.ndarray, np.ndarray, SamplingConfig, torch.Generator | None, CallProgress], np.ndarray],
    tiles: Sequence[np.ndarray],
    masks: Sequence[np.ndarray],
    config: SamplingConfig,
    generators: Sequence[torch.Generator | None],
    progress: CallProgress,
) -> list[np.ndarray]:
    """`fill_squares` of a model that takes one tile a call."""
    return [
        fill_square(tile, mask, config, generator, progress.part(index, len(tiles)))
        for index, (tile, mask, generator) in enumerate(zip(tiles, masks, generators, strict=True))
    ]
