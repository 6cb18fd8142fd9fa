"""Is a fill as sharp as it should be? Gradients and fine detail in the hole, beside the truth and the surroundings.

Pure functions of arrays: pictures (H, W, 3) uint8, masks (H, W) bool with True = hole, at native resolution.
"""

from __future__ import annotations

import math

import numpy as np

BLOCKS = (32, 16)
"""Sides of the blocks whose spectrum is taken: the second where fewer than `MIN_BLOCKS` of the first fit."""
MIN_BLOCKS = 4
MIN_RATIO = 1 / 64
"""A fill without any detail counts as so sharp, so that its distance in octaves is finite."""


def grey(image: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 -> luma (H, W) float32 in grey levels."""
    return image.astype(np.float32) @ np.array((0.299, 0.587, 0.114), np.float32)


def ring_px(mask: np.ndarray) -> float:
    """Width of `surroundings`."""
    return max(32.0, math.sqrt(np.count_nonzero(mask)) / 4)


def surroundings(mask: np.ndarray) -> np.ndarray:
    """The known pixels that the hole is compared with: a ring as wide as a quarter of the hole, at least 32 pixels."""
    import cv2

    width = ring_px(mask)
    distance = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5)
    return (distance > 0) & (distance <= width)


def gradient_energy(luma: np.ndarray, region: np.ndarray) -> float:
    """Mean gradient length in grey levels per pixel (central differences) inside `region`, its rim left out.

    Zero where nothing is left.
    """
    import cv2

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
    import cv2

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


def octaves(ratio: float | None) -> float | None:
    """How far a ratio is from 1, in powers of two: 1 for half as sharp and for twice as sharp. None stays None."""
    return None if ratio is None else abs(math.log2(max(ratio, MIN_RATIO)))
