"""The wheel is the product: installed elsewhere it has the page, its samples and its results, and nothing else."""

import json
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from gradio_client import Client, handle_file
from PIL import Image

from tests.helpers.page_server import serve

ROOT = Path(__file__).parents[1]
BUILD = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built in a copy of what it is made of, so that nothing is left in the checkout."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("moebius", "eval"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run([sys.executable, "-c", BUILD, out], cwd=source, check=True, capture_output=True)
    (path,) = out.glob("*.whl")
    return path


def test_the_wheel_holds_one_package_and_its_data(wheel):
    with ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = next(archive.read(name).decode() for name in names if name.endswith(".dist-info/METADATA"))
    assert {name.split("/")[0].split("-")[0] for name in names} == {"moebius", "moebius_inpainting"}
    here = (path for path in (ROOT / "moebius").rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    assert {path.relative_to(ROOT).as_posix() for path in here} - names == set()
    assert "Provides-Extra: eval" in metadata and 'Requires-Dist: lpips==0.1.4; extra == "eval"' in metadata


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory) -> Path:
    """Python of an environment with the wheel, away from the checkout; other people's packages come from this one."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    install = [sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", "--no-index", wheel]
    subprocess.run(install, check=True)
    packages = next(folder.glob("[Ll]ib/**/site-packages"))
    (packages / "others.pth").write_text(sysconfig.get_paths()["purelib"])
    return python


@pytest.mark.slow
def test_an_installed_page_fills_a_sample(python, tmp_path):
    packages = next(python.parents[1].glob("[Ll]ib/**/site-packages"))
    with serve(tmp_path, command=(str(python.with_name("moebius")), "serve"), start_in=tmp_path) as server:
        client = Client(server.url, verbose=False, download_files=str(tmp_path / "got"))
        assert "These figures come with the project" in client.predict(api_name="/results")
        photo, mask = (packages / "moebius/samples" / name for name in ("images/astronaut.jpg", "masks/astronaut.png"))
        filled = client.predict(
            image=handle_file(photo), mask_image=handle_file(mask), model="classical", api_name="/inpaint"
        )
        with Image.open(filled) as after, Image.open(photo) as before, Image.open(mask) as hole:
            changed = np.any(np.asarray(after) != np.asarray(before), axis=2)
            assert changed[np.asarray(hole)[..., 3] == 255].mean() > 0.9 and changed.mean() < 0.5


@pytest.mark.slow
def test_the_evaluation_of_a_checkout_uses_the_installed_package(python, tmp_path):
    """The wheel has no `eval`: it is run from a checkout, here from one without moebius/, on two pictures."""
    shutil.copytree(ROOT / "eval", tmp_path / "eval", ignore=shutil.ignore_patterns("__pycache__"))
    command = "-m eval run --models telea --limit 2 --features efficientnet-lite0 --no-time -o out --data"
    heldout = ROOT / "samples" / "heldout"
    done = subprocess.run([python, *command.split(), heldout], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert results["data"]["pictures"] == 2 and [model["name"] for model in results["models"]] == ["telea"]
    assert 5 < results["models"][0]["composited"]["pictures"]["psnr_hole"]["mean"] < 50
