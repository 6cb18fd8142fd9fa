"""Samples on the page: the first fill of one is kept, and the next visitor sees it at once."""

from tests.helpers.browser import DESKTOP, fill, visit
from tests.helpers.walk import choose_sample


def test_a_sample_is_seen_filled_by_the_next_visitor(browser, server):
    with visit(browser, server, DESKTOP) as page:
        choose_sample(page)
        fill(page)
        facts = page.locator("#facts p").first.inner_text()
        page.reload()  # another session
        page.wait_for_function("() => window.moebius")
        page.locator("[data-sample]").first.wait_for()
        choose_sample(page)
        page.wait_for_function("() => moebius.state.shown")
        assert page.locator("#facts").inner_text().startswith(facts)
        assert "Filled earlier" in page.locator("#facts").inner_text()
        page.keyboard.down(" ")
        page.wait_for_function("() => moebius.state.held")
        page.keyboard.up(" ")
        page.click("[data-do=undo]")
        page.wait_for_function("() => !moebius.state.shown && moebius.state.mask.some(Boolean)")
        fill(page)
        assert "Filled earlier" not in page.locator("#facts").inner_text(), "it can be filled anew"
