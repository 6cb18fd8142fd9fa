"""The paper's measurements (arXiv:2606.19195), shown beside our own figures and marked as the paper's."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class PaperTiming:
    """Times as the paper gives them, for 512 x 512 pixels on its authors' GPU."""

    step_ms: float
    steps: int
    total_s: float


@dataclass(frozen=True, kw_only=True)
class PaperModel:
    """A row of the paper's tables 1, 3 and 4. None: the paper does not say."""

    title: str
    name: str | None = None
    """Our name of the model; None: we do not have it."""
    parameters: int | None = None
    timing: PaperTiming | None = None
    fid: float
    lpips: float
    """Both on Places2's test pictures at 512 × 512, 40 to 50 % of each masked."""


MODELS = (
    PaperModel(
        title="Moebius",
        name="moebius",
        parameters=226_000_000,
        timing=PaperTiming(step_ms=26.01, steps=20, total_s=0.52),
        fid=9.48,
        lpips=0.207,
    ),
    PaperModel(
        title="PixelHacker",
        name="pixelhacker",
        parameters=862_000_000,
        timing=PaperTiming(step_ms=46.89, steps=20, total_s=0.94),
        fid=8.59,
        lpips=0.203,
    ),
    PaperModel(
        title="FLUX.1 Fill [dev]",
        name="flux-fill",
        parameters=11_902_000_000,
        timing=PaperTiming(step_ms=161.01, steps=50, total_s=8.05),
        fid=8.02,
        lpips=0.279,
    ),
    PaperModel(
        title="SD3.5 Large Inpainting",
        parameters=8_057_000_000,
        timing=PaperTiming(step_ms=151.02, steps=28, total_s=4.23),
        fid=37.33,
        lpips=0.237,
    ),
    PaperModel(title="MAT", fid=9.27, lpips=0.211),
    PaperModel(title="MI-GAN", fid=14.36, lpips=0.239),
    PaperModel(title="LaMa", fid=21.07, lpips=0.213),
)

TIMINGS = {model.name: model.timing for model in MODELS if model.name and model.timing}
"""By our names of the models; 512 × 512, on the paper's GPU."""
