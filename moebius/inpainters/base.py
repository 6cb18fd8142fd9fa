"""The interface of a model: `Inpainter` takes tiles and masks and returns filled tiles. `moebius.fill.scheduler` does
the rest."""

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
    """Fills whole photos instead of tiles: for the published recipe, and for a GPU that is lent."""

    @abstractmethod
    def fill_photos(
        self,
        photos: Sequence[Raster],
        masks: Sequence[np.ndarray],
        config: SamplingConfig,
        generators: Sequence[torch.Generator | None],
        progress: CallProgress,
    ) -> list[Fill]:
        """Fill photos; the result of each is the same as if it were alone.

        Args:
            photos: see `Raster`, of any sizes.
            masks: (H, W) bool of the photos' sizes, True = repaint; not full.
            config: with the model's own steps and guidance filled in.
            generators: as for `Inpainter.fill_squares`.

        Returns:
            The results, with all notes.
        """


class Inpainter(ABC):
    """A model that fills tiles: squares that the scheduler cuts out of photos and pastes back."""

    name: str
    """As in the registry: `classical`, `moebius`."""
    size: int | None = MODEL_SIZE
    """Side of its tiles; None: any side, tiles are not scaled."""
    defaults: ModelDefaults | None = None
    """Steps and guidance where a `SamplingConfig` has None; None: it has neither."""

    @abstractmethod
    def fill_squares(
        self,
        tiles: Sequence[np.ndarray],
        masks: Sequence[np.ndarray],
        config: SamplingConfig,
        generators: Sequence[torch.Generator | None],
        progress: CallProgress,
    ) -> list[np.ndarray]:
        """Fill tiles; the result of each is the same as if it were alone.

        Args:
            tiles: (S, S, 3) uint8 RGB each, S = `size`, grey under the hole. Without a `size` they may differ in S.
            masks: (S, S) bool, True = repaint; neither empty nor full.
            config: with the model's own steps and guidance filled in.
            generators: a random generator for each tile; None: a random seed.
            progress: for all tiles together; call its `step_ended` at the end of every denoising step.

        Returns:
            (S, S, 3) float32 in [0, 255] each; values outside the hole may differ from the tile, the scheduler blends.
        """

    def facts(self) -> Facts:
        """Facts about the loaded model for reports: `variant`, `weights`, `device`, `dtype`, `plan`, and `parameters`
        if they can be counted."""
        return {"device": "cpu"}

    # ---- for models that need more ----

    def whole_photos(self, config: SamplingConfig) -> PhotoInpainter | None:
        """What fills whole photos with these settings; None: photos are filled in squares."""
        return None

    def remarks(self) -> tuple[str, ...]:
        """Sentences about how the model runs, shown beside every result."""
        return ()

    def shrink(self) -> str | None:
        """Use less memory from now on, and return a sentence on how; None: it cannot."""
        return None

    make_room: Callable[[], bool] = staticmethod(lambda: False)
    """Unloads another model; False: there is none. `moebius.model_cache` sets it."""


def one_by_one(
    fill_square: Callable[[np.ndarray, np.ndarray, SamplingConfig, torch.Generator | None, CallProgress], np.ndarray],
    tiles: Sequence[np.ndarray],
    masks: Sequence[np.ndarray],
    config: SamplingConfig,
    generators: Sequence[torch.Generator | None],
    progress: CallProgress,
) -> list[np.ndarray]:
    """`fill_squares` for a model that takes one tile per call."""
    return [
        fill_square(tile, mask, config, generator, progress.part(index, len(tiles)))
        for index, (tile, mask, generator) in enumerate(zip(tiles, masks, generators, strict=True))
    ]
