"""The set that ships: whole, unchanged, its masks reproducible."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eval import store
from eval.data import heldout
from eval.data.dataset import Request, scan
from moebius import masks
from moebius.files import sha256
from moebius.heldout import pixels_sha256

FOLDER = Path(__file__).parents[3] / "samples" / "heldout"
MANIFEST = json.loads((FOLDER / "manifest.json").read_text())


def test_every_file_is_the_one_in_the_manifest_and_no_other_is_there():
    named = {"manifest.json", "README.md", "LICENSES.txt"}
    for row in MANIFEST["pictures"]:
        for entry in (row, *row["masks"].values()):
            assert sha256(FOLDER / entry["file"]) == entry["sha256"]
            named.add(entry["file"])
        assert row["licence"] and row["author"] and row["source"]
    assert {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if path.is_file()} == named
    assert len(MANIFEST["pictures"]) == 105
    assert len({row["group"] for row in MANIFEST["pictures"]}) == 49


def test_crops_of_one_photo_share_a_group():
    assert all(row["group"] == row["id"].rpartition("_")[0] for row in MANIFEST["pictures"])


def test_masks_are_what_the_generators_make_and_kinds_are_balanced():
    for row in MANIFEST["pictures"][::7]:
        for name, entry in row["masks"].items():
            shipped = Image.open(FOLDER / entry["file"])
            made = masks.make(MANIFEST["masks"]["kinds"][name], masks.seed_of(0, row["id"]), 512)
            assert shipped.mode == "1" and np.array_equal(np.asarray(shipped), made)
    counts = [sum(row["default_mask"] == kind for row in MANIFEST["pictures"]) for kind in MANIFEST["masks"]["kinds"]]
    assert counts == [35, 35, 35]


def test_pixels_have_the_recorded_hash():
    for row in MANIFEST["pictures"][::20]:
        assert pixels_sha256(np.asarray(Image.open(FOLDER / row["file"]).convert("RGB"))) == row["pixels_sha256"]


@pytest.fixture
def copy(tmp_path):
    """The first three pictures as a set of their own."""
    folder = tmp_path / "heldout"
    rows = MANIFEST["pictures"][:3]
    for row in rows:
        for entry in (row, *row["masks"].values()):
            target = folder / entry["file"]
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(FOLDER / entry["file"], target)
    store.write_json(folder / "manifest.json", {**MANIFEST, "pictures": rows})
    return folder


def test_default_masks_and_one_kind_for_all(copy):
    mixed = scan(Request(data=str(copy)), quiet=True)
    thick = scan(Request(data=str(copy), masks="shipped:thick"), quiet=True)
    assert [sample.mask_path.split("/")[-2] for sample in mixed.samples] == ["medium", "thick", "object"]
    assert {sample.mask_path.split("/")[-2] for sample in thick.samples} == {"thick"}
    assert mixed.identity() != thick.identity()
    with pytest.raises(ValueError, match="no masks of kind 'huge'; choose from medium, object, thick"):
        scan(Request(data=str(copy), masks="shipped:huge"), quiet=True)


def test_a_changed_picture_and_a_missing_mask_are_listed(copy):
    first, second = (heldout.rows(copy)[index] for index in (0, 1))
    first.picture.write_bytes(first.picture.read_bytes() + b"x")
    second.mask.unlink()
    dataset = scan(Request(data=str(copy)), quiet=True)
    assert len(dataset.samples) == 1
    assert "SHA-256 differs" in dataset.problems[0]["reason"]
    assert "is missing" in dataset.problems[1]["reason"]
