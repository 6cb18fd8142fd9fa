"""axe-core on the page in every state that people meet, at desktop and phone width.

Nothing that it calls serious or critical is left, and no rule is left out.
"""

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image

from moebius.ui import samples
from tests.helpers.browser import DESKTOP, PHONE, visit


def violations(page) -> list[str]:
    """Rule and element of everything that axe calls serious or critical."""
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    serious = [one for one in found if one["impact"] in ("serious", "critical")]
    return [f"{one['id']}: {node['html']}" for one in serious for node in one["nodes"]]


def choose_sample(page) -> None:
    smallest = min(range(len(samples.load())), key=lambda one: max(Image.open(samples.load()[one].image).size))
    page.locator("#samples .thumbnail-item").nth(smallest).click()
    page.wait_for_function("() => window.editor?.width > 100")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_nothing_serious_stands_in_the_way(browser, server, device, scheme):
    with visit(browser, server, device, scheme) as page:
        found = {"opened": violations(page)}
        page.click("#settings > button")
        found["settings"] = violations(page)
        choose_sample(page)
        found["photo"] = violations(page)
        page.click("#go")
        page.locator("#slider img").first.wait_for(timeout=120_000)
        page.locator("#go").wait_for()
        found["filled"] = violations(page)
        page.get_by_role("tab", name="Compare").click()
        page.locator("#compare-go").wait_for()
        found["compare"] = violations(page)
        page.click("#compare-go")
        page.locator("#compare-sheet").wait_for(timeout=120_000)
        page.locator("#compare-go").wait_for()
        found["compared"] = violations(page)
        page.get_by_role("tab", name="Many photos").click()
        page.set_input_files("#many-files input[type=file]", [one.image for one in samples.load()[:2]])
        page.wait_for_function("() => document.querySelectorAll('#many-photos .thumbnail-item').length === 2")
        page.locator("#many-go").wait_for()
        found["many"] = violations(page)
        page.get_by_role("tab", name="Results").click()
        page.locator("#results").wait_for()
        found["results"] = violations(page)
    assert not any(found.values()), "\n".join(f"{state}: {one}" for state, every in found.items() for one in every)


def test_axe_sees_what_is_wrong(browser):
    """That the check can fail."""
    page = browser.new_page()
    page.set_content("<html><title>t</title><main><img src='x.png'><button></button></main></html>")
    assert {one.split(":")[0] for one in violations(page)} >= {"image-alt", "button-name", "html-has-lang"}
    page.close()
