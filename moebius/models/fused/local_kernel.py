"""Local-λ as one Triton kernel, for GPUs; `FusedMoebiusUNet.set_local_kernel("triton")`.

Not run on a GPU yet (benchmarks/waiting-for-gpu.md): tests run it in Triton's interpreter and compile it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

try:
    import triton
    from triton import language as tl
except ImportError:  # torch brings it on Linux with CUDA alone
    triton = None

_TILE = 8
"""Neighbours along x that one program takes; an estimate: 8 heads make 64 rows of queries."""
_CHUNK = 16
"""Channels of the queries in one product: the least that tensor cores take, so none are padded at depths 80 and 160."""


def local_lambda(q: Tensor, v: Tensor, relative: Tensor, content: Tensor) -> Tensor:
    """y[h,v,n] = Σ_k Q[h,k,n] (λc[k,v] + Σ_δ R[k,δ] V[v,n+δ]), V zero outside the picture; all sums in float32.

    Args:
        q: (b, H, W, h, k), contiguous.
        v: (b, H, W, k); the last dimension contiguous, those before it as one.
        relative: R as (δx·δy, k), contiguous, in q's type.
        content: λc as (b, k, v).

    Returns:
        (b, H, W, h, k) in q's type.

    Raises:
        ValueError: Triton is not installed.
    """
    check_installed()
    b, height, width, heads, depth = q.shape
    window = round(relative.shape[0] ** 0.5)
    out, content = torch.empty_like(q), content.to(q.dtype).contiguous()
    tile = min(_TILE, width)
    sizes = {
        "ROWS": max(16, triton.next_power_of_2(tile * heads)),
        "CHANNELS": max(16, triton.next_power_of_2(depth)),
        "NEAR": max(16, triton.next_power_of_2(window)),
        "SPAN": max(16, triton.next_power_of_2(tile + window - 1)),
    }
    launch: Any = _kernel  # `triton.jit` made it indexable by the grid of programs
    launch[triton.cdiv(width, tile), height, b](
        q,
        v,
        relative,
        content,
        out,
        height,
        width,
        v.stride(2),
        HEADS=heads,
        DEPTH=depth,
        WINDOW=window,
        TILE=tile,
        CHUNK=_CHUNK,
        **sizes,
        PRECISION="tf32x3" if q.dtype == torch.float32 else "ieee",
        WIDEN=triton.knobs.runtime.interpret,
        num_warps=8 if depth > 128 else 4,
    )
    return out


def check_installed() -> None:
    if triton is None:
        raise ValueError(
            'kernel "triton" needs Triton, which is not installed (pip install triton); use kernel "torch"'
        )


def _kernel(  # type: ignore[no-untyped-def]  # Triton reads the annotations of its kernels
    q,
    v,
    relative,
    content,
    out,
    height,
    width,
    v_stride,
    HEADS: tl.constexpr,
    DEPTH: tl.constexpr,
    WINDOW: tl.constexpr,
    TILE: tl.constexpr,
    CHUNK: tl.constexpr,
    ROWS: tl.constexpr,
    CHANNELS: tl.constexpr,
    NEAR: tl.constexpr,
    SPAN: tl.constexpr,
    PRECISION: tl.constexpr,
    WIDEN: tl.constexpr,
):
    """`TILE` neighbours along x with all heads, a row of the window at a time.

    Row m of the queries is head m % h of position m // h. Its products with a row of R are moved right by its
    position, so that they stand over the values that they weigh.
    """
    left, y, b = tl.program_id(0) * TILE, tl.program_id(1), tl.program_id(2)
    reach = WINDOW // 2
    m, k, channel, span = tl.arange(0, ROWS), tl.arange(0, CHUNK), tl.arange(0, CHANNELS), tl.arange(0, SPAN)
    position = m // HEADS
    real, has_channel = (position < TILE) & (left + position < width), channel < DEPTH
    rows = (((b * height + y) * width + left) * HEADS + m)[:, None] * DEPTH

    total = tl.zeros((ROWS, CHANNELS), tl.float32)
    for start in range(0, DEPTH, CHUNK):
        has = start + k < DEPTH
        queries = tl.load(q + rows + (start + k)[None, :], mask=real[:, None] & has[None, :], other=0.0)
        at = content + (b * DEPTH + (start + k)[:, None]) * DEPTH + channel[None, :]
        total = _add_product(
            total, queries, tl.load(at, mask=has[:, None] & has_channel[None, :], other=0.0), PRECISION, WIDEN
        )

    shift = span[None, :] - position[:, None]
    inside = (shift >= 0) & (shift < WINDOW)
    shift = tl.where(inside, shift, 0)
    dx, column = tl.arange(0, NEAR), left + span - reach
    span_mask = ((column >= 0) & (column < width))[:, None] & has_channel[None, :]
    for dy in range(0, WINDOW):
        local = tl.zeros((ROWS, NEAR), tl.float32)
        for start in range(0, DEPTH, CHUNK):
            has = start + k < DEPTH
            queries = tl.load(q + rows + (start + k)[None, :], mask=real[:, None] & has[None, :], other=0.0)
            at = relative + (dx[None, :] * WINDOW + dy) * DEPTH + (start + k)[:, None]
            near = tl.load(at, mask=(dx < WINDOW)[None, :] & has[:, None], other=0.0)
            local = _add_product(local, queries, near, PRECISION, WIDEN)
        weights = tl.where(inside, tl.gather(local, shift, 1), 0.0)
        row = y + dy - reach
        places = (b * height + row) * width + column
        there = span_mask & (row >= 0) & (row < height)
        values = tl.load(v + places[:, None] * v_stride + channel[None, :], mask=there, other=0.0)
        total = _add_product(total, weights.to(values.dtype), values, PRECISION, WIDEN)
    mask = real[:, None] & has_channel[None, :]
    tl.store(out + rows + channel[None, :], total.to(out.dtype.element_ty), mask=mask)


def _add_product(  # type: ignore[no-untyped-def]
    total, x, y, PRECISION: tl.constexpr, WIDEN: tl.constexpr
):
    """total + x @ y. WIDEN: in float32, because Triton's interpreter multiplies the bits of bfloat16 as integers."""
    if WIDEN:
        x, y = x.to(tl.float32), y.to(tl.float32)
    return tl.dot(x, y, total, input_precision=PRECISION)


if triton is not None:
    _add_product, _kernel = triton.jit(_add_product), triton.jit(_kernel)
