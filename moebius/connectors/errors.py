"""What a caller is answered when something is wrong: a status and one sentence, never a trace."""

from __future__ import annotations

import logging

from fastapi import HTTPException
from fastapi.responses import JSONResponse

from moebius import devices
from moebius.photo.errors import NotAPhotoError, TooLargeError
from moebius.progress import Cancelled
from moebius.ui.handlers import TooLong
from moebius.ui.html import without_folders
from moebius.weights import WeightsError

log = logging.getLogger(__name__)

RETRY_S = 10
"""When a caller who was one too many may ask again."""


class BusyError(Exception):
    """As many wait as may."""


class UnknownError(ValueError):
    """A model or a source of that name is not there."""


STATUS: tuple[tuple[type[Exception], int], ...] = (
    (BusyError, 429),
    (UnknownError, 404),
    (TooLargeError, 413),
    (NotAPhotoError, 415),
    (TooLong, 503),
    (WeightsError, 503),
    (MemoryError, 503),
    (Cancelled, 503),
    (ValueError, 400),
)
"""The first that fits counts."""


def answer(error: Exception) -> JSONResponse:
    """The answer to a request that failed. What nobody expected is logged, and reported without details."""
    if isinstance(error, HTTPException):
        return _json(error.status_code, str(error.detail))
    if isinstance(error, RuntimeError) and devices.is_out_of_memory(error):
        return _json(503, "there is not enough memory for this photo; try a smaller one")
    for kind, status in STATUS:
        if isinstance(error, kind):
            message = without_folders(str(error)) or "there is not enough memory for this photo; try a smaller one"
            return _json(status, message)
    log.error("a connector failed", exc_info=error)
    return _json(500, "something went wrong on the server")


def _json(status: int, message: str) -> JSONResponse:
    headers = {"Retry-After": str(RETRY_S)} if status == 429 else None
    return JSONResponse({"detail": message, "errors": message}, status, headers)  # `errors`: what IOPaint's page shows
