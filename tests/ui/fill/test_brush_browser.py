"""Brush, mask, keys, fingers and earlier results, in Chromium, at desktop and phone width.

With MOEBIUS_SCREENSHOTS=DIR each journey leaves its pictures there.
"""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect
from scipy import ndimage

from tests.helpers.browser import DESKTOP, PHONE, middle, two_frames, visit
from tests.helpers.editor import (
    HEIGHT,
    load,
    painted,
    photo_file,
    ready,
    snapshot,
    toucher,
    wait_for_mask,
)


@pytest.fixture(scope="module")
def photo(tmp_path_factory) -> Path:
    return photo_file(tmp_path_factory.mktemp("photo") / "beach.png")


def stroke(page, canvas) -> np.ndarray:
    x, y = middle(canvas)
    page.mouse.move(x - 30, y)
    page.mouse.down()
    page.mouse.move(x + 30, y + 10, steps=6)
    page.mouse.up()
    return wait_for_mask(page, ">", 0)


def wait_for_result(page, number: int) -> None:
    page.locator(f"#steps .thumbnail-item >> nth={number}").wait_for()
    page.locator("#go").wait_for()


# ---- journeys ----


def test_a_photographer_removes_one_thing_goes_on_goes_back_and_downloads(browser, server, photo, tmp_path):
    with visit(browser, server, DESKTOP) as page:
        canvas = load(page, photo)
        mask = stroke(page, canvas)
        page.locator("#mask-tools [data-do=grow]").click()
        grown = wait_for_mask(page, ">", mask.sum())
        with page.expect_download() as download:
            page.click("#save-mask")
        assert download.value.suggested_filename == "beach_mask.png"
        download.value.save_as(tmp_path / "mask.png")
        with Image.open(tmp_path / "mask.png") as saved:
            assert saved.mode == "L" and set(np.unique(saved)) == {0, 255}
            np.testing.assert_array_equal(np.asarray(saved) > 0, grown)
        snapshot(page, "desktop-1-painted")

        page.locator("h1").click()  # the focus leaves the button
        page.keyboard.press("Enter")
        wait_for_result(page, 1)
        after = page.locator("#slider img.fixed")
        expect(after).to_be_visible()
        page.keyboard.down(" ")
        expect(after).to_be_hidden()
        snapshot(page, "desktop-2-original-held")
        page.keyboard.up(" ")
        expect(after).to_be_visible()
        with page.expect_download() as download:
            page.click("#download")
        download.value.save_as(tmp_path / "one.png")

        page.click("#again")
        expect(page.get_by_text("Result 1 · here")).to_be_attached()
        ready(page)
        stroke(page, canvas)
        page.click("#go")
        wait_for_result(page, 2)
        snapshot(page, "desktop-3-two-results")
        page.locator("#steps .thumbnail-item").nth(0).click()
        expect(page.get_by_text("Original · here")).to_be_attached()
        ready(page)
        with page.expect_file_chooser() as chooser:
            page.click("#mask-file")
        chooser.value.set_files(tmp_path / "mask.png")
        np.testing.assert_array_equal(wait_for_mask(page, "==", grown.sum()), grown)
        page.click("#go")
        wait_for_result(page, 3)
        with page.expect_download() as download:
            page.click("#download")
        download.value.save_as(tmp_path / "three.png")
        snapshot(page, "desktop-4-back-at-the-original")

    first, third = (np.asarray(Image.open(tmp_path / name)) for name in ("one.png", "three.png"))
    np.testing.assert_array_equal(first, third, "the same mask on the same photo")
    near = ndimage.binary_dilation(grown, iterations=40)
    differs = (first != np.asarray(Image.open(photo))).any(axis=2)
    assert differs[grown].mean() > 0.8 and not differs[~near].any()


def test_somebody_tries_it_for_a_minute_on_a_phone(browser, server, photo):
    def fits() -> bool:
        return page.evaluate("() => document.documentElement.scrollWidth <= 390")

    with visit(browser, server, PHONE) as page:
        canvas = load(page, photo)
        x, y = middle(canvas)
        touch = toucher(page)
        before = page.evaluate("() => window.editor.image_container.scale.x")
        touch("touchStart", (x - 20, y))
        touch("touchMove", (x - 25, y))  # the first finger has begun to paint
        touch("touchStart", (x - 25, y), (x + 25, y))
        for apart in (35, 45, 55):
            touch("touchMove", (x - apart, y), (x + apart, y))
        touch("touchEnd")
        page.wait_for_function(f"() => window.editor.image_container.scale.x > 2 * {before}")
        assert not painted(page).any()
        expect(page.locator("#brush button[aria-label=Undo]")).to_be_disabled()
        snapshot(page, "phone-1-zoomed")

        touch("touchStart", (x - 30, y))
        for at in (-15, 0, 15, 30):
            touch("touchMove", (x + at, y))
        touch("touchEnd")
        mask = wait_for_mask(page, ">", 0)
        page.locator("#mask-tools [data-do=grow]").tap()
        grown = wait_for_mask(page, ">", mask.sum())
        page.locator("#brush button[aria-label=Undo]").tap()
        np.testing.assert_array_equal(wait_for_mask(page, "<", grown.sum()), mask)
        for button in page.locator("#mask-tools button, #save-mask, #mask-file, #go").all():
            box = button.bounding_box()
            assert box["x"] >= 0 and box["x"] + box["width"] <= 390
        assert fits()
        expect(page.locator("#keys")).to_be_hidden()  # there are none to press
        snapshot(page, "phone-2-painted")
        page.locator("#go").tap()
        wait_for_result(page, 1)
        hold = page.locator("#original")
        hold.scroll_into_view_if_needed()
        touch("touchStart", middle(hold))
        expect(page.locator("#slider img.fixed")).to_be_hidden()
        touch("touchEnd")
        expect(page.locator("#slider img.fixed")).to_be_visible()
        assert fits()
        snapshot(page, "phone-3-result")


# ---- brush and mask ----


def test_the_brush_goes_from_one_pixel_to_a_third_of_the_picture(browser, server, photo):
    def dab() -> np.ndarray:
        page.mouse.move(*middle(canvas))
        page.mouse.down()
        page.mouse.up()
        mask = wait_for_mask(page, ">", 0)
        page.keyboard.press("Control+z")
        wait_for_mask(page, "==", 0)
        return mask

    with visit(browser, server, DESKTOP) as page:
        canvas = load(page, photo)
        slider = page.locator("#brush-size")
        expect(page.locator("#brush-size + output")).to_have_text(
            re.compile(r"^\d+ px$")
        )  # said before anything is done
        slider.fill("0")
        expect(page.locator("#brush-size + output")).to_have_text("1 px")
        assert 1 <= dab().sum() <= 4
        hair = stroke(page, canvas)
        assert ndimage.label(hair, np.ones((3, 3)))[1] == 1, "no dotted line"
        assert hair.any(axis=0).sum() > 60 and hair.sum(axis=0).max() <= 3
        page.keyboard.press("Control+z")
        wait_for_mask(page, "==", 0)
        slider.fill("100")
        expect(page.locator("#brush-size + output")).to_have_text(f"{HEIGHT // 3} px")
        assert dab().sum() == pytest.approx(np.pi * (HEIGHT / 6) ** 2, rel=0.03)
        slider.press("[")
        assert page.evaluate("() => moebius.size()") == pytest.approx(HEIGHT / 3 / 1.25, abs=1)
        for _ in range(40):
            slider.press("[")
        assert page.evaluate("() => moebius.size()") == 1
        for _ in range(3):
            slider.press("]")
        assert page.evaluate("() => moebius.size()") == 4

        slider.fill("100")
        mask = stroke(page, canvas)
        page.keyboard.press("e")
        slider.fill("60")
        page.mouse.move(*middle(canvas))
        page.mouse.down()
        page.mouse.up()
        assert wait_for_mask(page, "<", mask.sum()).any(), "the eraser has the brush's size"


def test_the_whole_mask_is_changed_and_each_change_undone(browser, server, photo):
    def press(key: str, relation: str, pixels: int) -> np.ndarray:
        page.locator("body").press(key)
        return wait_for_mask(page, relation, pixels)

    with visit(browser, server, DESKTOP) as page:
        mask = stroke(page, load(page, photo))
        radius = round(HEIGHT / 200)
        grown = press("+", ">", mask.sum())
        np.testing.assert_array_equal(grown, ndimage.distance_transform_edt(~mask) <= radius)
        shrunk = press("-", "<", grown.sum())
        np.testing.assert_array_equal(shrunk, ndimage.distance_transform_edt(grown) > radius)
        inverted = press("i", ">", grown.sum())
        np.testing.assert_array_equal(inverted, ~shrunk)
        page.locator("#mask-tools [data-do=clear]").click()
        wait_for_mask(page, "==", 0)
        assert page.evaluate("() => window.editor.background_image_present !== false"), "the photo stays"
        for expected in (inverted, shrunk, grown, mask):
            np.testing.assert_array_equal(press("Control+z", "==", expected.sum()), expected)
        np.testing.assert_array_equal(press("Control+Shift+Z", "==", grown.sum()), grown)
        press("Control+z", "==", mask.sum())
        np.testing.assert_array_equal(press("Control+y", "==", grown.sum()), grown)


def test_a_mask_at_the_edge_grows_and_shrinks_as_by_definition(browser, server):
    rng = np.random.default_rng(0)
    with visit(browser, server, DESKTOP) as page:
        for shape, share in (((31, 47), 0.02), ((31, 47), 0.9), ((1, 9), 0.3), ((20, 20), 0.0), ((20, 20), 1.0)):
            mask = rng.random(shape) < share
            for name, radius in (("grow", 1), ("grow", 5), ("shrink", 1), ("shrink", 3)):
                got = page.evaluate(
                    "([name, mask, height, width, radius]) =>"
                    " [...moebius.CHANGES[name](Uint8Array.from(mask), width, height, radius)]",
                    [name, mask.astype(int).ravel().tolist(), *shape, radius],
                )
                y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
                disc = x**2 + y**2 <= radius**2
                change = ndimage.binary_dilation if name == "grow" else ndimage.binary_erosion
                expected = change(mask, disc, border_value=name == "shrink")
                np.testing.assert_array_equal(np.array(got, bool).reshape(shape), expected, f"{name} {radius} {share}")


def test_a_hidden_mask_is_filled_all_the_same_and_painting_shows_it(browser, server, photo):
    with visit(browser, server, DESKTOP) as page:
        canvas = load(page, photo)
        mask = stroke(page, canvas)
        hide = page.locator("#mask-tools [data-do=hide]")
        expect(hide).to_have_attribute("aria-pressed", "false")
        page.mouse.move(5, 5)
        before = canvas.screenshot()
        page.locator("body").press("x")
        expect(hide).to_have_attribute("aria-pressed", "true")
        two_frames(page)
        assert canvas.screenshot() != before
        np.testing.assert_array_equal(painted(page), mask)
        page.click("#go")
        wait_for_result(page, 1)
        page.mouse.click(*middle(canvas))
        expect(hide).to_have_attribute("aria-pressed", "false")


def test_keys_stay_with_what_has_the_focus(browser, server, photo):
    with visit(browser, server, DESKTOP) as page:
        page.click("#settings > button")  # first: Gradio sets what is in it once more while it opens
        mask = stroke(page, load(page, photo))
        seed = page.get_by_label("Seed")
        seed.press_sequentially("xi+-[e 12")
        expect(seed).to_have_value("xi+-[e 12")
        seed.press("Control+z")
        np.testing.assert_array_equal(painted(page), mask)
        summary = page.locator("#keys summary")
        summary.press("Enter")
        expect(page.get_by_text("brush smaller, larger")).to_be_visible()
        expect(page.locator("#slider img")).to_have_count(0)
        snapshot(page, "desktop-5-keys")
        page.get_by_label("Seed").fill("")


def test_escape_stops_a_fill(browser, server_with_models, photo):
    with visit(browser, server_with_models, DESKTOP) as page:
        page.click("#settings > button")
        steps = page.get_by_label("number input for Steps")
        expect(steps).to_have_value("20")
        canvas = load(page, photo)
        steps.fill("100")
        steps.press("Tab")
        stroke(page, canvas)
        page.locator("body").press("Enter")
        page.get_by_text(re.compile(r"Step \d+ of 100")).first.wait_for()
        before = len(server_with_models.lines)
        page.locator("body").press("Escape")
        page.locator("#go").wait_for()
        assert server_with_models.wait_for("a fill was stopped", since=before), "the computation went on"
        assert not page.locator("#slider img").count()
