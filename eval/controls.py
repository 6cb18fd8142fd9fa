"""Controls of an evaluation: two more classical fillers, and copies of the original whose rank is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from moebius.config import SamplingConfig
from moebius.fill.call_progress import CallProgress
from moebius.fill.result import Fill
from moebius.inpainters.base import Inpainter, PhotoInpainter
from moebius.photo import images
from moebius.photo.raster import Raster

if TYPE_CHECKING:
    import torch


class OpenCvInpainter(Inpainter):
    """`cv2.inpaint` by one of its two methods, at the picture's own resolution; no randomness."""

    size = None

    def __init__(self, name: str, method: str) -> None:
        self.name, self.method = name, method

    def fill_squares(
        self,
        tiles: Sequence[np.ndarray],
        masks: Sequence[np.ndarray],
        config: SamplingConfig,
        generators: Sequence[torch.Generator | None],
        progress: CallProgress,
    ) -> list[np.ndarray]:
        """See `Inpainter.fill_squares`; `config` and `generators` are not used."""
        import cv2

        method = getattr(cv2, self.method)
        return [
            cv2.inpaint(tile, mask.astype(np.uint8), 5, method).astype(np.float32)
            for tile, mask in zip(tiles, masks, strict=True)
        ]


class TruthInpainter(Inpainter, PhotoInpainter):
    """Returns the original picture, changed by `change` or unchanged; it is given the picture without a hole.

    A scale for the scores: nothing can do better than the truth, and a worse copy must score worse.
    """

    size = None

    def __init__(self, name: str, change: Callable[[np.ndarray], np.ndarray] = lambda picture: picture) -> None:
        self.name, self.change = name, change

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
        """What stands under the holes."""
        return [self._fill(photo, mask) for photo, mask in zip(photos, masks, strict=True)]

    def _fill(self, photo: Raster, mask: np.ndarray) -> Fill:
        truth = images.to_rgb(photo)
        filled = np.where(mask[..., None], self.change(truth), truth)
        raster = images.put_back(photo, filled, mask)
        return Fill(
            raster=raster, changed=mask, squares=(), seconds={"model": 0.0, "detail": 0.0, "geometry": 0.0}, notes=()
        )

    def fill_squares(
        self,
        tiles: Sequence[np.ndarray],
        masks: Sequence[np.ndarray],
        config: SamplingConfig,
        generators: Sequence[torch.Generator | None],
        progress: CallProgress,
    ) -> list[np.ndarray]:
        raise AssertionError("tiles do not show what stands under the holes; see fill_photos")


def blurred(picture: np.ndarray) -> np.ndarray:
    """A Gaussian of 4 pixels over everything: (H, W, 3) uint8 -> the same."""
    import cv2

    return cv2.GaussianBlur(picture, (0, 0), 4.0)


def colour_shifted(picture: np.ndarray) -> np.ndarray:
    """24 of 255 more red and less blue: (H, W, 3) uint8 -> the same."""
    return np.clip(picture.astype(np.int16) + np.array([24, 0, -24], np.int16), 0, 255).astype(np.uint8)


CONTROLS: dict[str, tuple[str, Callable[[], Inpainter]]] = {
    "telea": ("Telea (OpenCV)", lambda: OpenCvInpainter("telea", "INPAINT_TELEA")),
    "navier-stokes": ("Navier-Stokes (OpenCV)", lambda: OpenCvInpainter("navier-stokes", "INPAINT_NS")),
    "truth": ("the truth itself", lambda: TruthInpainter("truth")),
    "truth-blurred": ("the truth, blurred", lambda: TruthInpainter("truth-blurred", blurred)),
    "truth-colour-shifted": (
        "the truth, colours shifted",
        lambda: TruthInpainter("truth-colour-shifted", colour_shifted),
    ),
}
"""Title and maker, by the name that `--models` takes beside the registry's."""
