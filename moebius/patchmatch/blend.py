"""Copied areas joined by gradients: where two of them meet, no step is left that the photo does not have.

Every patch of a field votes for the differences between neighbouring pixels as it votes for colours; no patch holds
the step between two copied areas, so a picture with the voted differences has none. Screened Poisson equation: the
differences are met in the mean of squares, beside a pull towards the voted colours (Darabi et al. 2012,
doi:10.1145/2185520.2185578, section 4; Bhat et al. 2008, doi:10.1007/978-3-540-88688-4_9).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numba import njit

from moebius.patchmatch.search import Field
from moebius.patchmatch.vectors import CHANNELS


@dataclass(frozen=True, kw_only=True)
class BlendConfig:
    screen: float = 0.001
    """Pull towards the voted colours, a difference pulls with 1: a step fades out over about 1 / √screen pixels."""
    power: int = 12
    """Of the vote for differences: nearly the best patch alone, so that texture is not averaged away."""
    most_gain: float = 1.25
    """The mean of differing patches has smaller steps than each of them: up to this factor is given back."""
    gain_window: int = 9
    """Pixels over which that is compared."""
    sweeps: int = 40
    relaxation: float = 1.85
    """Of successive over-relaxation."""


def join(
    field: Field,
    source: np.ndarray,
    target: np.ndarray,
    trust: np.ndarray,
    config: BlendConfig,
    tick: Callable[[float], None] = lambda portion: None,
) -> None:
    """Replace the colours of `target` under the hole by those that fit the voted differences.

    Args:
        field: patches of `source` for the grid of `target`.
        source: (h, w, 8) uint8, colours first, wholly known where `field.usable` says so.
        target: (H, W, 8) uint8, the grid's box with voted colours; changed.
        trust: of the vote, see `Field.vote`.
        tick: called with 0 between sweeps; what it raises ends the work.
    """
    hole = field.grid.hole
    steps = np.zeros((*hole.shape, 6), np.float32)
    strength = np.zeros((2, *hole.shape), np.float32)
    for axis in (0, 1):
        votes = differences(source[..., :3], axis)

        def use(first: int, last: int, sums: np.ndarray, axis: int = axis) -> None:
            write_steps(sums, 3 * axis, steps[first:last], strength[axis, first:last])

        field.vote(votes, config.power, use, trust=trust)
    steps *= _gain(steps, strength.sum(axis=0), config)[..., None]
    voted = target[..., :3].astype(np.float32)
    solution = voted.copy()
    for _ in range(config.sweeps):
        relax(solution, voted, steps, hole, np.float32(config.screen), np.float32(config.relaxation))
        tick(0.0)
    target[..., :3][hole] = np.rint(solution[hole]).clip(0, 255).astype(np.uint8)


def differences(rgb: np.ndarray, axis: int) -> np.ndarray:
    """Steps of (h, w, 3) uint8 to the next pixel along x (axis 0) or y (1), 0 at the last one.

    Returns:
        (h, w, 8) uint8: the three steps where they rise, where they fall, their mean size, 1.
    """
    out = np.zeros((*rgb.shape[:2], CHANNELS), np.uint8)
    write_differences(rgb, 1 - axis, axis, out)
    return out


def _gain(steps: np.ndarray, strength: np.ndarray, config: BlendConfig) -> np.ndarray:
    """(H, W) float32 by which the mean steps (H, W, 6) are smaller than those of the patches, `strength` (H, W).

    Strength counts three channels as one. Patches that agree lose nothing.
    """
    window = (config.gain_window,) * 2
    voted = cv2.blur(np.abs(steps).sum(axis=2) / 3, window)
    return (cv2.blur(strength, window) / np.maximum(voted, 1e-3)).clip(1, config.most_gain)


@njit(nogil=True, cache=True)
def write_differences(rgb: np.ndarray, ahead_x: int, ahead_y: int, out: np.ndarray) -> None:
    """`differences` into `out`, to the pixel (ahead_x, ahead_y) away."""
    height, width = rgb.shape[:2]
    for y in range(height):
        for x in range(width):
            out[y, x, 7] = 1
            if y + ahead_y < height and x + ahead_x < width:
                total = np.int64(0)
                for c in range(3):
                    step = np.int64(rgb[y + ahead_y, x + ahead_x, c]) - np.int64(rgb[y, x, c])
                    out[y, x, c if step > 0 else 3 + c] = abs(step)
                    total += abs(step)
                out[y, x, 6] = (total + 1) // 3


@njit(nogil=True, cache=True)
def write_steps(sums: np.ndarray, channel: int, steps: np.ndarray, strength: np.ndarray) -> None:
    """The mean of a vote's `sums` (n, W, 8): steps into three channels of (n, W, 6) float32 from `channel` on, their
    size into (n, W) float32; 0 where nothing voted."""
    for y in range(steps.shape[0]):
        for x in range(steps.shape[1]):
            weight = sums[y, x, 7]
            if weight > 0:
                for c in range(3):
                    steps[y, x, channel + c] = (sums[y, x, c] - sums[y, x, 3 + c]) / weight
                strength[y, x] = sums[y, x, 6] / weight


@njit(nogil=True, cache=True)
def relax(
    colours: np.ndarray,
    voted: np.ndarray,
    steps: np.ndarray,
    hole: np.ndarray,
    screen: np.float32,
    relaxation: np.float32,
) -> None:
    """One sweep over the pixels of `hole` (H, W); colours, voted (H, W, 3) and steps (H, W, 6) float32."""
    height, width = hole.shape
    for y in range(height):
        for x in range(width):
            if not hole[y, x]:
                continue
            left, right, above, below = x > 0, x + 1 < width, y > 0, y + 1 < height
            share = relaxation / (screen + np.float32(left + right + above + below))
            for c in range(3):
                old = colours[y, x, c]
                lacks = screen * (voted[y, x, c] - old)
                if left:
                    lacks += colours[y, x - 1, c] + steps[y, x - 1, c] - old
                if right:
                    lacks += colours[y, x + 1, c] - steps[y, x, c] - old
                if above:
                    lacks += colours[y - 1, x, c] + steps[y - 1, x, 3 + c] - old
                if below:
                    lacks += colours[y + 1, x, c] - steps[y, x, 3 + c] - old
                colours[y, x, c] = old + share * lacks
