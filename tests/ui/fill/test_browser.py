"""One photo as people fill it: Chromium uploads, paints, presses, looks, downloads.

With MOEBIUS_SCREENSHOTS=DIR each journey leaves its pictures there.
"""

import base64
import io
import json
import re
import urllib.request
from pathlib import Path

import jpeglib
import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps
from playwright.sync_api import expect
from scipy import ndimage

from tests.helpers.browser import DESKTOP, PHONE, middle, paint, visit, wait_for_photo, wait_for_result, zoom
from tests.helpers.canvas import HEIGHT, load, painted, photo_file, ready, snapshot, toucher, wait_for_mask
from tests.helpers.walk import smallest_sample

STORED = (4000, 3000)  # shown upright it is 3000×4000
PREVIEW = 1536
STROKE = ((-40, 0), (40, 30))
"""From and to, in pixels of the page from the middle of the photo."""
HANDED = """([data, name, type]) => {
    const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0)), files = new DataTransfer();
    files.items.add(new File([bytes], name, {type}));
    return files;
}"""
PASTE = "(files) => document.body.dispatchEvent(new ClipboardEvent('paste', {clipboardData: files, bubbles: true}))"


def upright_photo(path: Path) -> Path:
    """12 megapixels, orientation 6, a profile, 4:2:0."""
    noise = np.random.default_rng(0).integers(0, 256, (STORED[1] // 20, STORED[0] // 20, 3), np.uint8)
    picture = Image.fromarray(noise).resize(STORED, Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[274], exif[271], exif[306] = 6, "A maker", "2024:05:06 07:08:09"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture.save(path, quality=90, subsampling=2, exif=exif, icc_profile=profile)
    return path


def heic() -> bytes:
    """A phone's own format, which this browser does not know."""
    noise = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    out, exif = io.BytesIO(), Image.Exif()
    exif[271] = "A maker"
    Image.fromarray(noise).resize((1600, 1200), Image.Resampling.BICUBIC).save(out, "HEIF", quality=90, exif=exif)
    return out.getvalue()


def download(page, path: Path) -> str:
    """Save the result; returns the name that it would have got."""
    with page.expect_download() as started:
        page.click("#download")
    started.value.save_as(path)
    return started.value.suggested_filename


def stroke(page, canvas) -> np.ndarray:
    x, y = middle(canvas)
    page.mouse.move(x - 30, y)
    page.mouse.down()
    page.mouse.move(x + 30, y + 10, steps=6)
    page.mouse.up()
    return wait_for_mask(page, ">", 0)


def colour(page, x: float, y: float) -> list[int]:
    """What is drawn at shares of the picture's width and height, RGB."""
    return page.evaluate(
        """([x, y]) => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => {
            const {view, width, height} = moebius.state, canvas = document.querySelector("#canvas");
            const ratio = window.devicePixelRatio;
            const at = [(view.x + x * width * view.scale) * ratio, (view.y + y * height * view.scale) * ratio];
            const [x0, y0] = at.map(Math.round), {data} = canvas.getContext("2d").getImageData(x0, y0, 1, 1);
            done([...data].slice(0, 3));
        })))""",
        [x, y],
    )


# ---- journeys ----


def test_a_large_photo_comes_back_changed_only_where_it_was_painted(browser, server, tmp_path):
    photo = upright_photo(tmp_path / "IMG_1234.jpg")
    with visit(browser, server, DESKTOP) as page:
        page.set_input_files("#photo-file", photo)
        canvas = wait_for_photo(page, PREVIEW * 3 // 4)
        paint(page, canvas, STROKE)
        scale = 4000 / PREVIEW / zoom(page)  # pixels of the photo for one of the page
        page.click("#go")
        wait_for_result(page)
        assert "PatchMatch" in page.locator("#facts").inner_text()
        assert download(page, tmp_path / "filled.jpg") == "IMG_1234_filled.jpg"

    before, after = Image.open(photo), Image.open(tmp_path / "filled.jpg")
    assert (after.format, after.size, after.mode) == ("JPEG", STORED, "RGB")
    assert after.info["icc_profile"] == before.info["icc_profile"]
    assert dict(after.getexif()) == dict(before.getexif()) and after.getexif()[274] == 6
    assert after.quantization == before.quantization

    # where the stroke is in the upright photo: known from the page, to the brush's size
    slack = 120 + 16 * 2  # brush, blend and rounding; two blocks of 16
    center = np.array([STORED[0] / 2, STORED[1] / 2])  # row and column, upright
    corners = center + np.array([[y, x] for x, y in STROKE]) * scale
    top, left = (corners.min(axis=0) - slack).astype(int)
    bottom, right = (corners.max(axis=0) + slack).astype(int)
    old, new = (np.asarray(ImageOps.exif_transpose(image)).astype(int) for image in (before, after))
    moved = np.abs(old - new).max(axis=2)
    along = [(corners[0] + (corners[1] - corners[0]) * share).astype(int) for share in np.linspace(0, 1, 9)]
    assert all((moved[y - 8 : y + 8, x - 8 : x + 8] > 0).mean() > 0.5 for y, x in along), "changed under the stroke"
    moved[top:bottom, left:right] = 0
    assert not moved.any(), "pixels are identical two blocks away"

    for size, component in ((8, "Y"), (16, "Cb"), (16, "Cr")):
        one, other = (getattr(jpeglib.read_dct(str(path)), component) for path in (photo, tmp_path / "filled.jpg"))
        touched = np.rot90((one != other).any(axis=(2, 3)), k=-1)  # upright
        rows, columns = (np.flatnonzero(touched.any(axis=axis)) * size for axis in (1, 0))
        assert touched.any() and rows.min() > top and rows.max() + size < bottom
        assert columns.min() > left and columns.max() + size < right


def test_a_photographer_paints_fills_looks_goes_on_and_goes_back(browser, server, tmp_path):
    photo = photo_file(tmp_path / "beach.png")
    with visit(browser, server, DESKTOP) as page:
        # tools
        canvas = load(page, photo)
        label = page.locator("#brush-size + output")
        expect(label).to_have_text(f"{HEIGHT // 20} px")
        mask = stroke(page, canvas)
        page.locator("body").press("+")
        grown = wait_for_mask(page, ">", mask.sum())
        page.locator("body").press("Control+z")
        np.testing.assert_array_equal(wait_for_mask(page, "==", mask.sum()), mask)
        page.locator("body").press("Control+Shift+Z")
        wait_for_mask(page, "==", grown.sum())
        page.locator("body").press("e")
        page.mouse.click(*middle(canvas))
        wait_for_mask(page, "<", grown.sum())
        page.locator("body").press("e")
        page.click("[data-do=undo]")
        wait_for_mask(page, "==", grown.sum())
        page.click("[data-do=more]")
        with page.expect_download() as started:
            page.click("#save-mask")
        assert started.value.suggested_filename == "beach_mask.png"
        started.value.save_as(tmp_path / "mask.png")
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "mask.png")) > 0, grown)
        seed = page.get_by_label("Seed").first
        page.click("#settings > button")
        seed.press_sequentially("xi+-[e 12")  # keys stay with what has the focus
        expect(seed).to_have_value("xi+-[e 12")
        np.testing.assert_array_equal(painted(page), grown)
        seed.fill("")
        page.locator("#grow input[type=number]").fill("0")  # a mask file, below, is not grown either
        page.keyboard.press("Tab")
        page.click("[data-do=more]")
        snapshot(page, "desktop-1-painted")

        # the result in place, the original while a key is held, the wipe, the close-up
        at = (0.5, 0.505)
        page.locator("h1").click()  # the focus leaves the button
        page.keyboard.press("Enter")
        wait_for_result(page)
        after = colour(page, *at)
        assert page.evaluate("() => moebius.state.wipe") is None, "the result is what one sees first"
        page.keyboard.down(" ")
        before = colour(page, *at)
        page.keyboard.up(" ")
        original = np.asarray(Image.open(photo))[round(at[1] * HEIGHT), 450]
        assert np.abs(np.array(before, int) - original).max() < 12 and colour(page, *at) == after != before
        snapshot(page, "desktop-2-result")
        page.click("[data-do=wipe]")
        assert colour(page, *at) == after, "it starts on after"
        x, y = middle(canvas)
        page.mouse.move(x - 100, y)
        page.mouse.down()
        page.mouse.move(x + 100, y, steps=4)
        page.mouse.up()
        assert colour(page, *at) == before
        canvas.press("ArrowRight")
        snapshot(page, "desktop-3-wipe")
        page.click("[data-do=wipe]")
        whole = zoom(page)
        page.click("[data-do=closer]")
        assert zoom(page) > 2 * whole
        page.click("[data-do=closer]")
        assert zoom(page) == pytest.approx(whole)
        page.mouse.move(x, y)
        page.mouse.wheel(0, -200)
        page.wait_for_function(f"() => moebius.state.view.scale > 1.5 * {whole}")
        page.keyboard.press("0")
        assert download(page, tmp_path / "one.png") == "beach_filled.png"

        # undo shows the photo with its mask again, redo the result; painting on it goes on with it
        page.locator("body").press("Control+z")
        np.testing.assert_array_equal(painted(page), grown)
        page.locator("body").press("Control+y")
        page.wait_for_function("() => moebius.state.shown")
        stroke(page, canvas)
        expect(page.get_by_text("Result 1 · here")).to_be_attached()
        page.click("#go")
        page.locator("#steps .thumbnail-item >> nth=2").wait_for()
        wait_for_result(page)
        page.locator("#steps .thumbnail-item").nth(0).click()
        expect(page.get_by_text("Original · here")).to_be_attached()
        ready(page)
        page.click("[data-do=more]")
        with page.expect_file_chooser() as chooser:
            page.click("#mask-file")
        chooser.value.set_files(tmp_path / "mask.png")
        np.testing.assert_array_equal(wait_for_mask(page, "==", grown.sum()), grown)
        page.click("#go")
        page.locator("#steps .thumbnail-item >> nth=3").wait_for()
        wait_for_result(page)
        download(page, tmp_path / "three.png")

        # another photo, dropped anywhere: nothing of the old one can be pressed any more
        handed = page.evaluate_handle(HANDED, [base64.b64encode(heic()).decode(), "IMG_2.HEIC", ""])
        page.locator("h1").dispatch_event("drop", {"dataTransfer": handed})
        wait_for_photo(page, PREVIEW)
        for gone in ("#download", "[data-do=wipe]", "#facts", "#steps"):
            expect(page.locator(gone)).to_be_hidden()

    first, third = (np.asarray(Image.open(tmp_path / name)) for name in ("one.png", "three.png"))
    np.testing.assert_array_equal(first, third, "the same mask on the same photo")
    near = ndimage.binary_dilation(grown, iterations=40)
    differs = (first != np.asarray(Image.open(photo))).any(axis=2)
    assert differs[grown].mean() > 0.8 and not differs[~near].any()


def test_a_heic_is_pasted_filled_and_comes_back_as_one(browser, server, tmp_path):
    data = heic()
    (tmp_path / "bad.png").write_text("This is a letter and not a picture at all. " * 9)
    with visit(browser, server, DESKTOP, scheme="dark") as page:
        page.set_input_files("#photo-file", tmp_path / "bad.png")
        page.locator(".toast-body").wait_for()
        message = page.locator(".toast-body").inner_text()
        assert "bad.png is" in message and "it must be a photo" in message and "Traceback" not in message
        page.locator(f"[data-sample='{smallest_sample()}']").click()
        page.wait_for_function("() => moebius.state.mask?.some(Boolean)")
        page.evaluate(PASTE, page.evaluate_handle(HANDED, [base64.b64encode(data).decode(), "IMG_1234.HEIC", ""]))
        paint(page, wait_for_photo(page, PREVIEW), STROKE)
        page.click("#go")
        wait_for_result(page)
        shown = page.evaluate("() => Object.values(moebius.state.result).map((one) => one.naturalWidth ?? 9999)")
        assert min(shown) > 1000, "both pictures are such that the browser shows them"
        assert "compressed again" in page.locator("#facts").inner_text()
        assert download(page, tmp_path / "filled.heic") == "IMG_1234_filled.HEIC"
    before, after = Image.open(io.BytesIO(data)), Image.open(tmp_path / "filled.heic")
    assert (after.format, after.size, after.getexif()[271]) == ("HEIF", (1600, 1200), "A maker")
    moved = np.abs(np.asarray(before).astype(int) - np.asarray(after)).max(axis=2)
    assert moved[540:700, 740:860].max() > 8
    assert np.percentile(np.concatenate([moved[:300].ravel(), moved[-300:].ravel()]), 99) <= 4


def test_somebody_tries_it_for_a_minute_on_a_phone(browser, server, tmp_path):
    def fits() -> bool:
        return page.evaluate("() => document.documentElement.scrollWidth <= 390")

    with visit(browser, server, PHONE) as page:
        assert fits()
        snapshot(page, "phone-1-opened")
        canvas = load(page, photo_file(tmp_path / "beach.png"))
        x, y = middle(canvas)
        touch = toucher(page)
        before = zoom(page)
        touch("touchStart", (x - 20, y))
        touch("touchMove", (x - 25, y))  # the first finger has begun to paint
        touch("touchStart", (x - 25, y), (x + 25, y))
        for apart in (35, 45, 55):
            touch("touchMove", (x - apart, y), (x + apart, y))
        touch("touchEnd")
        page.wait_for_function(f"() => moebius.state.view.scale > 1.9 * {before}")
        assert not painted(page).any()
        expect(page.locator("[data-do=undo]")).to_be_disabled()

        touch("touchStart", (x - 30, y))
        for at in (-15, 0, 15, 30):
            touch("touchMove", (x + at, y))
        touch("touchEnd")
        wait_for_mask(page, ">", 0)
        box = canvas.bounding_box()
        tools = page.locator("#tools button, #go, #compare-go").all()
        assert len(tools) + page.get_by_role("tab").count() + 1 <= 10, "controls on the first screen, with the brush"
        for button in tools:
            place = button.bounding_box()
            assert place["x"] >= 0 and place["x"] + place["width"] <= 390 and place["height"] >= 40
            assert place["y"] >= box["y"] + box["height"], "never on the photo"
            assert place["y"] + place["height"] <= 844, "on the first screen"
        assert fits()
        snapshot(page, "phone-2-painted")
        page.locator("#go").tap()
        wait_for_result(page)
        hold = page.locator("[data-do=hold]")
        touch("touchStart", middle(hold))
        page.wait_for_function("() => moebius.state.held")
        touch("touchEnd")
        page.wait_for_function("() => !moebius.state.held")
        assert fits()
        snapshot(page, "phone-3-result")
        page.click("[data-do=more]")
        assert fits()
        expect(page.locator("#keys")).to_be_hidden()  # there are none to press
        snapshot(page, "phone-4-more")


def test_a_fill_is_stopped_and_the_next_one_runs(browser, server_with_models):
    with visit(browser, server_with_models, {"viewport": {"width": 1920, "height": 1080}}) as page:
        page.locator(f"[data-sample='{smallest_sample()}']").click()
        page.wait_for_function("() => moebius.state.mask?.some(Boolean)")
        page.click("[data-do=more]")
        page.click("#settings > button")
        steps = page.get_by_label("number input for Steps").first
        expect(steps).to_have_value("20")
        steps.fill("100")
        steps.press("Tab")
        page.locator("h1").click()
        page.keyboard.press("Enter")
        page.get_by_text(re.compile(r"Step \d+ of 100")).first.wait_for()
        page.mouse.click(*middle(page.locator("#canvas")))  # it is not painted on meanwhile
        before, mask = len(server_with_models.lines), painted(page)
        page.keyboard.press("Escape")
        page.locator("#go").wait_for()
        assert server_with_models.wait_for("a fill was stopped", since=before), "the computation went on"
        assert not page.evaluate("() => moebius.state.shown")
        np.testing.assert_array_equal(painted(page), mask)
        steps.fill("2")
        steps.press("Tab")
        page.click("#go")
        wait_for_result(page)
        facts = page.locator("#facts").inner_text()
        assert "Moebius (places2)" in facts and "seed" in facts
        stage = page.locator("#stage").bounding_box()
        assert stage["width"] >= 1100 and stage["height"] >= 733, "room for a photo 1,100 pixels wide"


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
