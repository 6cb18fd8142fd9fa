"""Many photos as people fill them: dropped, painted once or each, watched, stopped, taken home as a ZIP."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from tests.helpers.browser import (
    DESKTOP,
    PHONE,
    middle,
    paint,
    visit,
    wait_for_photo,
    zoom,
)
from tests.helpers.canvas import toucher
from tests.helpers.deterministic import picture

SIZE = (900, 600)
STROKE = ((-40, 0), (40, 20))
"""From and to, in pixels of the page from the middle of the photo."""
SLACK = 110
"""Brush, blend and blocks around it, in pixels of the photo."""
SEEN = """() => {
    const {top, bottom} = document.querySelector("#stage").getBoundingClientRect();
    return top >= -1 && bottom <= innerHeight + 1;
}"""
"""Whether all of the canvas is in the window."""


def pixels(seed: int, size: tuple[int, int] = SIZE) -> Image.Image:
    return Image.fromarray(picture(seed, max(size))).crop((0, 0, *size))


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> list[Path]:
    """A JPEG with metadata, a PNG with text, a WebP of another size, and a JPEG that is cut off."""
    folder = tmp_path_factory.mktemp("photos")
    exif = Image.Exif()
    exif[271], exif[306] = "A maker", "2024:05:06 07:08:09"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    pixels(1).save(folder / "a.jpg", quality=90, exif=exif, icc_profile=profile)
    told = PngInfo()
    told.add_text("Author", "Somebody")
    pixels(2).save(folder / "b.png", pnginfo=told)
    pixels(3, (400, 300)).save(folder / "c.webp")
    (folder / "d.jpg").write_bytes((folder / "a.jpg").read_bytes()[:3000])
    return sorted(folder.iterdir())


def open_tab(page) -> None:
    page.get_by_role("tab", name="Many photos").click()
    page.locator("#many-files input[type=file]").wait_for(state="attached")


def drop(page, files: list[Path], listed: int) -> None:
    page.set_input_files("#many-files input[type=file]", files)
    page.wait_for_function(f"() => document.querySelectorAll('#many-photos .thumbnail-item').length === {listed}")


def paint_with_a_finger(page, canvas) -> None:
    """The same stroke, by touch alone."""
    (x0, y0), (x1, y1) = STROKE
    x, y = middle(canvas)
    touch = toucher(page)
    touch("touchStart", (x + x0, y + y0))
    for part in range(1, 9):
        touch("touchMove", (x + x0 + (x1 - x0) * part / 8, y + y0 + (y1 - y0) * part / 8))
    touch("touchEnd")
    page.locator("[data-do=undo]:not([disabled])").wait_for()


def captions(page) -> list[str]:
    return page.locator("#many-photos .caption-label").all_inner_texts()


def archive(page) -> zipfile.ZipFile:
    with page.expect_download() as download:
        page.locator("#many-zip").click()
    assert download.value.suggested_filename == "photos_filled.zip"
    return zipfile.ZipFile(io.BytesIO(Path(download.value.path()).read_bytes()))


def opened(file: zipfile.ZipFile, name: str) -> Image.Image:
    image = Image.open(io.BytesIO(file.read(name)))
    image.load()
    return image


def changed(before: Image.Image, after: Image.Image) -> tuple[int, int, int, int] | None:
    """Left, top, right, bottom of what differs."""
    differs = (np.asarray(before.convert("RGB")) != np.asarray(after.convert("RGB"))).any(axis=2)
    return Image.fromarray(differs).getbbox()


def check_filled_at_the_stroke(before: Image.Image, after: Image.Image, zoom: float) -> None:
    left, top, right, bottom = changed(before, after)
    (x0, y0), (x1, y1) = STROKE
    x, y = before.width / 2, before.height / 2
    assert x + x0 / zoom - SLACK < left < x < right < x + x1 / zoom + SLACK
    assert y + y0 / zoom - SLACK < top < y < bottom < y + y1 / zoom + SLACK


def test_painted_once_and_filled_all(browser, server, photos, tmp_path):
    from playwright.sync_api import expect

    with visit(browser, server, DESKTOP) as page:
        open_tab(page)
        drop(page, photos, 4)
        canvas = wait_for_photo(page, SIZE[0])
        assert "d.jpg" in page.locator("#many-heading .failed").inner_text()
        paint(page, canvas, STROKE)
        scale = zoom(page)
        page.click("#many-go")
        expect(page.locator("#many-heading")).to_contain_text("2 of 3 photos filled. 1 skipped: no mask")
        page.locator("#many-go").wait_for()
        said = page.locator("#many-heading").inner_text()
        assert "the mask is for 900×600 pixels, this photo has 400×300" in said and "d.jpg" in said
        states = [caption.split("\n") for caption in captions(page)]
        assert states == [
            ["a.jpg", "✓ filled"],
            ["b.png", "✓ filled"],
            ["c.webp", "skipped: another size"],
            ["d.jpg", "✗ failed"],
        ]
        results = archive(page)

    assert sorted(results.namelist()) == ["a_filled.jpg", "b_filled.png", "not filled.txt"]
    assert {entry.compress_type for entry in results.infolist()} == {zipfile.ZIP_STORED}
    missing = results.read("not filled.txt").decode().splitlines()
    assert [line.split(": ")[0] for line in missing] == ["c.webp", "d.jpg"] and "400×300" in missing[0]
    for name in ("a.jpg", "b.png"):
        before, after = Image.open(photos[0].parent / name), opened(results, name.replace(".", "_filled."))
        assert (after.format, after.size, after.mode) == (before.format, before.size, before.mode)
        check_filled_at_the_stroke(before, after, scale)
        if name == "a.jpg":
            assert dict(after.getexif()) == dict(before.getexif())
            assert after.info["icc_profile"] == before.info["icc_profile"]
        else:
            assert after.text["Author"] == "Somebody"


def test_each_photo_its_own_mask_on_a_phone(browser, server, photos):
    from playwright.sync_api import expect

    def fits() -> bool:
        return page.evaluate("() => document.documentElement.scrollWidth <= 390")

    with visit(browser, server, PHONE, scheme="dark") as page:
        open_tab(page)
        assert fits() and page.get_by_role("tab", name="Results").is_visible()
        drop(page, photos[:3], 3)
        wait_for_photo(page, SIZE[0])
        page.locator("#mask-for label", has_text="Each photo its own").click()
        paint_with_a_finger(page, wait_for_photo(page, SIZE[0]))  # the choice lies below the canvas
        scale = zoom(page)
        page.locator("#many-photos .thumbnail-item").nth(2).scroll_into_view_if_needed()
        page.locator("#many-photos .thumbnail-item").nth(2).click()  # c.webp, while a.jpg's mask is kept
        page.wait_for_function("() => moebius.state.width === 400")
        page.wait_for_function(SEEN)
        expect(page.locator("#many-photos .caption-label").nth(0)).to_contain_text("✓ painted")
        paint_with_a_finger(page, wait_for_photo(page, 400))
        page.locator("#many-go").scroll_into_view_if_needed()
        page.locator("#many-go").click()  # Chromium may take a tap right after a stroke for a part of it
        expect(page.locator("#many-heading")).to_contain_text("2 of 2 photos filled. 1 skipped: no mask")
        page.locator("#many-go").wait_for()
        assert fits()
        for button in ("#many-go", "#many-zip"):
            box = page.locator(button).bounding_box()
            assert box["x"] >= 0 and box["x"] + box["width"] <= 390 and box["height"] >= 36
        assert [caption.split("\n")[1] for caption in captions(page)] == ["✓ filled", "skipped: no mask", "✓ filled"]
        results = archive(page)
        assert sorted(results.namelist()) == ["a_filled.jpg", "c_filled.webp", "not filled.txt"]
        check_filled_at_the_stroke(Image.open(photos[0]), opened(results, "a_filled.jpg"), scale)  # WebP is all new

        page.locator("#many-clear").tap()
        expect(page.locator("#many-photos .thumbnail-item")).to_have_count(0)
        expect(page.locator("#many-heading")).to_contain_text("Drop your photos")


def test_photos_are_taken_off_and_the_keys_work_as_for_one_photo(browser, server, photos):
    from playwright.sync_api import expect

    with visit(browser, server, DESKTOP) as page:
        open_tab(page)
        drop(page, photos, 4)
        canvas = wait_for_photo(page, SIZE[0])
        heading, listed = page.locator("#many-heading"), page.locator("#many-photos .thumbnail-item")
        size = page.locator("#brush-size + output")
        page.locator("body").press("]")
        before = int(size.inner_text().split()[0])
        page.locator("body").press("]")
        assert before < int(size.inner_text().split()[0]) < SIZE[1]
        paint(page, canvas, STROKE)
        page.locator("body").press("Control+z")
        page.locator("[data-do=undo][disabled]").wait_for()
        page.locator("body").press("Control+y")
        page.locator("[data-do=undo]:not([disabled])").wait_for()

        page.click("#many-remove")  # a.jpg; what was painted on it is for all
        expect(listed).to_have_count(3)
        expect(heading).to_contain_text("3 photos, 1 with a mask")  # c.webp has another size, d.jpg is broken
        assert [caption.split("\n")[0] for caption in captions(page)] == ["b.png", "c.webp", "d.jpg"]
        listed.nth(1).click()
        wait_for_photo(page, 400)
        listed.nth(1).press("Delete")
        expect(listed).to_have_count(2)
        wait_for_photo(page, 900)
        page.locator("#many-go").press("Delete")  # somewhere else it means nothing
        page.click("#many-remove")
        expect(listed).to_have_count(1)
        page.locator("#paint").wait_for(state="hidden")
        listed.first.click()  # what could not be taken is opened with a word, and can be struck off
        page.get_by_text("d.jpg").first.wait_for()
        page.click("#many-remove")
        expect(listed).to_have_count(0)
        expect(heading).to_contain_text("Drop your photos")


def test_stopped_in_the_middle_and_gone_on_with(browser, server_with_models, tmp_path):
    from playwright.sync_api import expect

    for index in range(4):
        pixels(index, (96, 64)).save(tmp_path / f"{index}.png")
    mask = Image.new("L", (96, 64))
    mask.paste(255, (30, 20, 50, 40))
    for index in range(4):
        mask.save(tmp_path / f"{index}_mask.png")
    with visit(browser, server_with_models, DESKTOP) as page:
        open_tab(page)
        drop(page, sorted(tmp_path.iterdir()), 4)  # the masks are no photos
        expect(page.locator("#many-heading")).to_contain_text("4 photos, all with a mask")
        page.click("[data-do=more]")
        page.click("#settings > button")
        steps = page.get_by_label("number input for Steps")
        steps.fill("8")
        steps.press("Tab")
        page.click("#many-go")
        expect(page.locator("#many-photos .caption-label").nth(0)).to_contain_text("✓ filled")
        before = len(server_with_models.lines)
        page.click("#many-stop")
        expect(page.locator("#many-heading")).to_contain_text("Stopped")
        assert server_with_models.wait_for("a batch was stopped", since=before), "the computation went on"
        first = archive(page)
        done = [name for name in first.namelist() if name.endswith(".png")]
        assert 1 <= len(done) < 4 and "stopped before its turn" in first.read("not filled.txt").decode()

        page.click("#many-go")
        expect(page.locator("#many-heading")).to_contain_text(f"{len(done)} were finished before")
        page.locator("#many-zip").wait_for()
        second = archive(page)
    assert sorted(second.namelist()) == [f"{index}_filled.png" for index in range(4)]
    assert all(first.read(name) == second.read(name) for name in done), "what was finished was left alone"
    for index in range(4):
        before, after = pixels(index, (96, 64)), opened(second, f"{index}_filled.png")
        left, top, right, bottom = changed(before, after)
        assert left >= 26 and top >= 16 and right <= 54 and bottom <= 44
