"""What protects a public page: few who wait, small files, no word about its folders, nothing left behind."""

import io
import json
import os
import signal
import threading
import time
import uuid
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from PIL import Image

from moebius import registry
from moebius.__main__ import main
from moebius.photo import photo_file
from moebius.ui import launch, photo_files
from moebius.ui.session import MAX_SESSIONS
from tests.helpers import mean_model
from tests.helpers.browser import DESKTOP, visit
from tests.helpers.mean_model import MeanColour
from tests.helpers.page_server import MAX_BYTES, MAX_PIXELS, PATIENCE_S, serve


class Visitor:
    """A browser tab as the server sees it."""

    def __init__(self, url: str):
        self.http = httpx.Client(base_url=url, timeout=60, trust_env=False)
        self.session = uuid.uuid4().hex
        told = self.http.get("/gradio_api/info?all_endpoints=True").json()["named_endpoints"]["/fill"]["parameters"]
        self.settings = {one["parameter_name"]: one.get("parameter_default") for one in told}

    def upload(self, content: bytes, name: str = "photo.png") -> httpx.Response:
        return self.http.post("/gradio_api/upload", files={"files": (name, content, "image/png")})

    def call(self, name: str, data: list) -> httpx.Response:
        return self.http.post(f"/gradio_api/call/{name}", json={"data": data, "session_hash": self.session})

    def last(self, name: str, asked: httpx.Response) -> str:
        """The last event of a call, with its data."""
        events = self.http.get(f"/gradio_api/call/{name}/{asked.json()['event_id']}").text
        return events.strip().split("\n\n")[-1]

    def load(self, content: bytes) -> str:
        path = self.upload(content).json()[0]
        return self.last("load_photo", self.call("load_photo", [{"path": path, "meta": {"_type": "gradio.FileData"}}]))

    def mask(self, content: bytes) -> str:
        path = self.upload(content, "mask.png").json()[0]
        return self.last("load_mask", self.call("load_mask", [{"path": path, "meta": {"_type": "gradio.FileData"}}]))

    def fill(self, steps: int = 2, model: str = "moebius") -> httpx.Response:
        wanted = self.settings | {"layers": None, "model": model, "steps": steps, "seed": "1"}
        return self.call("fill", list(wanted.values()))

    @contextmanager
    def messages(self):
        """What the server sends this tab, one by one; leaving the block is closing the connection."""
        with self.http.stream("GET", "/gradio_api/queue/data", params={"session_hash": self.session}) as stream:
            yield (json.loads(line[6:]) for line in stream.iter_lines() if line.startswith("data: "))


def encoded(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def picture(size: tuple[int, int] = (64, 48)) -> bytes:
    return encoded(Image.effect_noise(size, 40).convert("RGB"))


def hole(size: tuple[int, int] = (64, 48)) -> bytes:
    mask = Image.new("L", size)
    mask.paste(255, (20, 20, 40, 30))
    return encoded(mask)


def holes(size: tuple[int, int]) -> bytes:
    """Far from each other: each takes as many steps as one alone."""
    mask = Image.new("L", size)
    for x in range(10, size[0] - 30, 150):
        for y in (10, size[1] - 30):
            mask.paste(255, (x, y, x + 20, y + 20))
    return encoded(mask)


def await_message(messages, kind: str) -> dict:
    return next(message for message in messages if message["msg"] == kind)


def until(tried, seconds: float = 30):
    """The first answer of `tried` that is true."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if told := tried():
            return told
    raise AssertionError(f"not within {seconds:g} s")


def test_who_waits_sees_the_place_more_are_turned_away_and_who_leaves_makes_room(browser, small_server):
    one, two, three, four = (Visitor(small_server.url) for _ in range(4))
    for visitor in (two, three, four):
        assert "complete" in visitor.load(picture()) and "complete" in visitor.mask(hole())
    size, before = (640, 300), len(small_server.lines)
    assert "complete" in one.load(encoded(Image.new("RGB", size, "teal"))) and "complete" in one.mask(holes(size))
    with one.http.stream("GET", f"/gradio_api/heartbeat/{one.session}"):
        one.fill(100)
        with one.messages() as for_one, two.messages() as for_two:
            await_message(for_one, "process_starts")
            two.fill()
            while "Waiting for another visitor" not in str(await_message(for_two, "progress")):
                pass  # its photo is read, and it has the next turn
            three.fill()
            with three.messages() as for_three:
                place = await_message(for_three, "estimation")
                assert (place["rank"], place["queue_size"]) == (0, 1)
                refused = four.fill()
                assert refused.status_code == 503 and "Queue is full" in refused.text
                with visit(browser, small_server, DESKTOP):
                    pass  # somebody who opens the page now gets it, and no error
                assert four.fill().status_code == 503, "the test was slower than a fill; it showed nothing"
        # The third has left while waiting: the fourth may wait. The first runs on, who only looked away.
        waits = until(lambda: (asked := four.fill()).status_code == 200 and asked)
        assert not any("a fill was stopped" in line for line in small_server.lines[before:])
    # The first has closed the page: the fill is stopped, and it is the others' turn.
    assert small_server.wait_for("a fill was stopped", since=before), "the computation went on"
    assert "complete" in four.last("fill", waits)


def test_another_visitors_photo_is_filled_while_a_result_is_written(monkeypatch):
    from moebius.ui.page import build_app, launch_options

    writing, may_end, size = threading.Event(), threading.Event(), (80, 48)

    def encode(photo, *rest, **named):
        if photo.size == size:
            writing.set()
            assert may_end.wait(PATIENCE_S)
        return photo_file.encode_photo(photo, *rest, **named)

    monkeypatch.setattr(photo_files, "encode_photo", encode)
    monkeypatch.setitem(registry.MODELS, MeanColour.name, mean_model.card())
    page = build_app()
    page.launch(prevent_thread_lock=True, quiet=True, **launch_options())
    try:
        one, two = Visitor(page.local_url), Visitor(page.local_url)
        assert "complete" in one.load(picture(size)) and "complete" in one.mask(hole(size))
        assert "complete" in two.load(picture()) and "complete" in two.mask(hole())
        asked = one.fill(model=MeanColour.name)
        assert writing.wait(PATIENCE_S)
        assert "complete" in two.last("fill", two.fill(model=MeanColour.name))
        may_end.set()
        assert "complete" in one.last("fill", asked)
    finally:
        may_end.set()
        page.close()


def test_one_model_runs_at_a_time():
    """Every event that fills waits in one queue, whichever tab or script asks for it, for the turn that one has at a
    time (`queue.take`); before and after it they open and write their files."""
    from moebius.photo.worker import MAX_PROCESSES
    from moebius.ui.page import build_app

    events = {event.api_name: event for event in build_app().fns.values()}

    def turns(*names: str) -> set:
        return {(events[name].concurrency_id, events[name].concurrency_limit) for name in names}

    assert turns("fill", "vary", "compare", "select") == {("compute", 2)}
    limits = {event.concurrency_limit for event in events.values() if event.concurrency_id == "compute"}
    assert limits == {2}, "Gradio takes the lowest of them for all"
    assert turns("inpaint", "compare_models") == {("tools", MAX_PROCESSES)}


def test_weights_are_fetched_at_the_start_where_that_is_asked_for(tmp_path):
    with serve(tmp_path, MOEBIUS_FETCH="1") as server:
        assert server.wait_for("WARNING moebius: .*weights of Moebius"), "it tried, and there is no network"
        assert "complete" in Visitor(server.url).load(picture()), "the page answers meanwhile"


@pytest.mark.parametrize(
    ("variable", "value"), [("MOEBIUS_MAX_SECONDS", "soon"), ("MOEBIUS_MAX_QUEUE", "many"), ("MOEBIUS_MARK", "maybe")]
)
def test_a_mistake_in_a_variable_is_told_at_the_start(variable, value, monkeypatch, capsys):
    monkeypatch.setenv(variable, value)
    monkeypatch.setattr(launch, "_keep_files_private", lambda: pytest.fail("it goes on"))
    assert main(["serve"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"moebius serve: {variable}") and value in error


def test_a_folder_of_weights_that_does_not_fit_is_told_at_the_start(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    monkeypatch.setattr(launch, "_keep_files_private", lambda: None)
    for folder, why in ((tmp_path / "nope", "does not exist"), (tmp_path, "holds no weights")):
        assert main(["serve", "--weights", str(folder)]) == 2
        error = capsys.readouterr().err
        assert error.startswith("moebius serve: ") and why in error and error.count("\n") == 1


def test_large_files_and_large_pictures_are_refused(small_server):
    visitor = Visitor(small_server.url)
    assert visitor.upload(bytes(MAX_BYTES + 1)).status_code == 413
    large = io.BytesIO()
    Image.new("RGB", (1000, MAX_PIXELS // 1000 + 1)).save(large, "PNG")
    assert len(large.getvalue()) < MAX_BYTES
    told = visitor.load(large.getvalue())
    assert told.startswith("event: error") and "too large" in told and "MOEBIUS_MAX_PIXELS" in told
    assert "complete" in visitor.load(picture())


def test_a_visitor_who_is_gone_takes_no_memory(tmp_path):
    """Gradio remembers the page's configuration for each; what `launch_options` allows is what it keeps."""
    from moebius.ui.page import build_app, launch_options

    page = build_app()
    page.launch(prevent_thread_lock=True, quiet=True, **launch_options())
    try:
        with httpx.Client(base_url=page.local_url, timeout=60, trust_env=False) as http:
            for number in range(MAX_SESSIONS + 5):
                call = {"data": [], "session_hash": f"visitor{number}"}
                assert http.post("/gradio_api/run/results", json=call).status_code == 200
        known = page.app.state_holder.session_data
        assert len(known) == MAX_SESSIONS and "visitor0" not in known and f"visitor{MAX_SESSIONS + 4}" in known
    finally:
        page.close()


def test_a_page_that_was_killed_is_cleaned_up_after_and_one_that_is_told_to_end_leaves_nothing(tmp_path):
    def left() -> list[Path]:
        return list(tmp_path.glob("moebius-*"))

    with serve(tmp_path) as server:
        Visitor(server.url).load(picture())
        server.process.kill()
        server.process.wait(20)
    abandoned = left()
    assert len(abandoned) == 2, "Gradio's and the visitor's"
    for folder in abandoned:
        for path in (*folder.rglob("*"), folder):
            os.utime(path, (0, 0))
    with serve(tmp_path) as server:
        assert server.wait_for("deleted what earlier pages left: 2 folders")
        assert not any(folder.exists() for folder in abandoned)
        Visitor(server.url).load(picture())
        assert len(left()) == 2
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(PATIENCE_S)
        assert not left()
