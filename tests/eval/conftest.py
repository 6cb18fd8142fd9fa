"""A small data set."""

from pathlib import Path

import pytest
from PIL import Image

from tests.helpers.synthetic import picture


@pytest.fixture
def pictures(tmp_path) -> Path:
    """A folder of seven PNGs of 64×64."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for index in range(7):
        Image.fromarray(picture(index)).save(folder / f"p{index}.png")
    return folder
