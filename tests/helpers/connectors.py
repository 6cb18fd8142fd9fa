"""The connectors without a page, called as programs call them."""

import base64
import io
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from PIL import Image
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from moebius import registry
from moebius.connectors.app import Front, build
from moebius.connectors.guard import Guard
from tests.helpers import mean_model

URL = "http://127.0.0.1:7860"
PAGE = "the page"
HOLE = (20, 15, 40, 30)
"""Left, top, right, bottom of what `mask` paints."""


@contextmanager
def connectors(monkeypatch, *cards: registry.ModelCard, max_waiting: int = 5, **guard) -> Iterator[TestClient]:
    """A client of connectors that have these models only; by default one that fills with the mean colour."""
    models = {card.name: card for card in cards or (mean_model.card(),)}
    monkeypatch.setattr(registry, "MODELS", models)
    app, steps = build(registry.LoadOptions(), max_waiting)
    front = Front(_page, app, steps, Guard(**{"local": True, **guard}))
    with TestClient(front, base_url=URL, raise_server_exceptions=False) as client:
        yield client


async def _page(scope, receive, send) -> None:
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
    else:
        await PlainTextResponse(PAGE)(scope, receive, send)


def photo(mode: str = "RGB", size: tuple[int, int] = (64, 48)) -> Image.Image:
    """A picture without two equal pixels beside each other."""
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    rgb = np.dstack([x * 3 % 256, y * 5 % 256, (x * 7 + y * 11) % 256]).astype(np.uint8)
    picture = Image.fromarray(rgb)
    if mode == "RGBA":
        picture.putalpha(Image.fromarray(((x + y) * 2 % 256).astype(np.uint8)))
        return picture
    return picture.convert(mode)


def mask(size: tuple[int, int] = (64, 48), box: tuple[int, int, int, int] = HOLE) -> Image.Image:
    painted = Image.new("L", size)
    painted.paste(255, box)
    return painted


def encoded(picture: Image.Image, kind: str = "PNG", **options) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def plain(data: bytes) -> str:
    return base64.b64encode(data).decode()


def data_url(data: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{plain(data)}"


def outside(box: tuple[int, int, int, int] = HOLE, size: tuple[int, int] = (64, 48)) -> np.ndarray:
    """(H, W) bool: not in the box."""
    left, top, right, bottom = box
    where = np.ones(size[::-1], bool)
    where[top:bottom, left:right] = False
    return where
