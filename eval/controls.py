"""Models to compare with: two more classical fillers, and copies of the truth that must rank where they must."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from moebius.config import SamplingConfig
from moebius.fill.result import Fill
from moebius.inpainters.base import Inpainter
from moebius.photo import images
from moebius.photo.raster import Raster
from moebius.progress import Progress

if TYPE_CHECKING:
    import torch


class OpenCvInpainter(Inpainter):
    """`cv2.inpaint` by one of its two methods, at the picture's own resolution; no randomness."""

    size = None

    def __init__(self, name: str, method: str) -> None:
        self.name, self.method = name, method

    def fill_square(
        self,
        image: np.ndarray,
        mask: np.ndarray,
        config: SamplingConfig,
        generator: torch.Generator | None,
        progress: Progress,
    ) -> np.ndarray:
        """See `Inpainter.fill_square`; nothing of `config` and `generator` matters here."""
        import cv2

        return cv2.inpaint(image, mask.astype(np.uint8), 5, getattr(cv2, self.method)).astype(np.float32)


class TruthInpainter(Inpainter):
    """Cheats: it is given the picture without its hole and returns it, changed by `change` or not at all.

    A scale for the scores: nothing can do better than the truth, and a worse copy must score worse.
    """

    size = None
    sees_truth = True
    """Evaluation hands over the unmasked picture."""

    def __init__(self, name: str, change: Callable[[np.ndarray], np.ndarray] = lambda picture: picture) -> None:
        self.name, self.change = name, change

    def fill_square(
        self,
        image: np.ndarray,
        mask: np.ndarray,
        config: SamplingConfig,
        generator: torch.Generator | None,
        progress: Progress,
    ) -> np.ndarray:
        return self.change(image).astype(np.float32)

    def begin(
        self,
        image: Raster,
        mask_image: Image.Image | np.ndarray,
        config: SamplingConfig | None = None,
        generator: torch.Generator | None = None,
        progress: Progress = lambda share, text: None,
        rgb: np.ndarray | None = None,
    ) -> Fill:
        """The fill itself, because what stands under the hole is used."""
        mask = images.mask_array(mask_image)
        truth = images.to_rgb(image) if rgb is None else rgb
        filled = np.where(mask[..., None], self.change(truth), truth)
        raster = images.put_back(image, filled, mask)
        return Fill(raster=raster, changed=mask, squares=(), seconds={"model": 0.0, "geometry": 0.0}, notes=())


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
