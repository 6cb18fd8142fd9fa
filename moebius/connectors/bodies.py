"""What comes in a request: JSON of a bounded size, and pictures in base64 within it."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.types import Message, Receive

from moebius.photo.errors import TooLargeError
from moebius.photo.limits import max_bytes
from moebius.units import memory_size


def max_body() -> int:
    """A photo and a mask in base64, each as large as may be, and 1 MiB of words."""
    return 2 * (max_bytes() * 4 // 3) + 2**20


def bounded(receive: Receive, most: int) -> Receive:
    """`receive`, which raises TooLargeError once more than `most` bytes have come."""
    came = 0

    async def next_message() -> Message:
        nonlocal came
        message = await receive()
        came += len(message.get("body", b""))
        if came > most:
            raise TooLargeError(f"the request has more than {memory_size(most)}; send a smaller photo")
        return message

    return next_message


async def read_json(request: Request) -> dict[str, Any]:
    """The JSON object in a request. ValueError for anything else."""
    body = await request.body()
    try:
        content = await run_in_threadpool(json.loads, body)
    except (ValueError, RecursionError):
        raise ValueError("the request must be a JSON object") from None
    if not isinstance(content, dict):
        raise ValueError(f"the request must be a JSON object, not a {type(content).__name__}")
    return content


def text(content: dict[str, Any], name: str, default: str | None = None) -> str:
    """A field that is a text. ValueError where it is another thing, or absent without a default."""
    value = content.get(name)
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise ValueError(f"{name} must be a text, got {_kind(value)}")
    return value


def whole(content: dict[str, Any], name: str, default: int) -> int:
    """A field that is a whole number. ValueError for another thing."""
    value = content.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise ValueError(f"{name} must be a whole number, got {_kind(value)}")
    return int(value)


def picture(content: dict[str, Any], name: str) -> bytes:
    """A picture's file: plain base64, or a data URL. Raises ValueError, or TooLargeError before it is decoded."""
    value = text(content, name)
    data = value.partition(",")[2] if value[:5].lower() == "data:" else value
    if len(data) * 3 // 4 > max_bytes() + 2:
        size = memory_size(len(data) * 3 // 4)
        raise TooLargeError(f"{name} has about {size}; at most {memory_size(max_bytes())} are taken here")
    try:
        return base64.b64decode(data.encode("ascii"))
    except (binascii.Error, UnicodeEncodeError):
        raise ValueError(f"{name} must be a picture in base64, or a data URL of one") from None


def checked(name: str, data: bytes) -> bytes:
    """A file that came as it is. Raises TooLargeError."""
    if len(data) > max_bytes():
        raise TooLargeError(f"{name} has {memory_size(len(data))}; at most {memory_size(max_bytes())} are taken here")
    return data


def _kind(value: Any) -> str:
    return "nothing" if value is None else f"{value!r:.40} ({type(value).__name__})"
