"""The connectors as one ASGI application, and how it stands in front of the page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.routing import APIRoute
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from moebius import registry
from moebius.connectors import bodies, errors, iopaint, rapidraw
from moebius.connectors.fills import Fills
from moebius.connectors.guard import Guard
from moebius.connectors.sources import Sources
from moebius.connectors.steps import Steps

SOCKETS = ("/socket.io/", "/ws/socket.io/")
"""Where IOPaint's page looks for progress, and where IOPaint also had it."""
EXPOSED = "X-Seed, X-Model"


def build(options: registry.LoadOptions, max_waiting: int) -> tuple[FastAPI, Steps]:
    """IOPaint's and RapidRAW's endpoints; `max_waiting`: callers who may wait."""
    app, steps = FastAPI(openapi_url=None, docs_url=None, redoc_url=None), Steps()
    fills = Fills(options, max_waiting)
    endpoints = iopaint.routes(fills, steps) | rapidraw.routes(fills, Sources())
    for (method, path), endpoint in endpoints.items():
        app.add_api_route(path, _answering(endpoint), methods=[method], response_model=None)
    return app, steps


def _answering(endpoint: Callable[[Request], Awaitable[Any]]) -> Callable[[Request], Awaitable[Any]]:
    """An endpoint whose errors become answers."""

    async def call(request: Request) -> Any:
        try:
            return await endpoint(request)
        except Exception as error:
            return errors.answer(error)

    return call


class Front:
    """Takes the connectors' requests, and passes all others on to the page."""

    def __init__(self, page: ASGIApp, app: FastAPI, steps: Steps, guard: Guard) -> None:
        self._page, self._app, self._steps, self._guard = page, app, steps, guard
        self._paths = {route.path for route in app.routes if isinstance(route, APIRoute)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        is_socket = path.startswith(SOCKETS)
        if scope["type"] not in ("http", "websocket") or not (is_socket or path in self._paths):
            await self._page(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if reason := self._guard.refusal(headers):
            await _refuse(reason, scope, receive, send)
            return
        origin = headers.get("origin")
        if self._guard.is_named(origin):
            if scope["type"] == "http" and scope["method"] == "OPTIONS":
                await _permission(headers)(scope, receive, _with_origin(send, origin))
                return
            send = _with_origin(send, origin)
        if is_socket:
            own = dict(scope, path="/socket.io/" + path.split("/socket.io/", 1)[1])
            await self._steps.app(own, receive, send)
        else:
            await self._app(scope, bodies.bounded(receive, bodies.max_body()), send)


async def _refuse(reason: str, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": reason})
        return
    await JSONResponse({"detail": reason, "errors": reason}, 403)(scope, receive, send)


def _permission(headers: Headers) -> Response:
    """The answer to a browser that asks whether a page may call."""
    asked = headers.get("access-control-request-headers", "")
    allowed = {"Access-Control-Allow-Methods": "GET, POST", "Access-Control-Max-Age": "600"}
    return Response(status_code=204, headers=allowed | ({"Access-Control-Allow-Headers": asked} if asked else {}))


def _with_origin(send: Send, origin: str) -> Send:
    """`send`, which lets a named origin's page read the answer."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["Access-Control-Allow-Origin"] = origin
            headers["Access-Control-Expose-Headers"] = EXPOSED
            headers.add_vary_header("Origin")
        await send(message)

    return sending
