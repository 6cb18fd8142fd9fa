"""The eight bytes of a pixel that patches are compared by, and the loops that write a vote back into a picture."""

from __future__ import annotations

import cv2
import numpy as np
from numba import njit

ENERGY_WINDOW = 9
ENERGY_SCALE = 6
LUMA_WINDOW = 9
CLASSES = 40


def luma(rgb: np.ndarray) -> np.ndarray:
    """(h, w, 3) uint8 to (h, w) uint8."""
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)


def gradients(grey: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Central differences along x and y, (h, w) uint8, times `scale`, 128 = none."""

    def differences(kernel: list[list[int]]) -> np.ndarray:
        weights = scale * np.array(kernel, np.float32)
        return cv2.filter2D(grey, cv2.CV_8U, weights, delta=128, borderType=cv2.BORDER_REPLICATE)

    return differences([[-1, 0, 1]]), differences([[-1], [0], [1]])


def texture_energy(grey: np.ndarray) -> np.ndarray:
    """How lively a picture is around each pixel: mean |luma - 5×5 mean| over 9×9, times 6, (h, w) uint8."""
    lively = cv2.convertScaleAbs(cv2.absdiff(grey, cv2.blur(grey, (5, 5))), alpha=ENERGY_SCALE)
    return cv2.blur(lively, (ENERGY_WINDOW, ENERGY_WINDOW))


def energy_classes() -> np.ndarray:
    """(256,) uint8: the class of each `texture_energy`, 0 to 39, four to a doubling."""
    return np.minimum(4 * np.log2(1 + np.arange(256) / 3), CLASSES - 1).astype(np.uint8)


def look_features(rgb: np.ndarray, gradient: float) -> np.ndarray:
    """(h, w, 8) for finding where a photo looks alike: colour, gradients, texture energy."""
    grey = luma(rgb)
    out = np.zeros((*grey.shape, 8), np.uint8)
    out[..., :3] = rgb
    out[..., 3], out[..., 4] = gradients(grey, gradient)
    out[..., 5] = texture_energy(grey)
    out[..., 7] = 1
    return out


def texture_strength(rgb: np.ndarray, hole: np.ndarray, scale: float, window: int) -> np.ndarray:
    """(h, w, 2) uint8: mean |dx| and |dy| of luma over window × window known pixels, times `scale`."""
    grey, known = luma(rgb).astype(np.float32), (~hole).astype(np.float32)
    strengths = []
    for axis in (1, 0):
        ahead = tuple(slice(1, None) if a == axis else slice(None) for a in (0, 1))
        here = tuple(slice(None, -1) if a == axis else slice(None) for a in (0, 1))
        step, both = np.zeros_like(grey), np.zeros_like(grey)
        both[here] = known[ahead] * known[here]
        step[here] = np.abs(grey[ahead] - grey[here]) * both[here]
        mean, share = (cv2.blur(a, (window, window), borderType=cv2.BORDER_REPLICATE) for a in (step, both))
        strengths.append(mean / np.maximum(share, 1e-4))
    return np.rint(np.stack(strengths, axis=2) * scale).clip(0, 255).astype(np.uint8)


@njit(nogil=True, cache=True)
def band_features(
    image: np.ndarray,
    base: np.ndarray,
    grey: np.ndarray,
    blurred: np.ndarray,
    energy: np.ndarray,
    out: np.ndarray,
    first: int,
    last: int,
) -> None:
    """(h, w, 8) rows first..last: quarter luma and chroma of `base`, its energy, `image` - `base`, three times its
    luma over the mean around it. All uint8; image and base (h, w, 3)."""
    for y in range(first, last):
        for x in range(image.shape[1]):
            shade = np.int32(grey[y, x])
            out[y, x, 0] = np.uint8(shade >> 2)
            out[y, x, 1] = np.uint8(128 + ((np.int32(base[y, x, 0]) - np.int32(base[y, x, 2])) >> 3))
            out[y, x, 2] = energy[y, x]
            for c in range(3):
                high = np.int32(image[y, x, c]) - np.int32(base[y, x, c])
                out[y, x, 3 + c] = np.uint8(min(max(128 + high, np.int32(0)), np.int32(255)))
            contrast = 128 + 3 * (shade - np.int32(blurred[y, x]))
            out[y, x, 6] = np.uint8(min(max(contrast, np.int32(0)), np.int32(255)))
            out[y, x, 7] = 1


@njit(nogil=True, cache=True)
def add_energies(
    source: np.ndarray,
    energy: np.ndarray,
    hole: np.ndarray,
    inside: bool,
    classes: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
    counts: np.ndarray,
    sums: np.ndarray,
) -> None:
    """Count the pixels of each class of texture energy, and sum their |luma of the high band|, row by row.

    source (h, w, 8), energy (h, w) uint8; hole (h, w) bool, of which the pixels count that are `inside`. classes: see
    `energy_classes`. rows (n,), columns: int64, the pixels looked at. counts, sums: (n, 40) float64, changed.
    """
    for n in range(len(rows)):
        y = rows[n]
        for x in columns:
            if hole[y, x] == inside:
                high = np.float64(0)
                for c, weight in enumerate((0.299, 0.587, 0.114)):
                    high += weight * (np.int32(source[y, x, 3 + c]) - 128)
                kind = classes[energy[y, x]]
                counts[n, kind] += 1
                sums[n, kind] += abs(high)


@njit(nogil=True, cache=True)
def write_high(sums: np.ndarray, hole: np.ndarray, out: np.ndarray, place: np.ndarray, first: int) -> None:
    """Under `hole` (H, W) from its row `first` on: the mean high band of a vote's `sums`, into `out` (h, w, 8) uint8.

    place: where `hole` lies in `out`, see `Grid.place`.
    """
    for row in range(sums.shape[0]):
        y = first + row
        for x in range(hole.shape[1]):
            if hole[y, x]:
                weight = sums[row, x, 7]
                for c in range(3, 6):
                    mean = sums[row, x, c] / weight if weight > 0 else np.float32(128)
                    out[place[0] + y, place[1] + x, c] = np.uint8(mean + np.float32(0.5))


@njit(nogil=True, cache=True)
def add_high(
    base: np.ndarray,
    energy: np.ndarray,
    gain: np.ndarray,
    hole: np.ndarray,
    source: np.ndarray,
    out: np.ndarray,
    place: np.ndarray,
    first: int,
    last: int,
) -> None:
    """The high band in `source` (h, w, 8) times its class's gain, there and added to `base` into `out` (h, w, 3).

    base and out uint8, energy (h, w) uint8, gain (256,) float32 by energy. hole: (H, W) bool, of which the rows
    first..last; place: where it lies in the others, see `Grid.place`.
    """
    for row in range(first, last):
        for column in range(hole.shape[1]):
            if hole[row, column]:
                y, x = place[0] + row, place[1] + column
                factor = gain[energy[y, x]]
                for c in range(3):
                    high = (np.float32(source[y, x, 3 + c]) - np.float32(128)) * factor
                    high = min(max(high, np.float32(-128)), np.float32(127))
                    source[y, x, 3 + c] = np.uint8(high + np.float32(128.5))
                    value = np.float32(base[y, x, c]) + high + np.float32(0.5)
                    out[y, x, c] = np.uint8(min(max(value, np.float32(0)), np.float32(255)))


@njit(nogil=True, cache=True)
def write_mean(sums: np.ndarray, hole: np.ndarray, out: np.ndarray, first: int) -> None:
    """Into `out` (H, W, 8) uint8 from row `first` on, under `hole`: the mean of a vote's `sums`, all channels."""
    for row in range(sums.shape[0]):
        y = first + row
        for x in range(hole.shape[1]):
            weight = sums[row, x, 7]
            if hole[y, x] and weight > 0:
                for c in range(7):
                    out[y, x, c] = np.uint8(sums[row, x, c] / weight + np.float32(0.5))
                out[y, x, 7] = 1
