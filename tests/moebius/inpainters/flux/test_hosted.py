"""FLUX.1 Fill [pro] against a stand-in of the maker's service on this computer, with everything that can go wrong."""

import base64
import io
import itertools
import json
import logging
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from moebius import model_cache, registry
from moebius.__main__ import main
from moebius.config import SamplingConfig
from moebius.fill.scheduler import fill_photo
from moebius.inpainters.flux import hosted
from moebius.inpainters.flux.hosted import HostedError, HostedFluxInpainter
from moebius.progress import Cancelled
from tests.helpers.deterministic import picture

PHOTO = Image.fromarray(picture(3, 96))
MASK = Image.new("L", PHOTO.size)
MASK.paste(255, (30, 30, 50, 60))
HOLE = np.asarray(MASK) > 127
KEY = "secret-key"


class Service(BaseHTTPRequestHandler):
    """Submit, poll twice, fetch. What it says can be replaced through the class's attributes."""

    submit_status = 200
    polls = ("Pending", "Ready")
    elsewhere = ""
    sample: bytes | None = None  # None: a green picture of the right size
    location = ""
    hangs: threading.Event | None = None
    answers = 0
    requests: list

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.requests.append((self.path, self.headers.get("x-key"), body))
        if self.hangs:
            self.hangs.wait(60)
        self.answer({"id": "7", "polling_url": self.elsewhere or f"{self.home}/v1/get_result?id=7"}, self.submit_status)

    def do_GET(self):
        self.requests.append((self.path, self.headers.get("x-key"), None))
        if self.path.startswith("/sample"):
            self.answer(self.sample if self.sample is not None else png((0, 200, 0), 1024))
            return
        polled = sum(path.startswith("/v1/get_result") for path, *_ in self.requests)
        status = self.polls[min(polled, len(self.polls)) - 1]
        result = {"sample": f"{self.home}/sample.png"} if status == "Ready" else None
        self.answer({"id": "7", "status": status, "result": result})

    @property
    def home(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, content: dict | bytes, status: int = 200) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        type(self).answers += 1
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        if self.location:
            self.send_header("Location", self.location)
        self.end_headers()
        try:
            self.wfile.write(data)
        except OSError:  # whoever asked has given up
            pass

    def log_message(self, *_) -> None:
        pass


def png(color, side: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), color).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def service():
    handler = type("Handler", (Service,), {"requests": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    handler.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield handler
    if handler.hangs:
        handler.hangs.set()
    server.shutdown()
    thread.join()
    server.server_close()


def fill(service, config=None, time_limit_s=10.0, progress=lambda share, text: None):
    model = HostedFluxInpainter(KEY, service.address, time_limit_s=time_limit_s, poll_s=0.001)
    config = config or SamplingConfig(feather_px=0)
    return fill_photo(model, PHOTO, MASK, config, torch.Generator().manual_seed(1), progress)


def test_a_square_is_sent_and_only_the_hole_takes_what_comes_back(service):
    done = fill(service, SamplingConfig(feather_px=0, prompt="a lawn"))
    after = np.asarray(done.raster)
    assert (after[HOLE] == (0, 200, 0)).all() and np.array_equal(after[~HOLE], np.asarray(PHOTO)[~HOLE])
    assert "[pro]" in done.notes[0] and "was sent there" in done.notes[0]

    (path, key, body), *rest = service.requests
    assert (path, key) == ("/v1/flux-pro-1.0-fill", KEY)
    assert (body["prompt"], body["steps"], body["guidance"]) == ("a lawn", 50, 60.0) and body["seed"] >= 0
    image, mask = (Image.open(io.BytesIO(base64.b64decode(body[name]))) for name in ("image", "mask"))
    assert image.size == mask.size == (1024, 1024) and set(np.unique(mask)) == {0, 255}
    assert [key for path, key, _ in rest if path.startswith("/sample")] == [None]  # the key is not for everyone


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"submit_status": 401}, "does not know the key"),
        ({"submit_status": 402}, "no credits left"),
        ({"submit_status": 429}, "too many tasks are running"),
        ({"submit_status": 500}, "status 500; try again later"),
        ({"submit_status": 302}, "status 302"),
        ({"polls": ("Request Moderated",)}, "content filter refused the picture or the prompt"),
        ({"polls": ("Pending", "Content Moderated")}, "content filter refused the result"),
        ({"polls": ("Error",)}, "could not fill the picture: Error"),
        ({"polls": ("Task not found",)}, "could not fill the picture: Task not found"),
        ({"polls": ("Pending",)}, "did not finish within 0 s"),
        ({"sample": b"<html>expired</html>"}, "cannot be read"),
        ({"sample": bytes(hosted.MAX_BYTES + 1)}, "larger than 64 MiB"),
        ({"sample": png((0, 0, 0), 1024)[:500]}, "cannot be read"),
        ({"sample": png((0, 0, 0), 512)}, "returned 512×512 pixels for a square of 1024×1024"),
        ({"elsewhere": "https://example.org/get"}, "not its own .example.org."),
    ],
)
def test_what_goes_wrong_is_one_plain_sentence(service, setting, message):
    for name, value in setting.items():
        setattr(service, name, value)
    with pytest.raises(HostedError, match=message):
        fill(service, time_limit_s=0.3 if setting == {"polls": ("Pending",)} else 10.0)


def test_a_service_that_never_answers_is_given_up(service):
    service.hangs = threading.Event()
    with pytest.raises(HostedError, match="did not finish|no answer within"):
        fill(service, time_limit_s=0.2)
    assert service.answers == 0


def test_an_answer_that_comes_too_slowly_is_given_up(service, monkeypatch):
    """Every look at the clock moves it by a second; an answer of three million bytes comes in many parts."""
    noise = np.random.default_rng(0).integers(0, 256, (1024, 1024, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "PNG", compress_level=0)
    service.sample = buffer.getvalue()
    clock = itertools.count()
    monkeypatch.setattr(hosted, "time", SimpleNamespace(monotonic=lambda: next(clock), sleep=lambda seconds: None))
    with pytest.raises(HostedError, match="did not finish within 20 s"):
        fill(service, time_limit_s=20)


def test_a_redirect_is_not_followed(service):
    service.submit_status, service.location = 307, f"{service.address}/elsewhere"
    with pytest.raises(HostedError, match="status 307"):
        fill(service)
    assert [path for path, *_ in service.requests] == ["/v1/flux-pro-1.0-fill"]


@pytest.mark.parametrize("key", ["secret\nkey", "secret\u2026key", "secret\x00key"])
def test_a_key_that_cannot_be_sent_is_refused_without_showing_it(service, key):
    with pytest.raises(HostedError) as error:
        fill_photo(HostedFluxInpainter(key, service.address), PHOTO, MASK)
    assert "MOEBIUS_BFL_KEY" in str(error.value) and "secret" not in str(error.value)
    assert service.requests == []


def test_the_key_is_never_logged(service, caplog):
    caplog.set_level(logging.DEBUG)
    fill(service)
    service.submit_status = 500
    with pytest.raises(HostedError) as error:
        fill(service)
    assert "httpcore" in {record.name.split(".")[0] for record in caplog.records}, "the log is seen"
    assert KEY not in caplog.text and KEY not in str(error.value)


def test_a_service_that_is_not_there(service):
    with pytest.raises(HostedError, match="cannot be reached"):
        fill_photo(HostedFluxInpainter(KEY, "http://127.0.0.1:1"), PHOTO, MASK)


def test_settings_that_the_service_does_not_take_are_not_sent(service):
    with pytest.raises(ValueError, match="num_inference_steps must be between 15 and 50 .* got 4"):
        fill(service, SamplingConfig(num_inference_steps=4))
    assert service.requests == []


def test_cancelling_stops_waiting(service):
    service.polls = ("Pending",)

    def stop(share, text):
        if text.startswith("Waiting"):
            raise Cancelled

    with pytest.raises(Cancelled):
        fill(service, progress=stop)


# ---- off until turned on ----


def test_nothing_is_sent_until_it_is_turned_on_and_a_key_is_there(service, tmp_path, monkeypatch, capfd):
    model_cache.release()
    for name in ("MOEBIUS_HOSTED", "MOEBIUS_BFL_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MOEBIUS_BFL_ADDRESS", service.address)
    card = registry.card("flux-fill-pro")
    PHOTO.save(tmp_path / "photo.png")
    MASK.save(tmp_path / "mask.png")
    command = ["inpaint", f"{tmp_path / 'photo.png'}", f"{tmp_path / 'mask.png'}", "-o", f"{tmp_path / 'out.png'}"]
    command += ["--model", "flux-fill-pro"]
    assert not card.availability(registry.LoadOptions()).can_run
    assert main(command) == 2 and "MOEBIUS_HOSTED=1" in capfd.readouterr().err
    monkeypatch.setenv("MOEBIUS_BFL_KEY", KEY)
    assert main(command) == 2 and "is off" in capfd.readouterr().err
    monkeypatch.setenv("MOEBIUS_HOSTED", "1")
    monkeypatch.delenv("MOEBIUS_BFL_KEY")
    assert main(command) == 2 and "MOEBIUS_BFL_KEY is not set" in capfd.readouterr().err
    assert service.requests == [] and not (tmp_path / "out.png").exists()

    monkeypatch.setenv("MOEBIUS_BFL_KEY", KEY)
    monkeypatch.setattr("moebius.inpainters.flux.hosted.POLL_S", 0.001)
    assert card.availability(registry.LoadOptions()).can_run and "[pro]" in card.title
    assert main(command) == 0
    said = capfd.readouterr().out
    assert "FLUX.1 Fill [pro] (hosted)" in said and "Your picture leaves this computer" in said and KEY not in said
    assert (tmp_path / "out.png").exists()
