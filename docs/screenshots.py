"""The README's pictures of the page, taken of the page: `python docs/screenshots.py`, with Chromium at hand.

Without weights the classical filler is what is seen at work; `--weights DIR` adds the student. Nothing is retouched.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).parents[1]
OUT = Path(__file__).parent
SAMPLE = "mystrale_2"
MAX_BYTES, MAX_ANIMATION_BYTES = 300_000, 2_000_000
ROWS = 9
"""How often the brush goes over the dog of `SAMPLE`."""
DESKTOP = {"viewport": {"width": 1280, "height": 860}}
PHONE = {"viewport": {"width": 390, "height": 800}, "device_scale_factor": 2, "has_touch": True, "is_mobile": True}
FLAGS = ("--no-sandbox", "--disable-gpu")
PATIENCE_MS = 180_000


TRACE = """(rows) => {
    const {mask, width, height, view} = moebius.state, points = [];
    const box = moebius.masks.bounds(mask, width, height);
    const {left, top} = document.querySelector("#canvas").getBoundingClientRect();
    for (let row = 0; row < rows; row++) {
        const y = Math.round(box[1] + ((row + 0.5) / rows) * (box[3] - box[1]));
        const line = mask.subarray(y * width, (y + 1) * width);
        const ends = [line.indexOf(1), line.lastIndexOf(1)];
        for (const x of row % 2 ? ends.reverse() : ends) {
            points.push([left + view.x + x * view.scale, top + view.y + y * view.scale]);
        }
    }
    return points;
}"""
"""Back and forth over the sample's mask, in pixels of the window."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, metavar="DIR", help="folder with Moebius weights")
    parser.add_argument("--chromium", default="/usr/bin/chromium", help="the browser (%(default)s)")
    options = parser.parse_args()
    models = ["classical"] + ["moebius"] * bool(options.weights)
    with tempfile.TemporaryDirectory() as folder, served(Path(folder), options.weights) as url:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=options.chromium, args=FLAGS)
            with opened(browser, url, DESKTOP) as page:
                choose(page)
                animate(page)
            with opened(browser, url, DESKTOP) as page:
                choose(page)
                page.evaluate("() => moebius.compare()")
                page.click("#compare-settings > button")
                for box in page.locator("#compare-models input").all():
                    box.set_checked(box.get_attribute("name") in models or box.input_value() in models)
                page.click("#compare-settings > button")
                page.click("#compare-go")
                page.locator("#compare-sheet").wait_for(timeout=PATIENCE_MS)
                page.locator("#compare-go").wait_for()
                take(page, "compare", "#panels")
            with opened(browser, url, PHONE) as page:
                choose(page)
                take(page, "phone")
            browser.close()


@contextmanager
def served(folder: Path, weights: Path | None) -> Iterator[str]:
    """The page's address; it sees neither network nor other weights."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MOEBIUS_")}
    environment = kept | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(folder), "TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "app.py", "--port", str(port), *(["--weights", str(weights)] if weights else [])]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        if not any("Running on local URL" in line for line in process.stdout):
            raise SystemExit("the page did not start")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def opened(browser: Browser, url: str, device: dict) -> Iterator[Page]:
    page = browser.new_page(**device)
    page.goto(url)
    page.wait_for_function("() => window.moebius && document.querySelector('#about p')")
    yield page
    page.close()


def choose(page: Page) -> None:
    """The sample with its mask, once both are in the editor."""
    names = re.findall(r'"images/(\w+)\.', (ROOT / "moebius/samples/manifest.json").read_text(encoding="utf-8"))
    page.locator("[data-sample]").nth(list(dict.fromkeys(names)).index(SAMPLE)).click()
    page.wait_for_function("() => moebius.state.mask?.some(Boolean)")


def animate(page: Page) -> None:
    """A removal from the first stroke to the result, as an animation of at most `MAX_ANIMATION_BYTES`."""
    frames: list[tuple[Image.Image, int]] = []

    def keep(ms: int) -> None:
        shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        frames.append((shot.resize((shot.width * 3 // 4, shot.height * 3 // 4), Image.Resampling.LANCZOS), ms))

    points = page.evaluate(TRACE, ROWS)
    page.evaluate("() => moebius.canvas.blank()")
    page.evaluate("() => moebius.tools.size(moebius.state.height / 12)")
    keep(1500)
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*point, steps=6)
        keep(160)
    page.mouse.up()
    keep(900)
    page.click("#go")
    page.wait_for_timeout(700)
    keep(900)
    page.wait_for_function("() => moebius.state.shown", timeout=PATIENCE_MS)
    page.locator("#go").wait_for()
    page.mouse.move(2, 2)
    page.wait_for_timeout(300)
    keep(2500)
    page.click("[data-do=wipe]")
    for share in (0.15, 0.3, 0.45, 0.6, 0.75, 0.6, 0.45, 0.3, 0.15, 0):
        page.evaluate("(wipe) => moebius.canvas.set({wipe})", share)
        page.wait_for_timeout(60)
        keep(220)
    keep(1800)
    path = OUT / "removal.webp"
    pictures, times = zip(*frames, strict=True)
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=times, loop=0, quality=72, method=6)
    if path.stat().st_size > MAX_ANIMATION_BYTES:
        raise SystemExit(f"{path} is larger than {MAX_ANIMATION_BYTES:,} bytes")
    sys.stdout.write(f"{path.relative_to(ROOT)}: {len(frames)} frames, {path.stat().st_size:,} bytes\n")


def take(page: Page, name: str, part: str = "") -> None:
    """What is in the window, or one part of the page, as a JPEG of at most `MAX_BYTES`."""
    page.mouse.move(2, 2)
    page.wait_for_function("() => [...document.images].every(one => one.complete || one.loading === 'lazy')")
    shot = Image.open(io.BytesIO(page.locator(part).screenshot() if part else page.screenshot())).convert("RGB")
    path = OUT / f"{name}.jpg"
    for quality in (88, 80, 70, 60):
        shot.save(path, quality=quality, optimize=True)
        if path.stat().st_size <= MAX_BYTES:
            break
    else:
        raise SystemExit(f"{path} is larger than {MAX_BYTES:,} bytes")
    sys.stdout.write(f"{path.relative_to(ROOT)}: {shot.width} x {shot.height}, {path.stat().st_size:,} bytes\n")


if __name__ == "__main__":
    main()
