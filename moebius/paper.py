"""What the paper measured (arXiv:2606.19195), to stand beside our own figures, marked as the paper's."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class PaperTiming:
    step_ms: float
    steps: int
    total_s: float


TIMINGS = {
    "moebius": PaperTiming(step_ms=26.01, steps=20, total_s=0.52),
    "pixelhacker": PaperTiming(step_ms=46.89, steps=20, total_s=0.94),
    "flux-fill": PaperTiming(step_ms=161.01, steps=50, total_s=8.05),
}
"""By our names of the models; 512 × 512, on the paper's GPU."""
