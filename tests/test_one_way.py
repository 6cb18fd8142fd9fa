"""Page, command line, batch, tool call, comparison and evaluation fill a photo the same way: the same seed, the same
pixels."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from eval import contestants, generate
from eval.data.dataset import Request, scan
from eval.workers import Workers
from moebius import model_cache
from moebius.__main__ import main
from moebius.config import SamplingConfig
from moebius.inpainters import precision
from moebius.ui import http_api
from moebius.ui.compare.actions import CompareActions
from moebius.ui.fill.actions import Actions
from tests.helpers.deterministic import picture
from tests.helpers.standin_weights import write_published

SEED, STEPS = 7, 1
SIZES = {"square": (512, 512), "wide": (700, 500)}
"""Of the model's own size, which is one tile, and of another one."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Photos with two holes far apart, their masks, and the student's weights."""
    folder = tmp_path_factory.mktemp("one-way")
    for part in ("photos", "masks"):
        (folder / part).mkdir()
    for name, (width, height) in SIZES.items():
        Image.fromarray(picture(5, max(width, height))[:height, :width]).save(folder / "photos" / f"{name}.png")
        mask = Image.new("L", (width, height))
        mask.paste(255, (30, 40, 90, 85))
        mask.paste(255, (width - 110, height - 70, width - 50, height - 30))
        mask.save(folder / "masks" / f"{name}.png")
    write_published(folder / "weights", small=True)
    return folder


@pytest.fixture(scope="module", autouse=True)
def one_model():
    """In float32, loaded once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(precision, "fastest_on_cpu", lambda: "float32")
        model_cache.release()
        yield
        model_cache.release()


@pytest.fixture(scope="module")
def evaluated(folder) -> dict[str, np.ndarray]:
    """The fills of the evaluation, by photo."""
    config = SamplingConfig(num_inference_steps=STEPS, guidance_scale=1.0)
    options = contestants.Options(config=config, overrides={}, weights={"moebius": str(folder / "weights")})
    (contestant,) = contestants.resolve(["moebius"], options)
    request = Request(data=str(folder / "photos"), masks=str(folder / "masks"), seed=SEED)
    dataset = scan(request, quiet=True)
    asked = generate.configuration(contestant, dataset, 1, "cpu", "float32")
    fills = generate.folder_of(folder / "evaluation", asked)
    generate.generate(contestant, dataset, fills, asked, Workers(), quiet=True)
    return {sample.id: pixels(generate.composited_path(fills, sample)) for sample in dataset.samples}


@pytest.fixture(scope="module")
def batch(folder) -> Path:
    """The folder that the command for many photos writes."""
    out = folder / "batch"
    arguments = ["batch", f"{folder / 'photos'}", "--masks", f"{folder / 'masks'}", "-o", f"{out}"]
    assert main([*arguments, *options(folder)]) == 0
    return out


def options(folder: Path) -> list[str]:
    given = {"model": "moebius", "weights": folder / "weights", "steps": STEPS, "guidance": 1, "seed": SEED}
    return [part for name, value in given.items() for part in (f"--{name}", f"{value}")]


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture)


def progress(share, desc=""):
    """Gradio's, which is not there."""


@pytest.mark.parametrize("name", SIZES)
def test_the_same_photo_mask_and_seed_give_the_same_bytes(folder, evaluated, batch, name, tmp_path):
    photo, mask = (folder / part / f"{name}.png" for part in ("photos", "masks"))
    given = [f"{photo}", f"{mask}", "-o"]
    assert main(["inpaint", *given, f"{tmp_path / 'one.png'}", *options(folder)]) == 0
    files = {"command line": tmp_path / "one.png", "batch": batch / f"{name}.png"}

    several = [part.replace("--model", "--models") for part in options(folder)]
    assert main(["compare", *given, f"{tmp_path / 'several'}", *several]) == 0
    files["comparison"] = tmp_path / "several" / "moebius.png"

    actions = Actions(folder / "weights")
    try:
        visitor = SimpleNamespace(session_hash="visitor")
        actions.load_photo({"path": str(photo), "orig_name": photo.name}, visitor)
        actions.load_mask(str(mask), visitor)
        settings = {"steps": STEPS, "guidance": 1.0, "seed": str(SEED)}
        outputs = actions.fill(None, "moebius", request=visitor, progress=progress, **settings)
        files["page"] = Path(outputs[1]["value"])
        tools = http_api.Tools(actions, CompareActions(actions))
        called = (str(photo), str(mask), "moebius", STEPS, 1.0, str(SEED), SamplingConfig().feather_px, "")
        files["tool"] = Path(tools.inpaint(*called, request=visitor, progress=progress))
        contents = {way: path.read_bytes() for way, path in files.items()}
    finally:
        actions.sessions.close_all()

    before, after, hole = pixels(photo), pixels(files["command line"]), pixels(mask) > 127
    assert (before[hole] != after[hole]).any(axis=1).mean() > 0.9 and (before != after).any(axis=2).mean() < 0.2
    assert [way for way, content in contents.items() if content != contents["command line"]] == []
    np.testing.assert_array_equal(evaluated[name], after)
