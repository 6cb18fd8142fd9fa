"""Clicks that select objects, in Chromium. The network is tiny and random: what it selects means nothing, and the test
compares what is painted with what the server answered.
"""

import io

import httpx
import numpy as np
from PIL import Image
from playwright.sync_api import expect

from tests.helpers.browser import DESKTOP, middle, visit
from tests.helpers.canvas import HEIGHT, WIDTH, load, painted, photo_file, wait_for_mask


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


def test_clicks_add_objects_and_take_them_away(browser, server_with_models, tmp_path):
    with visit(browser, server_with_models, DESKTOP) as page:
        answers, canvas = Answers(page), load(page, photo_file(tmp_path / "beach.png"))
        asked = []
        page.on("request", lambda request: "queue/join" in request.url and asked.append(request.post_data_json))
        page.locator("body").press("s")
        expect(page.locator("[data-do=tool-select]")).to_have_attribute("aria-pressed", "true")
        expect(page.locator("#select-line")).to_contain_text("Click an object to add it to the mask")
        canvas.scroll_into_view_if_needed()
        x, y = middle(canvas)
        page.mouse.click(x - 100, y - 60)
        page.mouse.click(x + 120, y + 40)  # before the first is answered
        page.wait_for_function("() => !moebius.select.waiting()")
        said(page, "Added")
        first, second = answers.masks
        np.testing.assert_array_equal(painted(page), both := first | second)
        view = page.evaluate("() => moebius.state.view")
        box = canvas.bounding_box()
        at = next(one["data"] for one in asked if len(one["data"]) == 5)
        place = [(x - 100 - box["x"] - view["x"]) / view["scale"], (y - 60 - box["y"] - view["y"]) / view["scale"]]
        np.testing.assert_allclose([at[0] * WIDTH, at[1] * HEIGHT], place, atol=0.01)

        page.keyboard.down("Alt")
        page.mouse.click(x - 100, y - 60)
        page.keyboard.up("Alt")
        said(page, "Removed")
        np.testing.assert_array_equal(painted(page), both & ~first, "the same place, the same object")
        page.keyboard.press("Control+z")
        np.testing.assert_array_equal(wait_for_mask(page, "==", both.sum()), both)

        # a drag is a box, and what it found may be something smaller or larger
        smaller, larger = page.locator("[data-do=select-smaller]"), page.locator("[data-do=select-larger]")
        expect(larger).to_be_disabled()
        canvas.scroll_into_view_if_needed()
        page.mouse.move(x - 50, y - 30)
        page.mouse.down()
        page.mouse.move(x + 60, y + 40, steps=4)
        page.mouse.up()
        expect(larger).to_be_enabled()
        np.testing.assert_array_equal(painted(page), both | answers.masks[-1])
        (left, top, right, bottom, level) = asked[-1]["data"]
        size = [(right - left) * WIDTH * view["scale"], (bottom - top) * HEIGHT * view["scale"]]
        np.testing.assert_allclose(size, [110, 70], atol=0.01)
        assert level == 0
        larger.click()
        page.wait_for_function("() => !moebius.select.waiting()")
        expect(smaller).to_be_enabled()
        np.testing.assert_array_equal(painted(page), both | answers.masks[-1], "in place of the answer before")
        assert asked[-1]["data"] == [left, top, right, bottom, 1]
        page.locator("body").press("s")
        page.locator("[data-do=clear]").click()
        wait_for_mask(page, "==", 0)
        canvas.scroll_into_view_if_needed()
        page.mouse.click(*middle(canvas))  # paints again
        assert 0 < wait_for_mask(page, ">", 0).mean() < 0.01


def test_without_weights_painting_goes_on_and_the_page_says_what_is_lacking(browser, server, tmp_path):
    with visit(browser, server, DESKTOP) as page:
        canvas = load(page, photo_file(tmp_path / "beach.png"))
        expect(page.locator("#select-panel")).to_be_hidden()
        page.locator("body").press("s")
        expect(page.locator("[data-do=tool-select]")).to_have_attribute("aria-pressed", "false")
        needs = "Selecting needs SAM 2.1 tiny (Meta, Apache-2.0), 156 MB: its weights are not here"
        expect(page.locator("#select-line")).to_contain_text(needs)
        expect(page.get_by_role("button", name="Get SAM 2.1 tiny (156 MB, Apache-2.0)")).to_be_visible()
        page.locator("#select-get").click()  # the server has no connection
        expect(page.get_by_text("could not be downloaded")).to_be_visible()
        expect(page.locator("#select-get")).to_be_visible()
        canvas.scroll_into_view_if_needed()
        page.mouse.click(*middle(canvas))
        assert wait_for_mask(page, ">", 0).mean() < 0.01
