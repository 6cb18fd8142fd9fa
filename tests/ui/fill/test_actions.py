"""The page's handlers, called as Gradio calls them, without a browser."""

import dataclasses
import io
import shutil
import threading
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import jpeglib
import numpy as np
import pytest
from PIL import Image

from moebius import model_cache, registry
from moebius.fill.result import Fill
from moebius.inpainters.classical import ClassicalInpainter
from moebius.photo import photo_file as photos
from moebius.ui import editor
from moebius.ui.fill import html
from moebius.ui.fill.actions import Actions, filled_name
from tests.helpers.malformed import Malformed, malformed_inputs

VISITOR = SimpleNamespace(session_hash="visitor")
SETTINGS = {"variant": "", "recipe": "photo", "steps": 2, "guidance": 1.0, "seed": "", "scheduler": "ddim"}
FLUX = {"prompt": "", "plan": ""}


@pytest.fixture
def actions():
    actions = Actions()
    yield actions
    actions.sessions.close_all()


def photo_file(folder: Path, name: str = "IMG_1.png", size: tuple[int, int] = (90, 60)) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(pixels).save(folder / name)
    return folder / name


def layer_file(folder: Path, size: tuple[int, int] = (90, 60)) -> str:
    mask = np.zeros((size[1], size[0]), bool)
    mask[20:30, 40:55] = True
    editor.tint(mask).save(folder / "layer_0.png")
    return str(folder / "layer_0.png")


def load(actions: Actions, path: Path):
    return actions.load_photo({"path": str(path), "orig_name": path.name}, VISITOR)


def fill(actions: Actions, layers: list[str], model: str = "classical", progress=lambda share, desc: None, **changes):
    values = {**SETTINGS, "feather_px": 4, **FLUX, **changes}
    return actions.fill(layers, model, **values, request=VISITOR, progress=progress)


def result(outputs) -> Path:
    return Path(outputs[1]["value"])


# ---- the way through ----


def test_a_photo_is_loaded_filled_and_used_again(actions, tmp_path):
    path = photo_file(tmp_path)
    scene = load(actions, path)
    assert scene["mask"] is None and scene["size"] == [90, 60] and scene["name"] == "IMG_1.png"
    assert Image.open(scene["photo"]).size == (90, 60)

    (before, after), facts = (outputs := fill(actions, [layer_file(tmp_path)]))[0]["value"], outputs[2]
    assert result(outputs).name == "IMG_1_filled.png" and after == str(result(outputs))
    assert Path(before).read_bytes() == path.read_bytes(), "the photo on the server is the file that was sent"
    old, new = np.asarray(Image.open(path)), np.asarray(Image.open(result(outputs)))
    differs = (old != new).any(axis=2)
    inside = np.zeros_like(differs)
    inside[16:34, 36:59] = True  # the stroke and four pixels of blend
    assert differs[20:30, 40:55].mean() > 0.9 and not differs[~inside].any()
    assert registry.MODELS["classical"].title in facts and "seed" not in facts

    kept = actions.use_result(VISITOR)
    assert kept["kept"] and kept["picture"] > scene["picture"] and kept["serial"] > scene["serial"]
    again = fill(actions, [layer_file(tmp_path)])
    assert result(again).name == "IMG_1_filled.png"


def test_a_mask_file_is_used_at_full_size(actions, tmp_path):
    load(actions, photo_file(tmp_path, size=(3200, 40)))
    mask = Image.new("L", (3200, 40))
    mask.putpixel((1000, 20), 255)  # less than a pixel of the preview
    mask.save(tmp_path / "mask.png")
    value = actions.load_mask(str(tmp_path / "mask.png"), VISITOR)
    assert np.asarray(Image.open(value["mask"]))[..., 3].astype(bool).sum() == 1
    outputs = fill(actions, [value["mask"]], feather_px=0)
    assert "1 square" in outputs[2]
    old, new = (np.asarray(Image.open(path)).astype(int) for path in (outputs[0]["value"][0], result(outputs)))
    assert {tuple(at) for at in np.argwhere((old != new).any(axis=2))} == {(20, 1000)}


def test_what_is_painted_is_grown_and_a_mask_file_is_not(actions, tmp_path):
    def changed(layers: list[str]) -> np.ndarray:
        outputs = fill(actions, layers, feather_px=0, grow_mask=9)
        assert ("The mask was grown by 1 pixel." in outputs[2]) == (layers is painted)
        old, new = (np.asarray(Image.open(path)) for path in (photo, result(outputs)))
        return (old != new).any(axis=2)

    photo, painted = photo_file(tmp_path), [layer_file(tmp_path)]
    load(actions, photo)
    grown = np.zeros((60, 90), bool)
    grown[19:31, 40:55] = grown[20:30, 39:56] = True
    differs = changed(painted)
    assert not differs[~grown].any() and differs[19, 40:55].any() and differs[20:30, 39].any()
    alpha = np.asarray(Image.open(painted[0]))[..., 3]
    Image.fromarray((alpha > 0) * np.uint8(255)).save(tmp_path / "mask.png")
    value = actions.load_mask(str(tmp_path / "mask.png"), VISITOR)
    assert not changed([value["mask"]])[alpha == 0].any()


def test_a_mask_is_saved_at_full_size_and_comes_back_the_same(actions, tmp_path):
    load(actions, photo_file(tmp_path, size=(3200, 40)))
    wire = np.zeros((40, 3200), bool)
    wire[20] = True
    Image.fromarray(wire).save(tmp_path / "wire.png")
    value = actions.load_mask(str(tmp_path / "wire.png"), VISITOR)
    saved = Path(actions.save_mask([value["mask"]], VISITOR))
    assert saved.name == "IMG_1_mask.png"
    with Image.open(saved) as image:
        assert (image.format, image.mode, image.size) == ("PNG", "L", (3200, 40))
        np.testing.assert_array_equal(np.asarray(image), wire * np.uint8(255))
    actions.load_mask(str(saved), VISITOR)
    np.testing.assert_array_equal(actions.sessions.get("visitor").mask(), wire)
    load(actions, photo_file(tmp_path))
    assert "nothing is painted" in told(actions.save_mask, [], VISITOR).lower()


def test_every_result_can_be_gone_back_to_and_so_can_the_original(actions, tmp_path):
    path = photo_file(tmp_path)
    load(actions, path)
    assert actions.steps(VISITOR)["visible"] is False
    first = result(fill(actions, [layer_file(tmp_path)])).read_bytes()
    actions.use_result(VISITOR)
    second = fill(actions, [layer_file(tmp_path)])
    assert Path(second[0]["value"][0]).read_bytes() == first, "the first result was filled"
    session = actions.sessions.get("visitor")
    shown = actions.steps(VISITOR)
    assert [caption for _, caption in shown["value"]] == ["Original", "Result 1 · here", "Result 2"]
    assert all(max(Image.open(small).size) <= 240 for small, _ in shown["value"]) and shown["visible"]

    scene = actions.go_to(0, VISITOR)
    assert scene["mask"] is None and not scene["kept"]
    assert session.photo.read_bytes() == path.read_bytes() and session.name == "IMG_1.png"
    np.testing.assert_array_equal(np.asarray(Image.open(session.photo)), np.asarray(Image.open(path)))
    third = fill(actions, [layer_file(tmp_path)])
    assert Path(third[0]["value"][0]).read_bytes() == path.read_bytes()
    assert len(actions.steps(VISITOR)["value"]) == 4
    actions.go_to(1, VISITOR)
    assert session.photo.read_bytes() == first
    for index in (-1, 4):
        assert "not kept any more" in told(actions.go_to, index, VISITOR)
    load(actions, path)
    assert len(session.steps) == 1 and actions.steps(VISITOR)["visible"] is False


def test_steps_whose_files_are_deleted_meanwhile_are_left_out(actions, tmp_path, monkeypatch):
    """Another photo was chosen, or the visitor left, while small pictures were made."""
    load(actions, photo_file(tmp_path))
    fill(actions, [layer_file(tmp_path)])
    session, preview = actions.sessions.get("visitor"), editor.preview
    monkeypatch.setattr(editor, "preview", lambda *given: shutil.rmtree(session.result.parent) or preview(*given))
    session.steps.pop(0)
    assert actions.steps(VISITOR)["value"] == []


def test_samples_come_with_their_masks(actions):
    alpha = np.asarray(Image.open(actions.load_sample(0, VISITOR)["mask"]))[..., 3]
    assert 0 < (alpha > 0).mean() < 0.7
    assert "samples 0 to" in told(actions.load_sample, 99, VISITOR)


def test_names_of_results():
    photo = photos.Photo(raster=Image.new("RGB", (1, 1)), format="JPEG", data=b"", orientation=1, name="IMG_1.JPG")
    assert filled_name(photo) == "IMG_1_filled.JPG"
    assert filled_name(dataclasses.replace(photo, name="IMG_1_filled.jpg")) == "IMG_1_filled.jpg"
    assert filled_name(dataclasses.replace(photo, name="a photo.png")) == "a photo_filled.jpg"


def test_a_16_bit_tiff_is_shown_as_something_browsers_show(actions, tmp_path):
    import tifffile

    pixels = np.random.default_rng(0).integers(0, 2**16, (60, 90, 3), np.uint16)
    tifffile.imwrite(tmp_path / "deep.tif", pixels, photometric="rgb")
    load(actions, tmp_path / "deep.tif")
    outputs = fill(actions, [layer_file(tmp_path)])
    assert [Image.open(path).format for path in outputs[0]["value"]] == ["JPEG", "JPEG"]
    assert tifffile.imread(result(outputs)).dtype == np.uint16


# ---- what a result is made into ----


def white(folder: Path, mask: np.ndarray, name: str = "restored.png") -> list[str]:
    Image.fromarray(mask * np.uint8(255)).save(folder / name)
    return [str(folder / name)]


def test_the_original_is_painted_back_into_a_jpeg_block_by_block(actions, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    Image.fromarray(pixels).resize((960, 640)).save(path := tmp_path / "IMG_1.jpg", quality=92, subsampling=0)
    load(actions, path)
    hole = np.zeros((640, 960), bool)
    hole[100:300, 200:600] = True
    filled = result(fill(actions, white(tmp_path, hole, "hole.png"))).read_bytes()
    half = np.zeros_like(hole)
    half[:, :400] = True
    (before, after), button = (one["value"] for one in actions.restore(white(tmp_path, half), VISITOR))
    now = jpeglib.read_dct(button)
    assert Path(before).read_bytes() == path.read_bytes() and Path(after).read_bytes() == Path(button).read_bytes()
    old = jpeglib.read_dct(str(path))
    np.testing.assert_array_equal(now.Y[:, :50], old.Y[:, :50], "the blocks of what is restored are the photo's own")
    assert (now.Y != old.Y).any()
    again = actions.restore(white(tmp_path, np.ones_like(hole)), VISITOR)
    assert Path(again[1]["value"]).read_bytes() == path.read_bytes()
    assert "nothing in it is changed" in told(actions.patch, VISITOR)
    back = actions.restore(white(tmp_path, np.zeros_like(hole)), VISITOR)
    assert Path(back[1]["value"]).read_bytes() == filled


def test_a_layer_is_what_the_result_changes(actions, tmp_path, monkeypatch):
    monkeypatch.setenv("MOEBIUS_MARK", "1")
    path = photo_file(tmp_path)
    load(actions, path)
    assert "no result yet" in told(actions.patch, VISITOR)
    filled = result(fill(actions, [layer_file(tmp_path)]))
    half = np.zeros((60, 90), bool)
    half[:, :47] = True
    actions.restore(white(tmp_path, half), VISITOR)
    patch = Path(actions.patch(VISITOR))
    assert patch.name == "IMG_1_filled_patch_x47_y16.png"
    with Image.open(patch) as layer:
        assert layer.mode == "RGBA" and "humanEdits" in str(layer.info["XML:com.adobe.xmp"])
        over = Image.open(path).convert("RGBA")
        over.alpha_composite(layer, (47, 16))
    np.testing.assert_array_equal(np.asarray(over)[..., :3], np.asarray(Image.open(filled)))


def test_own_pixels_only_is_said_in_the_file_where_it_was_chosen_by_name(actions, tmp_path, monkeypatch):
    load(actions, photo_file(tmp_path))
    for model, said in (("classical", True), (registry.AUTO, False)):
        assert registry.resolve(model, actions.options)[0].name == "classical"
        with Image.open(result(fill(actions, [layer_file(tmp_path)], model))) as image:
            xmp = image.info.get("XML:com.adobe.xmp", "")
        assert ("http://cv.iptc.org/newscodes/digitalsourcetype/humanEdits" in xmp) == said
        assert "TrainedAlgorithmicMedia" not in xmp
    assert ("Own pixels only (PatchMatch)", "classical") in html.choices(actions.options)
    assert "nothing is generated" in html.model_line("classical", actions.options)


def test_variants_come_from_the_next_seeds_and_one_is_chosen(actions, tmp_path, monkeypatch):
    def noise(model, raster, mask, config, generator, progress) -> Fill:
        random = np.random.default_rng(generator.initial_seed())
        pixels = np.where(mask[..., None], random.integers(0, 256, (60, 90, 3), np.uint8), np.asarray(raster))
        seconds = {"model": 0.0, "detail": 0.0, "geometry": 0.0}
        return Fill(raster=Image.fromarray(pixels), changed=mask, squares=(), seconds=seconds, notes=())

    monkeypatch.setattr(registry, "resolve", lambda name, options: (registry.card("moebius"), ""))
    monkeypatch.setattr(model_cache, "acquire", lambda name, options, progress: None)
    monkeypatch.setattr("moebius.ui.fill.actions.fill_photo", noise)
    monkeypatch.setattr(actions, "_variant", lambda card, variant: "places2")
    load(actions, photo_file(tmp_path))
    layers = [layer_file(tmp_path)]
    again = {**SETTINGS, **FLUX, "progress": lambda share, desc: None, "request": VISITOR}
    first = fill(actions, layers, "moebius", seed="41")
    pictures = actions.vary(layers, "moebius", **again)
    assert len(pictures) == 4 and len({Path(one).read_bytes() for one in pictures}) == 4
    assert Path(pictures[1]) == result(first)
    download, facts = actions.choose_variant(2, VISITOR)
    assert "seed 43" in facts and download["value"] == pictures[3]
    assert actions.use_result(VISITOR)["kept"]
    assert actions.sessions.get("visitor").photo == Path(pictures[3])
    assert "any more" in told(actions.choose_variant, 1, VISITOR)
    monkeypatch.undo()
    fill(actions, layers)
    assert "makes the same" in told(actions.vary, layers, "classical", **again)


# ---- mistakes ----


def told(action, *args, **kwargs) -> str:
    with pytest.raises(gr.Error) as error:
        action(*args, **kwargs)
    assert error.value.print_exception is False
    return error.value.message


def test_each_mistake_has_its_message(actions, tmp_path):
    assert told(fill, actions, []) == "Choose a photo first"
    load(actions, photo_file(tmp_path))
    assert "paint over what should go" in told(fill, actions, [])
    layers = [layer_file(tmp_path)]
    assert "Unknown model" in told(fill, actions, layers, model="nonesuch")
    assert "Unknown recipe" in told(fill, actions, layers, recipe="nonesuch")
    assert "eather_px must be between 0 and 64" in told(fill, actions, layers, feather_px=99)
    Image.new("L", (20, 10)).save(tmp_path / "small.png")
    message = told(actions.load_mask, str(tmp_path / "small.png"), VISITOR)
    assert "20×10" in message and "90×60" in message
    assert told(actions.use_result, VISITOR).startswith("There is no result yet")
    fill(actions, layers)
    load(actions, photo_file(tmp_path))  # what was made of another photo is none of this one's
    assert told(actions.use_result, VISITOR).startswith("There is no result yet")
    assert "session" in told(actions.use_result, SimpleNamespace(session_hash=None))


def test_a_message_is_text_not_html(actions, tmp_path):
    (tmp_path / "<img src=x>.png").write_text("no picture")
    message = told(load, actions, tmp_path / "<img src=x>.png")
    assert "<" not in message and "&lt;img src=x&gt;.png" in message


def test_the_unexpected_is_logged_and_told_without_details(actions, tmp_path, monkeypatch, caplog):
    load(actions, photo_file(tmp_path))

    def fails(*args, **kwargs):
        raise RuntimeError("the secret of /home/someone")

    monkeypatch.setattr(model_cache, "acquire", fails)
    assert told(fill, actions, [layer_file(tmp_path)]) == "Something went wrong on the server. Please try again."
    assert "the secret of /home/someone" in caplog.text


@pytest.fixture(scope="module")
def malformed(tmp_path_factory) -> list[Malformed]:
    return malformed_inputs(tmp_path_factory.mktemp("malformed"))


def test_malformed_inputs_get_one_clear_message_and_leave_nothing(actions, malformed):
    assert len(malformed) >= 200
    outcomes = {case.name: outcome(actions, case) for case in malformed}
    wrong = {
        case.name: outcomes[case.name]
        for case in malformed
        if (case.expected == "error" and outcomes[case.name] is None)
        or (case.expected == "ok" and outcomes[case.name] is not None)
    }
    assert not wrong
    for name, message in outcomes.items():
        if message is not None:
            assert message.strip() and "\n" not in message and len(message) < 600, (name, message)
            assert "went wrong on the server" not in message and "Traceback" not in message, (name, message)


def outcome(actions: Actions, case: Malformed) -> str | None:
    """The message that a visitor gets, None where there is a result instead."""
    session = actions.sessions.get(VISITOR.session_hash)
    try:
        load(actions, case.photo)
        actions.load_mask(str(case.mask), VISITOR)
        if not session.mask().any():
            return None  # an empty mask can be loaded, and painted on
        assert result(fill(actions, [])).stat().st_size > 0
        return None
    except gr.Error as error:
        kept = {path.name for path in session.folder.rglob("*") if path.is_file()}
        assert session.result is None and not any("filled" in name for name in kept), kept
        if case.wrong == "photo" and session.photo is None:
            assert not kept
        return error.message
    finally:
        actions.sessions.close(VISITOR.session_hash)


def test_a_visitor_is_not_told_the_folders_of_the_server(tmp_path, caplog):
    secret = tmp_path / "secret" / "weights"
    secret.mkdir(parents=True)
    actions = Actions(secret)
    load(actions, photo_file(tmp_path))
    message = told(fill, actions, [layer_file(tmp_path)], model="moebius")
    assert "holds no weights" in message and "secret" not in message
    assert "secret/weights holds no weights" in caplog.text, "whoever runs the page can read it in full"
    actions.sessions.close_all()


# ---- stopping ----


class Waits(ClassicalInpainter):
    """Reports progress until it is stopped; tells when it began."""

    def __init__(self) -> None:
        self.began = threading.Event()

    def fill_square(self, image, mask, config, generator, progress):
        self.began.set()
        while True:
            progress(0.5, "Waiting")


def test_stopping_ends_the_computation_and_leaves_no_result(actions, tmp_path, monkeypatch):
    load(actions, photo_file(tmp_path))
    waits = Waits()
    monkeypatch.setattr(model_cache, "acquire", lambda name, options, progress: waits)
    outputs = []
    running = threading.Thread(target=lambda: outputs.append(fill(actions, [layer_file(tmp_path)])))
    running.start()
    assert waits.began.wait(10)
    actions.stop(VISITOR)
    running.join(10)
    assert not running.is_alive()
    assert all(update == gr.skip() for update in outputs[0])
    assert actions.sessions.get(VISITOR.session_hash).result is None


def test_leaving_ends_the_computation_and_deletes_the_files(actions, tmp_path, monkeypatch):
    load(actions, photo_file(tmp_path))
    folder = actions.sessions.get(VISITOR.session_hash).folder
    waits = Waits()
    monkeypatch.setattr(model_cache, "acquire", lambda name, options, progress: waits)
    running = threading.Thread(target=lambda: fill(actions, [layer_file(tmp_path)]))
    running.start()
    assert waits.began.wait(10)
    actions.leave(VISITOR)
    running.join(10)
    assert not running.is_alive() and not folder.exists()


def test_a_fill_that_takes_too_long_is_ended_in_words(actions, tmp_path, monkeypatch):
    load(actions, photo_file(tmp_path))
    monkeypatch.setattr(model_cache, "acquire", lambda name, options, progress: Waits())
    monkeypatch.setenv("MOEBIUS_MAX_SECONDS", "0.05")
    with pytest.raises(gr.Error, match="longer than the 0.05 s"):
        fill(actions, [layer_file(tmp_path)])
    for wrong in ("soon", "0", "-1", "nan"):
        monkeypatch.setenv("MOEBIUS_MAX_SECONDS", wrong)
        with pytest.raises(gr.Error, match="MOEBIUS_MAX_SECONDS must be a positive number"):
            fill(actions, [layer_file(tmp_path)])


@pytest.mark.parametrize("marked", ["1", "0"])
def test_a_mark_is_written_where_it_is_asked_for(actions, tmp_path, monkeypatch, marked):
    monkeypatch.setenv("MOEBIUS_MARK", marked)
    load(actions, photo_file(tmp_path))
    with Image.open(result(fill(actions, [layer_file(tmp_path)], registry.AUTO))) as filled:
        said = str(filled.info.get("xmp", ""))
    assert ("digitalsourcetype/humanEdits" in said) == (marked == "1")


# ---- models and weights ----


def test_the_page_offers_the_weights_that_are_lacking(actions, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.delenv("MOEBIUS_WEIGHTS", raising=False)
    line, button = actions.about("auto", "")
    assert registry.MODELS["classical"].title in line and button["visible"]
    line, button = actions.about("moebius", "")
    assert (
        "It cannot run here</b>: its weights are not here yet" in line
        and "MB" in button["value"]
        and "Moebius" in button["value"]
    )
    _, button = actions.about("classical", "")
    assert not button["visible"]


def test_prompt_and_plan_are_shown_for_flux_and_reach_it(actions, tmp_path, monkeypatch):
    steps, guidance, prompt, plan = actions.own_settings("flux-fill", "")
    assert (steps["value"], guidance["value"], prompt["visible"], plan["visible"]) == (50, 30.0, True, True)
    *_, prompt, plan = actions.own_settings("classical", "")
    assert not prompt["visible"] and not plan["visible"]

    asked = []

    class Listens(ClassicalInpainter):
        def fill_square(self, image, mask, config, generator, progress):
            asked.append(config.prompt)
            return image.astype(np.float32)

    def acquire(name, options, progress):
        asked.append((name, options.plan))
        return Listens()

    monkeypatch.setattr(model_cache, "acquire", acquire)
    load(actions, photo_file(tmp_path))
    fill(actions, [layer_file(tmp_path)], model="flux-fill", prompt="a wall", plan="nf4")
    assert asked == [("flux-fill", "nf4"), "a wall"]


def test_fetching_reports_progress_and_can_be_stopped(actions, monkeypatch):
    seen = []

    def fetch(name, options, progress):
        assert (name, options.variant) == ("moebius", "places2")
        progress(0.25, "Downloading")
        actions.stop_fetching(VISITOR)
        progress(0.5, "Downloading")
        raise AssertionError("it was stopped")

    monkeypatch.setattr(registry, "fetch", fetch)
    monkeypatch.setattr(Actions, "_fetchable", lambda *_: registry.MODELS["moebius"])
    actions.fetch_weights("moebius", "places2", VISITOR, lambda share, desc: seen.append((share, desc)))
    assert seen == [(0.25, "Downloading")]


def test_no_bytes_are_lost_between_photo_and_preview(actions, tmp_path):
    """A JPEG with orientation 6: the preview is upright, the file untouched."""
    exif = Image.Exif()
    exif[274] = 6
    out = io.BytesIO()
    Image.new("RGB", (80, 40), "red").save(out, "JPEG", exif=exif)
    (tmp_path / "a.jpg").write_bytes(out.getvalue())
    scene = load(actions, tmp_path / "a.jpg")
    assert Image.open(scene["photo"]).size == (40, 80) and scene["size"] == [40, 80]
    assert actions.sessions.get(VISITOR.session_hash).photo.read_bytes() == out.getvalue()
