"""What the list of many photos says about each: painted, filled, skipped; masks from files; one photo filled again."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from moebius import model_cache, registry
from moebius.ui import photo_files
from moebius.ui.batch import mask_for_all
from moebius.ui.batch.filling import FillActions
from moebius.ui.fill.actions import Actions
from tests.helpers.one_by_one import OneByOne
from tests.ui.batch.test_actions import (
    BOX,
    SIZE,
    VISITOR,
    archive,
    captions,
    differs,
    drop,
    fill,
    layer,
    message,
    photo,
    quiet,
    session,
)
from tests.ui.batch.test_actions import SETTINGS as SETTINGS


@pytest.fixture
def actions(monkeypatch, tmp_path):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))
    page = Actions()
    yield FillActions(page)
    page.sessions.close_all()


def mask_file(path: Path, size=SIZE, box=BOX) -> Path:
    picture = Image.new("L", size)
    picture.paste(255, box)
    picture.save(path)
    return path


def again(actions, layers=None, mask_for="each", **changes) -> list[list]:
    values = {**SETTINGS, **changes}
    return list(actions.fill_again(layers, mask_for, "classical", **values, request=VISITOR, progress=quiet))


def test_states_follow_what_is_done(actions, tmp_path):
    drop(actions, *(photo(tmp_path / f"{name}.png", seed) for seed, name in enumerate("abc")), mask_for="each")
    drop(actions, mask_file(tmp_path / "b_mask.png"), mask_for="each")
    shown = actions.keep_painted([layer(tmp_path / "l.png")], "each", VISITOR)
    assert captions(shown) == ["a.png: ✓ painted", "b.png: ✓ own mask", "c.png: no mask"]
    assert "3 photos</b>, 2 with a mask" in shown[0]
    running, *_, last = fill(actions, mask_for="each")
    assert captions(running) == ["a.png: waiting", "b.png: waiting", "c.png: skipped: no mask"]
    assert "0 of 2 done" in running[0], "what is skipped does not count"
    assert captions(last) == ["a.png: ✓ filled", "b.png: ✓ filled", "c.png: skipped: no mask"]
    assert "2 of 2 photos filled.</b> 1 skipped: no mask." in last[0] and "failed" not in last[0]
    assert "c.png: nothing is painted on it" in archive(last).read("not filled.txt").decode()
    shown = actions.keep_painted([layer(tmp_path / "other.png", (1, 1, 9, 9))], "each", VISITOR)
    assert captions(shown)[0] == "a.png: ✓ filled · mask changed"


def test_a_mask_file_of_another_size_is_said_before_anything_is_filled(actions, tmp_path):
    drop(actions, photo(tmp_path / "a.png"), photo(tmp_path / "b.png", 2))
    shown = drop(actions, mask_file(tmp_path / "a_mask.png", (30, 20), (5, 5, 9, 9)))[2:]
    assert captions(shown) == ["a.png: ✗ mask does not fit", "b.png: no mask"]
    assert "a.png: its mask has 30×20 pixels, the photo 60×40" in shown[0]
    (tmp_path / "right").mkdir()
    shown = drop(actions, mask_file(tmp_path / "right" / "a_mask.png"))[2:]
    assert captions(shown)[0] == "a.png: ✓ own mask"


def test_one_mask_file_for_all(actions, tmp_path):
    paths = [photo(tmp_path / f"{name}.png", seed) for seed, name in enumerate("abc")]
    drop(actions, *paths, photo(tmp_path / "d.png", 7, (30, 20)), mask_for="each")
    actions.keep_painted([layer(tmp_path / "own.png", (1, 1, 5, 5))], "each", VISITOR)
    given = mask_file(tmp_path / "corner.png", box=(50, 30, 58, 38))
    which, scene, *shown = actions.share_mask(str(given), None, VISITOR)
    assert which == "all" and scene["mask"], "it is seen on the photo on the canvas"
    assert captions(shown) == ["a.png: ✓ painted", "b.png: ✓ mask", "c.png: ✓ mask", "d.png: another size"]
    assert "Mask for all: corner.png." in shown[0]
    last = fill(actions)[-1]
    for path, box in ((paths[0], (1, 1, 5, 5)), (paths[1], (50, 30, 58, 38)), (paths[2], (50, 30, 58, 38))):
        where = Image.fromarray(differs(path, archive(last), f"{path.stem}_filled.png")).getbbox()
        assert where[0] >= box[0] and where[1] >= box[1] and where[2] <= box[2] and where[3] <= box[3]
    other = mask_file(tmp_path / "large.png", (90, 90))
    assert "large.png has 90×90 pixels, and none of the photos has" in message(
        actions.share_mask, str(other), None, VISITOR
    )


def test_a_dropped_mask_that_is_for_no_name_is_no_photo(actions, tmp_path, recwarn):
    drop(actions, photo(tmp_path / "a.png"), photo(tmp_path / "b.png", 2))
    shown = drop(actions, mask_file(tmp_path / "mask.png"))[2:]
    assert captions(shown) == ["a.png: ✓ mask", "b.png: ✓ mask"] and "Mask for all: mask.png." in shown[0]
    shown = drop(actions, mask_file(tmp_path / "one_mask.png"), photo(tmp_path / "venetian_mask.png", 5))[2:]
    names = [caption.split(": ")[0] for caption in captions(shown)]
    assert names == ["a.png", "b.png", "venetian_mask.png"], "a photo may be called so"
    assert any("one_mask.png looks like a mask, and no photo is called so" in str(one.message) for one in recwarn)
    shown = drop(actions, photo(tmp_path / "one.png", 6))[2:]
    assert "one.png: ✓ own mask" in captions(shown), "its photo came later"


@pytest.mark.parametrize(("mode", "quality"), [("L", None), ("RGB", 80)])
def test_masks_are_told_from_photos_by_their_pixels(tmp_path, mode, quality):
    path = tmp_path / ("mask.jpg" if quality else "mask.png")
    picture = Image.new("L", (240, 160))
    picture.paste(255, (80, 40, 160, 120))
    picture.convert(mode).save(path, **({"quality": quality} if quality else {}))
    assert mask_for_all.looks_like_one(photo_files.open_photo(path).raster)
    for flat in (0, 255, 128):
        assert not mask_for_all.looks_like_one(Image.new("L", (20, 20), flat))
    assert not mask_for_all.looks_like_one(photo_files.open_photo(photo(tmp_path / "p.png")).raster)


class Seeded(OneByOne):
    """Fills with a grey that its seed gives."""

    name, size = "classical", None

    def fill_square(self, image, mask, config, generator, progress):
        return np.full(image.shape, generator.initial_seed() % 200, np.float32)


def test_one_photo_is_filled_again_with_another_seed_and_stays_so(actions, tmp_path, monkeypatch):
    seeded = dataclasses.replace(registry.MODELS["classical"], seeded=True)
    monkeypatch.setitem(registry.MODELS, "classical", seeded)
    monkeypatch.setattr(model_cache, "acquire", lambda name, options, progress: Seeded())
    drop(actions, *(photo(tmp_path / f"{name}.png", seed) for seed, name in enumerate("ab")))
    fill(actions, [layer(tmp_path / "layer.png")], seed="3")
    out = session(actions).batch.out
    before = {path.name: path.read_bytes() for path in out.glob("*.png")}
    *_, last = again(actions, None, "all", seed="5")
    after = {path.name: path.read_bytes() for path in out.glob("*.png")}
    assert after["b_filled.png"] == before["b_filled.png"] and after["a_filled.png"] != before["a_filled.png"]
    assert "2 of 2 photos filled" in last[0] and "seed 5" in last[0]
    assert archive(last).read("a_filled.png") == after["a_filled.png"], "it is in the archive"
    assert "2 were finished before" in fill(actions, None)[-1][0]
    assert {path.name: path.read_bytes() for path in out.glob("*.png")} == after
    seeds = [json.loads(line)["seed"] for line in (out / "moebius-batch.jsonl").read_text().splitlines()]
    assert seeds == [3, 3, 5]
    again(actions, None, "all")
    assert (out / "a_filled.png").read_bytes() != after["a_filled.png"], "a new seed each time"


def test_filling_one_needs_a_photo_and_a_mask(actions, tmp_path):
    assert "none of your photos is chosen" in message(again, actions).lower()
    drop(actions, photo(tmp_path / "a.png"), mask_for="each")
    assert "nothing is painted yet" in message(again, actions).lower()
