"""A phone's own format in a browser that does not know it: chosen, dropped, pasted, filled, downloaded."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from tests.helpers.browser import DESKTOP, paint, visit, wait_for_photo

SIZE = (1600, 1200)
PREVIEW = 1536
FILES = """([data, name, type]) => {
    const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0)), files = new DataTransfer();
    files.items.add(new File([bytes], name, {type}));
    return files;
}"""
PASTE = "(files) => document.body.dispatchEvent(new ClipboardEvent('paste', {clipboardData: files, bubbles: true}))"


@pytest.fixture(scope="module")
def photo() -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    out, exif = io.BytesIO(), Image.Exif()
    exif[271] = "A maker"
    Image.fromarray(noise).resize(SIZE, Image.Resampling.BICUBIC).save(out, "HEIF", quality=90, exif=exif)
    return out.getvalue()


def test_a_chosen_heic_comes_back_as_one(browser, server, photo, tmp_path):
    (tmp_path / "IMG_1234.HEIC").write_bytes(photo)
    with visit(browser, server, DESKTOP) as page:
        with page.expect_file_chooser() as chooser:
            page.locator("#photo button").first.click()
        assert ".heic" in chooser.value.element.get_attribute("accept")
        chooser.value.set_files(tmp_path / "IMG_1234.HEIC")
        paint(page, wait_for_photo(page, PREVIEW), ((-40, 0), (40, 30)))
        page.click("#go")
        page.locator("#slider img").first.wait_for()
        page.locator("#go").wait_for()
        shown = page.locator("#slider img").evaluate_all("(all) => all.map((one) => one.naturalWidth)")
        assert all(width > 1000 for width in shown), "both pictures are such that the browser shows them"
        assert "compressed again" in page.locator("#facts").inner_text()
        with page.expect_download() as download:
            page.click("#download")
        assert download.value.suggested_filename == "IMG_1234_filled.HEIC"
        download.value.save_as(tmp_path / "filled.heic")
    before, after = Image.open(io.BytesIO(photo)), Image.open(tmp_path / "filled.heic")
    assert (after.format, after.size, after.getexif()[271]) == ("HEIF", SIZE, "A maker")
    moved = np.abs(np.asarray(before).astype(int) - np.asarray(after)).max(axis=2)
    x, y = SIZE[0] // 2, SIZE[1] // 2
    assert moved[y - 60 : y + 100, x - 60 : x + 60].max() > 8
    assert np.percentile(np.concatenate([moved[:300].ravel(), moved[-300:].ravel()]), 99) <= 4


def handed(page, data: bytes, name: str, kind: str):
    """A file as the browser hands it over; HEIC has no `kind` there."""
    return page.evaluate_handle(FILES, [base64.b64encode(data).decode(), name, kind])


def test_a_heic_is_dropped(browser, server, photo):
    with visit(browser, server, DESKTOP) as page:
        files = handed(page, photo, "IMG_1234.HEIC", "")
        page.locator("#photo button").first.dispatch_event("drop", {"dataTransfer": files})
        wait_for_photo(page, PREVIEW)
        assert page.locator(".toast-body").count() == 0


@pytest.mark.parametrize("name", ["IMG_1234.HEIC", "picture.png"])
def test_a_picture_is_pasted_anywhere_on_the_page(browser, server, photo, name):
    data, kind = photo, ""
    if name == "picture.png":
        out, kind = io.BytesIO(), "image/png"
        Image.open(io.BytesIO(photo)).save(out, "PNG")
        data = out.getvalue()
    with visit(browser, server, DESKTOP) as page:
        page.evaluate(PASTE, handed(page, data, name, kind))
        wait_for_photo(page, PREVIEW)
        assert page.locator(".toast-body").count() == 0
