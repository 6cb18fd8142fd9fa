"""Counts the floating-point operations that a network runs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any


def count_operations(run: Callable[[], Any]) -> int:
    """Floating-point operations of the matrix products and convolutions during `run()`.

    A multiplication with its addition counts as two; norms, activations and softmax do not count. Beside what torch's
    `FlopCounterMode` knows this counts products through oneDNN, which the fused networks use on a CPU, and products
    that are added in place. Triton kernels cannot be counted.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    more = {
        torch.ops.mkldnn._linear_pointwise: _linear_flop,
        torch.ops.aten.baddbmm_: _added_product_flop,
        torch.ops.aten.addmm_: _added_product_flop,
    }
    with FlopCounterMode(display=False, custom_mapping=more) as counter:
        run()
    return int(counter.get_total_flops())


def _linear_flop(x: tuple[int, ...], weight: tuple[int, ...], *_: Any, **__: Any) -> int:
    """Of x (..., in) with weight (out, in), given as shapes."""
    return 2 * math.prod(x) * weight[0]


def _added_product_flop(total: tuple[int, ...], a: tuple[int, ...], b: tuple[int, ...], **__: Any) -> int:
    """Of a (..., n, k) with b (..., k, m), given as shapes."""
    return 2 * math.prod(a) * b[-1]
