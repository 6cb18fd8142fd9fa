"""axe-core on the page in every state that people meet, at desktop and phone width.

Nothing that it calls serious or critical is left, and no rule is left out.
"""

import pytest

from tests.helpers.axe import violations
from tests.helpers.browser import DESKTOP, PHONE, visit
from tests.helpers.walk import states


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
