"""Nothing may be trained on the held-out set."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from moebius import heldout

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "samples" / "heldout"
PICTURE = FOLDER / "images" / "coffee_00.jpg"


def test_the_list_in_the_package_is_that_of_the_set():
    rows = json.loads((FOLDER / "manifest.json").read_text(encoding="utf-8"))["pictures"]
    assert len(rows) == 105
    assert heldout.hashes() == {row[key] for row in rows for key in ("sha256", "pixels_sha256")}


def test_every_held_out_file_is_refused_by_its_bytes():
    pictures = sorted((FOLDER / "images").iterdir())
    assert len(pictures) == 105
    for path in pictures:
        with pytest.raises(heldout.HeldOutError, match=f"{path.name} belongs to the held-out set"):
            heldout.refuse(path.name, path.read_bytes())


def test_a_lossless_copy_under_another_name_is_refused_by_its_pixels():
    buffer = io.BytesIO()
    Image.open(PICTURE).save(buffer, "PNG")
    copy = np.asarray(Image.open(io.BytesIO(buffer.getvalue())).convert("RGB"))
    heldout.refuse("copy.png", buffer.getvalue())  # by its bytes it is another file
    with pytest.raises(heldout.HeldOutError, match="copy.png"):
        heldout.refuse("copy.png", buffer.getvalue(), copy)


def test_other_pictures_pass():
    rgb = np.asarray(Image.open(PICTURE).convert("RGB")).copy()
    rgb[0, 0] ^= 1
    heldout.refuse("other.png", b"other", rgb)


def test_a_missing_list_is_an_error_and_refuses_to_guess(monkeypatch, tmp_path):
    heldout.hashes.cache_clear()
    monkeypatch.setattr(heldout, "LIST", tmp_path / "heldout.txt")
    with pytest.raises(ValueError, match="heldout.txt is missing"):
        heldout.refuse("a.png", b"a")
    heldout.hashes.cache_clear()


def test_no_other_file_of_the_library_names_the_folder():
    """Training included: the only way from `moebius` to the held-out set is `moebius.heldout`, which refuses it."""
    sources = [path for path in (ROOT / "moebius").rglob("*.py") if path.name != "heldout.py"]
    assert len(sources) > 20
    for path in [*sources, *(ROOT / "configs").glob("*.toml")]:
        text = path.read_text(encoding="utf-8")
        assert "samples/heldout" not in text and '"heldout"' not in text.replace('"data-heldout"', ""), path
