"""A step of the fused student compiled for fixed shapes, on CUDA as CUDA graphs.

Not run on a GPU yet (benchmarks/waiting-for-gpu.md): tests run it on a CPU with backends that only trace.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

_MAX_SHAPES = 64
"""Of one function, all networks together, that torch compiles before it warns and compiles no more; its own limit of 8
is soon reached by odd grids."""


class Graphs:
    """`predict` without its stages' outputs; every combination of shapes is compiled when it first comes."""

    def __init__(self, predict: Callable[..., tuple], device: torch.device, backend: str = "inductor"):
        self.on_cuda = device.type == "cuda"
        config = torch._dynamo.config
        config.recompile_limit = max(config.recompile_limit, _MAX_SHAPES)
        self.compiled = torch.compile(
            lambda x, time, constants: predict(x, time, constants)[0],
            dynamic=False,
            backend=backend,
            mode="reduce-overhead" if self.on_cuda and backend == "inductor" else None,
        )

    def __call__(self, x: Tensor, time: Tensor, constants: list) -> Tensor:
        if not self.on_cuda:
            return self.compiled(x, time, constants)
        torch.compiler.cudagraph_mark_step_begin()
        return self.compiled(x, time, constants).clone()  # the next step writes where this one did
