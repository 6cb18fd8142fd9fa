"""Everything here replaces or uses parts of Gradio that it does not promise to keep; nothing else in the page does.

Gradio is pinned. After an upgrade tests/ui/test_gradio_internals.py says which of these has changed; the elements of
Gradio's that static/style.css and the scripts name are tested there as well.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import gradio as gr
import gradio.mcp
from gradio.routes import App, ORJSONResponse
from gradio.utils import get_upload_folder
from starlette.types import ASGIApp

from moebius import environment
from moebius.ui import uploads

SHOW, HIDE = '{__type__: "update", visible: true}', '{__type__: "update", visible: false}'
"""JavaScript: what an event returns to show or hide a component, as `gr.update` does in Python."""


def upload_folder() -> Path:
    """Where Gradio keeps what visitors send, and from where it serves files without another copy."""
    return Path(get_upload_folder())


def keep_no_analytics() -> None:
    """Gradio keeps its last 10,000 calls and sums them up after each; to be called before the page is built."""
    environment.GRADIO_ANALYTICS_MAX_EVENTS.set_default("1")
    environment.GRADIO_ANALYTICS_CACHE_FREQUENCY.set_default(str(2**31))


def app_behind(front: Callable[[ASGIApp], ASGIApp]) -> App:
    """The application that Gradio serves a page with, for `launch(_app=…)`, behind `front`.

    Middleware that Gradio lets a page add comes after its own, which answers browsers' questions about origins itself.
    """

    class AppBehind(App):
        def build_middleware_stack(self) -> ASGIApp:
            return front(super().build_middleware_stack())

    return AppBehind(default_response_class=ORJSONResponse)


def document_only(page: gr.Blocks, endpoints: Collection[str]) -> None:
    """Leave all other endpoints out of what a page says about itself; who knows their names can call them still."""
    for function in page.fns.values():
        if function.api_visibility == "public" and f"/{function.api_name}" not in endpoints:
            function.api_visibility = "undocumented"


class Page(gr.Blocks):
    """Blocks that fetch nothing for their callers."""

    async def preprocess_data(self, block_fn: Any, inputs: list, state: Any, explicit_call: bool = False) -> list:
        """Every call comes through here, of the page, a script or an agent, before Gradio fetches what it names."""
        uploads.keep_local(inputs)
        return await super().preprocess_data(block_fn, inputs, state, explicit_call)


class AgentServer(gradio.mcp.GradioMCPServer):
    """What agents (MCP) see of a page. Gradio would offer them every named endpoint, and write files of any size."""

    endpoints: Collection[str] = ()
    """The endpoints that are tools."""
    file_format = ""
    """How a tool describes its files: Gradio's own words promise to fetch addresses."""

    def get_tool_to_endpoint(self) -> dict[str, str]:
        return {tool: name for tool, name in super().get_tool_to_endpoint().items() if name in self.endpoints}

    def simplify_filedata_schema(self, schema: dict) -> tuple[dict, list]:
        simple, positions = super().simplify_filedata_schema(schema)
        for name, *_ in positions:
            simple["properties"][name]["format"] = self.file_format
        return simple, positions

    def convert_strings_to_filedata(self, value: Any, filedata_positions: list) -> Any:
        uploads.check_data(value)
        for name, *_ in filedata_positions:  # Gradio's message would ask for an address of the web
            given = value.get(name)
            if isinstance(given, str) and not given.startswith(("data:", "http://", "https://")):
                raise ValueError(f"{name} must be {self.file_format}; got {given[:80]!r}")
        return super().convert_strings_to_filedata(value, filedata_positions)


def serve_agents(endpoints: Collection[str], file_format: str, folder: Path) -> None:
    """Make pages that are launched from now on offer these endpoints only; what agents send is written to `folder`."""
    AgentServer.endpoints, AgentServer.file_format = endpoints, file_format
    gradio.mcp.GradioMCPServer = AgentServer
    gradio.mcp.DEFAULT_TEMP_DIR = str(folder)
