"""No output from decoders of damaged files: what matters becomes an error or a note, not a line on the console."""

from __future__ import annotations

import logging
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from moebius.photo.limits import our_limits

_one_at_a_time = threading.RLock()  # warning filters, loggers and standard error belong to the whole process


@contextmanager
def quiet(stderr: bool = False) -> Iterator[None]:
    """Decode without Pillow's warnings and log lines about damaged metadata, and within the limits of `limits`.

    Args:
        stderr: also point file descriptor 2 to nowhere, for libtiff and libjpeg, which print by themselves.
    """
    logger = logging.getLogger("PIL.TiffImagePlugin")
    with _one_at_a_time, our_limits(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        was, logger.disabled = logger.disabled, True
        try:
            if stderr:
                with _muted():
                    yield
            else:
                yield
        finally:
            logger.disabled = was


@contextmanager
def _muted() -> Iterator[None]:
    try:
        kept = os.dup(2)
    except OSError:  # no standard error at all
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
