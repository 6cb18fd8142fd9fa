"""Files of scores: one per chunk of pictures; resumable, and divided among processes.

Files hold scores and features per picture, not sums, so that uneven shares of processes cannot distort a mean.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from eval import store
from eval.contestants import ROOT
from eval.data.dataset import DataSet, Sample
from eval.data.pairs import Judged
from eval.generate import AHEAD, chunks, composited_path
from eval.judge import Metrics, Networks, features_of, picture_scores
from eval.metrics.names import INVENTED
from eval.workers import Workers
from moebius.progress import counter
from moebius.read_ahead import read_ahead

CODE = (
    "eval/score.py",
    "eval/judge.py",
    "eval/metrics/*.py",
    "eval/data/*.py",
)
LIBRARIES = ("torch", "torchvision", "torchmetrics", "torch-fidelity", "lpips", "numpy", "Pillow")
BATCH = 8


def configuration(metrics: Metrics, device: str) -> dict:
    """Everything that a score depends on, beside the fill."""
    from importlib.metadata import version

    return {
        **metrics.describe(),
        "batch": BATCH,
        "device": device.partition(":")[0],
        "code": _code_sha256(),
        "libraries": {name: version(name) for name in LIBRARIES},
    }


@cache
def _code_sha256() -> str:
    return store.sources_sha256(ROOT, CODE)


def scores_folder(out: Path, name: str, config: dict) -> Path:
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
        return [(dataset.judged(sample), read_fill(fills, sample)) for sample in chunk]

    def work(chunk: tuple[Sample, ...], loaded: list[tuple]) -> bytes:
        return _score_chunk(chunk, loaded, networks())

    each_chunk(dataset, folder, config, workers, f"{label}: scoring", read, work, quiet)


def real_features(
    dataset: DataSet,
    folder: Path,
    config: dict,
    networks: Callable[[], Networks],
    workers: Workers,
    quiet: bool = False,
) -> None:
    """Features of the pictures as they should be, and how often they seem to show an object in the hole."""

    def read(chunk: tuple[Sample, ...]) -> list[Judged]:
        return [dataset.judged(sample) for sample in chunk]

    def work(chunk: tuple[Sample, ...], loaded: list[Judged]) -> bytes:
        from eval.metrics.invented import invented

        classes = networks().classes
        rows = [
            {"id": sample.id, INVENTED[0]: invented(one.truth, one.region, classes)}
            for sample, one in zip(chunk, loaded, strict=True)
        ]
        return _pack(rows, [one.truth for one in loaded], networks())

    each_chunk(dataset, folder, config, workers, "Reading the real pictures", read, work, quiet)


def each_chunk(
    dataset: DataSet,
    folder: Path,
    config: dict,
    workers: Workers,
    label: str,
    read: Callable[[tuple[Sample, ...]], list],
    work: Callable[[tuple[Sample, ...], list], bytes],
    quiet: bool,
) -> None:
    """Write the missing files of `folder`, this process's share of them: `work` of what `read` has read ahead."""
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
    judged, composited = (list(column) for column in zip(*loaded, strict=True))
    scored = picture_scores(composited, judged, networks)
    rows = [{"id": sample.id, "composited": row} for sample, row in zip(chunk, scored, strict=True)]
    return _pack(rows, composited, networks)


FEATURE_SETS = ("composited", "second")
"""Features in the files: by the first and by the second network."""


def _pack(rows: list[dict], pictures: list[np.ndarray], networks: Networks) -> bytes:
    features = [features_of(extractor, pictures) for extractor in (networks.extractor, networks.second)]
    return pack(rows, **dict(zip(FEATURE_SETS, features, strict=True)))


def pack(rows: list[dict], **arrays: np.ndarray) -> bytes:
    """A file for `read_rows`, with arrays beside the rows."""
    buffer = io.BytesIO()
    np.savez(buffer, rows=np.array(store.to_json(rows)), **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


# ---- reading back ----


@dataclass(frozen=True)
class Scores:
    """All of one contestant, in the order of the data set."""

    rows: list[dict]
    composited: np.ndarray
    """Features (N, D) float32 by the first network, mapped from a file: not in memory."""
    second: np.ndarray
    """The same by the second network."""


def chunk_names(dataset: DataSet) -> list[str]:
    """Of all files of scores."""
    return [chunk_name(index) for index in range(len(chunks(dataset.samples, BATCH)))]


def gather(folder: Path, dataset: DataSet, workers: Workers) -> Scores | None:
    """Scores from all chunks; None on every process but the first. All processes must call it."""
    names = chunk_names(dataset)
    workers.wait()
    workers.collect(folder, names)
    return read_scores(folder, names) if workers.first else None


def read_scores(folder: Path, names: list[str]) -> Scores:
    """Join the chunks' features into mapped files, so that memory does not grow with the number of pictures."""
    if absent := [name for name in names if not (folder / name).is_file()]:
        raise ValueError(
            f"{len(absent)} of {len(names)} parts are missing in {folder}: python -m eval score makes them"
        )
    rows = read_rows(folder, names)
    return Scores(rows, *(_joined(folder, names, kind, len(rows)) for kind in FEATURE_SETS))


def read_rows(folder: Path, names: list[str]) -> list[dict]:
    """The scores of all chunks, in the order of the data set."""
    rows: list[dict] = []
    for name in names:
        with np.load(folder / name) as part:
            rows += json.loads(str(part["rows"]))
    return rows


def _joined(folder: Path, names: list[str], kind: str, count: int) -> np.ndarray:
    """The features of one of `FEATURE_SETS`, (count, D)."""
    with np.load(folder / names[0]) as part:
        width = part[kind].shape[1]
    path = folder / f"{kind}.f32"
    joined = np.memmap(path, np.float32, "w+", shape=(count, width))
    start = 0
    for name in names:
        with np.load(folder / name) as part:
            joined[start : start + len(part[kind])] = part[kind]
            start += len(part[kind])
    joined.flush()
    return np.memmap(path, np.float32, "r", shape=(count, width))
