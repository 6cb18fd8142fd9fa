"""Fine detail as part of a fill: what is scaled down for the model gets the photo's own texture, nothing else does."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from moebius import devices
from moebius.config import SamplingConfig
from moebius.fill import seeds
from moebius.fill.scheduler import fill_photo
from moebius.progress import Cancelled
from tests.helpers.one_by_one import OneByOne

SIDE = 64
ON, OFF = SamplingConfig(), SamplingConfig(detail=False)
SAMPLE = Path(__file__).parents[3] / "moebius/samples/images/picosdeeuropa_by_aitzol_berasate.jpg"


class Perfect(OneByOne):
    """Paints what really lies under the hole, at its own size, and notes what it was shown."""

    name, size = "perfect", SIDE

    def __init__(self, truth: np.ndarray) -> None:
        self.truth, self.shown = cv2.resize(truth, (SIDE, SIDE), interpolation=cv2.INTER_AREA), []

    def fill_square(self, image, mask, config, generator, progress):
        self.shown.append(image)
        progress(0.5, "Painting")
        return self.truth.astype(np.float32)


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    """(192, 192, 3) uint8: a rocky slope out of a sample photo, one square of three times the model's side."""
    with Image.open(SAMPLE) as photo:
        return np.asarray(photo.convert("RGB"))[900:1092, 800:992].copy()


@pytest.fixture(scope="module")
def hole() -> np.ndarray:
    mask = np.zeros((192, 192), bool)
    mask[40:150, 45:152] = True
    return mask


def filled(photo, hole, config=ON, seed=5, truth=None, **more):
    model = Perfect(np.asarray(photo) if truth is None else truth)
    return fill_photo(model, photo, hole, config, seeds.generator(seed), **more)


def fineness(picture: np.ndarray, where: np.ndarray) -> float:
    """Mean square of the Laplacian of the luma well inside `where`."""
    grey = np.asarray(Image.fromarray(picture).convert("L")).astype(np.float32)
    inside = cv2.erode(where.view(np.uint8), np.ones((9, 9), np.uint8)) > 0
    return float((cv2.Laplacian(grey, cv2.CV_32F)[inside] ** 2).mean())


def sixteen_bits(picture: np.ndarray) -> np.ndarray:
    return picture.astype(np.uint16) * 257


def test_a_square_that_was_scaled_down_is_as_sharp_as_the_photo(truth, hole):
    photo = Image.fromarray(truth)
    with_detail, without = (np.asarray(fill_photo(Perfect(truth), photo, hole, c).raster) for c in (ON, OFF))
    real = fineness(truth, hole)
    assert fineness(without, hole) < 0.1 * real
    assert 0.5 * real < fineness(with_detail, hole) < 1.5 * real
    low = [cv2.GaussianBlur(picture, (0, 0), 6)[hole].astype(int) for picture in (with_detail, truth)]
    assert np.abs(low[0] - low[1]).mean() < 3, "low frequencies stay the model's"


def test_the_fill_says_whether_it_has_detail_and_what_it_took(truth, hole):
    photo = Image.fromarray(truth)
    sharp, soft = (fill_photo(Perfect(truth), photo, hole, config) for config in (ON, OFF))
    assert sharp.detail and sharp.seconds["detail"] > 0
    assert not soft.detail and soft.seconds["detail"] == 0


def test_off_is_the_models_fill_enlarged(truth, hole):
    config = SamplingConfig(detail=False, feather_px=0)
    result = np.asarray(fill_photo(Perfect(truth), Image.fromarray(truth), hole, config).raster)
    small = cv2.resize(truth, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    large = cv2.resize(small, truth.shape[:2], interpolation=cv2.INTER_CUBIC).clip(0, 255)
    np.testing.assert_array_equal(result[hole], np.rint(large).astype(np.uint8)[hole])


@pytest.mark.parametrize("side, detailed", [(SIDE, False), (80, False), (84, True)])
def test_detail_is_for_squares_more_than_a_quarter_larger_than_the_model(truth, side, detailed):
    part = truth[:side, :side]
    hole = np.zeros((side, side), bool)
    hole[8 : side - 8, 8 : side - 8] = True
    assert fill_photo(Perfect(part), Image.fromarray(part), hole).detail == detailed


@pytest.mark.parametrize("kind", ["8 bits", "16 bits", "grey"])
def test_what_lay_under_the_hole_has_no_influence(truth, hole, kind):
    model = Perfect(truth)
    rng = np.random.default_rng(1)
    results = []
    for under in (np.uint8(0), np.uint8(255), rng.integers(0, 256, (hole.sum(), 3), np.uint8)):
        other = truth.copy()
        other[hole] = under
        if kind == "16 bits":
            photo = sixteen_bits(other)
        else:
            photo = Image.fromarray(other).convert("L" if kind == "grey" else "RGB")
        result = fill_photo(model, photo, hole, ON, seeds.generator(1)).raster
        results.append(np.asarray(result).tobytes())
    assert results[0] == results[1] == results[2]
    assert len({image.tobytes() for image in model.shown}) == 1


def test_sixteen_bits_and_grey_get_the_same_texture_as_eight(truth, hole):
    plain = np.asarray(filled(Image.fromarray(truth), hole, truth=truth).raster)
    deep = filled(sixteen_bits(truth), hole, truth=truth).raster
    assert deep.dtype == np.uint16
    assert np.abs(deep[hole] / 257 - plain[hole]).max() <= 0.51
    grey = np.asarray(Image.fromarray(truth).convert("L"))
    result = np.asarray(filled(Image.fromarray(grey), hole, truth=np.dstack([grey] * 3)).raster)
    assert result.shape == grey.shape and 0.5 < fineness(result, hole) / fineness(grey, hole) < 1.5


def test_the_number_of_threads_changes_nothing_and_is_the_users_choice(truth, hole, monkeypatch):
    results = set()
    for count in (1, 2, 5):
        monkeypatch.setenv("OMP_NUM_THREADS", str(count))
        assert devices.cpu_threads() == count
        results.add(np.asarray(filled(Image.fromarray(truth), hole).raster).tobytes())
    assert len(results) == 1


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(truth, hole):
    photo = Image.fromarray(truth)
    one, again, other = (np.asarray(filled(photo, hole, seed=seed).raster).tobytes() for seed in (3, 3, 4))
    assert one == again != other
    assert seeds.for_search(None) == 0 and seeds.for_search(torch.Generator().manual_seed(2**62 + 1)) < 2**31


def test_pixels_beyond_the_blend_stay_as_they_were(truth, hole):
    for photo in (truth, sixteen_bits(truth)):
        image = Image.fromarray(photo) if photo.dtype == np.uint8 else photo
        result = filled(image, hole, truth=truth)
        far = cv2.distanceTransform((~hole).view(np.uint8), cv2.DIST_L2, 5) > ON.feather_px + 1
        np.testing.assert_array_equal(np.asarray(result.raster)[far], photo[far])
        assert not result.changed[far].any() and result.changed[hole].all()


def test_progress_rises_through_model_and_detail(truth, hole):
    calls = []
    filled(Image.fromarray(truth), hole, progress=lambda share, text: calls.append((share, text)))
    shares = [share for share, _ in calls]
    assert shares == sorted(shares) and shares[-1] == 1
    assert (0.4, "Painting") in calls
    texts = [text for _, text in calls]
    assert any(text.startswith("Adding detail at 192×192") for text in texts)
    assert all(share >= 0.8 for share, text in calls if "detail" in text)


def test_it_stops_wherever_it_is_asked_to(truth, hole):
    photo, calls = Image.fromarray(truth), []
    filled(photo, hole, progress=lambda share, text: calls.append(text))
    for moment in range(0, len(calls), max(1, len(calls) // 12)):
        heard = []

        def stop(share, text, moment=moment, heard=heard):
            heard.append(text)
            if len(heard) > moment:
                raise Cancelled

        with pytest.raises(Cancelled):
            filled(photo, hole, progress=stop)
        assert len(heard) == moment + 1, "nothing is reported after the stop"
    np.testing.assert_array_equal(np.asarray(photo), truth)


@pytest.mark.parametrize(
    "hole",
    [
        np.pad(np.zeros((1, 200), bool), ((0, 119), (0, 0)), constant_values=True),  # all but one row
        np.indices((120, 200)).sum(axis=0) % 2 == 0,
        np.indices((120, 200))[1] % 6 > 0,  # no patch of 8 pixels is known
        np.indices((120, 200)).max(axis=0) < 110,
    ],
    ids=["row", "checkerboard", "stripes", "corner"],
)
def test_photos_that_hardly_show_anything_are_filled_too(hole):
    truth = np.full((*hole.shape, 3), 90, np.uint8)
    result = filled(Image.fromarray(np.where(hole[..., None], np.uint8(255), truth)), hole, truth=truth)
    assert result.detail and np.abs(np.asarray(result.raster)[hole].astype(int) - 90).max() <= 3


def test_every_square_of_a_photo_has_its_own_search_and_they_share_calls_as_before(truth):
    photo = np.tile(truth, (1, 4, 1))
    holes = np.zeros(photo.shape[:2], bool)
    holes[60:130, 40:110] = holes[60:130, 620:690] = True
    results = []
    for batch_size in (1, 2):
        model = Perfect(truth)
        fill = fill_photo(model, Image.fromarray(photo), holes, ON, seeds.generator(2), batch_size=batch_size)
        assert len(fill.squares) == 2 and all(square.side == 123 for square in fill.squares)
        results.append(np.asarray(fill.raster))
    np.testing.assert_array_equal(*results)
    assert (results[0][60:130, 40:110] != results[0][60:130, 620:690]).any()


class Tinted(Perfect):
    """With a colour cast over all of the tile."""

    CAST = np.array([9, -7, 5], np.float32)

    def fill_square(self, image, mask, config, generator, progress):
        return (super().fill_square(image, mask, config, generator, progress) + self.CAST).clip(0, 255)


@pytest.mark.parametrize("side", [SIDE, 192], ids=["at the model's size", "scaled down"])
def test_a_models_colour_cast_is_taken_away(side):
    rows, columns = np.indices((side, side))
    truth = np.stack([90 + rows / 4, 120 - columns / 4, 100 + columns / 8], axis=2).astype(np.uint8)
    hole = np.zeros((side, side), bool)
    hole[side // 3 : side // 2, side // 4 : side // 2] = True
    results = {}
    for match in (True, False):
        fill = fill_photo(Tinted(truth), Image.fromarray(truth), hole, SamplingConfig(match_colours=match))
        error = np.abs(np.asarray(fill.raster).astype(int) - truth)
        results[match] = error[fill.changed].mean()
        assert error[~fill.changed].max() == 0
    assert results[True] < 1.5 < 4 < results[False]
