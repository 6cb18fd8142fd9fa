"""Which sources a fill's folder stands for."""

import shutil
from pathlib import Path

import pytest

from eval import contestants

ROOT = Path(__file__).parents[2]
ON_THE_WAY = (
    "moebius/config.py",
    "moebius/registry.py",
    "moebius/pipeline.py",
    "moebius/devices.py",
    "moebius/masks.py",
    "moebius/photo/images.py",
    "moebius/photo/raster.py",
    "moebius/fill/geometry.py",
    "moebius/fill/job.py",
    "moebius/fill/scheduler.py",
    "moebius/fill/seeds.py",
    "moebius/models/unet.py",
    "moebius/models/fused/unet.py",
    "moebius/models/fused/ops.py",
    "moebius/inpainters/classical.py",
    "moebius/inpainters/flux/flux_fill.py",
    "moebius/weights/load.py",
    "eval/controls.py",
    "eval/generate.py",
    "eval/data/dataset.py",
)


@pytest.fixture
def sources(tmp_path, monkeypatch) -> Path:
    """A copy of the sources, which `code_sha256` reads."""
    for package in ("moebius", "eval"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(contestants, "ROOT", tmp_path)
    monkeypatch.setattr(contestants, "PACKAGE_ROOT", tmp_path)
    return tmp_path


def code() -> str:
    return contestants.code_sha256.__wrapped__()


@pytest.mark.parametrize("file", ON_THE_WAY)
def test_a_change_on_the_way_of_a_fill_makes_other_fills(sources, file):
    before = code()
    with (sources / file).open("a") as source:
        source.write("\n")
    assert code() != before


def test_page_commands_and_training_are_no_part_of_a_fill(sources):
    before = code()
    for room in contestants.OTHER_ROOMS:
        file = sources / "moebius" / room / "__init__.py"
        assert file.is_file(), "the room has moved"
        file.write_text("# other\n")
    (sources / "eval" / "timing.py").write_text("# other\n")
    assert code() == before
