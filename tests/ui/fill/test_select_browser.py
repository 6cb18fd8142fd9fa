"""Clicks that select objects, in Chromium, at desktop and phone width. The network is tiny and random: what it selects
means nothing, and the test compares what is painted with what the server answered.

With MOEBIUS_SCREENSHOTS=DIR each journey leaves its pictures there.
"""

import io
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.helpers.browser import DESKTOP, PHONE, middle, visit
from tests.helpers.editor import (
    load,
    painted,
    photo_file,
    snapshot,
    toucher,
    wait_for_mask,
)

# Gradio zooms, and sees where a pointer is, with the next picture it draws: on a busy machine that may take a while.
ZOOM = """async () => {
    const {image_container: picture, app} = window.editor, {scale, x, y} = picture, wanted = 2.5 * scale.x;
    window.editor.set_image_properties({scale: wanted, position: {x: x - 270, y: y - 160}, animate: false});
    while (Math.abs(picture.scale.x - wanted) > 1e-6) await new Promise(requestAnimationFrame);
    await new Promise((drawn) => app.renderer.runners.postrender.add({postrender: drawn}));
}"""


@pytest.fixture(scope="module")
def photo(tmp_path_factory) -> Path:
    return photo_file(tmp_path_factory.mktemp("photo") / "beach.png")


def said(page, text: str) -> None:
    expect(page.locator("#select-said")).to_contain_text(text)


class Answers:
    """Masks that the server has sent to a page."""

    def __init__(self, page) -> None:
        self.masks: list[np.ndarray] = []
        page.on("response", self._keep)

    def _keep(self, response) -> None:
        if response.url.endswith("/selected.png"):
            answer = httpx.get(response.url, trust_env=False)
            self.masks.append(np.asarray(Image.open(io.BytesIO(answer.content))) > 0)


def test_clicks_add_objects_and_take_them_away(browser, server_with_models, photo):
    with visit(browser, server_with_models, DESKTOP) as page:
        answers, canvas = Answers(page), load(page, photo)
        x, y = middle(canvas)
        page.locator("body").press("s")
        expect(page.locator("#mask-tools [data-do=select]")).to_have_attribute("aria-pressed", "true")
        expect(page.locator("#select-line")).to_contain_text("Click an object to add it to the mask")
        snapshot(page, "select-desktop-1-on")
        page.mouse.click(x - 100, y - 60)
        said(page, "Added")
        first = painted(page)
        assert 0 < first.sum() < first.size and len(answers.masks) == 1
        np.testing.assert_array_equal(first, answers.masks[0])
        snapshot(page, "select-desktop-2-added")

        page.mouse.click(x + 120, y + 40)
        page.wait_for_function("() => !moebiusSelect.waiting()")
        both = painted(page)
        np.testing.assert_array_equal(both, first | answers.masks[1])
        page.keyboard.down("Alt")
        page.mouse.click(x - 100, y - 60)
        page.keyboard.up("Alt")
        said(page, "Removed")
        rest = painted(page)
        np.testing.assert_array_equal(rest, both & ~first, "the same place, the same object")
        page.keyboard.press("Control+z")
        np.testing.assert_array_equal(wait_for_mask(page, "==", both.sum()), both)
        page.keyboard.press("Control+z")
        np.testing.assert_array_equal(wait_for_mask(page, "==", first.sum()), first)
        page.keyboard.press("Control+Shift+Z")
        wait_for_mask(page, "==", both.sum())

        page.locator("body").press("s")
        page.locator("#mask-tools [data-do=clear]").click()
        wait_for_mask(page, "==", 0)
        page.mouse.click(x, y)  # paints again
        assert 0 < wait_for_mask(page, ">", 0).mean() < 0.01


def test_two_clicks_at_once_are_both_answered_and_a_drag_is_no_click(browser, server_with_models, photo):
    with visit(browser, server_with_models, DESKTOP) as page:
        answers, canvas = Answers(page), load(page, photo)
        x, y = middle(canvas)
        page.locator("#mask-tools [data-do=select]").click()
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + 60, y, steps=4)
        page.mouse.up()
        page.mouse.click(x - 100, y - 60)
        page.mouse.click(x + 120, y + 40)
        page.wait_for_function("() => !moebiusSelect.waiting()")
        said(page, "Added")
        np.testing.assert_array_equal(painted(page), answers.masks[0] | answers.masks[1])
        assert len(answers.masks) == 2


def test_taps_on_a_phone_with_the_eraser_and_two_fingers(browser, server_with_models, photo):
    with visit(browser, server_with_models, PHONE, scheme="dark") as page:
        answers, canvas = Answers(page), load(page, photo)
        page.locator("#mask-tools [data-do=select]").tap()
        canvas.scroll_into_view_if_needed()
        x, y = middle(canvas)
        touch = toucher(page)
        before = page.evaluate("() => window.editor.image_container.scale.x")
        touch("touchStart", (x - 20, y))
        touch("touchStart", (x - 20, y), (x + 20, y))
        for apart in (35, 45, 55):
            touch("touchMove", (x - apart, y), (x + apart, y))
        touch("touchEnd")
        page.wait_for_function(f"() => window.editor.image_container.scale.x > 2 * {before}")
        assert not answers.masks and not painted(page).any(), "two fingers zoom"

        page.touchscreen.tap(x + 30, y - 20)
        said(page, "Added")
        added = painted(page)
        np.testing.assert_array_equal(added, answers.masks[0])
        snapshot(page, "select-phone-1-added")
        page.locator('#brush button[aria-label="Erase"]').tap()
        page.touchscreen.tap(x + 30, y - 20)
        said(page, "Removed")
        assert not painted(page).any()
        assert page.evaluate("() => document.documentElement.scrollWidth <= 390")
        for button in page.locator("#mask-tools button").all():
            box = button.bounding_box()
            assert box["x"] >= 0 and box["x"] + box["width"] <= 390


def test_the_place_is_where_the_click_was(browser, server_with_models, photo):
    """By what the server is asked, also after zooming."""
    with visit(browser, server_with_models, DESKTOP) as page:
        canvas = load(page, photo)
        page.locator("#mask-tools [data-do=select]").click()
        asked = []
        page.on("request", lambda request: "queue/join" in request.url and asked.append(request.post_data_json))
        for zoomed in (False, True):
            if zoomed:
                page.evaluate(ZOOM)
            x, y = middle(canvas)
            # a stroke of one pixel shows where Gradio itself sees that place
            page.locator("body").press("s")
            page.locator("#brush-size").fill("0")
            page.mouse.click(x + 40, y - 25)
            dot = np.argwhere(wait_for_mask(page, ">", 0)).mean(axis=0)
            page.locator("#mask-tools [data-do=clear]").click()
            wait_for_mask(page, "==", 0)
            page.locator("body").press("s")
            page.mouse.click(x + 40, y - 25)
            said(page, "Added")
            at = next(one["data"] for one in reversed(asked) if len(one["data"]) == 2)
            assert np.abs(np.array([at[1] * 600, at[0] * 900]) - 0.5 - dot).max() < 1.5
            page.locator("#mask-tools [data-do=clear]").click()
            wait_for_mask(page, "==", 0)


def test_without_weights_the_page_says_what_is_lacking_and_offers_it(browser, server, photo):
    with visit(browser, server, DESKTOP) as page:
        canvas = load(page, photo)
        expect(page.locator("#select-panel")).to_be_hidden()
        page.locator("#mask-tools [data-do=select]").click()
        line = page.locator("#select-line")
        expect(line).to_contain_text(
            "Selecting needs SAM 2.1 tiny (Meta, Apache-2.0), 156 MB: its weights are not here"
        )
        expect(page.get_by_role("button", name="Get SAM 2.1 tiny (156 MB, Apache-2.0)")).to_be_visible()
        snapshot(page, "select-desktop-3-no-weights")
        page.mouse.click(*middle(canvas))
        expect(page.get_by_text("are not on this computer")).to_be_visible()
        page.locator(".toast-close").first.click()
        page.locator("#select-get").click()  # the server has no connection
        expect(page.get_by_text("could not be downloaded")).to_be_visible()
        expect(page.locator("#select-get")).to_be_visible()
        assert not painted(page).any()
