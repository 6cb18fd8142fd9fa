"""The photos to try the page with, from `moebius/samples/manifest.json`."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from moebius.files import packaged
from moebius.ui.editor import TINT

FOLDER = packaged("samples")
THUMBNAIL = (240, 160)


@dataclass(frozen=True)
class Sample:
    """A photo with its mask, and whose it is."""

    image: Path
    mask: Path
    title: str
    author: str
    licence: str
    licence_url: str


@functools.cache
def load(folder: Path = FOLDER) -> tuple[Sample, ...]:
    """The samples in the manifest's order."""
    rows = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    keys = ("title", "author", "licence", "licence_url")
    return tuple(Sample(folder / row["image"], folder / row["mask"], *(row[key] for key in keys)) for row in rows)


def thumbnail(sample: Sample) -> Image.Image:
    """The photo with its mask tinted, cut to the shape of `THUMBNAIL`."""
    with Image.open(sample.image) as photo, Image.open(sample.mask) as mask:
        photo.draft("RGB", THUMBNAIL)
        small = photo.convert("RGB")
        hole = mask.convert("RGBA").getchannel("A").resize(small.size, Image.Resampling.BOX)
    small.paste(TINT[:3], mask=hole.point(lambda alpha: alpha * TINT[3] // 255))
    width, height = small.size
    scale = max(THUMBNAIL[0] / width, THUMBNAIL[1] / height)
    small = small.resize((round(width * scale), round(height * scale)), Image.Resampling.LANCZOS)
    left, top = (small.width - THUMBNAIL[0]) // 2, (small.height - THUMBNAIL[1]) // 2
    return small.crop((left, top, left + THUMBNAIL[0], top + THUMBNAIL[1]))
