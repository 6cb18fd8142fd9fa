"""How large a file and a picture may be: our limits, and Pillow's, which are raised to them while it decodes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image, PngImagePlugin

from moebius import environment

MAX_TEXT_BYTES = 16 * 2**20
"""Largest profile or text of a PNG, unpacked. Pillow refuses the whole photo above 1 MiB."""


def max_bytes() -> int:
    """Largest file that is read: MOEBIUS_MAX_BYTES, by default 256 MiB."""
    return environment.MAX_BYTES.read()


def max_pixels() -> int:
    """Largest picture that is decoded: MOEBIUS_MAX_PIXELS, by default 128 million."""
    return environment.MAX_PIXELS.read()


@contextmanager
def our_limits() -> Iterator[None]:
    """Pillow with these limits instead of its own. They belong to the whole process: one thread at a time."""
    pixels, text = Image.MAX_IMAGE_PIXELS, PngImagePlugin.MAX_TEXT_CHUNK
    Image.MAX_IMAGE_PIXELS, PngImagePlugin.MAX_TEXT_CHUNK = max_pixels(), MAX_TEXT_BYTES
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS, PngImagePlugin.MAX_TEXT_CHUNK = pixels, text
