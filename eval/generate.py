"""Fills of every contestant for every picture, with the page's code; one PNG per picture, resumable at any moment.

A folder belongs to one configuration (model, settings, weights, code, data); another configuration has another
folder. Pictures are done in chunks of the batch size, the chunks shared out over processes, so that a fill depends
neither on the number of processes nor on when a run was stopped.
"""

from __future__ import annotations

import dataclasses
import io
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from eval import store
from eval.contestants import Contestant, code_sha256, parameters_of
from eval.data.dataset import DataSet, Sample
from eval.workers import Workers
from moebius.config import SamplingConfig
from moebius.fill import seeds
from moebius.fill.result import Fill
from moebius.fill.scheduler import Scheduler
from moebius.progress import counter
from moebius.read_ahead import read_ahead

if TYPE_CHECKING:
    from moebius.inpainters.base import Inpainter

LOADED = "loaded.json"
"""File beside the fills with facts that are known only after the model is loaded."""
AHEAD = 2
"""Number of chunks that are read ahead of the current one, and that wait to be written."""


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
    """The folder of the fills that a configuration makes."""
    return out / "fills" / f"{config['model']}-{store.fingerprint(config)}"


def composited_path(folder: Path, sample: Sample) -> Path:
    """The file of a fill with the known pixels pasted back."""
    return folder / "composited" / f"{sample.id}.png"


def chunks(samples: tuple[Sample, ...], size: int) -> list[tuple[Sample, ...]]:
    """The samples in groups of `size`, the last one perhaps smaller."""
    return [samples[start : start + size] for start in range(0, len(samples), size)]


def generate(
    contestant: Contestant, dataset: DataSet, folder: Path, config: dict, workers: Workers, quiet: bool = False
) -> None:
    """Make the missing fills. The model is loaded only if there are any."""
    store.claim(folder, config)
    parts = chunks(dataset.samples, config["batch"])
    mine = [parts[index] for index in workers.mine(len(parts))]
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
            pictures, masks = zip(*loaded, strict=True)
            filled = fill_chunk(inpainter, pictures, masks, contestant.config, config["seed"])
            seconds = (time.perf_counter() - started) / len(chunk)
            writing.append(pool.submit(_write_chunk, folder, chunk, filled, seconds))
            while len(writing) > AHEAD:
                writing.popleft().result()
            progress.update(len(chunk))
        for future in writing:
            future.result()


def fill_chunk(
    inpainter: Inpainter,
    pictures: Sequence[np.ndarray],
    masks: Sequence[np.ndarray],
    config: SamplingConfig,
    seed: int,
) -> list[np.ndarray]:
    """Fill pictures (H, W, 3) uint8 in their holes (H, W) bool, as page and command line do; (H, W, 3) uint8 each.

    seed: of every picture's fill.

    Raises:
        Exception: the error of the first picture that failed.
    """
    scheduler = Scheduler(lambda: inpainter, config, len(pictures))
    results: dict[int, Fill | Exception] = {}
    for index, (picture, mask) in enumerate(zip(pictures, masks, strict=True)):
        results.update(scheduler.add(index, Image.fromarray(picture), mask, seeds.generator(seed)))
    results.update(scheduler.flush())
    return [_pixels(results[index], picture) for index, picture in enumerate(pictures)]


def _pixels(result: Fill | Exception, picture: np.ndarray) -> np.ndarray:
    if isinstance(result, Exception):
        raise result
    filled = np.asarray(result.raster)
    if filled.shape != picture.shape:  # the published recipe answers at the model's size
        size = (picture.shape[1], picture.shape[0])
        filled = np.asarray(Image.fromarray(filled).resize(size, Image.Resampling.LANCZOS))
    return filled


def _write_chunk(folder: Path, chunk: tuple[Sample, ...], filled: list[np.ndarray], seconds: float) -> None:
    for sample, pixels in zip(chunk, filled, strict=True):
        store.write(composited_path(folder, sample), _png(pixels))
    times = "".join(f"{sample.id}\t{seconds:.4f}\n" for sample in chunk)
    with (folder / "seconds.tsv").open("a", encoding="utf-8") as file:
        file.write(times)


def _png(rgb: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()
