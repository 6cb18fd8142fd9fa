"""The examples, run as they stand there."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from fill import picture
from PIL import Image
from standin import write_published

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


def test_the_pipeline(tmp_path):
    weights = write_published(tmp_path / "weights", small=True)
    photo, mask = save(tmp_path, 512)
    said = run("pipeline", photo, mask, "-o", tmp_path / "out.png", "--weights", weights, "--steps", 1, "--seeds", 1, 2)
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
