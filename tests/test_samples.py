"""The samples that ship: every photo has a mask that fits it, a licence, and the bytes that the manifest names."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SAMPLES = Path(__file__).parents[1] / "moebius" / "samples"
ROWS = json.loads((SAMPLES / "manifest.json").read_text(encoding="utf-8"))


def test_there_are_six_to_ten_samples_and_every_file_has_a_row():
    assert 6 <= len(ROWS) <= 10
    assert len({row["id"] for row in ROWS}) == len(ROWS)
    for kind in ("image", "mask"):
        there = {path.relative_to(SAMPLES).as_posix() for path in (SAMPLES / f"{kind}s").iterdir()}
        assert there == {row[kind] for row in ROWS}


def test_the_samples_stay_small():
    assert sum(path.stat().st_size for folder in ("images", "masks") for path in (SAMPLES / folder).iterdir()) < 4e6


@pytest.mark.parametrize("row", ROWS, ids=[row["id"] for row in ROWS])
def test_mask_fits_its_photo_and_paints_a_sensible_share(row):
    with Image.open(SAMPLES / row["image"]) as photo, Image.open(SAMPLES / row["mask"]) as mask:
        assert photo.mode == "RGB"
        assert mask.format == "PNG"
        assert mask.mode == "RGBA"
        assert mask.size == photo.size
        pixels = np.asarray(mask)
    assert set(np.unique(pixels[..., 3])) == {0, 255}
    hole = pixels[..., 3] == 255
    assert (pixels[hole] == 255).all()  # white = repaint
    assert 0.001 <= hole.mean() <= 0.4


@pytest.mark.parametrize("row", ROWS, ids=[row["id"] for row in ROWS])
def test_every_sample_names_its_source_and_licence_and_is_unaltered(row):
    for key in ("title", "use", "source", "author", "licence", "licence_url", "changes"):
        assert row[key].strip(), key
    assert Path(row["image"]).stem == Path(row["mask"]).stem
    for kind in ("image", "mask"):
        assert sha256((SAMPLES / row[kind]).read_bytes()).hexdigest() == row[f"{kind}_sha256"]
