"""IOPaint's own page, from its wheel, against our server in Chromium: a stroke, a fill, and what came of it.

Marked `network`: the wheel comes from PyPI. Nothing of it is kept.
"""

import base64
import io
import mimetypes
import subprocess
import sys
import zipfile
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from tests.helpers.browser import middle
from tests.helpers.connectors import encoded, photo

SIZE = (600, 400)
WINDOW = {"width": 1400, "height": 900}
DOWNLOAD = (899, 853)
"""Where the page has its last button in a window of that size."""


@pytest.fixture(scope="module")
def web_app(tmp_path_factory) -> dict[str, bytes]:
    """The files of IOPaint's page by their paths."""
    folder = tmp_path_factory.mktemp("iopaint")
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder), "iopaint==1.6.0"]
    subprocess.run(command, check=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        inside = [name for name in wheel.namelist() if name.startswith("iopaint/web_app/") and not name.endswith("/")]
        return {name.removeprefix("iopaint/web_app"): wheel.read(name) for name in inside}


@pytest.mark.network
def test_a_stroke_changes_what_is_under_it_only(browser, server, web_app, tmp_path):
    url, requests, wrong = server.url, [], []
    context = browser.new_context(viewport=WINDOW, accept_downloads=True)
    page = context.new_page()
    page.on("pageerror", lambda error: wrong.append(str(error)))

    def files(route):
        path = urlsplit(route.request.url).path
        name = "/index.html" if path == "/" else path
        if name not in web_app:
            route.continue_()
            return
        route.fulfill(body=web_app[name], content_type=mimetypes.guess_type(name)[0] or "text/plain")

    page.route(f"{url}/**", files)
    page.on("request", lambda request: requests.append((request.method, urlsplit(request.url).path)))
    page.goto(url)
    original = encoded(photo(size=SIZE))
    (tmp_path / "photo.png").write_bytes(original)
    page.locator("input[type=file]").first.set_input_files(tmp_path / "photo.png")
    canvas = page.locator("canvas").first
    canvas.wait_for()
    page.wait_for_timeout(1500)
    x, y = middle(canvas)
    with page.expect_response("**/api/v1/inpaint", timeout=120_000) as answered:
        page.mouse.move(x - 60, y)
        page.mouse.down()
        page.mouse.move(x + 60, y, steps=8)
        page.mouse.up()
    answer = answered.value
    assert answer.status == 200 and answer.headers["x-seed"] and answer.headers["content-type"] == "image/png"
    sent = answer.request.post_data_json
    page.locator("canvas").first.wait_for()
    with page.expect_download() as saved:
        page.mouse.click(*DOWNLOAD)
    page.screenshot(path=tmp_path / "filled.png")
    mask = decoded(sent["mask"]).convert("L")
    before = np.asarray(Image.open(io.BytesIO(original)).convert("RGB"))
    after = np.asarray(Image.open(saved.value.path()).convert("RGB"))
    painted = np.asarray(mask) > 127
    assert 500 < painted.sum() < before.shape[0] * before.shape[1] / 2
    np.testing.assert_array_equal(after[~painted], before[~painted])
    assert (after[painted] != before[painted]).any(axis=1).mean() > 0.5
    asked = {path for _, path in requests}
    assert {"/api/v1/server-config", "/api/v1/model", "/socket.io/"} <= asked
    context.close()
    assert not wrong, wrong


def decoded(text: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(text.rpartition(",")[2])))
