"""Requests that no page would send, over plain HTTP: refused, nothing read outside the upload folder, process alive."""

import io
import json
import os
import signal
import struct
import uuid
import zlib
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path

import httpx
import pytest
from PIL import Image

from tests.helpers.http_calls import call, file, photo, upload

ROOT = Path(__file__).parents[2]
FILES = (
    "file=/etc/passwd",
    f"file={ROOT}/app.py",
    "file=/proc/self/environ",
    "file=../../../etc/passwd",
    "file=%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "file=//etc/passwd",
    "file=..\\..\\etc\\passwd",
    "file=http://127.0.0.1:{canary}/secret",
    "proxy=http://127.0.0.1:{canary}/secret",
    "proxy=http://169.254.169.254/latest/meta-data",
)
JUNK = (
    None,
    True,
    -1,
    1e308,
    "",
    "x" * 200_000,
    "../../etc/passwd",
    "\x00<script>alert(1)</script>",
    [],
    [[[[]]]],
    {},
    {"path": {"path": []}},
    {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}},
)


@pytest.fixture(scope="module")
def client(server):
    with httpx.Client(base_url=server.url, timeout=60, trust_env=False) as client:
        yield client


def png_header(width: int, height: int, pixels: bytes = b"") -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.mark.parametrize("path", FILES)
def test_no_file_of_the_machine_and_no_other_server_is_handed_out(client, canary, path):
    port, seen = canary
    answer = client.get("/gradio_api/" + path.format(canary=port))
    assert 400 <= answer.status_code < 500
    assert "root:" not in answer.text and "import " not in answer.text and "SECRET" not in answer.text
    assert not seen


@pytest.mark.parametrize("endpoint", ["load_photo", "load_mask"])
def test_a_file_that_was_not_uploaded_is_not_taken(client, canary, endpoint):
    port, seen = canary
    address = f"http://127.0.0.1:{port}/x.png"
    sample = str(next((ROOT / "moebius/samples/images").glob("*.jpg")))
    for value in (file("/etc/passwd"), file(sample), file(address), file("x.png", url=address), file("../../app.py")):
        outcome, told = call(client, endpoint, [value])
        assert outcome in ("error", "refused"), (value, told[:300])
        assert "root:" not in told
    assert not seen


def test_nor_is_it_as_one_of_many(client):
    for path in ("/etc/passwd", "../../app.py"):
        outcome, told = call(client, "add_photos", [[upload(client, photo()), file(path)], [], "all"])
        assert outcome in ("error", "refused") and "root:" not in told


def test_the_name_of_an_upload_does_not_choose_its_place(client):
    place = Path(upload(client, photo())["path"]).parents[1]
    for name in ("../../../../../tmp/moebius-evil.png", "/etc/moebius-evil.png", "..\\moebius-evil.png", "a\x00b.png"):
        taken = Path(upload(client, photo(), name)["path"])
        assert taken.parents[1] == place and taken.is_file()
    assert not Path("/tmp/moebius-evil.png").exists() and not Path("/etc/moebius-evil.png").exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("wide.png", png_header(100_000, 100_000)),
        ("tall.png", png_header(1, 2**31 - 1)),
        ("bomb.png", png_header(20_000, 20_000, zlib.compress(bytes(20_001 * 3000)))),
        ("drawing.svg", b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'),
        ("page.png", b"<html><script>alert(1)</script></html>"),
        ("archive.png", b"PK\x03\x04" + bytes(1000)),
        ("empty.png", b""),
    ],
)
def test_bombs_and_files_that_are_no_photos_are_refused_in_words(client, name, content):
    outcome, told = call(client, "load_photo", [upload(client, content, name)])
    assert outcome == "error"
    message = json.loads(told.split("data: ", 1)[1])["error"]
    assert message and "went wrong" not in message and len(message) < 400


def test_ten_thousand_layers_are_refused(client):
    session = uuid.uuid4().hex
    taken = upload(client, photo())
    assert call(client, "load_photo", [taken], session)[0] == "complete"
    layer = upload(client, photo(), "layer.png")
    settings = {p["parameter_name"]: p.get("parameter_default") for p in endpoints(client)["/fill"]}
    values = [[layer] * 10_000 if name == "layers" else value for name, value in settings.items()]
    outcome, told = call(client, "fill", values, session)
    assert outcome == "error" and "layers" in told


def test_wrong_types_for_every_argument_of_every_endpoint(client, server):
    """A wrong argument is an error or is ignored, never a crash of the server or an answer of status 500."""
    wrong = []
    for endpoint, parameters in endpoints(client).items():
        if endpoint in ("/fetch_weights", "/fill", "/compare"):
            continue  # the next test: they need a photo to come as far as their arguments
        good = [parameter.get("parameter_default") for parameter in parameters]
        junk = [[*good[:index], one, *good[index + 1 :]] for index in range(len(parameters)) for one in JUNK]
        wrong += [(endpoint[1:], data) for data in (*junk, [], [None] * 50, good + [1])]
    assert len(wrong) >= 300
    for (endpoint, data), (outcome, told) in zip(wrong, many_calls(client, wrong), strict=True):
        assert outcome in ("error", "complete", "refused"), (endpoint, str(data)[:200], told[:200])
    assert server.process.poll() is None and client.get("/").status_code == 200


@pytest.mark.parametrize("endpoint", ["fill", "compare"])
def test_wrong_settings_with_a_photo_in_place(client, server, endpoint):
    session = uuid.uuid4().hex
    assert call(client, "load_photo", [upload(client, photo())], session)[0] == "complete"
    parameters = endpoints(client)[f"/{endpoint}"]
    good = [parameter.get("parameter_default") for parameter in parameters]
    wrong = [(endpoint, [*good[:index], one, *good[index + 1 :]]) for index in range(len(parameters)) for one in JUNK]
    for _, data in wrong:  # one after the other: streams of one session take each other's messages
        outcome, told = call(client, endpoint, data, session)
        assert outcome in ("error", "refused"), (str(data)[:500], told[:200])  # nothing is painted
        assert "Traceback" not in told
    assert server.process.poll() is None and client.get("/").status_code == 200


def test_bodies_that_are_no_calls(client, server):
    for body in (b"", b"{", b"[]", b'{"data": 5}', b'{"data": {"a": 1}}', b"\xff" * 1000, b"[" * 100_000):
        with httpx.Client(base_url=server.url, timeout=60, trust_env=False) as fresh:  # it may hang up on this one
            fresh.post("/gradio_api/call/load_photo", content=body, headers={"content-type": "application/json"})
        assert server.process.poll() is None and client.get("/").status_code == 200
    assert call(client, "load_photo", [upload(client, photo())])[0] == "complete"


def many_calls(client: httpx.Client, wanted: list[tuple[str, list]]) -> list[tuple]:
    """What `call` returns for each, several at a time, each in a session of its own: most of a call is waiting."""
    with ThreadPoolExecutor(8) as threads:
        return list(threads.map(lambda one: call(client, *one), wanted))


def endpoints(client: httpx.Client) -> dict[str, list[dict]]:
    """Every named endpoint with its parameters, as the page tells them."""
    told = client.get("/gradio_api/info?all_endpoints=True").json()["named_endpoints"]
    return {name: one["parameters"] for name, one in told.items()}


def workers(page: int) -> dict[int, int]:
    """The processes in which the page decodes files, and the nanoseconds that each has computed."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == page and b"worker_process" in (folder / "cmdline").read_bytes():
                found[int(folder.name)] = int((folder / "schedstat").read_text().split()[0])
        except FileNotFoundError:  # it has ended meanwhile
            continue
    return found


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="needs Linux")
def test_a_file_that_halts_and_kills_its_decoder_keeps_no_other_visitor_waiting(client, server):
    """The process is halted and killed from here, as a file may do it."""
    mask = Image.new("L", (64, 48))
    mask.paste(255, (20, 20, 30, 30))
    mask.save(out := io.BytesIO(), "PNG")
    arguments = [upload(client, photo()), upload(client, out.getvalue()), "classical", 0, 0, "1", 0, ""]

    def fill() -> tuple[str, str]:
        with httpx.Client(base_url=server.url, timeout=120, trust_env=False) as visitor:
            return call(visitor, "inpaint", arguments)

    assert fill()[0] == "complete"
    before = workers(server.process.pid)
    assert fill()[0] == "complete"
    after = workers(server.process.pid)
    next_one = max(before, key=lambda pid: after[pid] - before[pid])  # the one that became idle last
    os.kill(next_one, signal.SIGSTOP)
    with ThreadPoolExecutor(2) as visitors:
        both = [visitors.submit(fill) for _ in range(2)]
        served, stuck = wait(both, return_when=FIRST_COMPLETED)
        assert [one.result()[0] for one in served] == ["complete"] and len(stuck) == 1
        os.kill(next_one, signal.SIGKILL)
        outcome, told = stuck.pop().result()
    assert outcome == "error" and "crashed the decoder; save it again" in told
    assert fill()[0] == "complete" and next_one not in workers(server.process.pid)
