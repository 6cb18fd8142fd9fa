"""Vector operations for the kernels, written as LLVM code: distances and weighted sums of 64 neighbouring bytes.

They are compiled into the kernels. numba's cache on disk does not see a change in this file: after one, run
`touch moebius/patchmatch/kernels.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

PATCH = 8
"""Side of a patch in pixels."""
CHANNELS = 8
"""Feature bytes of a pixel."""
ROW = PATCH * CHANNELS
"""Bytes of one row of a patch."""

Overload = tuple[Any, Callable[..., Any]]
"""What an intrinsic returns to numba: its signature and the function that writes its LLVM code."""


def _load(
    context: Any, builder: ir.IRBuilder, kind: Any, array: ir.Value, index: ir.Value, lanes: ir.VectorType
) -> tuple[ir.Value, ir.Value]:
    """The vector at byte or element `index` of a flat array of numba's type `kind`, at any alignment, and its
    address."""
    data = context.make_array(kind)(context, builder, array).data
    place = builder.bitcast(builder.gep(data, [index]), lanes.as_pointer())
    return builder.load(place, align=1), place


def _sum_of_differences(builder: ir.IRBuilder, a: ir.Value, b: ir.Value) -> ir.Value:
    """Sum of |a - b| over 64 bytes, widened to int32; on x86 LLVM makes `psadbw` of it."""
    wide = ir.VectorType(ir.IntType(32), ROW)
    difference = builder.sub(builder.zext(a, wide), builder.zext(b, wide))
    positive = builder.icmp_signed(">", difference, ir.Constant(wide, [0] * ROW))
    difference = builder.select(positive, difference, builder.neg(difference))
    signature = ir.FunctionType(ir.IntType(32), [wide])
    total = cgutils.get_or_insert_function(builder.module, signature, f"llvm.vector.reduce.add.v{ROW}i32")
    return builder.call(total, [difference])


@intrinsic
def row_distance(typing_context: Any, a: Any, i: Any, b: Any, k: Any) -> Overload:
    """Sum of |a[i:i+64] - b[k:k+64]| of two flat uint8 arrays."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: list[ir.Value]) -> ir.Value:
        a_type, _, b_type, _ = signature.args
        bytes_ = ir.VectorType(ir.IntType(8), ROW)
        left, _ = _load(context, builder, a_type, arguments[0], arguments[1], bytes_)
        right, _ = _load(context, builder, b_type, arguments[2], arguments[3], bytes_)
        return _sum_of_differences(builder, left, right)

    return types.int32(a, types.intp, b, types.intp), generate


@intrinsic
def masked_row_distance(typing_context: Any, a: Any, i: Any, b: Any, k: Any, mask: Any, m: Any) -> Overload:
    """`row_distance` over the bytes where mask[m:m+64], flat uint8, is 255; 0 leaves a byte out."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: list[ir.Value]) -> ir.Value:
        a_type, _, b_type, _, mask_type, _ = signature.args
        bytes_ = ir.VectorType(ir.IntType(8), ROW)
        keep, _ = _load(context, builder, mask_type, arguments[4], arguments[5], bytes_)
        left, _ = _load(context, builder, a_type, arguments[0], arguments[1], bytes_)
        right, _ = _load(context, builder, b_type, arguments[2], arguments[3], bytes_)
        return _sum_of_differences(builder, builder.and_(left, keep), builder.and_(right, keep))

    return types.int32(a, types.intp, b, types.intp, mask, types.intp), generate


@intrinsic
def add_row(typing_context: Any, total: Any, i: Any, source: Any, k: Any, weight: Any, window: Any, n: Any) -> Overload:
    """total[i:i+64] += weight * window[n:n+64] * source[k:k+64]; total and window float32, source uint8, all flat."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: list[ir.Value]) -> ir.Value:
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
