"""Files by their address: refused in words before anything is fetched, but those that were uploaded here."""

import json
import uuid

import gradio as gr
import httpx
import pytest

from moebius.ui import uploads
from tests.helpers.http_calls import (
    call,
    calls,
    file,
    photo,
    sent,
    upload,
)
from tests.helpers.page_server import MAX_BYTES


@pytest.fixture(scope="module")
def client(small_server):
    with httpx.Client(base_url=small_server.url, timeout=60, trust_env=False) as client:
        yield client


def error(told: str) -> str:
    return json.loads(told.split("data: ", 1)[1])["error"]


@pytest.mark.parametrize("endpoint", ["load_photo", "load_mask", "add_photos", "inpaint"])
def test_an_address_is_refused_and_not_asked(client, canary, endpoint):
    port, seen = canary
    for address in (f"http://127.0.0.1:{port}/x.png", "https://huggingface.co/x.png", "HTTP://example.com/x.png"):
        one = file(address)
        data = {
            "add_photos": [[upload(client, photo()), one], [], "all"],
            "inpaint": [upload(client, photo()), one, "classical", 0, 0, "", 4, ""],
        }.get(endpoint, [one])
        outcome, told = call(client, endpoint, data)
        assert (outcome, error(told)) == ("error", uploads.REFUSED)
    assert not seen


def test_what_was_uploaded_may_be_named_by_its_address(client, small_server):
    path = upload(client, photo())["path"]
    for host in (small_server.url, "https://somebody.example"):  # whoever is asked, it is the file here
        outcome, _ = call(client, "load_photo", [file(f"{host}/gradio_api/file={path}")], uuid.uuid4().hex)
        assert outcome == "complete"
    for elsewhere in ("/etc/passwd", "../../app.py", ""):
        outcome, told = call(client, "load_photo", [file(f"{small_server.url}/gradio_api/file={elsewhere}")])
        assert outcome == "error" and "root:" not in told


def test_addresses_are_found_however_deep_they_lie():
    deep = {"path": "http://a/b"}
    for _ in range(50_000):
        deep = [deep]
    for inputs in ([deep], [{"path": {"path": "http://a/b"}}], [{"path": "x", "more": ({"path": "https://a"},)}]):
        with pytest.raises(gr.Error, match="not fetched here"):
            uploads.keep_local(inputs)
    untouched = [{"path": "/tmp/x.png", "url": "http://127.0.0.1/gradio_api/file=/tmp/x.png"}, 1, None, "http://a/b"]
    before = json.dumps(untouched)
    uploads.keep_local(untouched)
    assert json.dumps(untouched) == before, "the page's own files have an address beside their path"


def test_an_agents_address_and_data_above_the_limit_are_refused(small_server, canary):
    port, seen = canary
    good, before = sent(photo()), {*small_server.folder.rglob("from-agents/*")}
    for image, told in (
        (f"http://127.0.0.1:{port}/x.png", "not fetched here"),
        ("https://huggingface.co/x.png", "not fetched here"),
        (sent(b"\0" * (MAX_BYTES + 3)), "at most 98 KiB"),
    ):
        answer = calls(small_server.url, "inpaint", image=image, mask_image=good, model="classical")
        assert answer.isError and told in answer.content[0].text, answer.content
    written = {*small_server.folder.rglob("from-agents/*/*")} - before
    assert not seen and all(path.stat().st_size < MAX_BYTES for path in written), "it was not written first"
    assert small_server.process.poll() is None


def test_the_limit_of_data_counts_what_it_holds(monkeypatch):
    monkeypatch.setenv("MOEBIUS_MAX_BYTES", "3000")
    uploads.check_data({"image": sent(b"\0" * 2997), "seed": "x" * 100_000, "models": ["a", 1, None]})
    with pytest.raises(ValueError, match="at most 3 KiB"):
        uploads.check_data({"images": [sent(b"\0" * 3003)]})
