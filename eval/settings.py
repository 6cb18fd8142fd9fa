"""The settings of an evaluation, kept beside its results, so that later steps find them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eval import store
from eval.contestants import Options
from eval.data.dataset import Request
from eval.judge import Metrics
from eval.metrics.names import OFFLINE_REMOVAL, SECOND_OFFLINE
from moebius.config import SamplingConfig
from moebius.files import read_json

FILE = "settings.json"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Plain values only: it is written as JSON."""

    models: tuple[str, ...] = ()
    data: str = ""
    folder: str | None = None
    masks: str | None = None
    size: int | None = None
    seed: int = 0
    limit: int | None = None

    weights: dict[str, str] = field(default_factory=dict)
    """Folder per model; "" for all learned ones that have none of their own."""
    variant: str | None = None
    device: str | None = None
    dtype: str | None = None
    sampling: dict = field(default_factory=dict)
    """Fields of `SamplingConfig` for all models."""
    overrides: dict[str, dict] = field(default_factory=dict)
    """The same per model."""
    batch: int = 1

    features: str = "inception"
    perceptual: str | None = None
    antialias: bool = False
    removal: str = OFFLINE_REMOVAL
    dinov2: str | None = None
    second: str = SECOND_OFFLINE
    dinov2_large: str | None = None
    download: bool = False
    reference: str | None = None
    """Model that the others are compared with; None: the first."""

    rounds: int = 5
    time_batches: tuple[int, ...] = (1,)

    def __post_init__(self) -> None:
        for name in ("batch", "rounds"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")
        for name in ("size", "limit"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")
        if self.reference and self.models and self.reference not in self.models:
            raise ValueError(f"--reference {self.reference} is not among --models ({', '.join(self.models)})")

    @property
    def request(self) -> Request:
        """Which pictures and masks."""
        if not self.data:
            raise ValueError("say with --data what to fill: a folder, a list file or a protocol")
        return Request(
            data=self.data, folder=self.folder, masks=self.masks, size=self.size, seed=self.seed, limit=self.limit
        )

    @property
    def options(self) -> Options:
        """How models are loaded, by their names."""
        return Options(
            config=SamplingConfig(**self.sampling),
            overrides=self.overrides,
            weights=self.weights,
            variant=self.variant,
            device=self.device,
            dtype=self.dtype,
        )

    @property
    def metrics(self) -> Metrics:
        """The networks that score."""
        return Metrics(
            features=self.features,
            perceptual=self.perceptual,
            antialias=self.antialias,
            allow_download=self.download,
            removal=self.removal,
            removal_folder=self.dinov2,
            second=self.second,
            second_folder=self.dinov2_large,
        )

    def save(self, out: Path) -> None:
        store.write_json(out / FILE, dataclasses.asdict(self))


def load(out: Path) -> Settings:
    """What was asked for before. Raises ValueError if nothing was."""
    path = out / FILE
    if not path.is_file():
        raise ValueError(f"{out} holds no evaluation; start with: python -m eval run --models … --data … -o {out}")
    kept = read_json(path)
    fields: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in kept.items()}
    return Settings(**fields)
