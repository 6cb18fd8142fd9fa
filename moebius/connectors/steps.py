"""How far a fill is, over socket.io as IOPaint's page listens for it. A client hears of its own fills only."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import socketio


class Steps:
    """The server's side of socket.io. Clients are told apart by their address: a request names no connection."""

    def __init__(self) -> None:
        # origins are checked before a request comes here
        self._server = socketio.AsyncServer(async_mode="asgi", cors_allowed_origins=[])
        self._server.on("connect", self._connect)
        self.app = socketio.ASGIApp(self._server, socketio_path="socket.io")
        """Serves /socket.io/."""

    async def _connect(self, connection: str, environ: dict[str, Any], auth: Any = None) -> None:
        client = environ.get("asgi.scope", {}).get("client")
        await self._server.enter_room(connection, _room(client[0] if client else ""))

    def teller(self, client: str, count: int) -> Callable[[float], None]:
        """What a thread calls with the share that is done; `count`: the steps that the client counts with."""
        loop, last = asyncio.get_running_loop(), -1

        def tell(share: float) -> None:
            nonlocal last
            step = min(count - 1, int(share * count))
            if step != last:
                last = step
                asyncio.run_coroutine_threadsafe(self._send("diffusion_progress", {"step": step}, client), loop)

        return tell

    async def finish(self, client: str) -> None:
        """Tell a client that its photo is done."""
        await self._send("diffusion_finish", None, client)

    async def _send(self, event: str, data: Any, client: str) -> None:
        await self._server.emit(event, data, room=_room(client))


def _room(client: str) -> str:
    return f"client {client}"
