"""What the review of the page found, one check each, in one visit; other tests of tests/ui hold the rest of it."""

from playwright.sync_api import expect

from tests.helpers.browser import DESKTOP, fill, visit
from tests.helpers.canvas import wait_for_mask
from tests.helpers.walk import choose_sample

FOCUSED = "() => document.activeElement.id"


def test_hints_keys_models_and_focus(browser, server):
    with visit(browser, server, DESKTOP) as page:
        # the tabs, seen first, are the first stops; samples have names
        page.keyboard.press("Tab")
        assert page.evaluate(FOCUSED) == "fill-tab-button"
        assert all(one.get_attribute("alt") for one in page.locator("[data-sample] img").all())

        # nothing painted: a hint and no error
        choose_sample(page)
        assert page.evaluate(FOCUSED) == "canvas"
        mask = page.evaluate("() => moebius.mask().join('')")
        page.click("[data-do=more]")
        page.click("[data-do=clear]")
        expect(page.locator("#go")).to_have_attribute("aria-disabled", "true")
        page.locator("#go").click(force=True)
        expect(page.locator("#note")).to_have_text("Paint over what should go first.")
        assert not page.locator(".toast-body").count()

        # a rectangle by numbers, without a pointer
        page.locator("#numbers").evaluate("(one) => (one.closest('details').open = true)")
        for place, value in enumerate((10, 20, 30, 40)):
            page.locator("#numbers input").nth(place).fill(str(value))
        page.get_by_role("button", name="Add to the mask").press("Enter")
        painted = wait_for_mask(page, "==", 30 * 40)
        assert painted[20:60, 10:40].all()
        expect(page.locator("#note")).to_have_text("")
        expect(page.locator("#go")).to_have_attribute("aria-disabled", "false")

        # models that cannot run say so before they are chosen; arrows move among them; messages show commands as such
        models = page.locator("#model label")
        assert "its weights are not here" in models.nth(1).inner_text() and "off" in models.nth(4).inner_text()
        assert set(page.locator("#model input").evaluate_all("(all) => all.map((one) => one.name)")) == {"model"}
        for place in (1, 2, 3):
            page.locator("#model input").nth(place - 1).focus()  # Gradio may draw the list anew in between
            page.keyboard.press("ArrowDown")
            expect(page.locator("#model input").nth(place)).to_be_checked()
        expect(page.locator("#about")).to_contain_text("on disk and a GPU with")
        expect(page.locator("#about a").first).to_be_visible()
        page.click("#go")
        expect(page.locator(".toast-body code").first).to_have_text("hf auth login")
        page.locator(".toast-close").first.click()
        page.locator("#go").wait_for()
        page.locator("#model input").first.check()

        # another photo is only asked for: all stays until it is there
        with page.expect_file_chooser():
            page.click("#tools [data-do=choose]")
        assert page.evaluate("() => moebius.mask().join('')") != mask and page.evaluate("() => moebius.state.photo")
        fill(page)
        assert page.evaluate(FOCUSED) == "canvas"
        assert page.evaluate("() => moebius.state.shown && moebius.state.wipe === null && !moebius.state.busy")
        bar = page.locator("#download").bounding_box()
        assert bar["y"] + bar["height"] <= DESKTOP["viewport"]["height"], "the download is on the first screen"
