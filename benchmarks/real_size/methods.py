"""The fillers that are compared, by name: a case to its filled square.

`bicubic`, `detail` and their soft forms start from what a perfect model of 512 pixels would give: the truth, scaled
down. The others see the known pixels only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module

import cv2
import numpy as np

MODEL_SIDE = 512
HOLE_GREY = 128
SOFT_SIGMA = 1.0


class MissingMethod(Exception):
    """What a method needs is not here; its message says what."""


@dataclass(frozen=True)
class Case:
    """A square with a hole whose truth is known."""

    photo: str
    group: str
    """What intervals resample: the photograph."""
    size: str
    """Name of the hole's size."""
    kind: str
    """Of the hole's shape."""
    truth: np.ndarray
    """(S, S, 3) uint8."""
    mask: np.ndarray
    """(S, S) bool."""

    @cached_property
    def damaged(self) -> np.ndarray:
        """The square, grey under the hole: all that a filler may see."""
        return np.where(self.mask[..., None], np.uint8(HOLE_GREY), self.truth)

    @cached_property
    def coarse(self) -> np.ndarray:
        """What a perfect model gives: (512, 512, 3) uint8."""
        if len(self.mask) <= MODEL_SIDE:
            raise MissingMethod(f"a square of {len(self.mask)} pixels is not scaled down to {MODEL_SIDE}")
        return cv2.resize(self.truth, (MODEL_SIDE, MODEL_SIDE), interpolation=cv2.INTER_AREA)

    @cached_property
    def soft(self) -> np.ndarray:
        """The same, blurred: what a less perfect model gives."""
        return cv2.GaussianBlur(self.coarse, (0, 0), SOFT_SIGMA)


Method = Callable[[Case], np.ndarray]
"""The filled square, (S, S, 3) uint8; outside the hole it does not matter."""


def enlarge(coarse: np.ndarray, side: int) -> np.ndarray:
    return as_bytes(cv2.resize(coarse.astype(np.float32), (side, side), interpolation=cv2.INTER_CUBIC))


def as_bytes(picture: np.ndarray) -> np.ndarray:
    return picture.clip(0, 255).round().astype(np.uint8)


def bicubic(case: Case) -> np.ndarray:
    return enlarge(case.coarse, len(case.mask))


def bicubic_soft(case: Case) -> np.ndarray:
    return enlarge(case.soft, len(case.mask))


def detail(case: Case) -> np.ndarray:
    return as_bytes(_own("detail", "detail")(case.damaged, case.mask, case.coarse))


def detail_soft(case: Case) -> np.ndarray:
    return as_bytes(_own("detail", "detail")(case.damaged, case.mask, case.soft))


def ours(case: Case) -> np.ndarray:
    return as_bytes(_own("filler", "fill")(case.damaged, case.mask))


def classical(case: Case) -> np.ndarray:
    """The filler as the page takes it."""
    try:
        from moebius.config import SamplingConfig
        from moebius.fill.call_progress import CallProgress
        from moebius.inpainters.classical import ClassicalInpainter
        from moebius.progress import no_progress
    except ImportError as error:
        raise MissingMethod(f"this tree has no moebius.inpainters.classical ({error})") from None
    model = ClassicalInpainter()
    (filled,) = model.fill_squares([case.damaged], [case.mask], SamplingConfig(), [None], CallProgress(no_progress))
    return as_bytes(filled)


def pypatchmatch(case: Case) -> np.ndarray:
    """PyPatchMatch at full resolution, with the patches that `classical` takes of it."""
    try:
        import patchmatch
    except ImportError:
        raise MissingMethod("PyPatchMatch is not installed: pip install pypatchmatch") from None
    patchmatch.set_random_seed(0)
    return patchmatch.inpaint(np.maximum(case.damaged, 1), case.mask, patch_size=3)


METHODS: dict[str, Method] = {
    "bicubic": bicubic,
    "detail": detail,
    "bicubic-soft": bicubic_soft,
    "detail-soft": detail_soft,
    "classical": classical,
    "pypatchmatch": pypatchmatch,
    "ours": ours,
}
PAIRS = [
    ("detail", "bicubic"),
    ("detail-soft", "bicubic-soft"),
    ("ours", "classical"),
    ("ours", "pypatchmatch"),
    ("classical", "pypatchmatch"),
]
"""Differences that are reported: the first minus the second, on the cases that both have."""


def _own(module: str, name: str) -> Callable[..., np.ndarray]:
    """A function of moebius.patchmatch."""
    try:
        return getattr(import_module(f"moebius.patchmatch.{module}"), name)
    except (ImportError, AttributeError) as error:
        raise MissingMethod(f"this tree has no moebius.patchmatch.{module}.{name} ({error})") from None
