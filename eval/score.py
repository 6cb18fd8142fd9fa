"""Scores of every fill, one file per chunk of pictures; resumable, and divided among processes.

Files hold scores and features per picture, not sums, so that uneven shares of processes cannot distort a mean.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from eval import store
from eval.contestants import ROOT
from eval.data.dataset import DataSet, Sample
from eval.generate import AHEAD, chunks, composited_path
from eval.metrics import pixels
from eval.metrics.names import FEATURES, OFFLINE_REMOVAL, PERCEPTUAL, REMOVAL
from eval.workers import Workers
from moebius.progress import counter
from moebius.read_ahead import read_ahead

if TYPE_CHECKING:
    from eval.metrics.features import Extractor
    from eval.metrics.perceptual import Perceptual
    from eval.metrics.tokens import Tokens

CODE = (
    "eval/score.py",
    "eval/metrics/*.py",
    "eval/data/dataset.py",
)
LIBRARIES = ("torch", "torchvision", "torchmetrics", "torch-fidelity", "lpips", "numpy", "Pillow")
BATCH = 8


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """What is measured."""

    features: str = "inception"
    """A name in `names.FEATURES`."""
    perceptual: str | None = None
    """A name in `names.PERCEPTUAL`; None: the one that goes with the features."""
    antialias: bool = False
    """Resize of the pictures before Inception; off is the published recipe."""
    allow_download: bool = False
    removal: str = OFFLINE_REMOVAL
    """A name in `names.REMOVAL`."""
    removal_folder: str | None = None
    """Of DINOv2's weights."""

    def __post_init__(self) -> None:
        chosen = ((self.features, FEATURES), (self.perceptual, PERCEPTUAL), (self.removal, REMOVAL))
        for value, known in chosen:
            if value is not None and value not in known:
                raise ValueError(f"unknown metric network {value!r}; choose from {', '.join(known)}")

    @property
    def distance(self) -> str:
        """The network that tells how different two pictures look."""
        return self.perceptual or FEATURES[self.features].perceptual

    @property
    def distance_key(self) -> str:
        return PERCEPTUAL[self.distance][0]

    def configuration(self, device: str) -> dict:
        """Everything that a score depends on, beside the fill."""
        from importlib.metadata import version

        return {
            "features": self.features,
            "perceptual": self.distance,
            "removal": self.removal,
            "antialias": self.antialias if self.features == "inception" else None,
            "batch": BATCH,
            "device": device.partition(":")[0],
            "code": _code_sha256(),
            "libraries": {name: version(name) for name in LIBRARIES},
        }


@cache
def _code_sha256() -> str:
    return store.sources_sha256(ROOT, CODE)


class Networks:
    """The networks of the metrics, loaded once for all contestants."""

    def __init__(self, metrics: Metrics, device: str) -> None:
        from eval.metrics import features, perceptual, tokens

        self.extractor: Extractor = features.make(
            metrics.features, metrics.antialias, device, allow_download=metrics.allow_download
        )
        self.perceptual: Perceptual = perceptual.make(metrics.distance, device, metrics.allow_download)
        self.tokens: Tokens = tokens.make(
            metrics.removal, Path(metrics.removal_folder) if metrics.removal_folder else None, device
        )
        self.distance_key = metrics.distance_key
        self.removal_keys = (REMOVAL[metrics.removal].published[0], REMOVAL[metrics.removal].spread[0])


def scores_folder(out: Path, name: str, config: dict) -> Path:
    """Where the scores of one configuration lie."""
    return out / "scores" / f"{name}-{store.fingerprint(config)}"


def chunk_name(index: int) -> str:
    return f"chunk-{index:06d}.npz"


def score_fills(
    fills: Path,
    dataset: DataSet,
    folder: Path,
    config: dict,
    networks: Callable[[], Networks],
    workers: Workers,
    label: str,
    quiet: bool = False,
) -> None:
    """Score the fills in `fills` into one file per chunk in `folder`. `networks` is called for them when needed."""

    def read(chunk: tuple[Sample, ...]) -> list[tuple]:
        return [(*dataset.load(sample), read_fill(fills, sample)) for sample in chunk]

    def work(chunk: tuple[Sample, ...], loaded: list[tuple]) -> bytes:
        return _score_chunk(chunk, loaded, networks())

    _each_chunk(dataset, folder, config, workers, f"{label}: scoring", read, work, quiet)


def real_features(
    dataset: DataSet,
    folder: Path,
    config: dict,
    networks: Callable[[], Networks],
    workers: Workers,
    quiet: bool = False,
) -> None:
    """Features of the pictures themselves."""

    def read(chunk: tuple[Sample, ...]) -> list[np.ndarray]:
        return [dataset.load(sample)[0] for sample in chunk]

    def work(chunk: tuple[Sample, ...], loaded: list[np.ndarray]) -> bytes:
        return _pack([{"id": sample.id} for sample in chunk], features_of(networks().extractor, loaded))

    _each_chunk(dataset, folder, config, workers, "Reading the real pictures", read, work, quiet)


def _each_chunk(
    dataset: DataSet,
    folder: Path,
    config: dict,
    workers: Workers,
    label: str,
    read: Callable[[tuple[Sample, ...]], list],
    work: Callable[[tuple[Sample, ...], list], bytes],
    quiet: bool,
) -> None:
    store.claim(folder, config)
    parts = chunks(dataset.samples, BATCH)
    mine = [index for index in workers.mine(len(parts))]
    todo = [index for index in mine if not (folder / chunk_name(index)).is_file()]
    with counter(len(mine), label, len(mine) - len(todo), quiet=quiet) as progress:
        for index, loaded in read_ahead(todo, lambda index: read(parts[index]), AHEAD, 4):
            store.write(folder / chunk_name(index), work(parts[index], loaded))
            progress.update()


def read_fill(fills: Path, sample: Sample) -> np.ndarray:
    """(H, W, 3) uint8. Raises ValueError where there is none."""
    path = composited_path(fills, sample)
    if not path.is_file():
        raise ValueError(f"{path} is missing: python -m eval generate makes it")
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def _score_chunk(chunk: tuple[Sample, ...], loaded: list[tuple], networks: Networks) -> bytes:
    truths, masks, composited = (list(column) for column in zip(*loaded, strict=True))
    scored = picture_scores(composited, truths, masks, networks)
    rows = [{"id": sample.id, "composited": row} for sample, row in zip(chunk, scored, strict=True)]
    return _pack(rows, features_of(networks.extractor, composited))


def picture_scores(
    fills: list[np.ndarray], truths: list[np.ndarray], masks: list[np.ndarray], networks: Networks
) -> list[dict[str, float | None]]:
    """Per-picture scores by key, each over the picture and, with `_hole`, inside the hole; removal scores see the fill
    alone and may be None.

    Args:
        fills, truths: (H, W, 3) uint8.
        masks: (H, W) bool.
    """
    import torch

    from eval.metrics.removal import removal_scores

    rows = []
    for fill, truth, mask in zip(fills, truths, masks, strict=True):
        psnr, psnr_hole = pixels.psnr(fill, truth, mask)
        ssim, ssim_hole = pixels.ssim(fill, truth, mask)
        rows.append({"psnr": psnr, "psnr_hole": psnr_hole, "ssim": ssim, "ssim_hole": ssim_hole})
        rows[-1] |= zip(networks.removal_keys, removal_scores(fill, mask, networks.tokens), strict=True)
    key = networks.distance_key
    for places in _by_size(truths):
        a, b = (pixels.to_bytes([column[index] for index in places]) for column in (fills, truths))
        holes = torch.from_numpy(np.stack([masks[index] for index in places]))
        picture, hole = networks.perceptual(a, b, holes)
        for index, whole, inside in zip(places, picture.tolist(), hole.tolist(), strict=True):
            rows[index] |= {key: whole, f"{key}_hole": inside}
    return rows


def features_of(extractor: Extractor, pictures: list[np.ndarray]) -> np.ndarray:
    """Features (N, D) float32 of pictures (H, W, 3) uint8 of any sizes."""
    found = np.empty((len(pictures), extractor.dims), np.float32)
    for places in _by_size(pictures):
        found[places] = extractor(pixels.to_bytes([pictures[index] for index in places])).numpy()
    return found


def _by_size(pictures: list[np.ndarray]) -> list[list[int]]:
    """Indices of pictures of one size, together."""
    sizes: dict[tuple, list[int]] = {}
    for index, picture in enumerate(pictures):
        sizes.setdefault(picture.shape[:2], []).append(index)
    return list(sizes.values())


def _pack(rows: list[dict], features: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, rows=np.array(store.to_json(rows)), composited=features)
    return buffer.getvalue()


# ---- reading back ----


@dataclass(frozen=True)
class Scores:
    """All of one contestant, in the order of the data set."""

    rows: list[dict]
    composited: np.ndarray
    """Features (N, D) float32, mapped from a file: not in memory."""


def gather(folder: Path, dataset: DataSet, workers: Workers) -> Scores | None:
    """Scores from all chunks; None on every process but the first. All processes must call it."""
    names = [chunk_name(index) for index in range(len(chunks(dataset.samples, BATCH)))]
    workers.wait()
    workers.collect(folder, names)
    return read_scores(folder, names) if workers.first else None


def read_scores(folder: Path, names: list[str]) -> Scores:
    """Join the chunks' features into mapped files, so that memory does not grow with the number of pictures."""
    if absent := [name for name in names if not (folder / name).is_file()]:
        raise ValueError(
            f"{len(absent)} of {len(names)} parts are missing in {folder}: python -m eval score makes them"
        )
    rows: list[dict] = []
    width = 0
    for name in names:
        with np.load(folder / name) as part:
            rows += json.loads(str(part["rows"]))
            width = part["composited"].shape[1]
    path = folder / "composited.f32"
    joined = np.memmap(path, np.float32, "w+", shape=(len(rows), width))
    start = 0
    for name in names:
        with np.load(folder / name) as part:
            joined[start : start + len(part["composited"])] = part["composited"]
            start += len(part["composited"])
    joined.flush()
    return Scores(rows, np.memmap(path, np.float32, "r", shape=(len(rows), width)))
