"""What holds for every model: same size and mode, only the hole changes, progress, cancelling."""

import numpy as np
import pytest
from PIL import Image

from moebius.config import SamplingConfig
from moebius.fill.scheduler import fill_photo
from moebius.progress import Cancelled
from tests.helpers.one_by_one import OneByOne


class Painter(OneByOne):
    """Paints squares green and notes what it was shown."""

    name, size = "painter", 64

    def __init__(self):
        self.shown = []

    def fill_square(self, image, mask, config, generator, progress):
        self.shown.append((image, mask))
        progress(0.5, "Painting")
        return np.full(image.shape, (0.0, 200.0, 0.0), np.float32)


PHOTO = Image.fromarray(np.random.default_rng(2).integers(0, 256, (90, 120, 3), dtype=np.uint8))
MASK = Image.new("L", PHOTO.size)
MASK.paste(255, (20, 30, 50, 45))
HOLE = np.asarray(MASK) > 127


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "CMYK", "P", "1"])
def test_size_and_mode_stay_and_only_the_hole_changes(mode):
    photo = PHOTO.convert(mode)
    out = fill_photo(Painter(), photo, MASK, SamplingConfig(feather_px=0)).raster
    assert (out.size, out.mode) == (photo.size, mode)
    np.testing.assert_array_equal(np.asarray(out)[~HOLE], np.asarray(photo)[~HOLE])
    assert (np.asarray(out)[HOLE] != np.asarray(photo)[HOLE]).mean() > 0.3


def test_the_photo_that_was_given_is_not_written_to():
    before = PHOTO.tobytes()
    fill_photo(Painter(), PHOTO, MASK)
    assert PHOTO.tobytes() == before


def test_an_empty_mask_returns_the_photo_and_says_so():
    painter = Painter()
    fill = fill_photo(painter, PHOTO, Image.new("L", PHOTO.size))
    assert fill.raster is PHOTO and not fill.changed.any() and not painter.shown
    assert "mask is empty" in fill.notes[0]


def test_a_hole_over_most_of_the_photo_is_told():
    mask = np.zeros(HOLE.shape, np.uint8)
    mask[: round(0.8 * len(mask))] = 255
    assert "covers 80% of the photo" in fill_photo(Painter(), PHOTO, Image.fromarray(mask)).notes[-1]
    assert fill_photo(Painter(), PHOTO, MASK).notes == ()


def test_a_full_mask_and_another_size_are_refused():
    with pytest.raises(ValueError, match="whole photo"):
        fill_photo(Painter(), PHOTO, Image.new("L", PHOTO.size, 255))
    with pytest.raises(ValueError, match="64×48.*120×90"):
        fill_photo(Painter(), PHOTO, MASK.resize((64, 48)))


def test_progress_grows_to_one_and_names_the_part():
    mask = Image.new("L", (2000, 300))
    mask.paste(255, (10, 10, 30, 30))
    mask.paste(255, (1900, 200, 1950, 250))
    calls = []
    fill_photo(Painter(), Image.new("RGB", mask.size), mask, progress=lambda share, text: calls.append((share, text)))
    shares = [share for share, _ in calls]
    assert shares == sorted(shares) and shares[0] == 0 and shares[-1] == 1
    assert (0.25, "Painting (part 1 of 2)") in calls
    assert (0.5 + 0.8 * 0.25, "Painting (part 2 of 2)") in calls  # a square of 88 for a model of 64: detail follows


def test_cancelling_stops_before_the_next_square():
    def stop(share, text):
        if share >= 0.25:
            raise Cancelled

    mask = Image.new("L", (2000, 300))
    mask.paste(255, (10, 10, 30, 30))
    mask.paste(255, (1900, 200, 1950, 250))
    painter = Painter()
    with pytest.raises(Cancelled):
        fill_photo(painter, Image.new("RGB", mask.size), mask, progress=stop)
    assert len(painter.shown) == 1


def test_a_later_square_sees_what_an_earlier_one_filled():
    """A long hole is filled piece by piece; the second square must not see the first piece as a hole again."""
    mask = Image.new("L", (1000, 200))
    mask.paste(255, (100, 95, 900, 100))
    painter = Painter()
    fill = fill_photo(painter, Image.new("RGB", mask.size, (9, 9, 9)), mask, SamplingConfig(max_squares=32))
    assert len(fill.squares) > 4
    image, hole = painter.shown[1]
    assert ((image == (0, 200, 0)).all(axis=2) & ~hole).any()
