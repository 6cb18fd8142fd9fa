"""Visits to the page in a browser, for the tests in tests/ui."""

from contextlib import contextmanager

from playwright.sync_api import expect

PATIENCE_MS = 120_000
"""Only what is broken takes so long, also on a busy machine."""
expect.set_options(timeout=PATIENCE_MS)

DESKTOP = {"viewport": {"width": 1440, "height": 900}}
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


@contextmanager
def visit(browser, server, device: dict, scheme: str = "light"):
    """A page that must neither complain nor ask anybody else for anything."""
    context = browser.new_context(**device, color_scheme=scheme, accept_downloads=True)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    complaints, elsewhere, before = [], [], len(server.lines)
    page.on("console", lambda message: message.type == "error" and complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "request",
        lambda request: request.url.startswith((server.url, "data:", "blob:")) or elsewhere.append(request.url),
    )
    page.goto(server.url)
    page.wait_for_function("() => window.moebius && document.querySelector('#about p')")  # the first events are through
    yield page
    context.close()
    assert not complaints and not elsewhere, (complaints, elsewhere)
    written = server.lines[before:]  # without what other tests, which ask for it, made the server say
    assert not any("Traceback" in line for line in written), "".join(written)


def wait_for_photo(page, width: int):
    """Until a photo, `width` pixels wide on the canvas, can be painted on; returns the canvas."""
    page.wait_for_function("(width) => moebius.state.width === width && moebius.state.view", arg=width)
    canvas = page.locator("#canvas")
    canvas.scroll_into_view_if_needed()
    return canvas


def wait_for_result(page) -> None:
    page.wait_for_function("() => moebius.state.shown")
    page.locator("#go").wait_for()


def fill(page) -> None:
    """Press Fill, and wait for a result that was not there before: a sample may come filled."""
    page.evaluate("() => { window.resultBefore = moebius.state.result; }")
    page.click("#go")
    page.wait_for_function("() => moebius.state.shown && moebius.state.result !== window.resultBefore")
    page.locator("#go").wait_for()


def zoom(page) -> float:
    """Pixels of the page for one of the picture on the canvas."""
    return page.evaluate("() => moebius.state.view.scale")


def two_frames(page) -> None:
    """Until what the page has begun is drawn."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def middle(place) -> tuple[float, float]:
    """Of something on the page, in its pixels."""
    box = place.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def paint(page, canvas, stroke: tuple[tuple[float, float], tuple[float, float]]) -> None:
    """Draw with the mouse; `stroke`: from and to, in pixels of the page from the middle of the canvas."""
    x, y = middle(canvas)
    (x0, y0), (x1, y1) = stroke
    page.mouse.move(x + x0, y + y0)
    page.mouse.down()
    page.mouse.move(x + x1, y + y1, steps=10)
    page.mouse.up()
    page.locator("[data-do=undo]:not([disabled])").wait_for()
