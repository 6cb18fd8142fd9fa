"""Pages in processes of their own, and Chromium to look at them: each is made once a test run, when a test needs it."""

import http.server
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.page_server import MAX_BYTES, MAX_PIXELS, Server, serve
from tests.helpers.standin_flux import write_flux
from tests.helpers.standin_select import write_selector
from tests.helpers.standin_weights import write_published

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ("--no-sandbox", "--disable-gpu")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def browser():
    """Chromium. A test opens a context of its own in it, see `tests.helpers.browser.visit`."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is installed; on Debian: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def standin_selector(tmp_path_factory) -> Path:
    """Random weights of what selects objects."""
    return write_selector(tmp_path_factory.mktemp("selector"))


@pytest.fixture(scope="session")
def standin_student(tmp_path_factory) -> Path:
    """Small random weights of the student."""
    return write_published(tmp_path_factory.mktemp("student"), small=True)


@pytest.fixture(scope="session")
def server(tmp_path_factory) -> Iterator[Server]:
    """The page without weights."""
    with serve(tmp_path_factory.mktemp("page")) as server:
        yield server


@pytest.fixture(scope="session")
def server_with_models(tmp_path_factory, standin_selector) -> Iterator[Server]:
    """The page with a small student, a tiny FLUX and a selector of objects, all random, and no PixelHacker."""
    folder = tmp_path_factory.mktemp("page-with-models")
    weights = write_published(folder / "weights", small=True)
    write_flux(weights / "FLUX.1-Fill-dev")
    with serve(folder, "--weights", str(weights), MOEBIUS_SELECT_WEIGHTS=str(standin_selector)) as server:
        yield server


@pytest.fixture(scope="session")
def small_server(tmp_path_factory, standin_student) -> Iterator[Server]:
    """A page that lets one visitor wait, takes photos of `MAX_BYTES` and `MAX_PIXELS`, and has a slow student."""
    limits = {"MOEBIUS_MAX_QUEUE": "1", "MOEBIUS_MAX_BYTES": str(MAX_BYTES), "MOEBIUS_MAX_PIXELS": str(MAX_PIXELS)}
    with serve(tmp_path_factory.mktemp("small-page"), "--weights", str(standin_student), **limits) as server:
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
