"""Two visitors use the page in Chromium, while the processes that open and write one visitor's photos are killed at
random moments: that visitor must get errors in words, the other must notice nothing, and memory must come back.

    PYTHONPATH=. python benchmarks/killed_workers.py --kills 50

The page runs with one addition: a call for a photo named victim.… may have its process killed, at a moment chosen
before, and only while that call is under way. Exit status 1 if anybody noticed what they should not, or did not.
"""

from __future__ import annotations

import argparse
import os
import random
import runpy
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[1]
PLAN = "KILL_PLAN"
"""Variable: a file with the task that is to be hit and the seconds until then."""
SECONDS = {"open_photo": 0.1, "encode_photo": 0.4}
"""About what the tasks take; a kill that comes after the end is counted apart."""
WATCH = """() => {
    window.toasts = [];
    const look = (node) => {
        const body = node.nodeType === 1 && (node.matches('.toast-body') ? node : node.querySelector('.toast-body'));
        if (body) window.toasts.push(body.innerText);
    };
    const watch = new MutationObserver((list) => list.forEach((one) => one.addedNodes.forEach(look)));
    watch.observe(document.body, {childList: true, subtree: true});
}"""
TOASTS = """() => { document.querySelectorAll('.toast-close').forEach((one) => one.click());
    return window.toasts.splice(0); }"""
LOADED = """(before) => moebius.state.scene?.serial > before && moebius.state.view
    && !document.querySelector('#note').textContent"""


# ---- the page ----


def serve_page() -> None:
    from moebius.photo import worker

    plan, of_thread = Path(os.environ[PLAN]), threading.local()
    call, turn = worker.PhotoWorkers._call, worker.PhotoWorkers._turn

    @contextmanager
    def watched_turn(pool: worker.PhotoWorkers) -> Iterator[worker._Process]:
        with turn(pool) as process:
            if planned := getattr(of_thread, "planned", None):
                planned.start(process)
            yield process

    def watched_call(pool: worker.PhotoWorkers, message: dict, *rest: object) -> object:
        of_thread.planned = _Kill.planned(plan, message)
        try:
            return call(pool, message, *rest)
        finally:
            if of_thread.planned:
                of_thread.planned.end()
            of_thread.planned = None

    worker.PhotoWorkers._turn, worker.PhotoWorkers._call = watched_turn, watched_call
    sys.argv = ["app.py", *sys.argv[2:]]
    runpy.run_path(str(ROOT / "app.py"), run_name="__main__")


class _Kill:
    """Kills the process of a call, unless the call has ended before."""

    def __init__(self, delay: float) -> None:
        self._delay, self._lock, self._over, self._done = delay, threading.Lock(), False, False

    @classmethod
    def planned(cls, plan: Path, message: dict) -> _Kill | None:
        if message["name"].startswith("victim."):
            with suppress(FileNotFoundError):
                task, delay = plan.read_text().split()
                if task == message["task"]:
                    plan.unlink()
                    return cls(float(delay))
        return None

    def start(self, process: object) -> None:
        def kill() -> None:
            with self._lock:
                if not self._over and process.pid is not None:
                    process.kill()
                    self._done = True

        threading.Timer(self._delay, kill).start()

    def end(self) -> None:
        with self._lock:
            self._over = True
        os.write(1, b"\nKILLED\n" if self._done else b"\nMISSED\n")


# ---- the visitors ----


class Visitor:
    def __init__(self, browser, url: str) -> None:
        self._context = browser.new_context(viewport={"width": 1440, "height": 900})
        self.page = self._context.new_page()
        self.page.set_default_timeout(120_000)
        self.page.goto(url)
        self.page.wait_for_function("() => window.moebius && document.querySelector('#about p')")
        self.page.evaluate(WATCH)

    def upload(self, path: Path) -> Callable[[], None]:
        """Choose a photo; returns what waits until it is shown."""
        before = self.page.evaluate("() => moebius.state.scene?.serial ?? 0")
        self.page.set_input_files("#photo-file", path)
        return lambda: self.page.wait_for_function(LOADED, arg=before)

    def fill(self, draw: random.Random) -> Callable[[], None]:
        """Paint a stroke and press Fill; returns what waits for the result."""
        from tests.helpers.browser import paint, wait_for_result

        x, y = draw.randint(-150, 150), draw.randint(-100, 100)
        paint(self.page, self.page.locator("#canvas"), ((x, y), (x + 25, y + 15)))
        self.page.click("#go")
        return lambda: wait_for_result(self.page)

    def messages(self, wait: bool = False) -> list[str]:
        """What the page told since the last time."""
        if wait:
            self.page.wait_for_function("() => window.toasts.length")
        return self.page.evaluate(TOASTS)

    def leave(self) -> None:
        self._context.close()


def photo(path: Path, size: tuple[int, int], seed: int) -> Path:
    noise = np.random.default_rng(seed).integers(0, 256, (size[1] // 20, size[0] // 20, 3), np.uint8)
    Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC).save(path)
    return path


def memory(pid: int) -> str:
    """Resident memory of the page and of its processes, MiB."""
    import psutil

    page = psutil.Process(pid)
    sizes = []
    for process in page.children():
        with suppress(psutil.Error):
            sizes.append(f"{process.memory_info().rss >> 20}")
    return f"{page.memory_info().rss >> 20} MiB, photo processes {', '.join(sizes)} MiB"


def run(folder: Path, kills: int, seed: int) -> int:
    from playwright.sync_api import sync_playwright

    from tests.helpers.page_server import serve

    draw, plan = random.Random(seed), folder / "plan"
    victims = [photo(folder / f"victim.{suffix}", (2400, 1600), 1) for suffix in ("jpg", "png")]
    others = [photo(folder / f"other{number}.jpg", (1800, 1200), number) for number in (2, 3)]
    errors: Counter[str] = Counter()
    late, disturbed, rounds = 0, [], 0
    command = (sys.executable, str(Path(__file__).resolve()), "serve")
    with serve(folder, command=command, **{PLAN: str(plan)}) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=("--no-sandbox",))
        hit, other = Visitor(browser, server.url), Visitor(browser, server.url)
        for visitor, path in ((hit, victims[0]), (other, others[0])):
            visitor.upload(path)()
            visitor.fill(draw)()
        report(f"before: {memory(server.process.pid)}")
        while errors.total() < kills and rounds < 3 * kills:
            rounds += 1
            task, path = ("open_photo", "encode_photo")[rounds % 2], victims[rounds // 2 % 2]
            if task == "encode_photo":
                hit.upload(path)()
            since = len(server.lines)
            plan.write_text(f"{task} {draw.uniform(0, SECONDS[task])}")
            ended = hit.upload(path) if task == "open_photo" else hit.fill(draw)
            others_end = other.upload(others[rounds % 2]) if draw.random() < 0.5 else other.fill(draw)
            assert server.wait_for("^(KILLED|MISSED)", since=since), "the call never came"
            if any(line.startswith("KILLED") for line in server.lines[since:]):
                errors[f"{task}: {' '.join(' '.join(hit.messages(wait=True)).split())}"] += 1
            else:
                late += 1
                ended()
            others_end()
            disturbed += other.messages()
            if rounds % 10 == 0:
                report(f"{errors.total()} errors: {memory(server.process.pid)}")
        hit.leave(), other.leave()
        time.sleep(5)  # until the page has noticed
        report(f"both visitors gone: {memory(server.process.pid)}")
        failures = sum("Traceback" in line for line in server.lines)
        browser.close()
    for text, count in errors.most_common():
        report(f"  {count} x {text}")
    report(f"{errors.total()} errors; {late} kills came too late; the other visitor saw {len(disturbed)} messages")
    in_words = all("crashed the decoder" in text for text in errors)
    return int(errors.total() < kills or bool(disturbed) or bool(failures) or not in_words)


def report(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return run(Path(folder), options.kills, options.seed)


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve_page()
    else:
        sys.exit(main())
