"""A data set of a model's finished fills: `make_fills` writes it, training reads it.

FILLS/manifest.json             model, licence, settings; written once
FILLS/items.jsonl               one line a fill, appended when its three files are there
FILLS/00000/000000-picture.png  the square that was filled, -mask.png its hole (white), -fill.png the result;
                                a thousand fills a folder
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from moebius import registry
from moebius.files import append_line, read_json, read_lines, sha256, write_atomic
from moebius.training.config import ConfigError

MANIFEST, ITEMS = "manifest.json", "items.jsonl"
PER_FOLDER = 1000
PARTS = ("picture", "mask", "fill")


@dataclass(frozen=True, kw_only=True)
class Fill:
    """One fill of a data set; paths are complete."""

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
    """The reason why a model's fills must not be used for training without a special right; None: they may be used.

    fills_may_train: see `registry.ModelCard`. FLUX.1's non-commercial licence and its hosted service's terms forbid
        training a competing model on outputs.
    """
    if fills_may_train:
        return None
    return f"the licence of {name} ({license}) forbids training a competing model on its outputs"


def read(folder: Path) -> list[Fill]:
    """The fills of a data set, in order.

    Raises:
        ConfigError: no such data set, no fills in it, a file is missing, or its model's licence forbids training on
            them and no other right was declared.
    """
    if not (folder / MANIFEST).is_file():
        raise ConfigError(
            f"{folder} is not a data set of fills: it has no {MANIFEST} (python -m moebius make-fills writes it)"
        )
    manifest = read_json(folder / MANIFEST, ConfigError)
    name = manifest["model"]
    known = registry.MODELS[name].fills_may_train if name in registry.MODELS else None
    may_train = manifest.get("fills_may_train", known)
    if may_train is None:
        raise ConfigError(f"{folder}: {MANIFEST} does not say whether fills of {name} may train; add fills_may_train")
    reason = forbidden(name, manifest["license"], may_train)
    if reason and not manifest.get("right_declared"):
        raise ConfigError(f"{folder}: {reason}, and no other right was declared when the fills were made")
    fills = []
    for line in read_lines(folder / ITEMS):
        paths = {part: folder / line[part] for part in PARTS}
        for path in paths.values():
            if not path.is_file():
                raise ConfigError(f"{path} is missing, though {folder / ITEMS} names it")
        facts = {key: line[key] for key in ("id", "model", "seed", "source", "source_sha256", "source_pixels_sha256")}
        fills.append(Fill(**facts, **paths, sha256=line["fill_sha256"]))
    if not fills:
        raise ConfigError(f"{folder} has no fills yet")
    return sorted(fills, key=lambda fill: fill.id)


# ---- writing ----


def start(folder: Path, manifest: dict[str, Any]) -> set[str]:
    """Create the folder, or check that it holds fills of the same manifest; the names of the fills in it.

    Raises:
        ConfigError: the folder holds other files, or fills of another model or other settings.
    """
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


def add(folder: Path, number: int, parts: dict[str, np.ndarray], facts: dict[str, Any]) -> None:
    """Write the pictures of a fill and then its line, which makes it one of the data set.

    Args:
        parts: pixels of each of `PARTS`, uint8.
        facts: the other values of its line.
    """
    name = fill_name(number)
    line = {"id": name, **{part: f"{number // PER_FOLDER:05d}/{name}-{part}.png" for part in PARTS}}
    for part in PARTS:
        write_atomic(folder / line[part], _png(parts[part]), make_folder=True)
    append_line(folder / ITEMS, line | facts | {"fill_sha256": sha256(folder / line["fill"])})


def fill_name(number: int) -> str:
    return f"{number:06d}"


def _png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
