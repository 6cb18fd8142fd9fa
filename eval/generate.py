"""Fills: every contestant over every picture, one PNG per picture, resumable at any moment.

A folder belongs to one configuration (model, settings, weights, code, data); another configuration has another
folder. Pictures are done in chunks of the batch size, the chunks shared out over processes, so that a fill depends
neither on the number of processes nor on when a run was stopped.
"""

from __future__ import annotations

import dataclasses
import io
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from eval import store
from eval.contestants import Contestant, code_sha256, parameters_of
from eval.data.dataset import DataSet, Sample
from eval.workers import Workers
from moebius.config import RECIPES, SamplingConfig
from moebius.fill import geometry
from moebius.masks import seed_of
from moebius.progress import counter
from moebius.read_ahead import read_ahead

if TYPE_CHECKING:
    import torch

    from moebius.inpainters.base import Inpainter

LOADED = "loaded.json"
"""Beside the fills: what is only known once the model is loaded."""
AHEAD = 2
"""Chunks that are read ahead, and written behind, of the one in the model's hands."""


@dataclass(frozen=True, kw_only=True)
class Filled:
    """One picture, both (H, W, 3) uint8."""

    composited: np.ndarray
    """Known pixels pasted back, as the recipe does it."""
    raw: np.ndarray
    """What the model made; the same array where it makes no more than the hole."""


def configuration(contestant: Contestant, dataset: DataSet, batch: int, device: str, dtype: str) -> dict:
    """Everything that a fill depends on."""
    return {
        "model": contestant.name,
        "settings": dataclasses.asdict(contestant.config) if contestant.learned else {},
        "weights": contestant.weights,
        "seed": dataset.request.seed,
        "batch": batch,
        "device": device.partition(":")[0] if contestant.learned else "cpu",
        "dtype": dtype if contestant.learned else "",
        "code": code_sha256(),
        "data": dataset.identity(),
    }


def folder_of(out: Path, config: dict) -> Path:
    return out / "fills" / f"{config['model']}-{store.fingerprint(config)}"


def composited_path(folder: Path, sample: Sample) -> Path:
    return folder / "composited" / f"{sample.id}.png"


def raw_path(folder: Path, sample: Sample) -> Path:
    return folder / "raw" / f"{sample.id}.png"


def chunks(samples: tuple[Sample, ...], size: int) -> list[tuple[Sample, ...]]:
    return [samples[start : start + size] for start in range(0, len(samples), size)]


def generate(
    contestant: Contestant, dataset: DataSet, folder: Path, config: dict, workers: Workers, quiet: bool = False
) -> None:
    """Make the fills that are not there yet. The model is loaded only if there are any."""
    store.claim(folder, config)
    mine = [chunk for index, chunk in enumerate(chunks(dataset.samples, config["batch"]))
            if index % workers.size == workers.rank]  # fmt: skip
    todo = [chunk for chunk in mine if not all(composited_path(folder, sample).is_file() for sample in chunk)]
    if not todo:
        return
    inpainter = contestant.load()
    store.write_json(folder / LOADED, {"parameters": contestant.parameters or parameters_of(inpainter)})
    total = sum(map(len, mine))
    done = total - sum(map(len, todo))
    label = f"{contestant.name}: filling"
    with counter(total, label, done, quiet=quiet) as progress, ThreadPoolExecutor(2) as pool:
        writing: deque[Future] = deque()
        for chunk, loaded in read_ahead(todo, lambda chunk: [dataset.load(one) for one in chunk], AHEAD, 2):
            started = time.perf_counter()
            seeds = [seed_of(config["seed"], f"{sample.id}#fill") for sample in chunk]
            pictures, masks = zip(*loaded, strict=True)
            filled = fill_chunk(inpainter, pictures, masks, contestant.config, seeds)
            seconds = (time.perf_counter() - started) / len(chunk)
            writing.append(pool.submit(_write_chunk, folder, chunk, filled, seconds))
            while len(writing) > AHEAD:
                writing.popleft().result()
            progress.update(len(chunk))
        for future in writing:
            future.result()


def fill_chunk(
    inpainter: Inpainter,
    pictures: tuple[np.ndarray, ...],
    masks: tuple[np.ndarray, ...],
    config: SamplingConfig,
    seeds: list[int],
) -> list[Filled]:
    """Fill pictures (H, W, 3) uint8 in their holes (H, W) bool.

    A picture of the model's own size goes through it as one square, as benchmarks do; any other one goes the way
    that photos go, a square around every hole.
    """
    generators = [_generator(seed) for seed in seeds]
    whole = all(_is_whole(inpainter, picture) for picture in pictures)
    if not whole:
        return [
            _fill_photo(inpainter, picture, mask, config, generator)
            for picture, mask, generator in zip(pictures, masks, generators, strict=True)
        ]
    tiles = [_tile(inpainter, picture, mask, config) for picture, mask in zip(pictures, masks, strict=True)]
    results = inpainter.fill_squares(tiles, masks, config, generators, lambda share, text: None)
    return [
        composite(picture, mask, result, config) for picture, mask, result in zip(pictures, masks, results, strict=True)
    ]


def composite(picture: np.ndarray, mask: np.ndarray, values: np.ndarray, config: SamplingConfig) -> Filled:
    """Put what the model made, (H, W, 3) float in [0, 255], back into the picture by the recipe's paste."""
    raw = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    if RECIPES[config.recipe].paste == "blurred":
        from moebius.pipeline import paste_blurred

        composited = paste_blurred(values, picture, mask.astype(np.uint8) * 255)
    else:
        composited = picture.copy()
        geometry.blend(composited, values, geometry.feather(mask, config.feather_px))
    return Filled(composited=composited, raw=raw)


def _is_whole(inpainter: Inpainter, picture: np.ndarray) -> bool:
    height, width = picture.shape[:2]
    return height == width and inpainter.size in (None, height)


def _tile(inpainter: Inpainter, picture: np.ndarray, mask: np.ndarray, config: SamplingConfig) -> np.ndarray:
    """What the model gets to see: nothing under the hole, unless its recipe starts from there or it is the truth."""
    if RECIPES[config.recipe].whole_picture or getattr(inpainter, "sees_truth", False):
        return picture
    return np.where(mask[..., None], np.uint8(geometry.HOLE_GREY), picture)


def _fill_photo(inpainter, picture, mask, config, generator) -> Filled:
    result = np.asarray(inpainter.fill(Image.fromarray(picture), mask, config, generator).raster.convert("RGB"))
    if result.shape != picture.shape:  # the published recipe answers at the model's size
        size = (picture.shape[1], picture.shape[0])
        result = np.asarray(Image.fromarray(result).resize(size, Image.Resampling.LANCZOS))
    return Filled(composited=result, raw=result)


def _generator(seed: int) -> torch.Generator:
    import torch

    return torch.Generator().manual_seed(seed >> 1)  # torch takes 63 bits


def _write_chunk(folder: Path, chunk: tuple[Sample, ...], filled: list[Filled], seconds: float) -> None:
    for sample, result in zip(chunk, filled, strict=True):
        if not np.array_equal(result.raw, result.composited):
            store.write(raw_path(folder, sample), _png(result.raw))
        store.write(composited_path(folder, sample), _png(result.composited))  # last: it says that all is there
    times = "".join(f"{sample.id}\t{seconds:.4f}\n" for sample in chunk)
    with (folder / "seconds.tsv").open("a", encoding="utf-8") as file:
        file.write(times)


def _png(rgb: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()
