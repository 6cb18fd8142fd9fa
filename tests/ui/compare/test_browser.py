"""The comparison as people use it: models chosen, one press, results, tables, sliders, one sheet of it all."""

import numpy as np
from PIL import Image, ImageOps
from playwright.sync_api import expect

from moebius import registry
from moebius.contact_sheet import CELL_PX
from moebius.ui import samples
from tests.helpers.browser import DESKTOP, PHONE, two_frames, visit

SAMPLE = min(samples.load(), key=lambda one: np.prod(Image.open(one.image).size))
MARGIN = 16


def open_comparison(page, without: tuple[str, ...], steps: int = 2) -> None:
    """The smallest sample in the tab, some models unticked, few steps."""
    page.get_by_role("tab", name="Compare").click()
    page.locator("#compare-go").wait_for()
    two_frames(page)  # Gradio closes what is opened before it has drawn the tab
    page.click("#compare-settings > button")
    for name in without:
        page.locator("#compare-models label", has_text=registry.MODELS[name].title).locator("input").uncheck()
    page.locator("#samples .thumbnail-item").nth(samples.load().index(SAMPLE)).click()
    page.locator("#paint").wait_for()
    page.wait_for_function("() => window.editor?.width > 100")
    two_frames(page)  # in the moment in which the settings open, Gradio's slider sets its number once more
    number = page.locator("#compare-settings input[type=number]").first
    number.fill(str(steps))
    number.press("Tab")
    expect(page.locator("#compare-settings input[type=range]").first).to_have_value(str(steps))
    expect(number).to_have_value(str(steps))


def compare(page) -> None:
    page.click("#compare-go")
    page.locator("#compare-sheet").wait_for()
    page.locator("#compare-go").wait_for()


def pick(page, side: str, name: str) -> None:
    page.get_by_label(side, exact=True).click()
    page.get_by_role("option", name=registry.MODELS[name].title).click()
    page.get_by_role("option").first.wait_for(state="detached")


def shown_in(page, slider: str) -> list[str]:
    """File names of the two pictures in a slider."""
    sources = page.locator(f"{slider} img").evaluate_all("every => every.map(one => one.src)")
    return [source.rsplit("/", 1)[-1] for source in sources]


def download(page, button, folder) -> Image.Image:
    with page.expect_download() as started:
        button.click()
    path = folder / started.value.suggested_filename
    started.value.save_as(path)
    return Image.open(path)


def test_three_models_side_by_side(browser, server_with_models, tmp_path):
    names = ("moebius", "flux-fill", "classical")
    with visit(browser, server_with_models, DESKTOP) as page:
        open_comparison(page, without=("pixelhacker",))
        assert "Non-commercial" in page.locator("#notices").inner_text()
        assert page.locator("#compare-settings .prompt, #compare-settings textarea").first.is_visible()
        compare(page)

        results = {}
        for name in names:
            panel = page.locator(f"#panel-{name}")
            assert panel.locator("h3").inner_text() == registry.MODELS[name].title
            results[name] = download(page, panel.get_by_text("Download"), tmp_path)
        assert page.locator("#panels h3:visible").count() == 3
        assert "AI-generated" in page.locator("#panel-flux-fill").inner_text()

        rows = page.locator("#measured tbody tr").all_inner_texts()
        assert [row.split("\t")[0] for row in rows] == [
            registry.MODELS[n].title for n in ("classical", names[0], names[1])
        ]
        assert all(row.split("\t")[2] == "2" for row in rows[1:]), rows
        paper = page.locator("#published").inner_text()
        assert paper.startswith("The paper's own figures") and "161.01" in paper and "15.5" in paper

        sheet = download(page, page.locator("#compare-sheet"), tmp_path)
        stem = SAMPLE.image.stem
        assert shown_in(page, "#compare-whole")[1] == f"{stem}_moebius{SAMPLE.image.suffix}"
        pick(page, "Right", "classical")
        page.wait_for_function("() => document.querySelectorAll('#compare-whole img')[1].src.includes('_classical')")
        assert shown_in(page, "#compare-closeup")[1] == f"{stem}_classical_closeup.png"
        pick(page, "Left", "flux-fill")
        page.wait_for_function("() => document.querySelectorAll('#compare-whole img')[0].src.includes('_flux-fill')")
        near = page.locator("#compare-closeup img").nth(1)
        natural = near.evaluate("one => [one.naturalWidth, one.naturalHeight]")
        box = near.bounding_box()
        assert natural[0] <= box["width"] and natural[1] <= box["height"], "room for it pixel by pixel"

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
        open_comparison(page, without=("flux-fill",), steps=1)
        compare(page)
        panel = page.locator("#panel-pixelhacker")
        assert "Cannot run here" in panel.inner_text() and "python -m moebius download" in panel.inner_text()
        assert not panel.locator("img").count()
        for name in ("moebius", "classical"):
            page.locator(f"#panel-{name} button").last.scroll_into_view_if_needed()  # pictures load when they are near
            page.locator(f"#panel-{name} img").wait_for()
        assert "cannot run here" in page.locator("#measured tbody tr", has_text="PixelHacker").inner_text()
        assert page.evaluate("() => document.documentElement.scrollWidth <= 390")


def test_a_comparison_is_stopped_and_keeps_what_it_has(browser, server_with_models):
    with visit(browser, server_with_models, DESKTOP) as page:
        open_comparison(page, without=("pixelhacker", "flux-fill"), steps=100)
        page.click("#compare-go")
        page.locator("#panel-classical img").wait_for(state="attached")
        before = len(server_with_models.lines)
        page.click("#compare-stop")
        page.locator("#compare-go").wait_for()
        page.locator("#panel-moebius").get_by_text("Stopped").wait_for()
        assert page.locator("#panel-classical img").count() == 1
        page.locator("#compare-sheet").wait_for()
        assert server_with_models.wait_for("a comparison was stopped", since=before), "the computation went on"
