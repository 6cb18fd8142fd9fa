"""What axe-core says about a page."""

from axe_playwright_python.sync_playwright import Axe


def violations(page) -> list[str]:
    """Rule and element of everything that axe calls serious or critical, once nothing fades in any more."""
    page.wait_for_function(
        "() => !document.querySelector('.pending')"
        " && document.getAnimations().every((one) => !(one instanceof CSSTransition))"
    )
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    serious = [one for one in found if one["impact"] in ("serious", "critical")]
    return [f"{one['id']}: {node['html']}" for one in serious for node in one["nodes"]]
