"""The examples, run as they stand there."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from tests.helpers.deterministic import picture

ROOT = Path(__file__).parents[2]


def run(name: str, *arguments) -> str:
    done = subprocess.run(
        [sys.executable, f"examples/{name}.py", *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def save(folder: Path, size: int) -> tuple[Path, Path]:
    """A photo, and a mask with a square hole in its middle."""
    Image.fromarray(picture(1, size)).save(folder / "photo.png")
    mask = Image.new("L", (size, size))
    mask.paste(255, (size // 2, size // 2, size // 2 + 32, size // 2 + 32))
    mask.save(folder / "mask.png")
    return folder / "photo.png", folder / "mask.png"


def test_the_pipeline(tmp_path, standin_student):
    photo, mask = save(tmp_path, 512)
    more = ["--weights", standin_student, "--steps", 1, "--seeds", 1, 2]
    said = run("pipeline", photo, mask, "-o", tmp_path / "out.png", *more)
    assert said.splitlines() == [str(tmp_path / "out_1.png"), str(tmp_path / "out_2.png")]
    before, one, two = (np.asarray(Image.open(path)) for path in (photo, *said.splitlines()))
    assert one.shape == before.shape and not np.array_equal(one, two)
    assert (one[300:, :200] == before[300:, :200]).all() and not np.array_equal(one, before)


def test_the_client(server, tmp_path):
    photo, mask = save(tmp_path, 256)
    out = tmp_path / "out.png"
    said = run("client", photo, mask, "-o", out, "--page", server.url, "--model", "classical")
    before, after = np.asarray(Image.open(photo)), np.asarray(Image.open(out))
    differs = (before != after).any(axis=2)
    rows, columns = np.nonzero(differs)
    assert said.splitlines() == [str(out)]
    assert differs[128:160, 128:160].mean() > 0.5
    assert min(rows.min(), columns.min()) >= 128 - 4 and max(rows.max(), columns.max()) < 160 + 4  # feather


def test_the_client_with_many_photos(server, tmp_path):
    mask = Image.new("L", (256, 256))
    mask.paste(255, (100, 100, 140, 130))
    files = []
    for index, suffix in enumerate((".png", ".webp")):
        files += [tmp_path / f"IMG_{index}{suffix}", tmp_path / f"IMG_{index}_mask.png"]
        Image.fromarray(picture(index, 256)).save(files[-2], lossless=True)
        mask.save(files[-1])
    files.append(tmp_path / "IMG_2.png")  # nothing is painted on it
    Image.fromarray(picture(2, 256)).save(files[-1])
    out = tmp_path / "out.zip"
    said = run("client", "--many", *files, "-o", out, "--page", server.url, "--model", "classical")
    assert said.splitlines() == [str(out)]
    with zipfile.ZipFile(out) as archive:
        assert archive.namelist() == ["IMG_0_filled.png", "IMG_1_filled.webp", "not filled.txt"]
        assert "IMG_2.png: nothing is painted on it" in archive.read("not filled.txt").decode()
        for index, name in enumerate(archive.namelist()[:2]):
            with archive.open(name) as file, Image.open(file) as filled:
                differs = (picture(index, 256) != np.asarray(filled.convert("RGB"))).any(axis=2)
            assert differs[100:130, 100:140].mean() > 0.5
            differs[96:134, 96:144] = False  # the blend
            assert not differs.any()
