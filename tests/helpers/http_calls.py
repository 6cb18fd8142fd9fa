"""Calls of the page over plain HTTP, as a script would make them, and by a real MCP client, as an agent would."""

import asyncio
import base64
import io
import uuid
from concurrent.futures import ThreadPoolExecutor

import httpx
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from PIL import Image


def call(client: httpx.Client, name: str, data: list, session: str | None = None) -> tuple[str, str]:
    """Call an endpoint as a script would: (error | complete | refused, what came with it)."""
    answer = client.post(f"/gradio_api/call/{name}", json={"data": data, "session_hash": session or uuid.uuid4().hex})
    if answer.status_code != 200:
        assert 400 <= answer.status_code < 500, answer.text[:300]
        return "refused", answer.text
    events = client.get(f"/gradio_api/call/{name}/{answer.json()['event_id']}").text
    last = events.strip().split("\n\n")[-1]
    return last.split("\n")[0].removeprefix("event: "), last


def upload(client: httpx.Client, content: bytes, name: str = "photo.png") -> dict:
    answer = client.post("/gradio_api/upload", files={"files": (name, content, "image/png")})
    assert answer.status_code == 200, answer.text[:300]
    return file(answer.json()[0])


def file(path: str, **more) -> dict:
    return {"path": path, "meta": {"_type": "gradio.FileData"}} | more


def photo() -> bytes:
    out = io.BytesIO()
    Image.effect_noise((64, 48), 40).convert("RGB").save(out, "PNG")
    return out.getvalue()


def sent(content: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def agent(url: str, work):
    """What `work(session)` returns, with a session of a real MCP client."""

    async def run():
        async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
            async with streamable_http_client(f"{url}/gradio_api/mcp/", http_client=http) as (read, write, *_):
                async with ClientSession(read, write) as session:
                    await session.initialize()
                    return await work(session)

    with ThreadPoolExecutor(1) as other:  # Playwright's tests leave a running loop in this thread
        return other.submit(asyncio.run, run()).result()


def calls(url: str, tool: str, **arguments):
    return agent(url, lambda session: session.call_tool(tool, arguments))
