"""Each part of Gradio that the page replaces, or uses without a promise, is still what it was.

A test that fails here after an upgrade names the place in `moebius.ui.gradio_internals` that has to be looked at.
"""

import asyncio
import inspect
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import gradio.mcp
import pytest
from gradio.routes import App
from playwright.sync_api import expect

from moebius.ui import gradio_internals
from moebius.ui.gradio_internals import AgentServer, Page
from moebius.ui.theme import STYLE
from tests.helpers.browser import DESKTOP, two_frames, visit
from tests.helpers.http_calls import photo, sent
from tests.helpers.walk import states


def parameters(function) -> list[str]:
    return list(inspect.signature(function).parameters)


@pytest.mark.parametrize(
    ("ours", "name"),
    [
        (Page, "preprocess_data"),
        (AgentServer, "get_tool_to_endpoint"),
        (AgentServer, "simplify_filedata_schema"),
        (AgentServer, "convert_strings_to_filedata"),
    ],
)
def test_what_is_replaced_is_still_there_and_takes_the_same(ours, name):
    theirs = getattr(ours.__mro__[1], name)
    assert parameters(getattr(ours, name)) == parameters(theirs)
    assert inspect.iscoroutinefunction(getattr(ours, name)) == inspect.iscoroutinefunction(theirs)


def test_an_application_can_be_put_behind_another_one():
    assert "_app" in parameters(gr.Blocks.launch) and parameters(App.build_middleware_stack) == ["self"]
    front = object()
    assert gradio_internals.app_behind(lambda page: front).build_middleware_stack() is front


def test_every_call_is_looked_at_before_gradio_fetches_what_it_names(monkeypatch):
    """Gradio by itself would fetch what is public; here its fetching is watched."""
    fetched = []

    async def fetch(url: str, cache_dir: str) -> str:
        fetched.append(url)
        raise RuntimeError("fetched")

    monkeypatch.setattr("gradio.processing_utils.async_ssrf_protected_download", fetch)
    inputs = {"path": "https://huggingface.co/x.png", "meta": {"_type": "gradio.FileData"}}
    for blocks, expected in ((gr.Blocks, RuntimeError), (Page, gr.Error)):
        with blocks(analytics_enabled=False) as page:
            taken = gr.File()
        function = SimpleNamespace(inputs=[taken], component_prop_inputs=[], preprocess=True, name="f")
        monkeypatch.setattr(page, "validate_inputs", lambda *_: None)
        with pytest.raises(expected), ThreadPoolExecutor(1) as thread:  # in this one a browser's loop may be running
            thread.submit(asyncio.run, page.preprocess_data(function, [dict(inputs)], None)).result()
        assert len(fetched) == 1, "Gradio's page fetches, ours does not"


@pytest.fixture
def agents_restored(monkeypatch):
    for owner, name in (
        (gradio.mcp, "GradioMCPServer"),
        (gradio.mcp, "DEFAULT_TEMP_DIR"),
        (AgentServer, "endpoints"),
        (AgentServer, "file_format"),
    ):
        monkeypatch.setattr(owner, name, getattr(owner, name))


def tool_page() -> gr.Blocks:
    def tool(image: str) -> str:
        """A tool."""
        return image

    with gr.Blocks(analytics_enabled=False) as page:
        gr.Button().click(tool, gr.File(label="image"), gr.File(), api_name="ours")
        gr.Button().click(tool, gr.File(label="image"), gr.File(), api_name="another")
    return page


def test_agents_get_our_server_with_the_endpoints_and_the_words_that_we_chose(agents_restored, tmp_path):
    gradio_internals.serve_agents(("/ours",), "our words", tmp_path)
    server = gradio.mcp.GradioMCPServer(tool_page())
    assert list(server.get_tool_to_endpoint().values()) == ["/ours"]
    (tool,) = server.get_tool_to_endpoint()
    schema, _ = server.get_input_schema(tool)
    assert schema["properties"]["image"]["format"] == "our words"
    with pytest.raises(ValueError, match="image must be our words; got '/etc/passwd'"):
        server.convert_strings_to_filedata({"image": "/etc/passwd"}, [["image"]])


def test_launching_makes_the_server_for_agents_from_the_name_that_we_replace():
    """In `gradio.routes`: `gradio.mcp.GradioMCPServer(blocks)`, looked up when the page is launched."""
    from gradio import routes

    assert "gradio.mcp.GradioMCPServer(blocks)" in inspect.getsource(routes)


def test_what_agents_send_is_written_where_we_say(agents_restored, tmp_path):
    gradio_internals.serve_agents(("/ours",), "our words", tmp_path / "from-agents")
    server = gradio.mcp.GradioMCPServer(tool_page())
    taken = server.convert_strings_to_filedata({"image": sent(photo())}, [["image"]])
    path = taken["image"]["path"] if isinstance(taken["image"], dict) else taken["image"].path
    assert path.startswith(str(tmp_path / "from-agents"))


def test_the_upload_folder_is_gradios(monkeypatch, tmp_path):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    assert gradio_internals.upload_folder() == tmp_path
    with gr.Blocks(analytics_enabled=False):
        file = gr.File()
    assert file.GRADIO_CACHE == str(tmp_path), "what components write lies there as well"


def test_gradio_keeps_no_calls(monkeypatch):
    for name in ("GRADIO_ANALYTICS_MAX_EVENTS", "GRADIO_ANALYTICS_CACHE_FREQUENCY"):
        monkeypatch.delenv(name, raising=False)
    gradio_internals.keep_no_analytics()
    with gr.Blocks(analytics_enabled=False) as page:
        pass
    page.queue()
    assert page._queue.ANALYTICS_MAX_EVENTS == 1
    assert page._queue.ANAYLTICS_CACHE_FREQUENCY == 2**31


# ---- in the browser ----


SCRIPTED = (
    "#photo-file",
    "#many-files input[type=file]",
    "#many-tab-button[aria-selected=true]",
    "#many-photos .thumbnail-item.selected",
    "button#go",
    "button#compare-go",
    "button#many-go",
    "button#many-remove",
    "#take",
    "#take-sample",
    "#again",
    "#select-ask",
    "#many-painted",
    "#ask-fit",
    "#ask-dust",
    "#restore-ask",
    "#vary-ask",
    "#variant-ask",
    "#patch-ask",
    "#grow input[type=number]",
)
"""Elements of Gradio's that the scripts of the page look for."""
RARE = """(on) => {
    for (const name of ["proposing", "varied", "restoring"]) document.body.classList.toggle(name, on);
    document.querySelector(".facts").toggleAttribute("data-seeded", on);
    document.querySelector("#stage .dot")?.remove();
    const dot = Object.assign(document.createElement("button"), {className: "dot"});
    dot.setAttribute("aria-pressed", "true");
    if (on) document.querySelector("#stage").append(dot);
}"""
"""What is seen with a proposal, with dust, and with a model that takes seeds."""
PAINT = """() => {
    const {state, masks, canvas} = moebius, mask = state.mask.slice();
    masks.rectangle(mask, state.width, state.height, {x: 40, y: 40}, {x: 60, y: 60}, 1);
    canvas.replace(mask);
}"""
WATCH = """(selectors) => {
    window.missing = new Set(selectors);
    const look = () => window.missing.forEach((one) => document.querySelector(one) && window.missing.delete(one));
    setInterval(look, 50);
}"""


def parts(selector: str) -> Iterator[str]:
    """A selector without its conditions, and each condition: they need not be met at the same moment."""
    condition = r":(?:has|not)\(((?:[^()]|\([^()]*\))*)\)"
    for inner in re.findall(condition, selector):
        yield from parts(inner)
    if outer := re.sub(condition, "", selector).strip():
        yield re.sub(r"::?(before|after|hover|focus-visible|focus)", "", outer)


def selectors() -> set[str]:
    """What style.css names."""
    text = re.sub(r"/\*.*?\*/", "", STYLE.read_text(encoding="utf-8"), flags=re.DOTALL)
    heads = [head for head in re.findall(r"([^{}]+)\{", text) if not head.strip().startswith("@")]
    return {part for head in heads for one in head.split(",") for part in parts(one)}


def visit_more(page, state: str, not_a_photo: Path) -> None:
    """What the page shows only while something is pressed, or went wrong."""
    if state == "more":
        page.click("[data-do=tool-select]")
        two_frames(page)
    if state == "filled":
        page.locator("[data-do=hold]").hover()
        page.mouse.down()
        two_frames(page)
        page.mouse.up()
        page.click("[data-do=wipe]")
        two_frames(page)
        page.click("[data-do=wipe]")
        page.evaluate("() => document.body.classList.add('dropping')")
        page.wait_for_function("() => !window.missing.has('body.dropping #stage')")
        page.evaluate("() => document.body.classList.remove('dropping')")
        page.evaluate(RARE, True)
        page.wait_for_function("() => !window.missing.has('#stage .dot')")
        page.evaluate(RARE, False)
    if state == "compared":
        page.click("#compare-settings > button")
        page.locator("#compare-models label").first.wait_for()
    if state == "photos":
        page.set_input_files("#many-files input[type=file]", not_a_photo)
        expect(page.locator("#many-photos .thumbnail-item")).to_have_count(3)
        page.locator("#many-photos .thumbnail-item").nth(0).click()
        page.locator("#many-photos .thumbnail-item.selected").wait_for()
        page.click("#many-go")  # nothing is painted
        page.locator(".toast-body").first.wait_for()
        page.evaluate(PAINT)
        page.click("#many-go")
        page.locator("#many-zip").wait_for()
    if state == "results":
        page.click("#results-report > button")
        page.locator("#results-report table").first.wait_for()


def test_every_element_that_style_and_scripts_name_is_there(browser, server, tmp_path):
    """In some state of the page: what Gradio calls otherwise is found nowhere. The vote's tab has a test of its own."""
    missing = {one for one in (*selectors(), *SCRIPTED) if "vote" not in one and "nth-child(4)" not in one}
    assert len(missing) > 100
    (tmp_path / "letter.png").write_text("a letter, which is longer than a few words and has no pixels at all")
    for scheme in ("light", "dark"):
        with visit(browser, server, DESKTOP, scheme) as page:
            page.evaluate(WATCH, sorted(missing))
            for state in states(page):
                visit_more(page, state, tmp_path / "letter.png")
                two_frames(page)
                if scheme == "dark" and state == "filled":
                    break  # what style.css has for the dark only was there
            missing = set(page.evaluate("() => [...window.missing]"))
    assert not missing, sorted(missing)
