"""A data set of a teacher's finished fills: made by `python -m moebius teach`, read by training.

FILLS/manifest.json             model, licence, settings; written once
FILLS/items.jsonl               one line a fill, appended when its three files are there
FILLS/00000/000000-picture.png  the square that was filled, -mask.png its hole (white), -fill.png the result;
                                a thousand fills a folder
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from moebius import masks, registry
from moebius.config import SamplingConfig
from moebius.files import append_line, read_json, read_lines, sha256, write_atomic
from moebius.fill import seeds
from moebius.fill.scheduler import fill_photo
from moebius.training.config import ConfigError

if TYPE_CHECKING:
    from moebius.inpainters.base import Inpainter
    from moebius.training.data.samples import Samples

MANIFEST, ITEMS = "manifest.json", "items.jsonl"
PER_FOLDER = 1000
RIGHT = "--i-have-the-right-to"


@dataclass(frozen=True, kw_only=True)
class Fill:
    """One line of a data set; paths are complete."""

    id: str
    picture: Path
    mask: Path
    fill: Path
    model: str
    seed: int
    source: str
    source_sha256: str
    source_pixels_sha256: str
    sha256: str
    """Of the fill's file."""


def forbidden(name: str, license: str, fills_may_train: bool) -> str | None:  # noqa: A002 - the model card's word
    """Why a model's fills may not be trained on without a right of one's own; None: they may.

    fills_may_train: see `registry.ModelCard`. FLUX.1's non-commercial licence and its hosted service's terms forbid
        training a competing model on outputs.
    """
    if fills_may_train:
        return None
    return (
        f"the licence of {name} ({license}) forbids training a competing model on its outputs; "
        f"if you hold another right to, say {RIGHT}"
    )


def make(
    model: Inpainter,
    samples: Samples,
    folder: Path,
    count: int,
    settings: SamplingConfig,
    facts: dict,
    progress: Callable[[int, int], None] = lambda done, count: None,
) -> int:
    """Fill squares of pictures until the data set has `count`; what is there stays. Returns how many were made now.

    Args:
        samples: the squares and holes; fill number i is made of sample number i, with noise from the same seed.
        settings: known pixels stay identical, whatever its feather.
        facts: what the manifest says: model, licence, weights, ...

    Raises:
        ConfigError: the folder holds other things, or fills by another model or other settings.
    """
    settings = SamplingConfig(**asdict(settings) | {"feather_px": 0})
    manifest = {**facts, "settings": asdict(settings), "seed": samples.seed, "size": samples.size}
    there = _start(folder, manifest)
    made = 0
    for number in range(count):
        name = f"{number:06d}"
        if name not in there:
            sample, origin = samples.sample(number), samples.origin(number)
            seed = masks.seed_of(samples.seed, f"fill:{name}") >> 1
            fill = fill_photo(model, Image.fromarray(sample.picture), sample.mask, settings, seeds.generator(seed))
            parts = {
                "picture": sample.picture,
                "mask": sample.mask.astype(np.uint8) * 255,
                "fill": np.asarray(fill.raster),
            }
            line = {"id": name, **{part: f"{number // PER_FOLDER:05d}/{name}-{part}.png" for part in parts}}
            for part, pixels in parts.items():
                write_atomic(folder / line[part], _png(pixels), make_folder=True)
            line |= {
                "model": facts["model"],
                "seed": seed,
                "source": str(origin.path),
                "source_sha256": origin.sha256,
                "source_pixels_sha256": origin.pixels_sha256,
                "fill_sha256": sha256(folder / line["fill"]),
            }
            append_line(folder / ITEMS, line)
            made += 1
        progress(number + 1, count)
    return made


def read(folder: Path) -> list[Fill]:
    """The fills of a data set, in order.

    Raises:
        ConfigError: no such data set, none in it, a file is missing, or its model's licence forbids training and nobody
            said to have the right.
    """
    if not (folder / MANIFEST).is_file():
        raise ConfigError(f"{folder} is no data set of fills: it has no {MANIFEST} (python -m moebius teach writes it)")
    manifest = read_json(folder / MANIFEST, ConfigError)
    name = manifest["model"]
    known = registry.MODELS[name].fills_may_train if name in registry.MODELS else None
    may_train = manifest.get("fills_may_train", known)
    if may_train is None:
        raise ConfigError(f"{folder}: {MANIFEST} does not say whether fills of {name} may train; add fills_may_train")
    reason = forbidden(name, manifest["license"], may_train)
    if reason and not manifest.get("right_declared"):
        raise ConfigError(f"{folder}: {reason} when the fills are made")
    found = []
    for line in read_lines(folder / ITEMS):
        paths = {part: folder / line[part] for part in ("picture", "mask", "fill")}
        for path in paths.values():
            if not path.is_file():
                raise ConfigError(f"{path} is missing, though {folder / ITEMS} names it")
        kept = {key: line[key] for key in ("id", "model", "seed", "source", "source_sha256", "source_pixels_sha256")}
        found.append(Fill(**kept, **paths, sha256=line["fill_sha256"]))
    if not found:
        raise ConfigError(f"{folder} has no fills yet")
    return sorted(found, key=lambda fill: fill.id)


def _start(folder: Path, manifest: dict) -> set[str]:
    """Make or check the folder; the names that are there."""
    path = folder / MANIFEST
    if path.is_file():
        written = read_json(path, ConfigError)
        if different := sorted(key for key in manifest if written.get(key) != json.loads(json.dumps(manifest[key]))):
            raise ConfigError(f"{folder} holds fills made otherwise ({', '.join(different)}); give another folder")
    else:
        if folder.exists() and any(folder.iterdir()):
            raise ConfigError(f"{folder} is not empty and no data set of fills; give another folder")
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(path, json.dumps(manifest, indent=2).encode())
    lines = read_lines(folder / ITEMS)
    text = "".join(json.dumps(line) + "\n" for line in lines)
    if (folder / ITEMS).is_file() and (folder / ITEMS).read_text(encoding="utf-8") != text:
        write_atomic(folder / ITEMS, text.encode())  # without the line that a kill cut off
    return {line["id"] for line in lines}


def _png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
