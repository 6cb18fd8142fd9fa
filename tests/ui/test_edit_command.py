"""A file of a raw developer on the whole way of `moebius edit`, and what a kill while it is written leaves."""

import io
import signal
import sys
from types import SimpleNamespace

import httpx
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from moebius.ui import editor
from moebius.ui.edit import EditActions, EditedFile
from moebius.ui.fill.actions import Actions
from moebius.ui.settings import FillSettings
from tests.helpers import prophoto
from tests.helpers.http_calls import call, upload
from tests.helpers.page_server import serve

VISITOR = SimpleNamespace(session_hash="visitor")
SETTINGS = {"variant": "", "recipe": "photo", "steps": 2, "guidance": 1.0, "seed": "", "scheduler": "ddim"}
HOLE = np.zeros((60, 90), bool)
HOLE[20:30, 40:55] = True
KILLED = """
import os, signal, sys
from pathlib import Path
from moebius import files
sync = files._sync
def killing(path):  # the new file is written, and not in its place yet
    if Path(path).parent == Path(sys.argv[2]).resolve().parent:
        os.kill(os.getpid(), signal.SIGKILL)
    sync(path)
files._sync = killing
from moebius.__main__ import main
main()
"""


def tags(data: bytes) -> dict:
    moved = ("StripOffsets", "StripByteCounts")
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        return {tag.name: tag.value for tag in file.pages[0].tags if tag.name not in moved}


def test_the_file_of_the_test_is_what_it_says():
    """By other programs: LittleCMS for the profile, tifffile for EXIF."""
    np.testing.assert_allclose(prophoto.colorants().sum(axis=1), prophoto.WHITE, atol=1e-9)
    read = ImageCms.ImageCmsProfile(io.BytesIO(prophoto.profile()))
    assert ImageCms.getProfileDescription(read).strip() == "ROMM"
    np.testing.assert_allclose(np.array(read.profile.red_colorant[0]), (0.7977, 0.2880, 0.0), atol=5e-4)
    found = tags(prophoto.tiff())
    assert found["ExifTag"]["ISOSpeedRatings"] == 400 and found["ExifTag"]["LensModel"] == "A lens"
    assert found["InterColorProfile"] == prophoto.profile() and found["BitsPerSample"] == (16, 16, 16)


def test_a_16_bit_prophoto_tiff_is_opened_filled_and_saved(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))
    monkeypatch.setattr("moebius.ui.edit.ANSWER_S", 0.0)
    path, data = tmp_path / "_DSC1234-Edit.tif", prophoto.tiff()
    path.write_bytes(data)
    editor.tint(HOLE).save(tmp_path / "layer.png")
    actions = Actions()
    file = EditedFile(path)
    edit = EditActions(actions, file)
    scene = edit.open(VISITOR)
    assert scene["size"] == [90, 60]
    assert Image.open(scene["photo"]).info["icc_profile"] == prophoto.profile(), "a browser shows its colours"
    layers = [str(tmp_path / "layer.png")]
    values = {**SETTINGS, "feather_px": 0, "prompt": "", "plan": ""}
    actions.fill(layers, "auto", **values, request=VISITOR, progress=lambda share, desc: None)
    edit.save(VISITOR)
    file.wait()
    actions.sessions.close_all()

    saved = path.read_bytes()
    before, after = (tifffile.imread(io.BytesIO(one)) for one in (data, saved))
    assert file.saved and after.dtype == np.uint16
    np.testing.assert_array_equal(after[~HOLE], before[~HOLE])
    assert (after[HOLE] != before[HOLE]).any(axis=1).mean() > 0.9
    assert tags(saved) == tags(data), "profile, EXIF, XMP and all other tags"


def test_a_kill_while_it_is_saved_leaves_the_file_as_it_was(tmp_path):
    path, data = tmp_path / "photo.tif", prophoto.tiff()
    path.write_bytes(data)
    command = (sys.executable, "-c", KILLED, "edit", str(path), "--no-browser")
    with (
        serve(tmp_path / "page", command=command) as server,
        httpx.Client(base_url=server.url, timeout=60, trust_env=False) as client,
    ):
        session = "tab"
        press(client, session, "load")
        out = io.BytesIO()
        editor.tint(HOLE).save(out, "PNG")
        layer = upload(client, out.getvalue(), "layer.png")
        state, told = call(
            client, "fill", [[layer], "classical", *vars(FillSettings(steps=2, guidance=2)).values()], session
        )
        assert state == "complete", told
        with pytest.raises(httpx.TransportError):  # it is gone before it answers
            press(client, session, "click", "Save and close")
        assert server.process.wait(60) == -signal.SIGKILL
    assert path.read_bytes() == data


def press(client: httpx.Client, session: str, event: str, label: str = "") -> None:
    """What the page does when it is opened, or one of its buttons is pressed."""
    config = client.get("/config").json()
    parts = {one["id"]: one for one in config["components"]}

    def is_it(one: dict) -> bool:
        named = any(
            kind == event and (not label or parts[at]["props"].get("value") == label) for at, kind in one["targets"]
        )
        return (
            named
            and one["backend_fn"]
            and not one["inputs"]
            and all(parts[to]["type"] == "json" for to in one["outputs"])
        )

    (found,) = [one for one in config["dependencies"] if is_it(one)]
    asked = {"data": [], "fn_index": found["id"], "session_hash": session}
    answer = client.post("/gradio_api/run/predict", json=asked)
    assert answer.status_code == 200, answer.text
