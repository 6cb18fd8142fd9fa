"""How to add a model in 30 lines: what docs/architecture.md shows, run by page, command line, batch, comparison and
evaluation."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from eval import contestants, generate
from moebius import registry
from moebius.__main__ import main
from moebius.ui.fill.actions import Actions
from moebius.ui.settings import flux_visible

ROOT = Path(__file__).parents[3]


@pytest.fixture
def example(monkeypatch) -> registry.ModelCard:
    """The documentation's example, run as it stands there."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text[text.index("## Add a model") :], re.DOTALL)
    assert len(code.splitlines()) <= 30
    names = {}
    monkeypatch.setattr(registry, "MODELS", dict(registry.MODELS))
    exec(compile(code, "docs/architecture.md", "exec"), names)
    return registry.card("mean-colour")


@pytest.fixture
def photo(tmp_path) -> Path:
    """Left half red, right half blue, and a mask in the red one."""
    pixels = np.zeros((64, 96, 3), np.uint8)
    pixels[:, :48, 0] = pixels[:, 48:, 2] = 200
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    mask = Image.new("L", (96, 64))
    mask.paste(255, (10, 20, 20, 30))
    mask.save(tmp_path / "photo_mask.png")
    return tmp_path / "photo.png"


def check(path: Path) -> None:
    """The mean of the known pixels of a 96×64 photo with a 10×10 hole in its red half, mirrored to a 96×96 square: by
    hand, red over half of the square but for the hole and its mirror image."""
    with Image.open(path) as picture:
        inside = np.asarray(picture)[22:28, 12:18].reshape(-1, 3)
    assert (inside == inside[0]).all() and inside[0, 1] == 0
    assert inside[0, 0] < 100 < inside[0, 2] and abs(int(inside[0].sum()) - 200) <= 1


def test_every_way_fills_with_it(example, photo, tmp_path, capsys):
    mask, one, several, batch = (str(tmp_path / name) for name in ("photo_mask.png", "one.png", "several", "batch"))
    common = ["--model", example.name, "--json", "--mark"]
    assert main(["inpaint", str(photo), mask, "-o", one, *common, "--seed", "3", "--prompt", "grass"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["model"] == example.name and report["seed"] is None and report["mark"]
    assert f"{example.title} ignores --seed, --prompt." in report["notes"]
    check(Path(one))

    assert main(["batch", str(photo), "--masks", mask, "-o", batch, *common]) == 0
    check(Path(batch) / "photo.png")
    capsys.readouterr()

    assert main(["compare", str(photo), mask, "-o", several, "--models", f"classical,{example.name}", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["results"]
    assert [row["model"] for row in rows] == [example.name, "classical"], "its comparison_order is -1"
    check(Path(several) / f"{example.name}.png")

    actions = Actions()
    try:
        visitor = SimpleNamespace(session_hash="visitor")
        actions.load_photo({"path": str(photo), "orig_name": photo.name}, visitor)
        actions.load_mask(mask, visitor)
        outputs = actions.fill(None, example.name, request=visitor, progress=lambda share, desc="": None)
        check(Path(outputs[1]["value"]))
    finally:
        actions.sessions.close_all()

    options = contestants.Options(overrides={}, weights={})
    (contestant,) = contestants.resolve([example.name], options)
    assert contestant.learned == example.learned
    picture, hole = (np.asarray(Image.open(path)) for path in (photo, mask))
    (filled,) = generate.fill_chunk(contestant.load(), [picture], [hole > 127], contestant.config, 0)
    np.testing.assert_array_equal(filled, np.asarray(Image.open(one)))


def test_its_card_alone_decides(example):
    prompt, plan = flux_visible([example.name])
    assert not prompt["visible"] and not plan["visible"]
    prompt, plan = flux_visible([example.name, "flux-fill"])
    assert prompt["visible"] and plan["visible"]
    assert example.name not in registry.compared() and registry.reference().name == "moebius"


def test_cards_and_models_agree_on_steps_and_guidance():
    from moebius.config import FLUX_FILL_DEFAULTS, FLUX_FILL_PRO_DEFAULTS, PIXELHACKER_DEFAULTS, STUDENT_DEFAULTS
    from moebius.inpainters.classical import ClassicalInpainter
    from moebius.inpainters.flux.flux_fill import FluxFillInpainter
    from moebius.inpainters.flux.hosted import HostedFluxInpainter
    from moebius.models.pixelhacker import PixelHackerUNet
    from moebius.models.unet import MoebiusUNet

    built = {
        "moebius": (MoebiusUNet, STUDENT_DEFAULTS),
        "pixelhacker": (PixelHackerUNet, PIXELHACKER_DEFAULTS),
        "flux-fill": (FluxFillInpainter, FLUX_FILL_DEFAULTS),
        "flux-fill-pro": (HostedFluxInpainter, FLUX_FILL_PRO_DEFAULTS),
        "classical": (ClassicalInpainter, None),
    }
    for name, (model, defaults) in built.items():
        assert registry.card(name).defaults is model.defaults is defaults
