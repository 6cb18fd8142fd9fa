"""What every model of the project is: an `Inpainter`, photo and mask in, photo of the same size and mode out."""

from __future__ import annotations

import statistics
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from moebius import devices, geometry, images
from moebius.config import MODEL_SIZE, SamplingConfig

if TYPE_CHECKING:
    import torch

Raster = Image.Image | np.ndarray
"""A picture: a Pillow image of any mode in `images.MODES`, or, for 16-bit colour, which Pillow has no mode for,
an array (H, W, 2, 3 or 4) uint16: grey and alpha, RGB, RGB and alpha."""

Progress = Callable[[float, str], None]
"""Called with the share that is done, in [0, 1], and a few words. It cancels the fill by raising `Cancelled`."""


class Cancelled(Exception):
    """Raised by a `Progress` to stop a fill; nothing is returned and nothing was changed."""


@dataclass(frozen=True, kw_only=True)
class Fill:
    """A filled photo and what is worth saying about it."""

    raster: Raster
    """Same size and mode as the input; the input object itself where nothing was to fill."""
    changed: np.ndarray
    """(H, W) bool: the pixels that the blend may have touched. Every other pixel is bit-identical."""
    squares: tuple[geometry.Square, ...]
    seconds: dict[str, float]
    """Wall-clock seconds by part: `model` (in the network's hands), `geometry` (cutting, scaling, pasting)."""
    notes: tuple[str, ...]
    """Plain sentences for the user, e.g. that the mask was empty."""
    step_ms: float | None = None
    """Median of the denoising steps but the first, in milliseconds; None: there are fewer than two."""


class Inpainter(ABC):
    """A model that fills one square; cutting squares out of photos and pasting back is the same for all of them."""

    name: str
    """As in the registry: `classical`, `moebius`."""
    size: int | None = MODEL_SIZE
    """Side of the squares it works on; None: any size, squares are not scaled."""
    _ticks: tuple[float | None, ...] = ()
    make_room: Callable[[], bool] = staticmethod(lambda: False)
    """Lets go of another model in memory; False: there is none. `moebius.residency` sets it."""

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

    def tick(self, device: str) -> None:
        """To be called at the end of every denoising step: what `step_ms` is made of."""
        devices.synchronize(device)
        self._ticks = (*self._ticks, time.perf_counter())

    def step_ms(self) -> float | None:
        """Of the last fill; None gaps in `_ticks` part the squares."""
        pairs = zip(self._ticks, self._ticks[1:], strict=False)
        steps = [1000 * (after - before) for before, after in pairs if before is not None and after is not None]
        return statistics.median(steps) if steps else None

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
    ) -> Raster:
        """Fill the white part of `mask_image` in `image`.

        Args:
            image: Pillow image in RGB, RGBA (alpha is kept), L, LA, P, CMYK, 1 or I;16, or an array
                (H, W, 2, 3 or 4) uint16.
            mask_image: same size; white = repaint, see `images.mask_array`.

        Returns:
            A picture of the same size and mode; pixels further than `config.feather_px` from the hole are identical.

        Raises:
            ValueError: sizes differ, the mask is full, the mode is not supported.
        """
        return self.fill(image, mask_image, config, generator).raster

    def fill(
        self,
        image: Raster,
        mask_image: Image.Image | np.ndarray,
        config: SamplingConfig | None = None,
        generator: torch.Generator | None = None,
        progress: Progress = lambda share, text: None,
    ) -> Fill:
        """`inpaint`, with progress and with a report of what was done."""
        config = (config or SamplingConfig()).for_model(self.name)
        self._ticks = ()
        started = time.perf_counter()
        rgb = images.to_rgb(image)  # (H, W, 3) uint8 or uint16
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
        squares = geometry.plan_squares(mask, config.context, config.max_squares, self.size)
        canvas, changed, model_seconds = rgb.copy(), np.zeros(mask.shape, bool), 0.0
        todo = mask.copy()
        for index, square in enumerate(squares):
            if not geometry.remaining(todo, square):  # an earlier square's core covered it
                continue

            def report(share: float, text: str, index: int = index) -> None:
                where = f" (part {index + 1} of {len(squares)})" if len(squares) > 1 else ""
                progress((index + share) / len(squares), text + where)

            report(0.0, "Starting")
            tile, tile_mask = geometry.cut(canvas, todo, square, self.size)
            model_started = time.perf_counter()
            filled = self._with_room(
                lambda tile=tile, tile_mask=tile_mask, report=report: self.fill_square(
                    tile, tile_mask, config, generator, report
                ),
                generator,
            )
            model_seconds += time.perf_counter() - model_started
            geometry.paste(canvas, changed, todo, filled, square, config.feather_px)
        progress(1.0, "Done")
        raster = images.put_back(image, canvas, changed)
        seconds = {"model": model_seconds, "geometry": time.perf_counter() - started - model_seconds}
        return Fill(
            raster=raster,
            changed=changed,
            squares=tuple(squares),
            seconds=seconds,
            step_ms=self.step_ms(),
            notes=self.remarks(),
        )

    def _with_room(self, run: Callable[[], Any], generator: torch.Generator | None) -> Any:
        """What `run` returns. Where memory runs out, another model leaves, then this one shrinks, and it runs again.

        Raises:
            MemoryError: nothing is left to let go of.
        """
        state = generator.get_state() if generator is not None else None
        while True:
            self._ticks = (*self._ticks, None)
            try:
                return run()
            except (MemoryError, RuntimeError) as error:
                if not devices.is_out_of_memory(error):
                    raise
            # here the error is gone, and with it the tensors that its frames held
            devices.let_go()
            if not self.make_room() and self.shrink() is None:
                raise MemoryError(f"not enough memory for {self.name}, even with nothing else loaded")
            if state is not None:
                generator.set_state(state)  # the same fill as with memory enough
