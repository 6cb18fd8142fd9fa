"""The page where somebody's small student lies and the published weights do not: it fills, and says what it is."""

import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests.helpers.browser import DESKTOP, paint, visit, wait_for_photo
from tests.helpers.page_server import ROOT, serve


@pytest.fixture(scope="module")
def server_with_mini(tmp_path_factory):
    """The page with a small student of random numbers, packed by the command that packs real ones."""
    folder = tmp_path_factory.mktemp("page-with-mini")
    published, packed = folder / "published", folder / "mini"
    for words in (
        ["-m", "tests.helpers.standin_weights", str(published), "--small"],
        ["-m", "moebius", "pack-weights", str(published), "-o", str(packed)],
    ):
        subprocess.run([sys.executable, *words], check=True, cwd=ROOT, timeout=120, capture_output=True)
    with serve(folder, MOEBIUS_MINI_WEIGHTS=str(packed)) as server:
        yield server


def test_auto_takes_it_says_that_it_is_a_stand_in_and_fills(browser, server_with_mini, tmp_path):
    from playwright.sync_api import expect

    photo = tmp_path / "photo.png"
    pixels = np.random.default_rng(0).integers(0, 256, (512, 640, 3), np.uint8)
    Image.fromarray(pixels).save(photo)
    with visit(browser, server_with_mini, DESKTOP) as page:
        about = page.locator("p.about").filter(has_text="Takes")
        expect(about).to_contain_text("Moebius mini, a small stand-in")
        expect(about).to_contain_text("Moebius is better, but its weights are not here yet.")
        notice = page.locator("p.about").filter(has_text="trained on few photos")
        expect(notice.first).to_contain_text("To get the published Moebius")
        assert notice.first.locator("code").inner_text() == "python -m moebius download"
        expect(page.get_by_role("button", name=re.compile(r"Get the Moebius weights \(\d+ MB\)"))).to_be_visible()
        page.set_input_files("#photo input[type=file]", photo)
        paint(page, wait_for_photo(page, 640), ((-40, 0), (40, 30)))
        page.click("#go")
        page.locator("#slider img").first.wait_for(timeout=120_000)
        facts = page.locator("#facts")
        expect(facts).to_contain_text("Made by Moebius mini, a small stand-in.")
        expect(facts).to_contain_text("Moebius is better, but its weights are not here yet.")
        with page.expect_download() as download:
            page.click("#download")
        filled = np.asarray(Image.open(download.value.path()))
    changed = (filled != pixels).any(axis=2)
    assert 0 < changed.mean() < 0.5


def test_the_command_line_says_the_same(server_with_mini):
    done = subprocess.run(
        [sys.executable, "-m", "moebius", "models"], cwd=ROOT, capture_output=True, text=True, timeout=120,
        env={"PATH": "/usr/bin", "HF_HUB_CACHE": str(server_with_mini.folder / "none"),
             "MOEBIUS_MINI_WEIGHTS": str(server_with_mini.folder / "mini")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    block = next(block for block in done.stdout.split("\n\n") if block.startswith("moebius-mini:"))
    assert "can run here" in block.splitlines()[0]
    assert "A small stand-in, trained on few photos" in block and "`python -m moebius download`" in block
