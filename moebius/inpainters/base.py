"""What every model of the project is: an `Inpainter`, photo and mask in, photo of the same size and mode out."""

from __future__ import annotations

import statistics
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from moebius import devices
from moebius.config import MODEL_SIZE, SamplingConfig
from moebius.fill.job import Filling, FillingSquares, Piece
from moebius.fill.result import Fill
from moebius.fill.scheduler import Together
from moebius.photo import images
from moebius.photo.raster import Raster
from moebius.progress import Cancelled, Progress

if TYPE_CHECKING:
    import torch


class Inpainter(ABC):
    """A model that fills squares; cutting squares out of photos and pasting back is the same for all of them."""

    name: str
    """As in the registry: `classical`, `moebius`."""
    size: int | None = MODEL_SIZE
    """Side of the squares it works on; None: any size, squares are not scaled."""
    _ticks: tuple[float, ...] = ()
    fits: int | None = None
    """Most squares that go into a call since memory ran out with more."""
    make_room: Callable[[], bool] = staticmethod(lambda: False)
    """Lets go of another model in memory; False: there is none. `moebius.model_cache` sets it."""

    @abstractmethod
    def fill_square(
        self,
        image: np.ndarray,
        mask: np.ndarray,
        config: SamplingConfig,
        generator: torch.Generator | None,
        progress: Progress,
    ) -> np.ndarray:
        """Fill one square.

        Args:
            image: (S, S, 3) uint8 RGB; whatever stands under the hole must not matter to the `photo` recipe.
            mask: (S, S) bool, True = repaint; neither empty nor full.
            config: with the model's own steps and guidance filled in.
            generator: source of randomness; None: seeded by the clock.

        Returns:
            (S, S, 3) float32 in [0, 255]; values outside the hole may differ from `image`, the caller blends.
        """

    def fill_squares(
        self,
        pictures: Sequence[np.ndarray],
        masks: Sequence[np.ndarray],
        config: SamplingConfig,
        generators: Sequence[torch.Generator | None],
        progress: Progress,
    ) -> list[np.ndarray]:
        """`fill_square` for several squares of one size, each as if it were alone: here one after the other."""
        filled: list[np.ndarray] = []
        for picture, mask, generator in zip(pictures, masks, generators, strict=True):

            def report(share: float, text: str, done: int = len(filled)) -> None:
                progress((done + share) / len(pictures), text)

            filled.append(self.fill_square(picture, mask, config, generator, report))
        return filled

    def tick(self, device: str) -> None:
        """To be called at the end of every denoising step: what `step_ms` is made of."""
        devices.synchronize(device)
        self._ticks = (*self._ticks, time.perf_counter())

    def step_ms(self) -> float | None:
        """Median of the last call's steps but the first, in milliseconds; None: there are fewer than two."""
        steps = self._steps_ms()
        return statistics.median(steps) if steps else None

    def _steps_ms(self) -> list[float]:
        return [1000 * (after - before) for before, after in zip(self._ticks, self._ticks[1:], strict=False)]

    def facts(self) -> dict[str, str | int | None]:
        """What a report says of the model as it is loaded: `variant`, `weights`, `device`, `dtype`, `plan`, and
        `parameters` where they can be counted."""
        return {"device": "cpu"}

    def remarks(self) -> tuple[str, ...]:
        """Plain sentences about how it runs, which belong beside every result."""
        return ()

    def shrink(self) -> str | None:
        """Go on with less memory, for good, and say so; None: it cannot."""
        return None

    def inpaint(
        self,
        image: Raster,
        mask_image: Image.Image | np.ndarray,
        config: SamplingConfig | None = None,
        generator: torch.Generator | None = None,
        batch_size: int = 1,
    ) -> Raster:
        """Fill the white part of `mask_image` in `image`.

        Args:
            image: Pillow image in RGB, RGBA (alpha is kept), L, LA, P, CMYK, 1 or I;16, or an array
                (H, W, 2, 3 or 4) uint16.
            mask_image: same size; white = repaint, see `images.mask_array`.
            batch_size: most holes filled in one call of the model.

        Returns:
            A picture of the same size and mode; pixels further than `config.feather_px` from the hole are identical.

        Raises:
            ValueError: sizes differ, the mask is full, the mode is not supported.
        """
        return self.fill(image, mask_image, config, generator, batch_size=batch_size).raster

    def fill(
        self,
        image: Raster,
        mask_image: Image.Image | np.ndarray,
        config: SamplingConfig | None = None,
        generator: torch.Generator | None = None,
        progress: Progress = lambda share, text: None,
        batch_size: int = 1,
    ) -> Fill:
        """`inpaint`, with progress and with a report of what was done."""
        together = Together(lambda: self, config, batch_size)
        results = [*together.add(None, image, mask_image, generator, progress), *together.rest()]
        ((_, result),) = results
        if isinstance(result, Exception):
            raise result
        return result

    def begin(
        self,
        image: Raster,
        mask_image: Image.Image | np.ndarray,
        config: SamplingConfig | None = None,
        generator: torch.Generator | None = None,
        progress: Progress = lambda share, text: None,
        rgb: np.ndarray | None = None,
    ) -> Filling | Fill:
        """A photo ready for `fill_pieces`, or its result where the model need not be asked. Arguments as for `fill`.

        rgb: `images.to_rgb(image)`, if the caller has it and leaves it to us.
        """
        started = time.perf_counter()
        config = (config or SamplingConfig()).for_model(self.name)
        rgb = images.to_rgb(image) if rgb is None else rgb  # (H, W, 3) uint8 or uint16
        mask = images.mask_array(mask_image)  # (H, W) bool
        images.check_mask(mask, rgb.shape[:2])
        if not mask.any():
            return Fill(
                raster=image,
                changed=np.zeros(mask.shape, bool),
                squares=(),
                seconds={"model": 0.0, "geometry": time.perf_counter() - started},
                notes=("The mask is empty: nothing was painted, so the picture is unchanged.",),
            )
        return FillingSquares(image, rgb, mask, config, self.size, generator, progress, started)

    def fill_pieces(self, pieces: Sequence[Piece], config: SamplingConfig | None) -> list[np.ndarray | Exception]:
        """Fill pieces of photos in one call, or say what was wrong with each.

        Where memory runs out, another model leaves, then the call is halved, then this model shrinks. Where a call
        fails otherwise, its halves tell which piece it was, and the others are filled.

        Raises:
            Cancelled: a photo's progress raised it.
        """
        config = (config or SamplingConfig()).for_model(self.name)
        states = [piece.generator.get_state() if piece.generator is not None else None for piece in pieces]
        while True:
            try:
                return self._filled(pieces, config)
            except Cancelled:
                raise
            except Exception as error:
                short = devices.is_out_of_memory(error)
                if not short and len(pieces) == 1:
                    return [error]
            # here the error is gone, and with it the tensors that its frames held
            for piece, state in zip(pieces, states, strict=True):
                if state is not None:
                    piece.generator.set_state(state)  # the same fill as without the failure
            if short:
                devices.let_go()
                if self.make_room():
                    continue
            if len(pieces) > 1:
                half = len(pieces) // 2
                self.fits = half if short else self.fits
                return self.fill_pieces(pieces[:half], config) + self.fill_pieces(pieces[half:], config)
            if self.shrink() is None:
                return [MemoryError(f"not enough memory for {self.name}, even with nothing else loaded")]

    def _filled(self, pieces: Sequence[Piece], config: SamplingConfig) -> list[np.ndarray]:
        """`fill_squares` on pieces, each photo told how far it is and what it cost."""
        by_photo = {piece.photo: [other for other in pieces if other.photo is piece.photo] for piece in pieces}

        def report(share: float, text: str) -> None:
            for photo, own in by_photo.items():
                photo.report(own, share, text)

        report(0.0, "Starting")
        self._ticks, started = (), time.perf_counter()
        filled = self.fill_squares(
            [piece.image for piece in pieces],
            [piece.mask for piece in pieces],
            config,
            [piece.generator for piece in pieces],
            report,
        )
        seconds = (time.perf_counter() - started) / len(pieces)
        steps = [each / len(pieces) for each in self._steps_ms()]
        for piece in pieces:
            piece.photo.spent(seconds, steps)
        return filled
