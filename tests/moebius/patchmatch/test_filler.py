import numpy as np
import pytest

from moebius.patchmatch import filler
from moebius.patchmatch.filler import FillConfig, fill
from moebius.patchmatch.structure import StructureConfig

QUICK = FillConfig(
    base=128, structure=StructureConfig(min_side=48, onion_passes=4, rounds=(1, 2), passes=(2,), exact_work=100_000)
)


def checks(height, width, period=8):
    """A periodic pattern of coloured tiles."""
    tile = np.random.default_rng(5).integers(0, 256, (period, period, 3), dtype=np.uint8)
    return np.tile(tile, (height // period + 1, width // period + 1, 1))[:height, :width]


def hole_of(shape, top, left, bottom, right):
    hole = np.zeros(shape, bool)
    hole[top:bottom, left:right] = True
    return hole


def photo(height=256, width=300):
    y, x = np.indices((height, width))
    noise = np.random.default_rng(1).normal(0, 12, (height, width, 3))
    return (120 + 60 * np.sin(x / 40)[..., None] + y[..., None] / 8 + noise).clip(0, 255).astype(np.uint8)


def test_periodic_texture_goes_on():
    image = checks(96, 96)
    hole = hole_of(image.shape[:2], 32, 28, 58, 66)
    filled = fill(image, hole)
    wrong = (filled != image).any(axis=2)[hole].mean()
    assert wrong < 0.02
    np.testing.assert_array_equal(filled[~hole], image[~hole])


def test_flat_colour_goes_on():
    image = np.full((60, 70, 3), (200, 30, 90), np.uint8)
    hole = hole_of((60, 70), 10, 10, 50, 60)
    np.testing.assert_array_equal(fill(image, hole), image)


@pytest.mark.parametrize("shape", [(256, 300), (120, 128)])
def test_pixels_under_the_hole_have_no_influence(shape):
    image = photo(*shape)
    hole = hole_of(shape, 40, 50, 90, 100)
    other = image.copy()
    other[hole] = 255
    assert fill(image, hole, config=QUICK).tobytes() == fill(other, hole, config=QUICK).tobytes() != image.tobytes()


def test_threads_change_nothing_and_seeds_do():
    image, hole = photo(), hole_of((256, 300), 80, 90, 180, 200)
    one = fill(image, hole, threads=1, config=QUICK)
    for threads in (2, 8):
        assert fill(image, hole, threads=threads, config=QUICK).tobytes() == one.tobytes()
    assert fill(image, hole, seed=4, config=QUICK).tobytes() != one.tobytes()


def test_type_and_channels_stay():
    image, hole = photo(100, 110)[..., 0], hole_of((100, 110), 30, 40, 60, 70)
    grey = fill(image, hole, config=QUICK)
    assert grey.shape == image.shape and grey.dtype == np.uint8
    colour = fill(np.stack([image] * 3, axis=2), hole, config=QUICK)
    np.testing.assert_array_equal(colour, np.stack([grey] * 3, axis=2))
    deep = fill(image.astype(np.uint16) * 257, hole, config=QUICK)
    np.testing.assert_array_equal(deep, grey.astype(np.uint16) * 257)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (3, 4), (8, 8), (9, 30), (40, 7)])
def test_tiny_pictures(shape):
    image = np.full((*shape, 3), 77, np.uint8)
    hole = np.zeros(shape, bool)
    hole[-1, -1] = True
    if hole.all():
        with pytest.raises(ValueError, match="nothing to fill it from"):
            fill(image, hole)
    else:
        np.testing.assert_array_equal(fill(image, hole), image)


@pytest.mark.parametrize("shape", [(64, 64), (256, 300)])
def test_one_known_row_is_enough(shape):
    hole = np.ones(shape, bool)
    hole[3] = False
    filled = fill(np.full((*shape, 3), 120, np.uint8), hole, config=QUICK)
    np.testing.assert_allclose(filled.astype(int), 120, atol=1)


@pytest.mark.parametrize("box", [(0, 0, 100, 80), (150, 200, 256, 300), (0, 100, 256, 140), (100, 0, 130, 300)])
def test_holes_at_the_edges(box):
    image = photo()
    hole = hole_of((256, 300), *box)
    filled = fill(image, hole, config=QUICK)
    np.testing.assert_array_equal(filled[~hole], image[~hole])
    assert abs(float(filled[hole].mean()) - float(image[hole].mean())) < 30
    assert filled[hole].std() > 8


def test_scattered_single_pixels():
    image = photo(90, 90)
    hole = np.random.default_rng(2).random((90, 90)) < 0.02
    assert np.abs(fill(image, hole, config=QUICK)[hole].astype(int) - image[hole]).mean() < 25


def test_progress_rises_to_one():
    log = []
    hole = hole_of((256, 300), 80, 90, 180, 200)
    fill(photo(), hole, config=QUICK, progress=lambda share, text: log.append((share, text)))
    shares = [share for share, _ in log]
    assert shares[0] == 0 and shares[-1] == 1 and shares == sorted(shares)
    assert len({text for _, text in log}) >= 4


@pytest.mark.parametrize("at", [0.0, 0.1, 0.3, 0.6, 0.9])
def test_cancel_ends_it(at):
    calls = []

    def progress(share, text):
        if share >= at:
            calls.append(share)
            raise InterruptedError

    image, hole = photo(), hole_of((256, 300), 80, 90, 180, 200)
    before = image.copy()
    with pytest.raises(InterruptedError):
        fill(image, hole, config=QUICK, progress=progress)
    assert len(calls) == 1
    np.testing.assert_array_equal(image, before)


def test_a_hole_over_everything_or_of_another_size_is_refused():
    with pytest.raises(ValueError, match="whole photo"):
        fill(photo(20, 20), np.ones((20, 20), bool))
    with pytest.raises(ValueError, match="do not fit"):
        fill(photo(20, 20), np.zeros((20, 21), bool))


def test_an_empty_hole_changes_nothing():
    image = photo(20, 20)
    np.testing.assert_array_equal(fill(image, np.zeros((20, 20), bool)), image)


def test_base_size():
    assert filler.base_size((600, 640)) == (600, 640)
    assert filler.base_size((1024, 2048)) == (256, 512)
    assert filler.base_size((3, 9000)) == (1, 512)


def test_estimate_grows_with_the_hole_and_falls_with_threads():
    small, large = hole_of((4000, 4000), 0, 0, 100, 100), hole_of((4000, 4000), 0, 0, 2000, 2000)
    assert filler.estimate_seconds(np.zeros((9, 9), bool)) == 0
    assert filler.estimate_seconds(small, 1) < filler.estimate_seconds(large, 1)
    assert filler.estimate_seconds(large, 2) < filler.estimate_seconds(large, 1)
