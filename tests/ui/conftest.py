"""The page in a process of its own, and Debian's Chromium to look at it."""

import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
)
START_S = 60


@dataclass
class Server:
    """A running page."""

    url: str
    process: subprocess.Popen
    lines: list[str] = field(default_factory=list)
    """Everything that it has written so far."""
    written: threading.Condition = field(default_factory=threading.Condition)

    def read(self) -> None:
        for line in self.process.stdout:
            with self.written:
                self.lines.append(line)
                self.written.notify_all()
        with self.written:
            self.written.notify_all()

    def wait_for(self, pattern: str, timeout_s: float) -> bool:
        """Whether a line with `pattern` is written within `timeout_s`."""
        with self.written:
            return self.written.wait_for(
                lambda: any(re.search(pattern, line) for line in self.lines) or self.process.poll() is not None,
                timeout_s,
            ) and any(re.search(pattern, line) for line in self.lines)


@contextmanager
def serve(folder: Path, *arguments: str) -> Iterator[Server]:
    """`python app.py` on a free port, with neither network nor weights but those in `arguments`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MOEBIUS_", "GRADIO_"))}
    environment |= {
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(folder / "huggingface"),
        "GRADIO_TEMP_DIR": str(folder / "gradio"),
        "TMPDIR": str(folder),
        "PYTHONUNBUFFERED": "1",
        "no_proxy": "127.0.0.1",
    }
    process = subprocess.Popen(
        [sys.executable, "app.py", "--port", str(port), *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    server = Server(url=f"http://127.0.0.1:{port}", process=process)
    reader = threading.Thread(target=server.read, daemon=True)
    reader.start()
    try:
        assert server.wait_for("Running on local URL", START_S), f"app.py did not start:\n{''.join(server.lines)}"
        yield server
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
        reader.join(5)


@pytest.fixture(scope="session")
def browser():
    assert CHROMIUM.exists(), f"{CHROMIUM} is missing; install it: apt-get install chromium"
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory) -> Iterator[Server]:
    """The page without weights."""
    with serve(tmp_path_factory.mktemp("page")) as server:
        yield server


@pytest.fixture(scope="session")
def server_with_weights(tmp_path_factory) -> Iterator[Server]:
    """The page with small random stand-in weights."""
    folder = tmp_path_factory.mktemp("page-with-weights")
    standin = [sys.executable, str(ROOT / "tests/standin.py"), str(folder / "weights"), "--small"]
    subprocess.run(standin, check=True, cwd=ROOT, timeout=120)
    with serve(folder, "--weights", str(folder / "weights")) as server:
        yield server


@pytest.fixture(scope="session")
def server_to_compare(tmp_path_factory) -> Iterator[Server]:
    """The page with a small student and a tiny FLUX, both random, and no PixelHacker."""
    folder = tmp_path_factory.mktemp("page-to-compare")
    weights = folder / "weights"
    for writer in (
        ["tests/standin.py", str(weights), "--small"],
        ["tests/standin_flux.py", str(weights / "FLUX.1-Fill-dev")],
    ):
        subprocess.run([sys.executable, *writer], check=True, cwd=ROOT, timeout=120)
    with serve(folder, "--weights", str(weights)) as server:
        yield server
