"""Geometry of a fill: holes, squares of context around them, scaling, feathered blending.

Pure functions on arrays. Pictures are (H, W, 3) uint8 or uint16, masks (H, W) bool with True = hole.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from moebius.photo.raster import bounding_box

MERGE_PX = 32
"""Holes closer than this are filled together."""
THIN = 3.0
"""A square is at least this many times as wide as the hole is thick, so that most of its pixels are known."""
CORE = 0.55
"""If one hole is split over several squares, each fills a core of this share of its side."""
HOLE_GREY = 128
"""Grey that replaces the hole in every tile, so that the model cannot see the object."""


Box = tuple[int, int, int, int]
"""(left, top, right, bottom) in the picture, in pixels."""


@dataclass(frozen=True)
class Square:
    """A square of the picture, in pixels; beyond the picture's edge the picture is mirrored."""

    x: int
    y: int
    side: int
    cores: tuple[Box, ...]
    """This square fills the hole pixels in these boxes."""


def plan_squares(mask: np.ndarray, context: float, max_squares: int, size: int | None) -> list[Square]:
    """Squares that together fill every hole of `mask`, each at the highest resolution that its hole allows.

    Holes near each other share a square, and so do holes whose squares would be the same window of the picture: the
    model fills all holes of a window at once. A long thin hole is split along its length over at most `max_squares`
    squares, because one square around all of it would be scaled down until its surroundings are blurred.

    Args:
        mask: (H, W) bool.
        context: side of a square as a multiple of its hole's longer side.
        max_squares: the most squares for one hole.
        size: side of the model's tiles; None: it takes any side, and no hole is split.
    """
    height, width = mask.shape
    smallest = min(size or 256, max(height, width))
    squares = []
    for box in _groups(mask, context, smallest):
        left, top, right, bottom = box
        side = max(smallest, math.ceil(context * max(right - left, bottom - top)))
        side = min(side, max(height, width))
        if size is None or side <= smallest:
            squares.append(_square_around(box, side, mask.shape))
        else:
            squares.extend(_split(mask, box, side, smallest, max_squares))
    return _one_per_window(squares)


def _one_per_window(squares: list[Square]) -> list[Square]:
    """Merge squares of the same window into one with all their cores, at the place of the first."""
    by_window: dict[tuple[int, int, int], Square] = {}
    for square in squares:
        window = (square.x, square.y, square.side)
        earlier = by_window[window].cores if window in by_window else ()
        by_window[window] = Square(*window, cores=earlier + square.cores)
    return list(by_window.values())


def _groups(mask: np.ndarray, context: float, smallest: int) -> list[Box]:
    """Bounding boxes of the holes; holes near each other, or within one square of side `smallest`, are merged."""
    if not mask.any():
        return []
    left, top, right, bottom = bounding_box(mask)
    left, top = (max(0, first - MERGE_PX) // 2 * 2 for first in (left, top))  # even: labels keep their order
    mask = mask[top : bottom - 1 + MERGE_PX, left : right - 1 + MERGE_PX]  # a large photo need not be searched whole
    near = cv2.dilate(mask.astype(np.uint8), np.ones((MERGE_PX + 1, MERGE_PX + 1), np.uint8))
    count, labels = cv2.connectedComponents(near, connectivity=8)
    labels[~mask] = 0
    boxes = np.empty((count - 1, 4), np.int64)
    ys, xs = np.nonzero(mask)
    owner = labels[ys, xs].astype(np.int64) - 1
    for column, values, reduce in (
        (0, xs, np.minimum),
        (1, ys, np.minimum),
        (2, xs, np.maximum),
        (3, ys, np.maximum),
    ):
        boxes[:, column] = int(np.iinfo(np.int64).max) if reduce is np.minimum else -1
        reduce.at(boxes[:, column], owner, values)
    boxes[:, 2:] += 1
    boxes += (left, top, left, top)
    groups: list[Box] = []
    open_ = np.ones(len(boxes), bool)
    for seed in range(len(boxes)):
        if not open_[seed]:
            continue
        box = boxes[seed].copy()
        open_[seed] = False
        while True:  # merge the nearest hole that still fits, until none does
            candidates = np.flatnonzero(open_)
            if not len(candidates):
                break
            unions = np.concatenate(
                [np.minimum(boxes[candidates, :2], box[:2]), np.maximum(boxes[candidates, 2:], box[2:])],
                axis=1,
            )
            sides = (unions[:, 2:] - unions[:, :2]).max(axis=1)
            best = int(sides.argmin())
            own_side = int((box[2:] - box[:2]).max())
            if context * sides[best] > smallest and sides[best] > own_side:
                break
            box = unions[best]
            open_[candidates[best]] = False
        left, top, right, bottom = (int(v) for v in box)
        groups.append((left, top, right, bottom))
    return groups


def _split(mask: np.ndarray, box: Box, whole_side: int, smallest: int, max_squares: int) -> list[Square]:
    """One square around `box`, or several smaller ones where the hole in it is much thinner than long."""
    left, top, right, bottom = box
    hole = mask[top:bottom, left:right].astype(np.uint8)
    framed = cv2.copyMakeBorder(hole, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    thickness = 2.0 * float(cv2.distanceTransform(framed, cv2.DIST_L2, 3).max())
    side = max(smallest, math.ceil(THIN * thickness))
    while side < whole_side:
        cores = _cells(hole, box, CORE * side)
        if len(cores) <= max_squares:
            return [_square_around(core, side, mask.shape) for core in cores]
        side = math.ceil(1.2 * side)
    return [_square_around(box, whole_side, mask.shape)]


def _cells(hole: np.ndarray, box: Box, cell: float) -> list[Box]:
    """Tight boxes around the hole pixels of every cell of a grid over `box`, cells at most `cell` pixels wide."""
    height, width = hole.shape
    rows = np.linspace(0, height, math.ceil(height / cell) + 1).round().astype(int)
    columns = np.linspace(0, width, math.ceil(width / cell) + 1).round().astype(int)
    cores = []
    for y0, y1 in zip(rows[:-1], rows[1:], strict=True):
        for x0, x1 in zip(columns[:-1], columns[1:], strict=True):
            part = hole[y0:y1, x0:x1]
            if part.any():
                x, y = int(box[0] + x0), int(box[1] + y0)
                left, top, right, bottom = bounding_box(part)
                cores.append((x + left, y + top, x + right, y + bottom))
    return cores


def _square_around(core: Box, side: int, shape: tuple[int, int]) -> Square:
    """The square of `side` centred on `core`, moved inside the picture if the picture is large enough."""

    def start(low: int, high: int, length: int) -> int:
        centred = (low + high - side) // 2
        return min(max(centred, 0), length - side) if length >= side else (length - side) // 2

    return Square(start(core[0], core[2], shape[1]), start(core[1], core[3], shape[0]), side, (core,))


def remaining(todo: np.ndarray, square: Square) -> bool:
    """Whether `square` still has hole pixels to fill."""
    return any(todo[top:bottom, left:right].any() for left, top, right, bottom in square.cores)


def meet(one: Square, other: Square, feather_px: int) -> bool:
    """Whether one of two squares contains pixels that the other one changes, so that their order matters."""

    def pasted_in(core: Box, seen: Square) -> bool:
        left, top, right, bottom = core
        across = left - feather_px < seen.x + seen.side and seen.x < right + feather_px
        return across and top - feather_px < seen.y + seen.side and seen.y < bottom + feather_px

    return any(pasted_in(core, seen) for pasted, seen in ((one, other), (other, one)) for core in pasted.cores)


def cut(canvas: np.ndarray, todo: np.ndarray, square: Square, size: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Picture and mask of one square at the model's size: (S, S, 3) uint8 and (S, S) bool.

    Every pixel of the tile to which a hole pixel of `todo` contributes is hole, and holes are grey before scaling, so
    the result does not depend on the pixels under the hole.
    """
    tile, hole = at_full_size(canvas, square), at_full_size(todo, square)
    if tile.dtype == np.uint16:
        tile = ((tile.astype(np.uint32) + 128) // 257).astype(np.uint8)
    tile = np.where(hole[..., None], np.uint8(HOLE_GREY), tile)
    size = size or square.side
    if size == square.side:
        return tile, hole
    shrink = size < square.side
    whole, tile = tile, cv2.resize(tile, (size, size), interpolation=cv2.INTER_AREA if shrink else cv2.INTER_CUBIC)
    coverage = cv2.resize(
        hole.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA if shrink else cv2.INTER_CUBIC
    )
    coverage = np.abs(coverage)
    for threshold in (1e-4, 0.5, float(coverage.min())):
        scaled = coverage > threshold
        if not scaled.all():  # else scaling lost a thin rim of known pixels: raise the threshold
            break
    mixed = ~scaled & (coverage > 1e-4)
    if shrink and mixed.any():  # remove the share of the grey from known pixels
        share = coverage[mixed][:, None]
        values = cv2.resize(whole.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA)[mixed]
        tile[mixed] = np.rint((values - share * HOLE_GREY) / np.maximum(1 - share, 1e-3)).clip(0, 255)
    tile[scaled] = HOLE_GREY
    return tile, scaled


def at_full_size(array: np.ndarray, square: Square) -> np.ndarray:
    """Copy of `array` (H, W, ...) under `square`, mirrored beyond the edge."""
    height, width = array.shape[:2]
    x0, y0 = max(square.x, 0), max(square.y, 0)
    x1, y1 = min(square.x + square.side, width), min(square.y + square.side, height)
    pad = [(y0 - square.y, square.y + square.side - y1), (x0 - square.x, square.x + square.side - x1)]
    pad += [(0, 0)] * (array.ndim - 2)
    return np.pad(array[y0:y1, x0:x1], pad, mode="symmetric")


def paste(
    canvas: np.ndarray,
    changed: np.ndarray,
    todo: np.ndarray,
    filled: np.ndarray,
    square: Square,
    feather_px: int,
) -> None:
    """Blend `filled` (S, S, 3) float32 in [0, 255] into `canvas` where `square` has holes; in place.

    Hole pixels of the square's cores are replaced; the blend falls off linearly over `feather_px` pixels outside them.
    `changed` gains every pixel that was written, `todo` loses the pixels that were filled.
    """
    height, width = todo.shape
    lefts, tops, rights, bottoms = zip(*square.cores, strict=True)
    left, top, right, bottom = min(lefts), min(tops), max(rights), max(bottoms)
    x0, y0 = max(square.x, left - feather_px, 0), max(square.y, top - feather_px, 0)
    x1 = min(square.x + square.side, right + feather_px, width)
    y1 = min(square.y + square.side, bottom + feather_px, height)
    own = np.zeros((y1 - y0, x1 - x0), bool)
    for left, top, right, bottom in square.cores:
        own[top - y0 : bottom - y0, left - x0 : right - x0] = todo[top:bottom, left:right]
    alpha = feather(own, feather_px)

    window = (slice(y0, y1), slice(x0, x1))
    if filled.shape[0] != square.side:
        shrink = filled.shape[0] > square.side
        interpolation = cv2.INTER_AREA if shrink else cv2.INTER_CUBIC
        filled = cv2.resize(filled, (square.side, square.side), interpolation=interpolation)
    part = filled[y0 - square.y : y1 - square.y, x0 - square.x : x1 - square.x]
    touched = blend(canvas[window], part, alpha)
    changed[window] |= touched
    todo[window] &= ~own


def blend(canvas: np.ndarray, values: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Mix `values` (H, W, 3) float32 in [0, 255] into `canvas` (H, W, 3) uint8 or uint16 by `alpha` (H, W); in place.

    Pixels of weight 0 do not change. Returns the pixels that were written, (H, W) bool.
    """
    top_value = np.iinfo(canvas.dtype).max
    touched = alpha > 0
    old = canvas[touched].astype(np.float32)
    mixed = old + alpha[touched][:, None] * (values[touched] * (top_value / 255.0) - old)
    canvas[touched] = np.clip(np.rint(mixed), 0, top_value).astype(canvas.dtype)
    return touched


def feather(hole: np.ndarray, feather_px: int) -> np.ndarray:
    """Blend weights (H, W) float32: 1 in the hole, falling linearly to 0 over `feather_px` pixels outside it.

    The ramp lies outside the hole, because inside it would show the object again. It is exactly 0 at more than
    `feather_px` pixels (Euclidean) from the hole.
    """
    if feather_px == 0 or not hole.any():
        return hole.astype(np.float32)
    distance = cv2.distanceTransform((~hole).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.where(distance <= feather_px, 1.0 - distance / (feather_px + 1.0), 0.0).astype(np.float32)
