"""Each part of Gradio that the page replaces, or uses without a promise, is still what it was.

A test that fails here after an upgrade names the place in `moebius.ui.gradio_internals` that has to be looked at.
"""

import asyncio
import inspect
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import gradio as gr
import gradio.mcp
import pytest

from moebius.ui import gradio_internals
from moebius.ui.gradio_internals import AgentServer, Page
from tests.helpers.http_calls import photo, sent


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
