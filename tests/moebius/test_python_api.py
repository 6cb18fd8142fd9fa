"""The public names of the package, and a whole fill in one call."""

import importlib
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import moebius
from moebius import model_cache
from moebius.__main__ import main
from tests.helpers.deterministic import picture
from tests.helpers.standin_weights import write_published

HOMES = {
    "MoebiusInpaintPipeline": "moebius.pipeline",
    "MoebiusUNet": "moebius.models.unet",
    "PixelHackerUNet": "moebius.models.pixelhacker",
    "SamplingConfig": "moebius.config",
    "encode_photo": "moebius.photo.photo_file",
    "inpaint": "moebius.python_api",
    "open_photo": "moebius.photo.photo_file",
}


@pytest.fixture
def files(tmp_path):
    """A photo and a mask: a rectangle off its middle."""
    Image.fromarray(picture(3, 96)).save(tmp_path / "photo.png")
    mask = Image.new("L", (96, 96))
    mask.paste(255, (20, 30, 44, 50))
    mask.save(tmp_path / "mask.png")
    return tmp_path / "photo.png", tmp_path / "mask.png"


@pytest.fixture(autouse=True)
def nothing_in_memory():
    model_cache.release()
    yield
    model_cache.release()


def test_the_public_names_are_those_of_their_modules():
    assert set(moebius.__all__) == set(HOMES) <= set(dir(moebius))
    for name, home in HOMES.items():
        assert getattr(moebius, name) is getattr(importlib.import_module(home), name)
    with pytest.raises(AttributeError, match="no attribute 'inpant'"):
        _ = moebius.inpant


def test_a_public_name_imports_no_more_than_it_needs():
    code = "import sys, moebius; moebius.open_photo; moebius.SamplingConfig; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not {"torch", "diffusers", "transformers"} & set(done.stdout.split())


@pytest.mark.parametrize("model", ["classical", "moebius"])
def test_a_fill_in_one_call_is_that_of_the_command_line(files, tmp_path, capfd, model):
    photo_path, mask_path = files
    weights = write_published(tmp_path / "Moebius", small=True)
    options = ["--model", model, "--weights", weights, "--device", "cpu", "--dtype", "float32"]
    command = ["inpaint", photo_path, mask_path, "-o", tmp_path / "out.png", "--steps", 2, "--seed", 7, *options]
    assert main([*map(str, command), "--json"]) == 0
    report = json.loads(capfd.readouterr().out)
    photo = moebius.open_photo(photo_path)
    settings = {"seed": 7, "config": moebius.SamplingConfig(num_inference_steps=2)}
    settings |= {"weights": weights, "device": "cpu", "dtype": "float32"}
    fill = moebius.inpaint(photo, mask_path, model, **settings)
    encoded = moebius.encode_photo(photo, fill.raster, fill.changed, mark=report["mark"])
    assert encoded.data == (tmp_path / "out.png").read_bytes()
    mask = np.asarray(Image.open(mask_path)) > 127
    again = moebius.inpaint(photo_path, mask, model, **settings)
    np.testing.assert_array_equal(np.asarray(again.raster), np.asarray(fill.raster))
    assert fill.changed.any() and (np.asarray(fill.raster) != picture(3, 96)).any()


def test_what_is_wrong_is_said_in_words(files):
    photo_path, mask_path = files
    with pytest.raises(ValueError, match="unknown model 'mobius'; choose from auto, moebius"):
        moebius.inpaint(photo_path, mask_path, "mobius")
    with pytest.raises(ValueError, match="the mask is 10×96 pixels but the photo is 96×96"):
        moebius.inpaint(photo_path, np.ones((96, 10), bool), "classical")
    with pytest.raises(ValueError, match="the seed must be between 0"):
        moebius.inpaint(photo_path, mask_path, "moebius", seed=-1)
