"""Masks that the page proposes, in Chromium: seen, taken, left, and undone."""

import numpy as np
from PIL import Image
from playwright.sync_api import expect

from tests.helpers.axe import violations
from tests.helpers.browser import DESKTOP, middle, visit, wait_for_photo
from tests.helpers.canvas import HEIGHT, WIDTH, load, painted, snapshot, wait_for_mask
from tests.helpers.dusty import SPOTS, sky
from tests.helpers.dusty import WIDTH as SKY_WIDTH


def red_square(path):
    """A red square on green ground, both with grain; returns its outline."""
    rng = np.random.default_rng(0)
    outline = np.zeros((HEIGHT, WIDTH), bool)
    outline[220:380, 370:530] = True
    colours = np.where(outline[..., None], (170, 60, 50), (70, 130, 60)) + rng.normal(0, 10, (HEIGHT, WIDTH, 3))
    Image.fromarray(colours.clip(0, 255).astype(np.uint8)).save(path)
    return outline


def test_a_rough_stroke_is_fitted_to_its_object_and_taken_or_not(browser, server, tmp_path):
    outline = red_square(tmp_path / "square.png")
    with visit(browser, server, DESKTOP) as page:
        canvas = load(page, tmp_path / "square.png")
        page.keyboard.press("f")
        expect(page.get_by_text("paint roughly over what should go")).to_be_visible()
        page.locator(".toast-close").click()  # Gradio's own message is nothing that axe should judge here
        x, y = middle(canvas)
        for _ in range(8):
            page.keyboard.press("]")  # a thick brush
        page.mouse.move(x - 60, y - 40)
        page.mouse.down()
        page.mouse.move(x + 60, y + 40, steps=6)
        page.mouse.up()
        rough = wait_for_mask(page, ">", 0)
        page.click("[data-do=more]")
        page.click("[data-do=fit]")
        expect(page.locator("#proposal-said")).to_contain_text("Fitted to the object")
        expect(page.locator("[data-do=take]")).to_be_focused()
        expect(page.locator("#go")).to_be_hidden()
        snapshot(page, "fit-1-proposed")
        np.testing.assert_array_equal(painted(page), rough, "nothing is taken yet")
        page.click("[data-do=leave]")
        expect(page.locator("#proposal")).to_be_hidden()
        np.testing.assert_array_equal(painted(page), rough)

        page.keyboard.press("f")
        expect(page.locator("[data-do=take]")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("#proposal")).to_be_hidden()
        fitted = painted(page)
        assert (fitted & outline).sum() / (fitted | outline).sum() > 0.9
        page.keyboard.press("Control+z")
        np.testing.assert_array_equal(painted(page), rough)
        page.keyboard.press("f")
        expect(page.locator("[data-do=take]")).to_be_focused()
        page.mouse.click(x - 200, y - 100)  # painting on leaves it
        expect(page.locator("#proposal")).to_be_hidden()
        assert painted(page)[rough].all()

        # dust: each spot is a dot to keep or drop
        Image.fromarray(sky()).save(tmp_path / "sky.png")
        page.set_input_files("#photo-file", tmp_path / "sky.png")
        wait_for_photo(page, SKY_WIDTH)
        page.click("[data-do=dust]")
        dots = page.locator("#stage .dot")
        expect(dots).to_have_count(len(SPOTS))
        expect(page.locator("#proposal-said")).to_contain_text("4 spots of dust")
        snapshot(page, "dust-1")
        axe = violations(page)
        dots.nth(0).click()
        expect(dots.nth(0)).to_have_attribute("aria-pressed", "false")
        dropped = page.evaluate("() => document.querySelector('#stage .dot').getBoundingClientRect().toJSON()")
        view, box = page.evaluate("() => moebius.state.view"), page.locator("#canvas").bounding_box()
        at = [
            (dropped["x"] + dropped["width"] / 2 - box["x"] - view["x"]) / view["scale"],
            (dropped["y"] + dropped["height"] / 2 - box["y"] - view["y"]) / view["scale"],
        ]
        page.click("[data-do=take]")
        expect(dots).to_have_count(0)
        mask = painted(page)
        left_out = min(SPOTS, key=lambda spot: np.hypot(spot[0] - at[0], spot[1] - at[1]))
        assert {spot: bool(mask[int(spot[1]), int(spot[0])]) for spot in SPOTS} == {
            spot: spot != left_out for spot in SPOTS
        }
        assert mask.mean() < 0.003 and axe == []
