"""The comparison's handlers, called as Gradio calls them, with models that paint one colour."""

import queue
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from moebius import model_cache, registry
from moebius.contact_sheet import CELL_PX
from moebius.registry import Availability
from moebius.ui import editor
from moebius.ui.compare import html
from moebius.ui.compare.actions import PANEL_PARTS, SHOWN_BEFORE_PANELS, CompareActions
from moebius.ui.fill.actions import Actions
from moebius.ui.html import prose
from moebius.ui.pictures import closeup_box, save_closeup
from moebius.weights import WeightsError
from tests.helpers.one_by_one import OneByOne

VISITOR = SimpleNamespace(session_hash="visitor")
SIZE = (90, 60)
HOLE = (slice(20, 30), slice(40, 55))
COLOURS = {"classical": (200, 0, 0), "moebius": (0, 200, 0), "pixelhacker": (0, 0, 200), "flux-fill": (200, 200, 0)}
WHY = "it is too large for this machine; `python -m moebius download --model it` does not help"


class Paints(OneByOne):
    """Fills with its colour; remembers how it was asked."""

    size = None

    def __init__(self, name: str, before=lambda progress: None) -> None:
        self.name, self.before = name, before

    def fill_square(self, image, mask, config, generator, progress):
        self.before(progress)
        self.config, self.seed = config, generator.initial_seed() if generator else None
        return np.broadcast_to(np.float32(COLOURS[self.name]), image.shape)


@pytest.fixture
def models(monkeypatch) -> dict[str, Paints]:
    """Every model can run here, and is one of `Paints`; `models.asked` lists what was loaded, with its options."""
    every = {name: Paints(name) for name in COLOURS}
    loaded = []

    def acquire(name, options, progress):
        loaded.append((name, options))
        return every[name]

    monkeypatch.setattr(model_cache, "acquire", acquire)
    for name in COLOURS:
        make_available(monkeypatch, name, "")
    return SimpleNamespace(every=every, loaded=loaded)


def make_available(monkeypatch, name: str, why_not: str) -> None:
    state = Availability(can_run=not why_not, reason=why_not or "its weights are here", weights="")
    monkeypatch.setitem(registry.MODELS, name, replace(registry.MODELS[name], find_weights=lambda options: state))


@pytest.fixture
def actions(tmp_path):
    """With a photo loaded."""
    actions = Actions()
    pixels = np.random.default_rng(0).integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "IMG_1.png")
    actions.load_photo({"path": str(tmp_path / "IMG_1.png"), "orig_name": "IMG_1.png"}, VISITOR)
    yield CompareActions(actions)
    actions.sessions.close_all()


@pytest.fixture
def layer(tmp_path) -> str:
    mask = np.zeros((SIZE[1], SIZE[0]), bool)
    mask[HOLE] = True
    editor.tint(mask).save(tmp_path / "layer.png")
    return str(tmp_path / "layer.png")


def run(actions, layer, names, progress=lambda share, desc: None, **changes):
    given = {"variant": "", "recipe": "photo", "steps": 3, "seed": "7", "scheduler": "ddim", "feather_px": 0}
    given |= {"prompt": "a wall", "plan": "cpu"} | changes
    return actions.compare([layer] if layer else [], names, **given, request=VISITOR, progress=progress)


def panel(view: list, name: str) -> SimpleNamespace:
    at = SHOWN_BEFORE_PANELS + PANEL_PARTS * list(registry.MODELS).index(name)
    names = ("place", "text", "picture", "closeup", "keep", "download", "get")
    return SimpleNamespace(**dict(zip(names, view[at:], strict=False)))


def views(view: list) -> SimpleNamespace:
    names = ("heading", "photo", "closeup", "table", "sheet")
    return SimpleNamespace(**dict(zip(names, view, strict=False)))


def told(call) -> str:
    with pytest.raises(gr.Error) as error:
        call()
    return error.value.message


# ---- running ----


def test_each_result_is_shown_when_it_is_there_the_fastest_first(actions, layer, models):
    begun, first, second, third, last = run(actions, layer, ["flux-fill", "moebius", "classical"])
    assert panel(begun, "pixelhacker").place["visible"] is False and Image.open(views(begun).photo).size == SIZE
    assert "Running" in panel(begun, "classical").text and "Waiting" in panel(begun, "flux-fill").text
    assert panel(first, "classical").download["visible"] and "Running" in panel(first, "moebius").text
    assert panel(second, "moebius").download["visible"] and "Running" in panel(second, "flux-fill").text
    assert panel(third, "flux-fill").download["visible"] and panel(last, "flux-fill").text == gr.skip()

    for view, name in ((first, "classical"), (second, "moebius"), (third, "flux-fill")):
        path = Path(panel(view, name).download["value"])
        assert path.name == f"IMG_1_{name}.png"
        assert (np.asarray(Image.open(path))[HOLE] == COLOURS[name]).all()
        assert Image.open(panel(view, name).closeup["value"]).size == Image.open(views(begun).closeup).size
        assert panel(view, name).keep["visible"]
    assert views(last).table.count("<tr>") == 4 and "Done: 3 results, seed 7." in views(last).heading
    assert not views(third).sheet["visible"] and views(last).sheet["visible"]
    sheet = Image.open(views(last).sheet["value"])
    assert sheet.width == 16 + 4 * (CELL_PX + 16)


def test_all_get_the_same_seed_and_settings_and_their_own_steps_where_none_are_given(actions, layer, models):
    list(run(actions, layer, ["moebius", "flux-fill"], steps=0))
    moebius, flux = models.every["moebius"], models.every["flux-fill"]
    assert moebius.seed == flux.seed == 7
    assert (moebius.config.num_inference_steps, flux.config.num_inference_steps) == (20, 50)
    assert flux.config.prompt == "a wall" and flux.config.guidance_scale == 30
    assert {name: options.plan for name, options in models.loaded}["flux-fill"] == "cpu"
    list(run(actions, layer, ["moebius", "flux-fill"], prompt="", plan=""))
    assert flux.config.prompt is None and flux.config.num_inference_steps == 3
    assert models.loaded[-1][1].plan is None


def test_the_student_is_shown_while_a_slow_teacher_works(actions, layer, models):
    began, release, seen = threading.Event(), threading.Event(), queue.Queue()

    def waits(progress):
        began.set()
        assert release.wait(20)

    models.every["pixelhacker"].before = waits

    def collect():
        for view in run(actions, layer, ["pixelhacker", "moebius"]):
            seen.put(view)
        seen.put(None)

    thread = threading.Thread(target=collect)
    thread.start()
    try:
        assert began.wait(20)
        seen.get(timeout=20)
        view = seen.get(timeout=20)
        assert panel(view, "moebius").download["visible"] and "Running" in panel(view, "pixelhacker").text
        assert seen.empty() and thread.is_alive(), "the teacher is still at it"
    finally:
        release.set()
        thread.join(20)
    assert panel(seen.get(), "pixelhacker").download["visible"]


def test_a_teacher_that_cannot_run_says_why_at_once_and_is_never_loaded(actions, layer, models, monkeypatch):
    make_available(monkeypatch, "flux-fill", WHY)
    begun, first, last = run(actions, layer, ["flux-fill", "moebius"])
    text = panel(begun, "flux-fill").text
    assert "Cannot run here" in text and "<code>python -m moebius download --model it</code>" in text
    assert "Non-commercial" in text and not panel(begun, "flux-fill").picture["visible"]
    assert panel(first, "moebius").download["visible"] and "cannot run here" in views(last).table
    assert [name for name, _ in models.loaded] == ["moebius"]
    assert Image.open(views(last).sheet["value"]).width == 16 + 3 * (CELL_PX + 16), "its column is in the sheet"


def test_a_teacher_whose_weights_are_damaged_leaves_the_others(actions, layer, models):
    def fails(progress):
        raise WeightsError("transformer/part.safetensors is damaged")

    models.every["pixelhacker"].before = fails
    *_, third, last = run(actions, layer, ["pixelhacker", "moebius", "classical"])
    assert "part.safetensors is damaged" in panel(third, "pixelhacker").text
    assert "2 results" in views(last).heading


def test_nobody_can_run(actions, layer, models, monkeypatch):
    make_available(monkeypatch, "flux-fill", WHY)
    begun, last = run(actions, layer, ["flux-fill"])
    assert not views(last).sheet["visible"]
    assert "no result" in views(last).heading


def test_mistakes_have_their_messages(actions, layer, models):
    assert "at least one model" in told(lambda: next(run(actions, layer, [])))
    assert "Unknown model" in told(lambda: next(run(actions, layer, ["lama"])))
    assert "paint over what should go" in told(lambda: next(run(actions, None, ["moebius"])))
    assert "eather_px" in told(lambda: next(run(actions, layer, ["moebius"], feather_px=99)))
    assert "seed must be" in told(lambda: next(run(actions, layer, ["moebius"], seed="seven")))


def test_what_fails_unexpectedly_is_told_without_details_and_can_be_seen_to_have_ended(actions, layer, models, caplog):
    def fails(progress):
        raise RuntimeError("the secret of /home/someone")

    models.every["moebius"].before = fails
    message = told(lambda: list(run(actions, layer, ["classical", "moebius"])))
    assert "secret" not in message and "secret" in caplog.text
    view = actions.stop("", VISITOR)
    assert "Stopped" in panel(view, "moebius").text and panel(view, "classical").text == gr.skip()


def test_stopping_keeps_what_is_there(actions, layer, models):
    def stops(progress):
        stopped.append(actions.stop("", VISITOR))
        progress(0.5, "Going on")

    stopped = []
    models.every["moebius"].before = stops
    seen = list(run(actions, layer, ["classical", "moebius", "flux-fill"]))
    assert len(seen) == 2 and panel(seen[1], "classical").download["visible"]
    (view,) = stopped
    assert all("Stopped" in panel(view, name).text for name in ("moebius", "flux-fill"))
    assert "Stopped: 1 result" in views(view).heading
    assert Path(views(view).sheet["value"]).exists()
    assert [name for name, _ in models.loaded] == ["classical", "moebius"]


def test_leaving_deletes_the_files(actions, layer, models):
    *_, last = run(actions, layer, ["classical"])
    sheet = Path(views(last).sheet["value"])
    assert sheet.exists()
    actions.sessions.close(VISITOR.session_hash)
    assert not sheet.exists()


def test_old_comparisons_make_room(actions, layer, models):
    for _ in range(4):
        list(run(actions, layer, ["classical"]))
    folder = actions.sessions.get(VISITOR.session_hash).folder
    assert len(list(folder.glob("comparison-*"))) == 2


# ---- keeping ----


def test_one_is_kept_as_the_photos_result(actions, layer, models):
    assert "press Compare again" in told(lambda: actions.keep("moebius", VISITOR))
    list(run(actions, layer, ["classical", "moebius"]))
    pictures, download, facts = actions.keep("moebius", VISITOR)
    session = actions.sessions.get(VISITOR.session_hash)
    assert [Path(one).name for one in pictures["value"]] == ["photo.png", "IMG_1_moebius.png"]
    assert session.result == Path(download["value"]) and session.result.name == "IMG_1_filled.png"
    assert session.result.read_bytes() == session.comparison.pictures["moebius"].file.read_bytes()
    assert "Moebius" in facts and "seed 7" in facts and session.steps[-1].path == session.result
    for name in ("flux-fill", "photo", "../../etc/hostname", ""):
        assert "press Compare again" in told(lambda name=name: actions.keep(name, VISITOR))


def test_the_piece_around_the_hole_is_the_largest_holes_and_pixel_by_pixel(tmp_path):
    mask = np.zeros((1000, 2000), bool)
    mask[100:110, 100:110] = True
    mask[500:700, 1000:1200] = True  # its middle is (1100, 600), twice its size 400 × 400
    assert closeup_box(mask) == (900, 400, 1300, 800)
    mask[500:700, 1800:2000] = mask[450:750, 1750:2000] = True  # 250 × 300, at the edge; twice its height is too much
    assert closeup_box(mask) == (1500, 360, 2000, 840)
    assert closeup_box(np.ones((50, 40), bool)) == (0, 0, 40, 50), "no more than there is"
    # A frame, thick only at the right: what is shown is its deepest part, not the photo in its middle.
    mask = np.zeros((1200, 1600), bool)
    mask[100:1100, 100:110] = mask[100:110, 100:1500] = mask[1090:1100, 100:1500] = True
    mask[100:1100, 1300:1500] = True
    left, _, right, _ = closeup_box(mask)
    assert left <= 1300 and right >= 1500
    pixels = np.random.default_rng(0).integers(0, 256, (100, 80, 3), np.uint8)
    path = save_closeup(Image.fromarray(pixels), (10, 20, 30, 50), tmp_path / "near.png")
    assert (np.asarray(Image.open(path)) == pixels[20:50, 10:30]).all()


# ---- models, terms, tables ----


def test_prompt_plan_and_terms_come_with_flux(actions):
    terms, prompt, plan = actions.chosen(["moebius", "flux-fill"])
    assert prompt["visible"] and plan["visible"] and "Non-commercial" in terms and "Moebius" not in terms
    terms, prompt, plan = actions.chosen(["flux-fill-pro"])
    assert prompt["visible"] and not plan["visible"] and "leaves this computer" in terms
    terms, prompt, plan = actions.chosen([])
    assert terms == "" and not prompt["visible"] and not plan["visible"]


def test_the_hosted_model_is_off_until_it_is_turned_on(actions, monkeypatch):
    def label() -> str:
        return next(text for text, name in actions.choices("")["choices"] if name == "flux-fill-pro")

    for name in ("MOEBIUS_HOSTED", "MOEBIUS_BFL_KEY"):
        monkeypatch.delenv(name, raising=False)
    assert label().endswith("(hosted) · off")
    monkeypatch.setenv("MOEBIUS_HOSTED", "1")
    monkeypatch.setenv("MOEBIUS_BFL_KEY", "a key")
    assert label().endswith("the picture leaves this computer")


def test_fetching_ends_in_the_panel(actions, layer, models, monkeypatch):
    make_available(monkeypatch, "pixelhacker", "its weights are not on this computer")
    begun, *_ = run(actions, layer, ["pixelhacker"])
    assert panel(begun, "pixelhacker").get["visible"] and "3.6 GB" in panel(begun, "pixelhacker").get["value"]
    monkeypatch.setattr(registry, "fetch", lambda *_: make_available(monkeypatch, "pixelhacker", ""))
    text, button, choices = actions.fetch("pixelhacker", "", VISITOR, lambda share, desc: None)
    assert "Its weights are here now" in text and button["visible"] is False
    assert any("PixelHacker" in label and label.endswith("runs here") for label, _ in choices["choices"])


def test_the_papers_figures_are_marked_and_those_of_the_paper():
    text = html.published()
    assert "The paper's own figures, not measured here" in text
    rows = [row for row in text.split("<tr>") if "FLUX.1 Fill" in row]
    for figure in ("8.05", "50", "161.01", "11.9 billion", "15.5", "8.02", "0.279"):  # 8.05 / 0.52 = 15.5
        assert f"<td>{figure}</td>" in rows[0], figure


def test_words_from_outside_are_escaped_and_addresses_marked_up():
    text = prose("<b> see https://example.org/a-b. Then `python x`")
    assert text == (
        '&lt;b&gt; see <a href="https://example.org/a-b" target="_blank" rel="noopener">https://example.org/a-b</a>. '
        "Then <code>python x</code>"
    )


def test_the_page_starts_without_torch():
    code = (
        "import sys; from moebius.ui.page import build_app; build_app()\n"
        "loaded = {'torch', 'diffusers', 'transformers'} & set(sys.modules); assert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3], timeout=60)
