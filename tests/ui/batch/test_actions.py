"""The handlers for many photos, called as Gradio calls them, without a browser."""

import shutil
import threading
import zipfile
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from moebius import model_cache
from moebius.inpainters.classical import ClassicalInpainter
from moebius.ui import editor, queue
from moebius.ui.batch import filling
from moebius.ui.batch.filling import FillActions
from moebius.ui.fill.actions import Actions
from moebius.ui.handlers import Stoppable
from moebius.ui.session import Session
from tests.helpers.deterministic import picture

VISITOR, OTHER = SimpleNamespace(session_hash="visitor"), SimpleNamespace(session_hash="other")
SETTINGS = {
    **{"variant": "", "recipe": "photo", "steps": 2, "guidance": 1.0, "seed": "", "scheduler": "ddim"},
    **{"feather_px": 0, "prompt": "", "plan": ""},
}
SIZE, BOX = (60, 40), (20, 10, 30, 20)


def quiet(share, desc):
    """A progress that nobody sees."""


@pytest.fixture
def page(monkeypatch, tmp_path):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))
    page = Actions()
    yield page
    page.sessions.close_all()


@pytest.fixture
def actions(page):
    return FillActions(page)


def session(actions: FillActions) -> Session:
    return actions.sessions.get(VISITOR.session_hash)


def photo(path: Path, seed: int = 1, size=SIZE, **options) -> Path:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(picture(seed, max(size))).crop((0, 0, *size)).save(path, **options)
    return path


def layer(path: Path, box=BOX, size=SIZE) -> str:
    mask = np.zeros(size[::-1], bool)
    mask[box[1] : box[3], box[0] : box[2]] = True
    editor.tint(mask).save(path)
    return str(path)


def drop(actions, *paths, layers=None, mask_for="all", names=None, visitor=VISITOR):
    names = names or [path.name for path in paths]
    files = [{"path": str(path), "orig_name": name} for path, name in zip(paths, names, strict=True)]
    return actions.add_photos(files, layers, mask_for, visitor, quiet)


def fill(actions, layers=None, mask_for="all", model="classical", visitor=VISITOR, **changes) -> list[list]:
    """What is shown, one after the other."""
    values = {**SETTINGS, **changes}
    return list(actions.fill_photos(layers, mask_for, model, **values, request=visitor, progress=quiet))


def captions(shown) -> list[str]:
    return [caption.replace("\n", ": ") for _, caption in shown[1]["value"]]


def archive(shown) -> zipfile.ZipFile:
    return zipfile.ZipFile(shown[2]["value"])


def differs(before: Path, archive: zipfile.ZipFile, name: str) -> np.ndarray:
    with archive.open(name) as file, Image.open(file) as after:
        return (np.asarray(Image.open(before)) != np.asarray(after)).any(axis=2)


def message(action, *args, **kwargs) -> str:
    with pytest.raises(gr.Error) as error:
        action(*args, **kwargs)
    return error.value.message


# ---- the way through ----


def test_painted_once_filled_all_and_gone_on_with(actions, tmp_path):
    paths = [photo(tmp_path / f"{index}.png", index) for index in range(3)]
    upload, scene, heading, *_ = drop(actions, *paths)
    assert upload is None and scene["many"] and Image.open(scene["photo"]).size == SIZE
    assert "3 photos</b>, 0 with a mask" in heading and session(actions).batch_photo == "0.png"

    outputs = fill(actions, [layer(tmp_path / "layer.png")])
    assert len(outputs) == 1 + 3 + 1  # at first, after each, at last
    assert captions(outputs[0]) == ["0.png: waiting", "1.png: waiting", "2.png: waiting"]
    assert "1 of 3 done" in outputs[1][0] and captions(outputs[1])[:2] == ["0.png: ✓ filled", "1.png: waiting"]
    assert outputs[1][2]["visible"] is False and "3 of 3 photos filled" in outputs[-1][0]
    with archive(outputs[-1]) as results:
        assert results.namelist() == ["0_filled.png", "1_filled.png", "2_filled.png"]
        inside = np.zeros(SIZE[::-1], bool)
        inside[BOX[1] : BOX[3], BOX[0] : BOX[2]] = True
        for path in paths:
            changed = differs(path, results, f"{path.stem}_filled.png")
            assert changed[inside].mean() > 0.8 and not changed[~inside].any()

    before, after = (np.asarray(Image.open(path)).astype(int) for path in actions.opened_result(VISITOR))
    seen = np.abs(before - after)
    assert seen[inside].mean() > 5 and seen[:5].max() == 0, "seen filled"
    drop(actions, photo(tmp_path / "3.png", 9))
    actions.open_photo("3.png", None, "all", VISITOR)
    assert actions.opened_result(VISITOR) is None
    actions.open_photo("0.png", None, "all", VISITOR)
    out = session(actions).batch.out
    stamps = {path.name: path.stat().st_mtime_ns for path in out.glob("*.png")}
    last = fill(actions, [layer(tmp_path / "layer.png")])[-1]
    assert "4 of 4 photos filled" in last[0] and "3 were finished before" in last[0]
    assert stamps.items() <= {path.name: path.stat().st_mtime_ns for path in out.glob("*.png")}.items()
    last = fill(actions, [layer(tmp_path / "layer.png", (1, 1, 9, 9))])[-1]  # another mask: all anew
    assert "finished before" not in last[0] and differs(paths[0], archive(last), "0_filled.png")[1:9, 1:9].mean() > 0.8


def test_each_photo_remembers_its_mask(actions, tmp_path):
    a, b = photo(tmp_path / "a.png", 1), photo(tmp_path / "b.png", 2)
    drop(actions, a, b, mask_for="each")
    left, right = layer(tmp_path / "left.png", (2, 2, 8, 8)), layer(tmp_path / "right.png", (50, 30, 58, 38))
    *_, value, _, pictures, _, _ = actions.open_photo("b.png", [left], "each", VISITOR)
    assert value["mask"] is None and pictures["selected_index"] == 1
    *_, value, _, pictures, _, _ = actions.open_photo("a.png", [right], "each", VISITOR)
    alpha = np.asarray(Image.open(value["mask"]))[..., 3] > 0
    assert alpha[2:8, 2:8].all() and alpha.sum() == 36
    assert [caption for _, caption in pictures["value"]] == ["a.png\n✓ painted", "b.png\n✓ painted"]
    results = archive(fill(actions, [left], "each")[-1])
    for path, box in ((a, (2, 2, 8, 8)), (b, (50, 30, 58, 38))):
        where = Image.fromarray(differs(path, results, f"{path.stem}_filled.png")).getbbox()
        assert where[0] >= box[0] and where[1] >= box[1] and where[2] <= box[2] and where[3] <= box[3]


def test_the_mask_for_all_is_seen_on_every_photo_and_kept_where_nothing_is_painted_anew(actions, tmp_path):
    drop(actions, *(photo(tmp_path / f"{name}.png", seed) for seed, name in enumerate("abc")))
    *_, value, heading, _, _, _ = actions.open_photo("b.png", [layer(tmp_path / "layer.png")], "all", VISITOR)
    assert value["mask"] and "3 photos</b>, all with a mask" in heading
    shared = session(actions).batch.shared
    sent = shutil.copy(value["mask"], tmp_path / "sent.png")
    for name in ("c.png", "a.png"):
        actions.open_photo(name, [str(sent)], "all", VISITOR)
        assert session(actions).batch.shared == shared
    drop(actions, photo(tmp_path / "d.png", 8, (30, 30)))
    actions.open_photo("d.png", None, "all", VISITOR)
    blank = layer(tmp_path / "blank.png", (0, 0, 0, 0), (30, 30))
    actions.open_photo("a.png", [blank], "all", VISITOR)
    assert session(actions).batch.shared == shared, "an empty canvas over a photo that it does not fit changes nothing"
    *_, value, heading, _, _, _ = actions.choose_mask_for(None, "each", VISITOR)
    assert value["mask"] is None and "0 with a mask" in heading
    *_, value, heading, _, _, _ = actions.choose_mask_for(None, "all", VISITOR)
    assert value["mask"] and "3 with a mask" in heading


def test_a_new_set_starts_without_the_mask_of_the_one_before(actions, page, tmp_path):
    """Whether it was painted for all, given as a file, or painted on a photo of the other tab."""
    first, second = photo(tmp_path / "one.png"), photo(tmp_path / "two.png", 2)
    mask = tmp_path / "mask.png"
    Image.fromarray(np.eye(40, 60, dtype=bool)).save(mask)
    drop(actions, first)
    fill(actions, [layer(tmp_path / "layer.png")])
    scene, *_ = actions.clear_photos(VISITOR)
    assert scene is None and session(actions).photo is None
    _, scene, heading, *_ = drop(actions, second, layers=[])
    assert scene["mask"] is None and "0 with a mask" in heading
    page.load_mask(str(mask), VISITOR)
    actions.clear_photos(VISITOR)
    assert "0 with a mask" in drop(actions, first, layers=[])[2]
    actions.clear_photos(VISITOR)
    page.load_photo({"path": str(first), "orig_name": "one.png"}, VISITOR)
    _, scene, heading, *_ = drop(actions, second, layers=[layer(tmp_path / "layer.png")])
    assert scene["mask"] is None and "0 with a mask" in heading


def test_a_mask_file_counts_and_the_list_follows_the_brush(actions, page, tmp_path):
    drop(actions, photo(tmp_path / "a.png"), photo(tmp_path / "b.png", 2), mask_for="each")
    mask = np.eye(40, 60, dtype=bool)
    Image.fromarray(mask).save(tmp_path / "mask.png")
    value = page.load_mask(str(tmp_path / "mask.png"), VISITOR)
    shown = actions.keep_painted([value["mask"]], "each", VISITOR)
    assert captions(shown) == ["a.png: ✓ painted", "b.png: no mask"]
    as_handed_over = [{"path": value["mask"]}]  # without preprocessing
    drop(actions, tmp_path / "a.png", layers=as_handed_over, mask_for="each")
    _, *shown = actions.open_photo("b.png", [value["mask"]], "each", VISITOR)
    shown = actions.keep_painted([layer(tmp_path / "layer.png")], "each", VISITOR)
    assert captions(shown) == ["a.png: ✓ painted", "b.png: ✓ painted"]
    changed = differs(tmp_path / "a.png", archive(fill(actions, None, "each")[-1]), "a_filled.png")
    assert changed[mask].mean() > 0.5 and not changed[~mask].any()


def test_metadata_and_the_mark(actions, tmp_path, monkeypatch):
    exif = Image.Exif()
    exif[271] = "A maker"
    drop(actions, photo(tmp_path / "a.jpg", exif=exif), photo(tmp_path / "b.webp", 2, lossless=True))
    monkeypatch.setenv("MOEBIUS_MARK", "1")
    results = archive(fill(actions, [layer(tmp_path / "layer.png")])[-1])
    with results.open("a_filled.jpg") as file, Image.open(file) as image:
        assert image.getexif()[271] == "A maker" and "humanEdits" in str(image.info["xmp"])
    with results.open("b_filled.webp") as file, Image.open(file) as image:
        assert image.format == "WEBP" and "humanEdits" in str(image.info["xmp"])


# ---- mistakes ----


def test_each_mistake_has_its_message(actions, tmp_path):
    assert message(fill, actions) == "Drop some photos first"
    assert drop(actions)[0] == gr.skip()
    drop(actions, photo(tmp_path / "a.png"))
    assert "Nothing is painted yet" in message(fill, actions)
    assert "mask_for must be one of all, each" in message(drop, actions, tmp_path / "a.png", mask_for="some").lower()
    assert "there is no photo 'z.png'" in message(actions.open_photo, "z.png", None, "all", VISITOR).lower()
    assert "Unknown recipe" in message(fill, actions, [layer(tmp_path / "l.png")], recipe="nonesuch")
    assert "session" in message(drop, actions, tmp_path / "a.png", visitor=SimpleNamespace(session_hash=None))


def test_a_photo_that_fails_stops_nothing_and_names_are_text(actions, tmp_path):
    good, small = photo(tmp_path / "good.png"), photo(tmp_path / "small.png", 2, (30, 20))
    (tmp_path / "torn.png").write_bytes(good.read_bytes()[:200])
    names = ["good.png", "<img src=x onerror=alert(1)>.png", "../../torn.png"]
    drop(actions, good, small, tmp_path / "torn.png", names=names)
    actions.open_photo("good.png", None, "all", VISITOR)
    last = fill(actions, [layer(tmp_path / "layer.png")])[-1]
    assert (
        "1 of 2 photos filled.</b> 1 skipped: no mask" in last[0]
        and "<img" not in last[0]
        and "_img src=x onerror=alert(1)_.png" in last[0]
    )
    with archive(last) as results:
        assert results.namelist() == ["good_filled.png", "not filled.txt"]
        told = results.read("not filled.txt").decode().splitlines()
    assert [line.split(": ")[0] for line in told] == ["_img src=x onerror=alert(1)_.png", "torn.png"]
    assert str(tmp_path) not in "".join(told)


def test_nobody_gets_what_is_another_visitors(actions, tmp_path):
    drop(actions, photo(tmp_path / "a.png"))
    fill(actions, [layer(tmp_path / "layer.png")])
    shown = actions.stop_filling(OTHER)
    assert shown[1]["value"] == [] and shown[2]["visible"] is False
    assert message(actions.open_photo, "a.png", None, "all", OTHER).startswith("There is no photo")
    assert message(fill, actions, visitor=OTHER) == "Drop some photos first"
    batch = session(actions).batch
    assert len(batch.public.name) == 64 and batch.public.stat().st_mode & 0o77 == 0
    actions.sessions.close(VISITOR.session_hash)
    assert not batch.folder.exists() and not batch.public.exists()


# ---- stopping, waiting ----


class Waits(ClassicalInpainter):
    """Waits, once it has done `first` photos, until it is stopped."""

    def __init__(self, first: int) -> None:
        super().__init__()
        self.first, self.began = first, threading.Event()

    def fill_square(self, image, mask, config, generator, progress):
        self.first -= 1
        while self.first < 0:
            self.began.set()
            progress(0.5, "Waiting")
        return super().fill_square(image, mask, config, generator, progress)


@pytest.fixture
def waits(monkeypatch):
    waits = Waits(2)
    monkeypatch.setattr(model_cache, "acquire", lambda name, options, progress: waits)
    return waits


def start(actions, tmp_path, count=4) -> tuple[threading.Thread, list]:
    drop(actions, *(photo(tmp_path / f"{index}.png", index) for index in range(count)))
    outputs, layers = [], [layer(tmp_path / "layer.png")]
    running = threading.Thread(target=lambda: outputs.extend(fill(actions, layers)))
    running.start()
    return running, outputs


def test_stop_keeps_the_finished_ones(actions, tmp_path, waits, monkeypatch):
    running, outputs = start(actions, tmp_path)
    assert waits.began.wait(20)
    assert "being filled" in message(drop, actions, tmp_path / "0.png")
    shown = actions.stop_filling(VISITOR)
    running.join(20)
    assert not running.is_alive()
    for last in (shown, outputs[-1]):
        assert "2 of 4 photos filled" in last[0] and "Fill all resumes with the rest" in last[0]
        assert archive(last).namelist() == ["0_filled.png", "1_filled.png", "not filled.txt"]
    monkeypatch.undo()
    last = fill(actions, [layer(tmp_path / "layer.png")])[-1]
    assert "4 of 4 photos filled" in last[0] and "2 were finished before" in last[0]


def test_stop_answers_after_what_a_run_was_about_to_show(actions, tmp_path):
    """Or the page would show the run as going on, without its archive."""
    drop(actions, *(photo(tmp_path / f"{index}.png", index) for index in range(3)))
    run = actions.fill_photos(
        [layer(tmp_path / "layer.png")], "all", "classical", **SETTINGS, request=VISITOR, progress=quiet
    )
    next(run), next(run)
    stopped = []
    stopping = threading.Thread(target=lambda: stopped.append(actions.stop_filling(VISITOR)))
    stopping.start()
    stopping.join(0.3)
    assert not stopped, "while the page may still get what was true before"
    run.close()
    stopping.join(2)
    assert archive(stopped[0]).namelist()[0] == "0_filled.png"


def test_an_abandoned_run_is_ended_by_stop_and_by_the_next_one(actions, tmp_path, monkeypatch):
    monkeypatch.setattr(filling, "FINAL_UPDATE_S", 0.05)
    drop(actions, *(photo(tmp_path / f"{index}.png", index) for index in range(3)))
    layers = [layer(tmp_path / "layer.png")]
    dropped = [actions.fill_photos(layers, "all", "classical", **SETTINGS, request=VISITOR, progress=quiet)]
    assert "0 of 3 done" in next(dropped[0])[0] and "1 of 3 done" in next(dropped[0])[0]
    shown = actions.stop_filling(VISITOR)  # between two steps, as Gradio cancels
    assert "of 3 photos filled" in shown[0] and "0_filled.png" in archive(shown).namelist()
    del dropped[:]
    assert "3 of 3 photos filled" in fill(actions, layers)[-1][0]


def test_leaving_deletes_what_was_being_written(actions, tmp_path, waits):
    running, _ = start(actions, tmp_path)
    folder, public = session(actions).folder, session(actions).batch.public
    assert waits.began.wait(20)
    actions.sessions.close(VISITOR.session_hash)
    running.join(20)
    assert not running.is_alive() and not folder.exists() and not public.exists()


def test_the_time_limit_is_one_photos(actions, tmp_path, waits, monkeypatch):
    monkeypatch.setenv("MOEBIUS_MAX_SECONDS", "0.5")
    running, outputs = start(actions, tmp_path)
    running.join(60)
    assert "2 of 4 photos filled" in outputs[-1][0]
    assert outputs[-1][0].count("this took longer than the 0.5 s") == 2


def test_who_came_meanwhile_is_served_before_the_next_photo(actions, tmp_path):
    """A batch asks for its turn photo by photo; a fill waits for one photo at most, and waiting can be stopped."""
    drop(actions, *(photo(tmp_path / f"{index}.png", index) for index in range(4)))
    batch = actions.fill_photos(
        [layer(tmp_path / "layer.png")], "all", "classical", **SETTINGS, request=VISITOR, progress=quiet
    )
    assert "0 of 4 done" in next(batch)[0]
    order, has_turn, may_end = [], threading.Event(), threading.Event()
    report = Stoppable(quiet, session(actions), "fill", 0.01)

    def another() -> None:
        with queue.take(report):
            has_turn.set()
            may_end.wait(20)
            order.append("fill")

    def goes_on() -> None:
        next(batch)
        order.append("batch")

    threads = [threading.Thread(target=another), threading.Thread(target=goes_on)]
    threads[0].start()
    assert has_turn.wait(20)
    threads[1].start()
    stopped = Stoppable(quiet, actions.sessions.get("third"), "fill")
    actions.sessions.get("third").stop("fill")
    with pytest.raises(Exception) as cancelled, queue.take(stopped):
        pass
    assert cancelled.typename == "Cancelled"
    may_end.set()
    for thread in threads:
        thread.join(20)
    assert order == ["fill", "batch"]
    batch.close()


# ---- taken off ----


def take_off(actions, name="", layers=None, visitor=VISITOR):
    return actions.remove_photo(name, layers, visitor)


def test_one_photo_is_taken_off_with_its_mask_and_result(actions, tmp_path):
    paths = [photo(tmp_path / f"{name}.png", index) for index, name in enumerate("abc")]
    Image.fromarray(np.eye(40, 60, dtype=bool)).save(tmp_path / "b_mask.png")
    drop(actions, *paths, tmp_path / "b_mask.png")
    fill(actions, [layer(tmp_path / "layer.png")])
    batch = session(actions).batch
    before = batch._bytes
    picked, scene, *shown = take_off(actions, "b.png")
    assert picked == "" and scene == gr.skip(), "a.png stays on the canvas"
    assert captions(shown) == ["a.png: ✓ filled", "c.png: ✓ filled"] and session(actions).batch_photo == "a.png"
    assert archive(shown).namelist() == ["a_filled.png", "c_filled.png"]
    left = {path.name for folder in (batch.photos, batch.out) for path in folder.iterdir()}
    assert not any(name.startswith("b") for name in left) and "b_mask.png" not in batch.entries
    assert before - batch._bytes == paths[1].stat().st_size + (tmp_path / "b_mask.png").stat().st_size
    drop(actions, paths[1])  # it may come again, and is a new one, without a mask of its own
    last = fill(actions, [layer(tmp_path / "layer.png")])[-1]
    assert "2 were finished before" in last[0] and archive(last).namelist()[1] == "b_filled.png"
    inside = differs(paths[1], archive(last), "b_filled.png")
    assert inside[BOX[1] : BOX[3], BOX[0] : BOX[2]].mean() > 0.8


def test_the_next_photo_comes_onto_the_canvas_and_the_mask_for_all_stays(actions, tmp_path):
    paths = [photo(tmp_path / f"{index}.png", index) for index in range(3)]
    (tmp_path / "9.png").write_bytes(b"no photo")
    drop(actions, *paths, tmp_path / "9.png")
    actions.open_photo("1.png", None, "all", VISITOR)
    painted = [layer(tmp_path / "layer.png")]
    *_, value, heading, gallery, _, off = take_off(actions, "", painted)
    assert session(actions).batch_photo == "2.png"
    assert np.asarray(session(actions).mask()).sum() == (BOX[2] - BOX[0]) * (BOX[3] - BOX[1])
    assert "3 photos</b>, 2 with a mask" in heading and gallery["selected_index"] == 1 and off["visible"] is True
    take_off(actions)
    assert session(actions).batch_photo == "0.png", "the last of the list is followed by the one before it"
    take_off(actions, "9.png")
    assert session(actions).batch_photo == "0.png", "what could not be taken is only struck off"
    folder = session(actions).batch.folder
    picked, scene, heading, gallery, zip_, off = take_off(actions)
    assert (picked, scene, off["visible"]) == ("", None, False) and "Drop your photos" in heading
    assert session(actions).batch is None and not folder.exists()


def test_nothing_is_taken_off_that_is_not_there_or_while_a_run_goes_on(actions, tmp_path):
    assert "click one first" in message(take_off, actions)
    drop(actions, photo(tmp_path / "a.png"), photo(tmp_path / "b.png"))
    for name in ("c.png", "../a.png", "x" * 5000):
        assert "here is no photo" in message(take_off, actions, name)
    run = actions.fill_photos(
        [layer(tmp_path / "layer.png")], "all", "classical", **SETTINGS, request=VISITOR, progress=quiet
    )
    next(run), next(run)
    assert "press Stop first" in message(take_off, actions, "b.png")
    assert "2 of 2" in list(run)[-1][0] and len(session(actions).batch.entries) == 2
