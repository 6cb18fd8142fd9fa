"""Compiled loops of PatchMatch (Barnes et al. 2009, doi:10.1145/1531326.1531330): search, exact search, votes.

A picture is (h, w, 8) uint8, eight feature bytes a pixel; a patch is 8×8 pixels, so that one row of a patch is 64
neighbouring bytes: one AVX-512 register, two of AVX2, four of NEON. Kernels get pictures flat. A patch is named by its
top left pixel. All sums of the search are integers and the votes are added in a fixed order without fused operations,
so results do not depend on the width of the machine's vectors. Kernels release the GIL and work on a band of rows.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from moebius.patchmatch.vectors import CHANNELS, PATCH, ROW, add_row, masked_row_distance, row_distance

FAR = 1 << 30
"""Larger than any distance of two patches (8 × 8 × 8 × 255)."""


PAIRS = ((0, 4), (2, 6), (1, 5), (3, 7))
"""Order in which the rows of two patches are compared."""


@njit(nogil=True, cache=True)
def patch_distance(
    target: np.ndarray,
    mask: np.ndarray,
    t: int,
    target_step: int,
    source: np.ndarray,
    s: int,
    source_step: int,
    limit: int,
) -> np.int32:
    """Distance of the patches at bytes `t` and `s`, steps = bytes a picture row.

    Rows are added in pairs, the first ones far apart: most candidates are given up after two rows. A result of `limit`
    or more may leave out rows. An empty `mask` compares all bytes.
    """
    distance = np.int32(0)
    for pair in PAIRS:
        for row in pair:
            place, other = t + row * target_step, s + row * source_step
            if mask.size == 0:
                distance += row_distance(target, place, source, other)
            else:
                distance += masked_row_distance(target, place, source, other, mask, place)
        if distance >= limit:
            return distance
    return distance


@njit(nogil=True, cache=True)
def hashed(value: np.uint32) -> np.uint32:
    """A well mixed uint32 of a uint32 (the "lowbias32" multipliers of C. Wellons)."""
    value = np.uint32(value)
    value = np.uint32((value ^ (value >> np.uint32(16))) * np.uint32(0x7FEB352D))
    value = np.uint32((value ^ (value >> np.uint32(15))) * np.uint32(0x846CA68B))
    return np.uint32(value ^ (value >> np.uint32(16)))


@njit(nogil=True, cache=True)
def place_number(seed: int, row: int, column: int) -> np.uint32:
    """A random number of its own for each place of a grid."""
    return hashed(np.uint32(seed) + np.uint32(row) * np.uint32(65537) + np.uint32(column) * np.uint32(2654435761))


@njit(nogil=True, cache=True)
def step_within(bits: np.uint32, radius: int) -> np.int64:
    """16 random bits to a step in [-radius, radius]."""
    return np.int64(bits & np.uint32(0xFFFF)) * (2 * radius + 1) // 65536 - radius


@njit(nogil=True, cache=True)
def far_cost(dy: int, dx: int, pull: int) -> np.int32:
    """What a patch (dy, dx) pixels away costs beside its distance: `pull` / 256 a pixel, along both axes."""
    return np.int32((abs(dy) + abs(dx)) * pull >> 8)


@njit(nogil=True, cache=True)
def random_band(usable: np.ndarray, field: np.ndarray, requested: np.ndarray, seed: int, first: int, last: int) -> None:
    """A random usable place for every requested patch of grid rows first..last; `field` (gh, gw, 2) int32 is y, x."""
    height, width = usable.shape
    for row in range(first, last):
        for column in range(field.shape[1]):
            if not requested[row, column]:
                continue
            number = place_number(seed, row, column)
            for _ in range(256):
                number = hashed(number + np.uint32(0x9E3779B9))
                y = np.int64(number >> np.uint32(16)) * height >> 16
                x = np.int64(number & np.uint32(0xFFFF)) * width >> 16
                if usable[y, x]:
                    field[row, column, 0] = y
                    field[row, column, 1] = x
                    break


@njit(nogil=True, cache=True)
def search_band(
    target: np.ndarray,
    mask: np.ndarray,
    target_width: int,
    source: np.ndarray,
    source_width: int,
    usable: np.ndarray,
    field: np.ndarray,
    cost: np.ndarray,
    before: np.ndarray,
    known: np.ndarray,
    requested: np.ndarray,
    first: int,
    last: int,
    grid: np.ndarray,
    pull: int,
    backwards: bool,
    candidates: int,
    radius: int,
    seed: int,
    fresh: bool,
) -> None:
    """One PatchMatch pass over grid rows first..last: what the neighbours found, then random places around it.

    Args:
        target, source: flat pictures; mask: flat, of the target's size, or empty (see `patch_distance`).
        usable: (h - 7, w - 7) bool, the patches that may be taken.
        field: (gh, gw, 2) int32, the place (y, x) taken for each grid patch; cost: (gh, gw) int32, its distance.
        before: `field` as it was before the pass: what a band sees of other bands, so that threads change nothing.
        known: (gh, gw) bool, patches whose field may be followed; requested: those that are searched.
        grid: (top, left, stride) of the target in the source's picture. pull: see `far_cost`.
        fresh: whether `cost` has yet to be worked out.
    """
    rows, columns = cost.shape
    target_step, source_step = target_width * CHANNELS, source_width * CHANNELS
    lowest, rightmost = usable.shape[0] - 1, usable.shape[1] - 1
    ahead = -1 if backwards else 1
    stride = grid[2]
    for i in range(last - first):
        row = last - 1 - i if backwards else first + i
        for k in range(columns):
            column = columns - 1 - k if backwards else k
            if not requested[row, column]:
                continue
            t = (row * stride * target_width + column * stride) * CHANNELS
            y = np.int64(field[row, column, 0])
            x = np.int64(field[row, column, 1])
            top, left = grid[0] + row * stride, grid[1] + column * stride
            if fresh:
                s = (y * source_width + x) * CHANNELS
                best = patch_distance(target, mask, t, target_step, source, s, source_step, FAR)
                best += far_cost(y - top, x - left, pull)
            else:
                best = cost[row, column]
            for side in range(2):
                near_row = row - ahead if side == 0 else row
                near_column = column if side == 0 else column - ahead
                if near_row < 0 or near_column < 0 or near_row >= rows or near_column >= columns:
                    continue
                if not known[near_row, near_column]:
                    continue
                seen = field if first <= near_row < last else before
                new_y = np.int64(seen[near_row, near_column, 0]) + (ahead * stride if side == 0 else 0)
                new_x = np.int64(seen[near_row, near_column, 1]) + (0 if side == 0 else ahead * stride)
                if new_y < 0 or new_x < 0 or new_y > lowest or new_x > rightmost or not usable[new_y, new_x]:
                    continue
                if new_y == y and new_x == x:
                    continue
                s = (new_y * source_width + new_x) * CHANNELS
                far = far_cost(new_y - top, new_x - left, pull)
                distance = far + patch_distance(target, mask, t, target_step, source, s, source_step, best - far)
                if distance < best:
                    best, y, x = distance, new_y, new_x
            reach = np.int64(radius)
            number = place_number(seed, row, column)
            for _ in range(candidates):
                number = hashed(number + np.uint32(0x9E3779B9))
                new_y = min(max(y + step_within(number, reach), 0), lowest)
                new_x = min(max(x + step_within(number >> np.uint32(16), reach), 0), rightmost)
                if usable[new_y, new_x]:
                    s = (new_y * source_width + new_x) * CHANNELS
                    far = far_cost(new_y - top, new_x - left, pull)
                    distance = far + patch_distance(target, mask, t, target_step, source, s, source_step, best - far)
                    if distance < best:
                        best, y, x = distance, new_y, new_x
                reach //= 2
                if reach < 1:
                    break
            field[row, column, 0] = y
            field[row, column, 1] = x
            cost[row, column] = best


@njit(nogil=True, cache=True)
def exact_band(
    target: np.ndarray,
    mask: np.ndarray,
    target_width: int,
    source: np.ndarray,
    source_width: int,
    places: np.ndarray,
    field: np.ndarray,
    cost: np.ndarray,
    requested: np.ndarray,
    first: int,
    last: int,
    grid: np.ndarray,
    pull: int,
) -> None:
    """The nearest of all `places` (n, 2) int32 for each requested patch of grid rows first..last; of equals the
    first."""
    target_step, source_step = target_width * CHANNELS, source_width * CHANNELS
    for row in range(first, last):
        for column in range(cost.shape[1]):
            if not requested[row, column]:
                continue
            t = (row * grid[2] * target_width + column * grid[2]) * CHANNELS
            top, left = grid[0] + row * grid[2], grid[1] + column * grid[2]
            best, nearest = np.int32(FAR), 0
            for n in range(places.shape[0]):
                s = (np.int64(places[n, 0]) * source_width + places[n, 1]) * CHANNELS
                far = far_cost(places[n, 0] - top, places[n, 1] - left, pull)
                distance = far + patch_distance(target, mask, t, target_step, source, s, source_step, best - far)
                if distance < best:
                    best, nearest = distance, n
            field[row, column] = places[nearest]
            cost[row, column] = best


@njit(nogil=True, cache=True)
def vote_band(
    source: np.ndarray,
    source_width: int,
    field: np.ndarray,
    cost: np.ndarray,
    trust: np.ndarray,
    active: np.ndarray,
    typical: np.float32,
    power: int,
    stride: int,
    window: np.ndarray,
    first: int,
    last: int,
    total: np.ndarray,
) -> None:
    """Weighted sum of the source patches over target rows first..last.

    Args:
        trust: (gh, gw) float32, a factor of each patch's weight, or empty.
        typical: distance at which a patch's weight is 2 to the minus `power` (float32); power: an integer.
        window: (8 * 64,) float32, weights inside a patch.
        total: (last - first, width * 8) float32, overwritten.
    """
    rows, columns = cost.shape
    total[:] = 0
    flat = total.reshape(-1)
    width = total.shape[1]
    top = max(0, (first - PATCH + stride) // stride)
    bottom = min(rows, (last - 1) // stride + 1)
    for row in range(top, bottom):
        above = row * stride - first
        for column in range(columns):
            if not active[row, column]:
                continue
            share = typical / (np.float32(cost[row, column]) + typical)
            weight = share
            for _ in range(power - 1):
                weight *= share
            weight = max(weight, np.float32(1e-20))
            if trust.size:
                weight *= trust[row, column]
            s = (np.int64(field[row, column, 0]) * source_width + field[row, column, 1]) * CHANNELS
            for line in range(max(0, -above), min(PATCH, last - first - above)):
                add_row(
                    flat,
                    (above + line) * width + column * stride * CHANNELS,
                    source,
                    s + line * source_width * CHANNELS,
                    weight,
                    window,
                    line * ROW,
                )


@njit(nogil=True, cache=True)
def enlarge_band(
    coarse: np.ndarray,
    coarse_active: np.ndarray,
    coarse_grid: np.ndarray,
    field: np.ndarray,
    active: np.ndarray,
    grid: np.ndarray,
    scale_y: float,
    scale_x: float,
    usable: np.ndarray,
    spare: np.ndarray,
    seed: int,
    first: int,
    last: int,
) -> None:
    """Rows first..last of a finer level's field from the coarser one's: the same offset, scaled.

    `grid` and `coarse_grid` are (top, left, stride) in pixels of their picture. Where the place is not usable, one near
    it is drawn, else `spare` (y, x) is taken.
    """
    height, width = usable.shape
    half = PATCH / 2.0
    for row in range(first, last):
        for column in range(active.shape[1]):
            if not active[row, column]:
                continue
            top, left = grid[0] + row * grid[2], grid[1] + column * grid[2]
            i = int(np.rint(((top + half) / scale_y - half - coarse_grid[0]) / coarse_grid[2]))
            k = int(np.rint(((left + half) / scale_x - half - coarse_grid[1]) / coarse_grid[2]))
            i = min(max(i, 0), coarse_active.shape[0] - 1)
            k = min(max(k, 0), coarse_active.shape[1] - 1)
            if not coarse_active[i, k]:
                i, k = nearest_active(coarse_active, i, k)
            y = top + int(np.rint((coarse[i, k, 0] - (coarse_grid[0] + i * coarse_grid[2])) * scale_y))
            x = left + int(np.rint((coarse[i, k, 1] - (coarse_grid[1] + k * coarse_grid[2])) * scale_x))
            y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
            if not usable[y, x]:
                new_y, new_x = spare[0], spare[1]
                number = place_number(seed, row, column)
                for t in range(40):
                    number = hashed(number + np.uint32(0x9E3779B9))
                    reach = 2 + t + t * t // 4
                    near_y = min(max(y + step_within(number, reach), 0), height - 1)
                    near_x = min(max(x + step_within(number >> np.uint32(16), reach), 0), width - 1)
                    if usable[near_y, near_x]:
                        new_y, new_x = near_y, near_x
                        break
                y, x = new_y, new_x
            field[row, column, 0] = y
            field[row, column, 1] = x


@njit(nogil=True, cache=True)
def nearest_active(active: np.ndarray, row: int, column: int) -> tuple[int, int]:
    """The first active place in growing squares around (row, column), or that place itself where none is within 4."""
    for reach in range(1, 5):
        for i in range(max(row - reach, 0), min(row + reach + 1, active.shape[0])):
            for k in range(max(column - reach, 0), min(column + reach + 1, active.shape[1])):
                if active[i, k]:
                    return i, k
    return row, column
