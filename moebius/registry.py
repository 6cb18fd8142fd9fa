"""Which models exist, what they cost, whether they can run here, and the one that `auto` takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from moebius.inpainter import Inpainter


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """Where a model's weights are and how it runs; None means: decide from what is there."""

    weights: Path | None = None
    variant: str = "places2"
    device: str | None = None
    dtype: str | None = None
    allow_download: bool = False


@dataclass(frozen=True, kw_only=True)
class Availability:
    """Whether a model can run here, and the sentence that a person needs if not."""

    can_run: bool
    reason: str
    weights: str
    """Where its weights are, or where they come from."""


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    name: str
    title: str
    parameters: int
    download_bytes: int
    license: str
    source: str
    availability: Callable[[LoadOptions], Availability]
    load: Callable[[LoadOptions], Inpainter]
