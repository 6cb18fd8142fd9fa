"""The page as people use it: Chromium uploads, paints, presses, downloads."""

import io
import json
import re
import urllib.request
from pathlib import Path

import jpeglib
import numpy as np
import pytest
from PIL import Image, ImageCms, ImageFilter, ImageOps

from moebius.ui import samples
from tests.helpers.browser import (
    DESKTOP,
    PHONE,
    middle,
    paint,
    visit,
    wait_for_photo,
)

WIDTH, HEIGHT = 4000, 3000  # as stored; shown upright it is 3000×4000
PREVIEW = 1536
STROKE = ((-40, 0), (40, 30))
"""From and to, in pixels of the page from the middle of the photo."""


@pytest.fixture(scope="module")
def photo(tmp_path_factory) -> Path:
    """12 megapixels, orientation 6, a profile, 4:2:0."""
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT // 20, WIDTH // 20, 3), np.uint8)
    picture = Image.fromarray(noise).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[274], exif[271], exif[306] = 6, "A maker", "2024:05:06 07:08:09"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path = tmp_path_factory.mktemp("photo") / "IMG_1234.jpg"
    picture.save(path, quality=90, subsampling=2, exif=exif, icc_profile=profile)
    return path


def load(page, path: Path):
    """Upload a photo; returns the canvas once the photo is in it."""
    page.set_input_files("#photo input[type=file]", path)
    return wait_for_photo(page, PREVIEW * HEIGHT // WIDTH)


def zoom(page) -> float:
    """Pixels of the page for one of the preview."""
    text = page.locator("#brush").get_by_text(re.compile(r"^\d+%$")).inner_text()
    return int(text.rstrip("%")) / 100


def wait_for_result(page) -> None:
    page.locator("#slider img").first.wait_for()
    page.locator("#go").wait_for()


def coefficients(path: Path) -> list[np.ndarray]:
    """Per component (rows, columns, 8, 8)."""
    dct = jpeglib.read_dct(str(path))
    return [dct.Y, dct.Cb, dct.Cr]


def test_a_photo_comes_back_changed_only_where_it_was_painted(browser, server, photo, tmp_path):
    with visit(browser, server, DESKTOP) as page:
        canvas = load(page, photo)
        paint(page, canvas, STROKE)
        scale = WIDTH / PREVIEW / zoom(page)  # pixels of the photo for one of the page
        page.click("#go")
        wait_for_result(page)
        assert "PatchMatch" in page.locator("#facts").inner_text()
        with page.expect_download() as download:
            page.click("#download")
        assert download.value.suggested_filename == "IMG_1234_filled.jpg"
        download.value.save_as(tmp_path / "filled.jpg")

    before, after = Image.open(photo), Image.open(tmp_path / "filled.jpg")
    assert (after.format, after.size, after.mode) == ("JPEG", (WIDTH, HEIGHT), "RGB")
    assert after.info["icc_profile"] == before.info["icc_profile"]
    assert dict(after.getexif()) == dict(before.getexif()) and after.getexif()[274] == 6
    assert after.quantization == before.quantization

    # where the stroke is in the upright photo: known from the page, to half a per cent of zoom and the brush's size
    slack = 120 + 16 * 2  # brush, blend and rounding; two blocks of 16
    middle = np.array([WIDTH / 2, HEIGHT / 2])  # row and column, upright
    corners = middle + np.array([[y, x] for x, y in STROKE]) * scale
    top, left = (corners.min(axis=0) - slack).astype(int)
    bottom, right = (corners.max(axis=0) + slack).astype(int)
    old, new = (np.asarray(ImageOps.exif_transpose(image)).astype(int) for image in (before, after))
    moved = np.abs(old - new).max(axis=2)
    along = [(corners[0] + (corners[1] - corners[0]) * share).astype(int) for share in np.linspace(0, 1, 9)]
    assert all((moved[y - 8 : y + 8, x - 8 : x + 8] > 0).mean() > 0.5 for y, x in along), "changed under the stroke"
    moved[top:bottom, left:right] = 0
    assert not moved.any(), "pixels are identical two blocks away"

    for size, one, other in zip((8, 16, 16), coefficients(photo), coefficients(tmp_path / "filled.jpg"), strict=True):
        touched = np.rot90((one != other).any(axis=(2, 3)), k=-1)  # upright
        rows, columns = (np.flatnonzero(touched.any(axis=axis)) * size for axis in (1, 0))
        assert touched.any() and rows.min() > top and rows.max() + size < bottom
        assert columns.min() > left and columns.max() + size < right


def test_the_page_works_on_a_phone(browser, server, photo):
    def fits() -> bool:
        return page.evaluate("() => document.documentElement.scrollWidth <= 390")

    with visit(browser, server, PHONE) as page:
        assert fits()
        canvas = load(page, photo)
        x, y = middle(canvas)
        touch = page.context.new_cdp_session(page)
        for kind, at in (
            ("touchStart", -40),
            *(("touchMove", step) for step in range(-40, 41, 10)),
            ("touchEnd", None),
        ):
            points = [] if at is None else [{"x": x + at, "y": y}]
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        page.locator("#brush button[aria-label=Undo]:not([disabled])").wait_for()
        assert fits()
        page.locator("#go").click()  # Chromium may take a tap right after a stroke for a part of it
        wait_for_result(page)
        assert fits()
        for button in ("#go", "#download", "#again"):
            box = page.locator(button).bounding_box()
            assert box["x"] >= 0 and box["x"] + box["width"] <= 390 and box["height"] >= 36


def test_a_sample_is_filled_where_its_mask_is_and_the_result_becomes_the_photo(browser, server, tmp_path):
    sample = next(one for one in samples.load() if max(Image.open(one.image).size) < 800)  # smaller than most canvases
    with visit(browser, server, DESKTOP, scheme="dark") as page:
        page.locator("#samples .thumbnail-item").nth(samples.load().index(sample)).click()
        page.locator("#paint").wait_for()
        page.wait_for_function("() => window.editor?.width > 100")
        page.click("#go")
        wait_for_result(page)
        with page.expect_download() as download:
            page.click("#download")
        download.value.save_as(tmp_path / "filled.jpg")
        page.click("#again")
        page.wait_for_function("() => moebius.mask().length && !moebius.mask().some(Boolean)")
        page.click("#go")
        page.get_by_text("nothing is painted yet").wait_for()
        page.locator("#go").wait_for()

    mask = np.asarray(Image.open(sample.mask).convert("RGBA"))[..., 3] > 0
    near = (
        np.asarray(Image.fromarray(mask).convert("L").filter(ImageFilter.MaxFilter(41))) > 0
    )  # blend and 16×16 blocks
    differs = (np.asarray(Image.open(sample.image)) != np.asarray(Image.open(tmp_path / "filled.jpg"))).any(axis=2)
    assert differs[mask].mean() > 0.8 and not differs[~near].any()


def test_a_bad_file_gets_one_plain_message_and_the_next_one_is_taken(browser, server, photo, tmp_path):
    (tmp_path / "bad.png").write_text("This is a letter and not a picture at all. " * 9)
    with visit(browser, server, DESKTOP) as page:
        page.set_input_files("#photo input[type=file]", tmp_path / "bad.png")
        page.locator(".toast-body").wait_for()
        message = page.locator(".toast-body").inner_text()
        assert "bad.png is" in message and "it must be a photo" in message and "Traceback" not in message
        page.locator("#photo input[type=file]").wait_for(state="attached")
        load(page, photo)


def test_a_fill_is_stopped_and_the_next_one_runs(browser, server_with_models):
    from playwright.sync_api import expect

    with visit(browser, server_with_models, DESKTOP) as page:
        page.click("#settings > button")  # first: what it holds gets its values only when it is opened
        steps = page.get_by_label("number input for Steps")
        expect(steps).to_have_value("20")
        page.locator("#samples .thumbnail-item").nth(0).click()
        page.locator("#paint").wait_for()
        page.wait_for_function("() => window.editor?.width > 100")
        steps.fill("100")
        steps.press("Tab")
        page.click("#go")
        page.get_by_text(re.compile(r"Step \d+ of 100")).first.wait_for()
        before = len(server_with_models.lines)
        page.click("#stop")
        page.locator("#go").wait_for()
        assert server_with_models.wait_for("a fill was stopped", since=before), "the computation went on"
        assert not page.locator("#slider img").count()
        steps.fill("2")
        steps.press("Tab")
        page.click("#go")
        wait_for_result(page)
        facts = page.locator("#facts").inner_text()
        assert "Moebius (places2)" in facts and "seed" in facts


def test_a_path_that_was_not_uploaded_is_refused(server):
    record = {"path": "/etc/hostname", "meta": {"_type": "gradio.FileData"}}
    body = json.dumps({"data": [record]}).encode()
    request = urllib.request.Request(
        f"{server.url}/gradio_api/call/load_photo", body, {"Content-Type": "application/json"}
    )
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20) as answer:
        event = json.load(answer)["event_id"]
    url = f"{server.url}/gradio_api/call/load_photo/{event}"
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=20) as answer:
        assert "event: error" in io.TextIOWrapper(answer).read()
