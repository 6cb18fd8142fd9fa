"""Colours of a model's fill at the rim of the hole: a smooth correction of its low frequencies (the low band).

A model paints all of its tile. Outside the hole the photo is known, so the low band of photo minus fill there is the
model's colour error. A membrane (harmonic function) continues that difference into the hole: the correction of Poisson
cloning (Pérez et al. 2003, doi:10.1145/882262.882269) in the form of Farbman et al. 2009
(doi:10.1145/1531326.1531373), here for the low band only and solved on a pyramid.

In texture a difference says little about colours, so textured parts of the rim have less weight. Where nearly all of
the rim is textured, or the fill shows something else than the photo, the correction fades out.
"""

from __future__ import annotations

import cv2
import numpy as np

from moebius.patchmatch import pyramid

RIM_PX = 12
"""Width of the rim that is compared, at the fill's size."""
SIGMA_PX = 3.0
"""Standard deviation of the Gaussian that gives the low band."""
CALM = 6.0
"""Mean |luma - low band|, in grey levels, at which the weight of a rim pixel is one half."""
LIMIT = 24.0
"""Largest difference of a channel, in grey levels, at which the weight is one half: colour casts are smaller."""
UNSURE, SURE = 0.03, 0.15
"""Mean weight of the rim up to which nothing is corrected, and from which the correction is applied in full."""
REACH_PX = 24
"""Pixels beyond the rim that are read: the reach of the Gaussian."""
MIN_RIM = 0.04
"""Below this ratio of rim pixels to hole pixels nothing is corrected: too little of the photo is known."""
SWEEPS = 60
"""Jacobi sweeps at each level of the pyramid."""


def match_seam(image: np.ndarray, hole: np.ndarray, fill: np.ndarray, rim_px: int = RIM_PX) -> np.ndarray:
    """`fill` with its colours corrected in the hole and on the rim; the hole's pixels of `image` have no influence.

    Args:
        image: (H, W, 3) uint8 or uint16, the photo at the fill's size.
        hole: (H, W) bool.
        fill: (H, W, 3) float32 in [0, 255], what a model painted, outside the hole too. A fill that keeps the photo's
            pixels outside the hole has no difference there and comes back as it was.
        rim_px: width of the rim; what is blended with the photo around the hole should lie in it.

    Returns:
        (H, W, 3) float32 in [0, 255]; beyond the rim `fill` itself.
    """
    out = fill.astype(np.float32, copy=True)
    if not hole.any():
        return out
    window = pyramid.surroundings(hole, rim_px + REACH_PX, rim_px + REACH_PX)
    hole, fill = np.ascontiguousarray(hole[window]), np.ascontiguousarray(out[window])
    known = pyramid.as_bytes(image[window], hole).astype(np.float32)
    near = cv2.dilate(hole.view(np.uint8), np.ones((2 * rim_px + 1,) * 2, np.uint8)) > 0
    rim = near & ~hole
    if np.count_nonzero(rim) < MIN_RIM * np.count_nonzero(hole):
        return out
    difference, calm = _difference(known, fill, ~hole)
    weight = np.where(rim, calm, 0).astype(np.float32)
    sure = min(max((float(weight[rim].mean()) - UNSURE) / (SURE - UNSURE), 0.0), 1.0)
    if sure == 0.0:
        return out
    border = rim & (cv2.dilate(hole.view(np.uint8), np.ones((3, 3), np.uint8)) > 0)
    steady = _weighted_mean(difference, weight, rim_px / 2)
    correction = np.where(hole[..., None], membrane(steady, ~border), steady) * sure
    out[window][near] = (fill[near] + correction[near]).clip(0, 255)
    return out


def membrane(values: np.ndarray, free: np.ndarray) -> np.ndarray:
    """`values` (H, W, 3) float32 with `free` (H, W) bool replaced by the harmonic function that meets the others.

    Solved coarse to fine: means of the given values on a pyramid, then Jacobi sweeps at every level.
    """
    given = (~free).astype(np.float32)
    stack = [(values * given[..., None], given)]
    while min(stack[-1][1].shape) > 4:
        total, share = stack[-1]
        size = pyramid.half_of(share.shape)
        stack.append((pyramid.resize(total, size, cv2.INTER_AREA), pyramid.resize(share, size, cv2.INTER_AREA)))
    total, share = stack[-1]
    solution = np.broadcast_to(total.sum(axis=(0, 1)) / max(float(share.sum()), 1e-6), total.shape).astype(np.float32)
    cross = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], np.float32) / 4
    for total, share in reversed(stack):
        solution = pyramid.resize(solution, share.shape, cv2.INTER_LINEAR)
        fixed = pyramid.touched(share)
        rim = total[fixed] / share[fixed][:, None]
        solution[fixed] = rim
        for _ in range(SWEEPS):
            solution = np.asarray(
                cv2.filter2D(solution, cv2.CV_32F, cross, borderType=cv2.BORDER_REPLICATE), np.float32
            )
            solution[fixed] = rim
    return solution


def _difference(known: np.ndarray, fill: np.ndarray, where: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Low band of known - fill, (H, W, 3), over the pixels `where`, and its weight (H, W) in (0, 1], which is high
    where both pictures have little texture and similar colours."""
    weight = where.astype(np.float32)
    low_known, low_fill = (_weighted_mean(picture, weight, SIGMA_PX) for picture in (known, fill))
    restless = np.abs(known - low_known).mean(axis=2) + np.abs(fill - low_fill).mean(axis=2)
    restless = _weighted_mean(restless[..., None], weight, SIGMA_PX)[..., 0] / 2
    difference = low_known - low_fill
    return difference, 1 / (1 + (restless / CALM) ** 4) / (1 + (np.abs(difference).max(axis=2) / LIMIT) ** 4)


def _weighted_mean(picture: np.ndarray, weight: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian mean over the pixels of `weight`, (H, W, c)."""

    def blurred(values: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(values, (0, 0), sigmaX=sigma, borderType=cv2.BORDER_REPLICATE)

    total = blurred(picture * weight[..., None]).reshape(picture.shape)
    return total / np.maximum(blurred(weight), 1e-6)[..., None]
