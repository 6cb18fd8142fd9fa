"""What can be made of a result, in Chromium: the original painted back, variants, a layer."""

import numpy as np
from PIL import Image
from playwright.sync_api import expect

from tests.helpers.browser import DESKTOP, middle, paint, visit, wait_for_result
from tests.helpers.canvas import load, painted, photo_file, snapshot


def saved(page, press: str, path):
    with page.expect_download() as started:
        page.click(press)
    started.value.save_as(path)
    return started.value.suggested_filename, np.asarray(Image.open(path))


def test_the_original_is_painted_back_and_variants_are_chosen_from(browser, server_with_models, tmp_path):
    photo = np.asarray(Image.open(photo_file(tmp_path / "beach.png")))
    with visit(browser, server_with_models, DESKTOP) as page:
        canvas = load(page, tmp_path / "beach.png")
        paint(page, canvas, ((-60, 0), (60, 0)))
        mask = painted(page)
        page.click("[data-do=more]")
        page.click("#settings > button")
        steps = page.get_by_label("number input for Steps").first
        steps.fill("2")
        steps.press("Tab")
        page.click("[data-do=more]")
        page.click("#go")
        wait_for_result(page)
        _, filled = saved(page, "#download", tmp_path / "filled.png")

        page.click("[data-do=restore]")
        x, y = middle(canvas)
        page.mouse.move(x + 40, y)
        page.mouse.down()
        page.mouse.move(x + 90, y, steps=5)
        page.mouse.up()
        expect(page.locator("#restore-line")).to_have_text("Restored; the file is written.")
        restored = page.evaluate("() => moebius.state.result.restored.reduce((sum, one) => sum + one, 0)")
        assert restored > 0 and (painted(page) == mask).all(), "the mask is not painted on"
        snapshot(page, "restore-1")
        _, half = saved(page, "#download", tmp_path / "half.png")
        left, right = mask[:, :450].nonzero(), np.s_[300:301, 500:515]
        np.testing.assert_array_equal(half[right], photo[right])
        np.testing.assert_array_equal(half[left[0], left[1]], filled[left[0], left[1]])
        name, layer = saved(page, "[data-do=patch]", tmp_path / "layer.png")
        assert name.startswith("beach_filled_patch_x") and layer.shape[2] == 4
        page.keyboard.press("Control+z")
        expect(page.locator("#restore-line")).to_have_text("Restored; the file is written.")
        np.testing.assert_array_equal(saved(page, "#download", tmp_path / "again.png")[1], filled)
        page.click("[data-do=restore]")

        page.click("[data-do=vary]")
        expect(page.locator("[data-do=variant-2]")).to_be_visible()
        page.click("[data-do=variant-2]")
        expect(page.locator("[data-do=variant-2]")).to_have_attribute("aria-pressed", "true")
        expect(page.locator("#steps .thumbnail-item")).to_have_count(4)
        page.locator("#compare-go").wait_for()
        snapshot(page, "variants-1")
        page.wait_for_function("() => document.querySelectorAll('#facts .facts').length === 1")
        page.click("[data-do=undo]")
        np.testing.assert_array_equal(painted(page), mask)
        page.locator("body").press("Control+y")
        page.wait_for_function("() => moebius.state.shown")
