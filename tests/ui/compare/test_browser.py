"""The comparison as people use it: models chosen, one press, results, tables, sliders, one sheet of it all."""

import numpy as np
from PIL import Image, ImageOps
from playwright.sync_api import expect

from moebius import registry
from moebius.contact_sheet import CELL_PX
from moebius.ui import samples
from tests.helpers.browser import DESKTOP, PHONE, visit

SAMPLE = min(samples.load(), key=lambda one: np.prod(Image.open(one.image).size))
MARGIN = 16


def choose(page, without: tuple[str, ...], steps: int = 2) -> None:
    """The smallest sample, compared once, then with these settings: they stand under the columns."""
    page.locator(f"[data-sample='{samples.load().index(SAMPLE)}']").click()
    page.wait_for_function("() => moebius.state.mask?.some(Boolean)")
    page.evaluate("() => moebius.compare()")
    page.click("#compare-settings > button")
    for name, card in registry.MODELS.items():
        if name != "flux-fill-pro":
            box = page.locator("#compare-models label", has_text=card.title).locator("input")
            box.set_checked(name not in without)
    number = page.locator("#compare-settings input[type=number]").first
    number.fill(str(steps))
    number.press("Tab")
    expect(page.locator("#compare-settings input[type=range]").first).to_have_value(str(steps))


def compare(page) -> None:
    page.click("#compare-go")
    page.locator("#compare-sheet").wait_for()
    page.locator("#compare-go").wait_for()


def download(page, button, folder) -> Image.Image:
    with page.expect_download() as started:
        button.click()
    path = folder / started.value.suggested_filename
    started.value.save_as(path)
    return Image.open(path)


def test_three_models_side_by_side(browser, server_with_models, tmp_path):
    names = ("moebius", "flux-fill", "classical")
    with visit(browser, server_with_models, DESKTOP) as page:
        choose(page, without=("pixelhacker",))
        assert "Non-commercial" in page.locator("#notices").inner_text()
        assert page.locator("#compare-settings .prompt, #compare-settings textarea").first.is_visible()
        compare(page)

        results = {}
        for name in names:
            panel = page.locator(f"#panel-{name}")
            assert panel.locator("h3").inner_text() == registry.MODELS[name].title
            results[name] = download(page, panel.get_by_text("Download"), tmp_path)
        assert page.locator("#panels h3:visible").count() == 1 + 3  # the photo beside them
        assert "AI-generated" in page.locator("#panel-flux-fill").inner_text()

        rows = page.locator("#measured tbody tr").all_inner_texts()
        assert [row.split("\t")[0] for row in rows] == [
            registry.MODELS[n].title for n in ("classical", names[0], names[1])
        ]
        assert all(row.split("\t")[2] == "2" for row in rows[1:]), rows
        paper = page.locator("#published").inner_text()
        assert paper.startswith("The paper's own figures") and "161.01" in paper and "15.5" in paper

        sheet = download(page, page.locator("#compare-sheet"), tmp_path)
        assert page.evaluate("() => document.querySelector('#panel-photo').getBoundingClientRect().top") < 900
        page.click("#keep-moebius")
        page.wait_for_function("() => moebius.state.shown")
        kept = download(page, page.locator("#download"), tmp_path)
        np.testing.assert_array_equal(np.asarray(kept), np.asarray(results["moebius"]))

    photo = Image.open(SAMPLE.image)
    assert sheet.format == "PNG" and sheet.width == MARGIN + 4 * (CELL_PX + MARGIN)
    width, height = photo.size
    top = next(y for y in range(sheet.height) if sheet.getpixel((MARGIN + 1, y)) != (255, 255, 255) and y > 60)
    for column, name in enumerate(("photo", "classical", "moebius", "flux-fill")):
        left = MARGIN + column * (CELL_PX + MARGIN)
        label = np.asarray(sheet.crop((left, MARGIN, left + CELL_PX, MARGIN + 30)).convert("L"))
        assert (label < 100).sum() > 100, f"a title over {name}"
        if name == "photo":
            continue
        panel = sheet.crop((left, top, left + CELL_PX, top + round(CELL_PX * min(1, height / width))))
        whole = ImageOps.contain(results[name].convert("RGB"), panel.size, Image.Resampling.LANCZOS)
        x, y = (panel.width - whole.width) // 2, (panel.height - whole.height) // 2
        inside = np.asarray(panel.crop((x, y, x + whole.width, y + whole.height)), int)
        assert np.abs(inside - np.asarray(whole, int)).mean() < 4, f"the result of {name} in its column"


def test_a_teacher_that_cannot_load_says_why_and_the_others_are_there(browser, server_with_models):
    with visit(browser, server_with_models, PHONE, scheme="dark") as page:
        choose(page, without=("flux-fill",), steps=1)
        compare(page)
        panel = page.locator("#panel-pixelhacker")
        assert "Cannot run here" in panel.inner_text() and "python -m moebius download" in panel.inner_text()
        assert not panel.locator("img:visible").count()
        for name in ("moebius", "classical"):
            page.locator(f"#panel-{name} button").last.scroll_into_view_if_needed()  # pictures load when they are near
            page.locator(f"#closeup-{name} img").wait_for()
        assert "cannot run here" in page.locator("#measured tbody tr", has_text="PixelHacker").inner_text()
        assert page.evaluate("() => document.documentElement.scrollWidth <= 390")


def test_a_comparison_is_stopped_and_keeps_what_it_has(browser, server_with_models):
    with visit(browser, server_with_models, DESKTOP) as page:
        choose(page, without=("pixelhacker", "flux-fill"), steps=100)
        page.click("#compare-go")
        page.locator("#picture-classical img").wait_for(state="attached")
        before = len(server_with_models.lines)
        page.click("#compare-stop")
        page.locator("#compare-go").wait_for()
        page.locator("#panel-moebius").get_by_text("Stopped").wait_for()
        assert page.locator("#panel-classical img").count() == 2
        page.locator("#compare-sheet").wait_for()
        assert server_with_models.wait_for("a comparison was stopped", since=before), "the computation went on"
