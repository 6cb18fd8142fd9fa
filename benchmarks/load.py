"""Many people at one page: 50 scripts for five minutes, each with a photo of its own, some of them rude.

    python benchmarks/load.py --users 50 --minutes 5
    python benchmarks/load.py --users 20 --minutes 3 --protocols page iopaint rapidraw

Starts the page on a free port (classical filler, no weights), lets the users come and go, and tells what became of
every request, how long fills took, and the server's memory before and after; `--rounds 3` does it so often and tells
the memory after each. Before the first there is a warm-up, until the page has had as many visitors as it remembers at
once. Exit status 1 if a request was answered by status 500 or by silence, if anyone saw another's picture, or if memory
grew by more than a tenth.
"""

from __future__ import annotations

import argparse
import base64
import collections
import io
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

from moebius.ui.settings import FillSettings  # noqa: E402

ROOT = Path(__file__).parents[1]
WIDTH, HEIGHT = 320, 240
WARM_VISITS, MOST_WARM_S = 200, 90
"""As many as `moebius.ui.session.MAX_SESSIONS`; from then on every visitor takes the place of another."""
CLEAR = re.compile(r"queue|full|busy|wait|too many|photo|mask|layer|picture|session|seed|model|value|choice|file", re.I)
"""What a refusal speaks of; anything else is counted as unclear."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=5, help="of each round (%(default)s)")
    parser.add_argument(
        "--protocols", nargs="+", default=["page"], choices=("page", "iopaint", "rapidraw"), help="shared out evenly"
    )
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return crowd(Path(folder), options.users, 60 * options.minutes, options.rounds, options.protocols)


def crowd(folder: Path, users: int, seconds: float, rounds: int, protocols: list[str]) -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"GRADIO_TEMP_DIR": str(folder / "gradio"), "TMPDIR": str(folder), "HF_HUB_OFFLINE": "1"}
    log = (folder / "server.log").open("wb")
    command = [sys.executable, "app.py", "--port", str(port)]
    server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        _until_it_answers(url, server)
        warm = Crowd(url, folder, protocols)
        started = time.monotonic()
        while warm.visits < WARM_VISITS and time.monotonic() < started + MOST_WARM_S:
            warm.run(users, 10)
        memory = [_settled(server.pid)]
        report(f"warm-up: {warm.visits} visits in {time.monotonic() - started:.0f} s, {memory[0]:.0f} MiB")
        told = Crowd(url, folder, protocols)
        for number in range(rounds):
            visits = told.visits
            told.run(users, seconds)
            memory.append(_settled(server.pid))
            report(f"round {number + 1}: {told.visits - visits} visits, {memory[-1]:.0f} MiB")
        alive = server.poll() is None
    finally:
        server.terminate()
        server.wait(30)
    report(f"{users} users ({', '.join(protocols)}), {rounds} x {seconds:.0f} s, {os.cpu_count()} cores")
    for name, count in sorted(told.outcomes.items()):
        report(f"  {name}: {count}")
    for protocol, every in sorted(told.waits.items()):
        waits = sorted(every)
        middle, late = waits[len(waits) // 2], waits[len(waits) * 9 // 10]
        times = f"{middle:.1f} s (median), {late:.1f} s (9 in 10), {waits[-1]:.1f} s (longest)"
        report(f"a fill by {protocol} was there after {times}, N = {len(waits)}")
    report(f"largest queue position that was told: {told.queued}")
    report(f"memory {memory[0]:.0f} MiB before, {memory[-1]:.0f} MiB after ({memory[-1] / memory[0] - 1:+.1%})")
    left = sum(1 for path in (folder / "gradio").rglob("*") if path.is_file())
    report(f"files of visitors still there: {left}")
    text = (folder / "server.log").read_text(errors="replace")
    report(f"uncaught errors in the log: {text.count('failed') if 'ERROR' in text else 0}")
    bad = [name for name in told.outcomes if name.startswith(("WRONG", "silence", "status 5", "unclear"))]
    return int(bool(bad) or not alive or memory[-1] > 1.1 * memory[0])


class Crowd:
    """Users at once, and what became of their requests."""

    def __init__(self, url: str, folder: Path, protocols: list[str]):
        self.url, self.folder, self.protocols = url, folder, protocols
        self.outcomes: collections.Counter[str] = collections.Counter()
        self.waits: collections.defaultdict[str, list[float]] = collections.defaultdict(list)
        self.queued = self.visits = 0
        self.lock = threading.Lock()

    def run(self, users: int, seconds: float) -> None:
        until = time.monotonic() + seconds
        threads = [threading.Thread(target=self.user, args=(number, until, number % 5 == 4)) for number in range(users)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def count(self, name: str) -> None:
        with self.lock:
            self.outcomes[name] += 1

    def user(self, number: int, until: float, rude: bool) -> None:
        """One person after the other in this place: opens the page, fills a photo or two, goes."""
        draw = random.Random(number)
        photo, mask = self._pictures(number)
        protocol = self.protocols[number % len(self.protocols)]
        visit = {"page": self._visit, "iopaint": self._iopaint, "rapidraw": self._rapidraw}[protocol]
        while time.monotonic() < until:
            with self.lock:
                self.visits += 1
            try:
                visit(photo, mask, draw, rude)
            except Exception as error:  # noqa: BLE001 - whatever a client can run into is what is counted
                self._failed(error)
            time.sleep(draw.uniform(0.2, 2))

    def _visit(self, photo: Path, mask: Path, draw: random.Random, rude: bool) -> None:
        from gradio_client import Client, handle_file

        client = Client(self.url, verbose=False, download_files=str(self.folder / "downloads"))
        client.predict(handle_file(photo), api_name="/load_photo")
        client.predict(handle_file(mask), api_name="/load_mask")
        if rude:
            kind = draw.choice(("leave", "not a photo", "bad steps", "wrong type"))
            if kind == "not a photo":
                client.predict(handle_file(ROOT / "requirements.txt"), api_name="/load_photo")
            elif kind == "bad steps":
                client.predict(*_fill(steps=-5), api_name="/fill")
            elif kind == "wrong type":
                client.predict(*_fill(layers={"a": 1}, model=["classical"]), api_name="/fill")
            else:
                client.submit(*_fill(), api_name="/fill")
                time.sleep(draw.uniform(0, 0.5))
                client.close()  # gone while the fill waits or runs
                self.count("left in the middle")
                return
            self.count(f"WRONG: {kind} was taken")
            return
        started = time.monotonic()
        job = client.submit(*_fill(), api_name="/fill")
        while not job.done():
            rank = job.status().rank
            if rank is not None:
                self.queued = max(self.queued, rank + 1)
            time.sleep(0.25)
        download = job.result()[1]
        result = Path(download["value"] if isinstance(download, dict) else download)
        self._filled("page", started, self._is_mine(Image.open(result), photo))
        client.close()

    def _iopaint(self, photo: Path, mask: Path, draw: random.Random, rude: bool) -> None:
        """A tool that calls IOPaint."""
        sent = {"image": _base64(photo), "mask": _base64(mask)}
        if rude:
            sent |= draw.choice(({"image": "%%%"}, {"mask": _base64(ROOT / "requirements.txt")}, {"sd_seed": "seven"}))
        started = time.monotonic()
        answer = self._post("/api/v1/inpaint", rude, json=sent)
        if answer is not None:
            self._filled("iopaint", started, self._is_mine(Image.open(io.BytesIO(answer.content)), photo))

    def _rapidraw(self, photo: Path, mask: Path, draw: random.Random, rude: bool) -> None:
        """RapidRAW: sends its photo once, then a mask, and gets the filled part."""
        started = time.monotonic()
        file = {"file": (photo.name, photo.read_bytes())}
        if self._post("/upload_source", False, files=file, data={"source_id": photo.stem}) is None:
            return
        asked = {"source_id": "nonesuch" if rude else photo.stem, "mask_image_base64": _base64(mask)}
        answer = self._post("/inpaint", rude, json=asked | {"prompt": "", "seed": 0})
        if answer is None:
            return
        got = answer.json()
        patch = np.asarray(Image.open(io.BytesIO(base64.b64decode(got["color"]))).convert("RGB"))
        ours = np.asarray(Image.open(photo).convert("RGB"))[got["y"] :, got["x"] :][: patch.shape[0], : patch.shape[1]]
        self._filled("rapidraw", started, bool((ours[:8] == patch[:8]).all()))  # above the hole and its blend

    def _post(self, path: str, rude: bool, **sent: Any) -> Any:
        """The answer to a request that was served; None, counted, to one that was refused."""
        import httpx

        answer = httpx.post(f"{self.url}{path}", timeout=300, trust_env=False, **sent)
        if answer.status_code == 200 and not rude:
            return answer
        detail = answer.json().get("detail", "") if answer.status_code != 200 else ""
        if answer.status_code == 200:
            self.count(f"WRONG: {path} took a bad request")
        elif answer.status_code >= 500 or not detail:
            self.count(f"status 5xx: {path} {answer.status_code} {detail[:60]}")
        else:
            self.count(f"refused: {path} {answer.status_code}: {detail[:50]}")
        return None

    def _filled(self, protocol: str, started: float, mine: bool) -> None:
        with self.lock:
            self.waits[protocol].append(time.monotonic() - started)
        self.count(f"filled by {protocol}" if mine else "WRONG: somebody else's picture")

    def _failed(self, error: Exception) -> None:
        text = " ".join(str(error).split())
        if re.search(r"\b50\d\b", text):
            self.count(f"status 5xx: {text[:80]}")
        elif not text or text == "None":
            self.count(f"silence: {type(error).__name__}")
        elif CLEAR.search(text):
            self.count(f"refused: {text[:70]}")
        else:
            self.count(f"unclear: {type(error).__name__}: {text[:80]}")

    def _pictures(self, number: int) -> tuple[Path, Path]:
        """A photo that is this user's alone, and a mask in its middle."""
        stream = np.random.RandomState(number)
        pixels = stream.randint(0, 256, (HEIGHT // 8, WIDTH // 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)
        photo, mask = self.folder / f"user{number}.png", self.folder / f"mask{number}.png"
        if not mask.exists():
            Image.fromarray(pixels).save(photo)
            hole = np.zeros((HEIGHT, WIDTH), np.uint8)
            hole[100:140, 140:180] = 255
            Image.fromarray(hole).save(mask)
        return photo, mask

    @staticmethod
    def _is_mine(result: Image.Image, photo: Path) -> bool:
        ours, theirs = np.asarray(Image.open(photo).convert("RGB")), np.asarray(result.convert("RGB"))
        return ours.shape == theirs.shape and bool((ours[:80] == theirs[:80]).all())


def _fill(layers: Any = None, model: Any = "classical", **settings: Any) -> list[Any]:
    """What `/fill` takes, by position: the page does not document it."""
    return [layers, model, *vars(FillSettings(**{"steps": 20, "guidance": 2} | settings)).values()]


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def _until_it_answers(url: str, server: subprocess.Popen) -> None:
    import httpx

    for _ in range(240):
        if server.poll() is not None:
            raise SystemExit("the page did not start")
        try:
            httpx.get(url, trust_env=False)
            return
        except httpx.TransportError:
            time.sleep(0.25)
    raise SystemExit("the page does not answer")


def _settled(process: int) -> float:
    """MiB, once everyone has gone and what is done in the background is done."""
    time.sleep(15)
    return _memory(process)


def _memory(process: int) -> float:
    """MiB that a process holds."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


def report(text: str) -> None:
    print(text, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
