"""The page in a process of its own, and Debian's Chromium to look at it."""

import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.page_server import ROOT, Server, serve

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
)


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
    standin = [sys.executable, "-m", "tests.helpers.standin_weights", str(folder / "weights"), "--small"]
    subprocess.run(standin, check=True, cwd=ROOT, timeout=120)
    with serve(folder, "--weights", str(folder / "weights")) as server:
        yield server


@pytest.fixture(scope="session")
def server_to_compare(tmp_path_factory) -> Iterator[Server]:
    """The page with a small student and a tiny FLUX, both random, and no PixelHacker."""
    folder = tmp_path_factory.mktemp("page-to-compare")
    weights = folder / "weights"
    for writer in (
        ["-m", "tests.helpers.standin_weights", str(weights), "--small"],
        ["-m", "tests.helpers.standin_flux", str(weights / "FLUX.1-Fill-dev")],
    ):
        subprocess.run([sys.executable, *writer], check=True, cwd=ROOT, timeout=120)
    with serve(folder, "--weights", str(weights)) as server:
        yield server


@pytest.fixture
def canary():
    """A server on this machine that nothing may be made to fetch from: (port, requests)."""
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"SECRET")

        def log_message(self, *arguments):
            pass

    listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    yield listening.server_port, seen
    listening.shutdown()
    listening.server_close()
