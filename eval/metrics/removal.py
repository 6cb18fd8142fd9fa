"""RC-S: how well what fills a hole agrees with its surroundings, without a truth (PROVE, arXiv:2605.14534).

Sides of a hole are compared by the maximum mean discrepancy (MMD², biased, with the diagonal) between tokens inside
and outside, window by window. In [0, 1], higher is better. It sees whether a fill fits in, not whether it is the
truth: an invented object that fits in scores well.

As published, the kernel is exp(−d²/200) on vectors of length one, so d² ≤ 4 and the kernel is linear to 2·10⁻⁴: it
compares the means of the tokens and hardly their spread, so that a blurred fill with the right mean loses little. The
second kernel takes its width from the data, σ = the median distance of the square's tokens, and sees the spread too.

ReMOVE (Chandrasekar 2024, arXiv:2409.00707) is there for comparison: the cosine of the mean token inside and the mean
token outside. People rank fills the other way round (PROVE).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from eval.metrics.tokens import Tokens, nearest_mask

MIN_PIXELS = 200
"""Smaller parts of a hole are left out, but for the largest where all are smaller."""
MIN_TOKENS = 5
"""A window counts with more than so many tokens inside, and outside, the hole."""
WINDOW, STEP, GRID = 16, 8, 64
"""Side and step of a window in tokens, for a grid with a longer side of 64 tokens; others in proportion."""
SIGMA = 10.0
SCALE, TAU = 1000.0, 3.0


class RemovalScores(NamedTuple):
    """Higher is better; None where no window of the hole has tokens inside and outside."""

    published: float | None
    """RC-S by its own steps, in [0, 1]; with a network of another name it bears that name."""
    spread: float | None
    """exp(−MMD²) with the kernel of the median distance, in [0, 1]."""
    cosine: float | None
    """ReMOVE's steps, in [-1, 1]."""


def removal_scores(photo: np.ndarray, hole: np.ndarray, tokens: Tokens) -> RemovalScores:
    """Of a filled photo (H, W, 3) uint8 and its hole (H, W) bool, not empty: means over the parts of the hole."""
    found: list[tuple[float, float, float]] = []
    for left, top, right, bottom in squares(hole):
        part = (slice(top, bottom), slice(left, right))
        grid = tokens(np.ascontiguousarray(photo[part]))
        inside = nearest_mask(hole[part], tokens.cell_px)
        discrepancies = _of_square(grid, inside)
        if discrepancies is not None:
            published, spread = discrepancies
            fits = math.exp(-SCALE * max(0.0, published) / TAU), math.exp(-max(0.0, spread))
            found.append((*fits, _cosine(grid, inside)))
    if not found:
        return RemovalScores(None, None, None)
    return RemovalScores(*(float(np.mean(values)) for values in zip(*found, strict=True)))


def squares(hole: np.ndarray) -> list[tuple[int, int, int, int]]:
    """Left, top, right, bottom of the square around every part of a hole (4-neighbourhood), inside the picture.

    The smallest square around the part's bounding box, grown on all sides by a third of its side, by no more than the
    distance to the nearest edge of the picture, and no larger than the picture's short side.
    """
    import cv2

    height, width = hole.shape
    _, _, stats, _ = cv2.connectedComponentsWithStats(hole.astype(np.uint8), connectivity=4)
    parts = stats[1:]  # the first is what is no hole
    smallest = min(MIN_PIXELS, int(parts[:, cv2.CC_STAT_AREA].max()))
    found = []
    for x, y, across, down, area in parts.tolist():
        if area < smallest:
            continue
        side = max(across, down)
        left, top = (int(round(start + extent / 2 - side / 2)) for start, extent in ((x, across), (y, down)))
        to_edge = min(left, top, width - left - side, height - top - side)
        grown = max(0, min(int(round(side / 3)), to_edge, side // 2))
        side = min(side + 2 * grown, width, height)
        left = max(0, min(max(0, left - grown), width - side))
        top = max(0, min(max(0, top - grown), height - side))
        found.append((left, top, left + side, top + side))
    return found


def _of_square(tokens: Tensor, inside: Tensor) -> tuple[float, float] | None:
    """Mean MMD² over the windows of a square, by the published kernel and by the median one; None without a window.

    tokens (h, w, C), inside (h, w) bool.
    """
    height, width, channels = tokens.shape
    unit = F.normalize(tokens.reshape(-1, channels).double(), dim=1)
    squared = (2 - 2 * unit @ unit.T).clamp_min_(0)  # (h·w, h·w)
    kernels = [torch.exp(-squared / (2 * sigma**2)) for sigma in (SIGMA, _median_distance(squared))]
    inner = inside.flatten()
    everywhere = torch.nonzero(~inner).flatten()
    scale = max(height, width) / GRID
    size, step = max(1, int(WINDOW * scale)), max(1, int(STEP * scale))
    places = torch.arange(height * width).view(height, width)
    values = []
    for top in range(0, height - size + 1, step):
        for left in range(0, width - size + 1, step):
            here = places[top : top + size, left : left + size].flatten()
            a, b = here[inner[here]], here[~inner[here]]
            if len(a) <= MIN_TOKENS or 0 < len(b) <= MIN_TOKENS:
                continue
            b = b if len(b) else everywhere  # a window inside the hole is compared with all around it
            if len(b):
                values.append([discrepancy(kernel, a, b) for kernel in kernels])
    return tuple(np.mean(values, axis=0).tolist()) if values else None


def discrepancy(kernel: Tensor, a: Tensor, b: Tensor) -> float:
    """MMD² of two sets of tokens, given by their places in the kernel's matrix (n, n)."""
    within = kernel[a][:, a].mean() + kernel[b][:, b].mean()
    return float(within - 2 * kernel[a][:, b].mean())


def _cosine(tokens: Tensor, inside: Tensor) -> float:
    """Of the mean token inside and the mean token outside; tokens (h, w, C), inside (h, w) bool."""
    means = (tokens[inside].double().mean(dim=0), tokens[~inside].double().mean(dim=0))
    return float(F.cosine_similarity(*means, dim=0))


def _median_distance(squared: Tensor) -> float:
    """Of all pairs of different tokens; 1 where all tokens are one."""
    above = squared[torch.triu(torch.ones_like(squared, dtype=torch.bool), diagonal=1)]
    return math.sqrt(float(above.median())) if len(above) and above.median() > 0 else 1.0
