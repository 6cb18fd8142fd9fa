"""Many photos from a script and from those who mean harm: over HTTP, as they come."""

import zipfile
from pathlib import Path

import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from tests.helpers.deterministic import picture

HOLE = (30, 20, 50, 40)


def save(path: Path, seed: int) -> Path:
    Image.fromarray(picture(seed, 96)).save(path)
    return path


@pytest.fixture
def files(tmp_path) -> list[Path]:
    """Two photos, a mask for each, and what is no photo."""
    photos = [save(tmp_path / "a.png", 1), save(tmp_path / "b.jpg", 2)]
    mask = Image.new("L", (96, 96))
    mask.paste(255, HOLE)
    masks = [tmp_path / "a_mask.png", tmp_path / "b_mask.png"]
    for path in masks:
        mask.save(path)
    (tmp_path / "c.png").write_text("no photo at all, but a letter to somebody who likes to read letters")
    return [*photos, *masks, tmp_path / "c.png"]


def client_of(server) -> Client:
    return Client(server.url, verbose=False)


def test_a_script_sends_photos_and_masks_and_gets_a_zip_that_no_other_gets(server, files, tmp_path):
    client, other = client_of(server), client_of(server)
    client.predict([handle_file(path) for path in files], [], "all", api_name="/add_photos")
    heading, pictures, archive = client.predict([], "all", "classical", api_name="/fill_photos", seed="1")
    assert "2 of 3 photos filled" in heading and "c.png is text" in heading
    assert [one["caption"].split("\n")[1] for one in pictures["value"]] == ["✓ filled", "✓ filled", "✗ failed"]
    with zipfile.ZipFile(archive["value"]) as results:
        assert results.namelist() == ["a_filled.png", "b_filled.jpg", "not filled.txt"]
        with results.open("a_filled.png") as file, Image.open(file) as after:
            changed = Image.fromarray((picture(1, 96) != np.asarray(after)).any(axis=2)).getbbox()
    assert changed[0] >= HOLE[0] - 4 and changed[1] >= HOLE[1] - 4  # the blend
    assert changed[2] <= HOLE[2] + 4 and changed[3] <= HOLE[3] + 4

    _, pictures, archive = other.predict(api_name="/stop_filling")
    assert pictures["value"] == [] and not archive.get("value")
    for call in (("/fill_photos", [], "all", "classical"), ("/open_photo", "a.png", [], "all")):
        with pytest.raises(AppError):
            other.predict(*call[1:], api_name=call[0])


def test_the_folders_of_photos_are_not_served_and_names_do_not_choose_places(server, tmp_path):
    with httpx.Client(base_url=server.url, timeout=60, trust_env=False) as http:
        session = {"session_hash": "batch-names"}
        sent = []
        hostile = (
            "../../../../tmp/moebius-evil.png",
            "/etc/moebius-evil.png",
            "C:\\moebius-evil.png",
            "a\0b.png",
            "x" * 900,
        )
        for seed, name in enumerate(hostile):
            content = save(tmp_path / "photo.png", seed).read_bytes()
            path = http.post("/gradio_api/upload", files={"files": ("p.png", content, "image/png")}).json()[0]
            sent.append({"path": path, "orig_name": name, "meta": {"_type": "gradio.FileData"}})
        call = http.post("/gradio_api/call/add_photos", json={"data": [sent, [], "all"], **session}).json()
        told = http.get(f"/gradio_api/call/add_photos/{call['event_id']}").text
        assert "event: complete" in told and "5 photos" in told
        private = list(server.folder.glob("moebius-*/batch/photos/*"))
        kept = {"moebius-evil.png", "moebius-evil (2).png", "moebius-evil (3).png", "ab.png", f"{'x' * 120}.png"}
        assert kept <= {path.name for path in private}
        for path in private:
            assert http.get(f"/gradio_api/file={path}").status_code == 403
    assert not Path("/tmp/moebius-evil.png").exists() and not Path("/etc/moebius-evil.png").exists()
