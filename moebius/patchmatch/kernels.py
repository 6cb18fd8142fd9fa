"""Compiled loops of PatchMatch (Barnes et al. 2009, doi:10.1145/1531326.1531330): search, exact search, votes.

A picture is (h, w, 8) uint8, eight feature bytes a pixel; a patch is 8×8 pixels, so that one row of a patch is 64
neighbouring bytes: one AVX-512 register, two of AVX2, four of NEON. Kernels get pictures flat. A patch is named by its
top left pixel. All sums of the search are integers and the votes are added in a fixed order without fused operations,
so results do not depend on the width of the machine's vectors. Kernels release the GIL and work on a band of rows.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

PATCH = 8
"""Side of a patch in pixels."""
CHANNELS = 8
"""Feature bytes of a pixel."""
ROW = PATCH * CHANNELS
FAR = 1 << 30
"""Larger than any distance of two patches (8 × 8 × 8 × 255)."""


def _load(context, builder, kind, array, index, lanes: ir.VectorType):
    """The vector at byte or element `index` of a flat array, without any alignment."""
    data = context.make_array(kind)(context, builder, array).data
    place = builder.bitcast(builder.gep(data, [index]), lanes.as_pointer())
    return builder.load(place, align=1), place


def _sum_of_differences(builder, a, b):
    """Sum of |a - b| over 64 bytes, widened to int32; on x86 LLVM makes `psadbw` of it."""
    wide = ir.VectorType(ir.IntType(32), ROW)
    difference = builder.sub(builder.zext(a, wide), builder.zext(b, wide))
    positive = builder.icmp_signed(">", difference, ir.Constant(wide, [0] * ROW))
    difference = builder.select(positive, difference, builder.neg(difference))
    signature = ir.FunctionType(ir.IntType(32), [wide])
    total = cgutils.get_or_insert_function(builder.module, signature, f"llvm.vector.reduce.add.v{ROW}i32")
    return builder.call(total, [difference])


@intrinsic
def row_distance(typing_context, a, i, b, k):
    """Sum of |a[i:i+64] - b[k:k+64]| of two flat uint8 arrays."""

    def generate(context, builder, signature, arguments):
        a_type, _, b_type, _ = signature.args
        bytes_ = ir.VectorType(ir.IntType(8), ROW)
        left, _ = _load(context, builder, a_type, arguments[0], arguments[1], bytes_)
        right, _ = _load(context, builder, b_type, arguments[2], arguments[3], bytes_)
        return _sum_of_differences(builder, left, right)

    return types.int32(a, types.intp, b, types.intp), generate


@intrinsic
def masked_row_distance(typing_context, a, i, b, k, mask, m):
    """`row_distance` over the bytes where mask[m:m+64], flat uint8, is 255; 0 leaves a byte out."""

    def generate(context, builder, signature, arguments):
        a_type, _, b_type, _, mask_type, _ = signature.args
        bytes_ = ir.VectorType(ir.IntType(8), ROW)
        keep, _ = _load(context, builder, mask_type, arguments[4], arguments[5], bytes_)
        left, _ = _load(context, builder, a_type, arguments[0], arguments[1], bytes_)
        right, _ = _load(context, builder, b_type, arguments[2], arguments[3], bytes_)
        return _sum_of_differences(builder, builder.and_(left, keep), builder.and_(right, keep))

    return types.int32(a, types.intp, b, types.intp, mask, types.intp), generate


@intrinsic
def add_row(typing_context, total, i, source, k, weight, window, n):
    """total[i:i+64] += weight * window[n:n+64] * source[k:k+64]; total and window float32, source uint8, all flat."""

    def generate(context, builder, signature, arguments):
        total_type, _, source_type, _, _, window_type, _ = signature.args
        floats = ir.VectorType(ir.FloatType(), ROW)
        old, place = _load(context, builder, total_type, arguments[0], arguments[1], floats)
        values, _ = _load(context, builder, source_type, arguments[2], arguments[3], ir.VectorType(ir.IntType(8), ROW))
        shape, _ = _load(context, builder, window_type, arguments[5], arguments[6], floats)
        one = builder.insert_element(ir.Constant(floats, ir.Undefined), arguments[4], ir.IntType(32)(0))
        first = ir.Constant(ir.VectorType(ir.IntType(32), ROW), [0] * ROW)
        weights = builder.fmul(builder.shuffle_vector(one, ir.Constant(floats, ir.Undefined), first), shape)
        new = builder.fadd(old, builder.fmul(weights, builder.uitofp(values, floats)))
        builder.store(new, place, align=1)
        return context.get_dummy_value()

    signature = types.void(total, types.intp, source, types.intp, types.float32, window, types.intp)
    return signature, generate


@njit(nogil=True, cache=True)
def patch_distance(target, mask, t, target_step, source, s, source_step, limit):
    """Distance of the patches at bytes `t` and `s`, steps = bytes a picture row; even rows first.

    A result of `limit` or more may leave out the odd rows. An empty `mask` compares all bytes.
    """
    distance = np.int32(0)
    if mask.size == 0:
        for row in range(0, PATCH, 2):
            distance += row_distance(target, t + row * target_step, source, s + row * source_step)
        if distance >= limit:
            return distance
        for row in range(1, PATCH, 2):
            distance += row_distance(target, t + row * target_step, source, s + row * source_step)
        return distance
    for row in range(0, PATCH, 2):
        place = t + row * target_step
        distance += masked_row_distance(target, place, source, s + row * source_step, mask, place)
    if distance >= limit:
        return distance
    for row in range(1, PATCH, 2):
        place = t + row * target_step
        distance += masked_row_distance(target, place, source, s + row * source_step, mask, place)
    return distance


@njit(nogil=True, cache=True)
def hashed(value):
    """A well mixed uint32 of a uint32 (the "lowbias32" multipliers of C. Wellons)."""
    value = np.uint32(value)
    value = np.uint32((value ^ (value >> np.uint32(16))) * np.uint32(0x7FEB352D))
    value = np.uint32((value ^ (value >> np.uint32(15))) * np.uint32(0x846CA68B))
    return np.uint32(value ^ (value >> np.uint32(16)))


@njit(nogil=True, cache=True)
def place_number(seed, row, column):
    """A random number of its own for each place of a grid."""
    return hashed(np.uint32(seed) + np.uint32(row) * np.uint32(65537) + np.uint32(column) * np.uint32(2654435761))


@njit(nogil=True, cache=True)
def step_within(bits, radius):
    """16 random bits to a step in [-radius, radius]."""
    return np.int64(bits & np.uint32(0xFFFF)) * (2 * radius + 1) // 65536 - radius


@njit(nogil=True, cache=True)
def far_cost(dy, dx, pull):
    """What a patch (dy, dx) pixels away costs beside its distance: `pull` / 256 a pixel, along both axes."""
    return np.int32((abs(dy) + abs(dx)) * pull >> 8)


@njit(nogil=True, cache=True)
def random_band(usable, field, wanted, seed, first, last):
    """A random usable place for every wanted patch of grid rows first..last; `field` (gh, gw, 2) int32 is y, x."""
    height, width = usable.shape
    for row in range(first, last):
        for column in range(field.shape[1]):
            if not wanted[row, column]:
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
    target, mask, target_width, source, source_width, usable, field, cost, before, known, wanted, first, last,
    grid, pull, backwards, candidates, radius, seed, fresh,
):  # fmt: skip
    """One PatchMatch pass over grid rows first..last: what the neighbours found, then random places around it.

    Args:
        target, source: flat pictures; mask: flat, of the target's size, or empty (see `patch_distance`).
        usable: (h - 7, w - 7) bool, the patches that may be taken.
        field: (gh, gw, 2) int32, the place (y, x) taken for each grid patch; cost: (gh, gw) int32, its distance.
        before: `field` as it was before the pass: what a band sees of other bands, so that threads change nothing.
        known: (gh, gw) bool, patches whose field may be followed; wanted: those that are searched.
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
            if not wanted[row, column]:
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
def exact_band(target, mask, target_width, source, source_width, places, field, cost, wanted, first, last, grid, pull):
    """The nearest of all `places` (n, 2) int32 for each wanted patch of grid rows first..last; of equals the first."""
    target_step, source_step = target_width * CHANNELS, source_width * CHANNELS
    for row in range(first, last):
        for column in range(cost.shape[1]):
            if not wanted[row, column]:
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
def vote_band(source, source_width, field, cost, trust, active, typical, power, stride, window, first, last, total):
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
                    flat, (above + line) * width + column * stride * CHANNELS,
                    source, s + line * source_width * CHANNELS, weight, window, line * ROW,
                )  # fmt: skip


@njit(nogil=True, cache=True)
def enlarge_band(
    coarse, coarse_active, coarse_grid, field, active, grid, scale_y, scale_x, usable, spare, seed, first, last
):
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
def nearest_active(active, row, column):
    """The first active place in growing squares around (row, column), or that place itself where none is within 4."""
    for reach in range(1, 5):
        for i in range(max(row - reach, 0), min(row + reach + 1, active.shape[0])):
            for k in range(max(column - reach, 0), min(column + reach + 1, active.shape[1])):
                if active[i, k]:
                    return i, k
    return row, column
