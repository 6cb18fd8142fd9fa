"""`python -m eval pairs`: a folder of composed pairs, seeded: the same arguments give the same files."""

from __future__ import annotations

import dataclasses
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from eval import store
from eval.compose.objects import SHIPPED_OBJECTS, CutOut, read_objects
from eval.compose.scene import SHARE, compose, draw
from eval.data import heldout
from eval.data.dataset import SUFFIXES, read_picture
from eval.data.pairs import MANIFEST, NAME
from moebius.files import read_json, sha256
from moebius.masks import random_of, seed_of
from moebius.progress import counter

QUALITY = 95
"""Of a photo that has to be encoded anew."""
MIN_SIDE = 256


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What the pairs are made of."""

    count: int = 200
    seed: int = 0
    photos: Path = heldout.SHIPPED_SET
    """A folder of photos, or the held-out set."""
    objects: Path = SHIPPED_OBJECTS
    megapixels: float | None = None
    """Larger photos are scaled down to so many; None: photos as they are."""

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"--count must be >= 1, got {self.count}")
        if self.megapixels is not None and self.megapixels <= 0:
            raise ValueError(f"--megapixels must be > 0, got {self.megapixels:g}")


@dataclass(frozen=True)
class Background:
    """A photo that objects are put into."""

    id: str
    group: str
    path: Path
    credit: dict[str, str]


def make_pairs(recipe: Recipe, out: Path, quiet: bool = False) -> dict:
    """Write the pairs that `out` lacks, and its manifest with the credits; the manifest.

    Raises:
        ValueError: nothing to make them of, or `out` holds pairs of another recipe.
    """
    backgrounds, cut_outs = _backgrounds(recipe.photos), read_objects(recipe.objects)
    sources = {
        "photos": [[one.id, sha256(one.path)] for one in backgrounds],
        "objects": [[one.name, sha256(one.rgba.tobytes())] for one in cut_outs],
    }
    store.claim(out, {**dataclasses.asdict(recipe), "code": _code(), "sources": store.fingerprint(sources)})
    rows = []
    with counter(recipe.count, "Composing pairs", quiet=quiet) as progress:
        for index in range(recipe.count):
            rows.append(_pair(recipe, out, index, backgrounds, cut_outs))
            progress.update()
    manifest = {"name": NAME, "seed": recipe.seed, "share_of_the_picture": list(SHARE), "pairs": rows}
    store.write_json(out / MANIFEST, manifest)
    return manifest


def _code() -> str:
    return store.sources_sha256(Path(__file__).parents[2], ("eval/compose/*.py",))


def _pair(recipe: Recipe, out: Path, index: int, backgrounds: list[Background], cut_outs: list[CutOut]) -> dict:
    """Write one pair where it is missing; its row of the manifest."""
    random = random_of(seed_of(recipe.seed, f"pair {index}"))
    order = random_of(seed_of(recipe.seed, "photos")).permutation(len(backgrounds))
    background = backgrounds[order[index % len(backgrounds)]]
    cut_out = cut_outs[random.randint(len(cut_outs))]
    name = f"{index:04d}"
    data = _background_bytes(background.path, recipe.megapixels)
    suffix = background.path.suffix.lower() if data is None else ".jpg"
    data = data or background.path.read_bytes()
    store.write(out / "without" / f"{name}{suffix}", data)
    truth = read_picture(out / "without" / f"{name}{suffix}", None)
    if cut_out.is_outline:
        other = backgrounds[order[(index + 1 + random.randint(len(backgrounds) - 1)) % len(backgrounds)]]
        rgba = _textured(cut_out.rgba, read_picture(other.path, None), random)
    else:
        other, rgba = None, cut_out.rgba
    scene = draw(random, truth.shape[:2], rgba)
    if not (out / "masks" / f"{name}.png").is_file():
        picture, mask = compose(truth, rgba, scene)
        store.write(out / "with" / f"{name}.png", _png(picture))
        store.write(out / "masks" / f"{name}.png", _png(mask))
    return {
        "id": name,
        "group": background.group,
        "photo": {"file": background.path.name, **background.credit},
        "object": {"name": cut_out.name, **cut_out.credit, **({"colours": other.path.name} if other else {})},
        "scene": dataclasses.asdict(scene),
    }


def _backgrounds(folder: Path) -> list[Background]:
    if folder.is_dir() and heldout.is_heldout(folder):
        rows = read_json(folder / heldout.MANIFEST)["pictures"]
        return [
            Background(
                row["id"],
                row["group"],
                folder / row["file"],
                {key: str(row[key]) for key in ("author", "licence", "source") if key in row},
            )
            for row in rows
        ]
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES) if folder.is_dir() else []
    if not paths:
        raise ValueError(f"--photos {folder} holds no photos ({', '.join(SUFFIXES)})")
    return [Background(path.stem, path.stem, path, {}) for path in paths]


def _background_bytes(path: Path, megapixels: float | None) -> bytes | None:
    """The photo as a JPEG of at most so many megapixels; None: its own file can be taken.

    Raises:
        ValueError: it is smaller than `MIN_SIDE`.
    """
    rgb = read_picture(path, None)
    height, width = rgb.shape[:2]
    if min(height, width) < MIN_SIDE:
        raise ValueError(f"{path.name} is {width}×{height}; photos must have at least {MIN_SIDE} pixels a side")
    factor = 1.0 if megapixels is None else min(1.0, (megapixels * 1e6 / (height * width)) ** 0.5)
    if factor == 1.0:
        return None
    size = (round(width * factor), round(height * factor))
    buffer = io.BytesIO()
    Image.fromarray(rgb).resize(size, Image.Resampling.LANCZOS).save(buffer, "JPEG", quality=QUALITY, subsampling=0)
    return buffer.getvalue()


def _textured(outline: np.ndarray, photo: np.ndarray, random: np.random.RandomState) -> np.ndarray:
    """An outline with the colours of a square of another photo."""
    import cv2

    side = min(photo.shape[:2])
    y, x = (random.randint(length - side + 1) for length in photo.shape[:2])
    size = (outline.shape[1], outline.shape[0])
    colours = cv2.resize(photo[y : y + side, x : x + side], size, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(np.dstack([colours, outline[..., 3]]))


def _png(pixels: np.ndarray) -> bytes:
    """Of a picture (H, W, 3) uint8, or of a mask (H, W) bool with one bit a pixel."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=2)
    return buffer.getvalue()
