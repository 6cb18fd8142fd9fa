"""Through everything that the page can show: for tests that look at it in every state."""

from collections.abc import Iterator

from PIL import Image
from playwright.sync_api import expect

from moebius.ui import samples
from tests.helpers.browser import fill


def smallest_sample() -> int:
    """Its place among the samples."""
    return min(range(len(samples.load())), key=lambda one: max(Image.open(samples.load()[one].image).size))


def choose_sample(page) -> None:
    page.locator(f"[data-sample='{smallest_sample()}']").click()
    page.wait_for_function("() => moebius.state.mask?.some(Boolean)")


def states(page) -> Iterator[str]:
    """The name of each state, once the page is in it. `page` has just been opened."""
    yield "opened"
    choose_sample(page)
    yield "photo"
    page.click("[data-do=more]")
    page.click("#settings > button")
    yield "more"
    fill(page)
    yield "filled"
    page.click("#compare-go")
    page.locator("#compare-sheet").wait_for()
    page.locator("#compare-go").wait_for()
    yield "compared"
    page.get_by_role("tab", name="Many photos").click()
    page.locator("#many-heading .steps").wait_for()
    yield "many"
    page.set_input_files("#many-files input[type=file]", [one.image for one in samples.load()[:2]])
    expect(page.locator("#many-photos .thumbnail-item")).to_have_count(2)
    page.locator("#many-go").wait_for()
    yield "photos"
    page.get_by_role("tab", name="Results").click()
    page.locator("#results").wait_for()
    yield "results"
