"""What tests do on the page's canvas: load a photo, look at what is painted, use fingers, take pictures."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import expect

from tests.helpers.browser import wait_for_photo

WIDTH, HEIGHT = 900, 600


def photo_file(path: Path) -> Path:
    """Write a photo of `WIDTH` by `HEIGHT` pixels."""
    noise = np.random.default_rng(3).integers(0, 256, (HEIGHT // 30, WIDTH // 30, 3), np.uint8)
    Image.fromarray(noise).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC).save(path)
    return path


def load(page, path: Path):
    page.set_input_files("#photo-file", path)
    return ready(page)


def ready(page):
    """The photo is on the canvas, with nothing painted on it; returns the canvas."""
    canvas = wait_for_photo(page, WIDTH)
    expect(page.locator("[data-do=undo]")).to_be_disabled()
    assert painted(page).sum() == 0
    return canvas


def painted(page) -> np.ndarray:
    mask = page.evaluate("() => [moebius.state.width, moebius.state.height, moebius.mask().join('')]")
    return (np.frombuffer(mask[2].encode(), np.uint8) == ord("1")).reshape(mask[1], mask[0])


def wait_for_mask(page, relation: str, pixels: int) -> np.ndarray:
    page.wait_for_function(f"() => moebius.mask().reduce((sum, one) => sum + one, 0) {relation} {int(pixels)}")
    return painted(page)


def toucher(page) -> Callable:
    """Call with touchStart, touchMove or touchEnd, and where the fingers are."""
    session = page.context.new_cdp_session(page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        fingers = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})

    return touch


def snapshot(page, name: str) -> None:
    """A picture of the whole page as NAME.png in MOEBIUS_SCREENSHOTS, where that is set."""
    if folder := os.environ.get("MOEBIUS_SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)
