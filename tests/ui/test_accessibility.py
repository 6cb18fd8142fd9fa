"""axe-core on the page in every state that people meet, at desktop and phone width.

Nothing that it calls serious or critical is left, and no rule is left out.
"""

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.helpers.browser import DESKTOP, PHONE, visit
from tests.helpers.walk import states


def violations(page) -> list[str]:
    """Rule and element of everything that axe calls serious or critical, once nothing fades in any more."""
    page.wait_for_function(
        "() => !document.querySelector('.pending')"
        " && document.getAnimations().every((one) => !(one instanceof CSSTransition))"
    )
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    serious = [one for one in found if one["impact"] in ("serious", "critical")]
    return [f"{one['id']}: {node['html']}" for one in serious for node in one["nodes"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_nothing_serious_stands_in_the_way(browser, server, device, scheme):
    with visit(browser, server, device, scheme) as page:
        found = {state: violations(page) for state in states(page)}
    assert len(found) == 8
    assert not any(found.values()), "\n".join(f"{state}: {one}" for state, every in found.items() for one in every)


def test_axe_sees_what_is_wrong(browser):
    """That the check can fail."""
    page = browser.new_page()
    page.set_content("<html><title>t</title><main><img src='x.png'><button></button></main></html>")
    assert {one.split(":")[0] for one in violations(page)} >= {"image-alt", "button-name", "html-has-lang"}
    page.close()
